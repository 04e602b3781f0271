"""The cost explorer: measured curves with the values at a selected position, and counted FLOPs at any length and width."""

from __future__ import annotations

from typing import Any

from replications.papers.rnn_vs_transformer.settings import Settings
from replications.presentation.exhibits import Exhibit
from replications.results.reader import Results

QUANTITIES = {
    "training_seconds": ("training time per step", "s", "cost"),
    "forward_seconds": ("forward time", "s", "cost"),
    "training_bytes": ("peak memory of a training step", "B", "test"),
    "forward_flops": ("counted forward FLOPs", "FLOP", "test"),
}
"""Label, unit and split of each metric."""

SWEEPS = {
    "cost-length": ("length", "sequence length n"),
    "cost-width": ("width", "width d"),
    "cost-tokens": ("length", "length n at a fixed number of tokens"),
}
"""Axis of each run, and its label."""


def cost_explorer(results: Results) -> Exhibit:
    """Cost of one layer: select a quantity and an axis, and move the slider to read the value of every network.

    The lower part shows counted FLOPs at any length and width.
    """
    results.need("cost-length", "counted")
    sweeps: list[dict[str, Any]] = []
    for run, (axis, axis_label) in SWEEPS.items():
        if not results.finished(run):
            continue
        for metric, (label, unit, split) in QUANTITIES.items():
            rows = results.select(run=run, split=split, metric=metric, axis=axis)
            curves = []
            for name, part in rows.groupby("model", sort=False):
                points = []
                for at in sorted(part["at"].unique()):
                    values = part.loc[part["at"] == at, "value"]
                    points.append([int(at), float(values.median()), float(values.min()), float(values.max())])
                curves.append({"model": str(name), "points": points})
            if curves:
                sweeps.append({"axis": axis_label, "label": label, "unit": unit, "curves": curves})
    grid = results.artifacts("counted")
    counted = {
        "models": [str(model) for model in grid["grid_models"]],
        "lengths": grid["grid_lengths"].tolist(),
        "widths": grid["grid_widths"].tolist(),
        "flops": grid["grid_flops"].tolist(),
        "sequential": grid["grid_sequential"].tolist(),
    }
    networks = {
        network.name: {"mixer": network.mixer, "form": network.form}
        for run in results.runs()
        for network in run.settings_as(Settings).models
    }
    alt = (
        f"Cost of {len(sweeps[0]['curves'])} layers over length and width; the figures of this section show the same data without scripts."
    )
    data = {"networks": networks, "sweeps": sweeps, "counted": counted}
    return Exhibit("Cost explorer", alt, data, figure="training_time_by_length")
