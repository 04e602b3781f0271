"""The cost explorer: measured curves to point at, and counted FLOPs of any length and width."""

from __future__ import annotations

from typing import Any

from replications.presentation.exhibits import Exhibit
from replications.results.reader import Results

QUANTITIES = {
    "training_seconds": ("time of a training step", "s", "time"),
    "forward_seconds": ("time forward", "s", "time"),
    "training_bytes": ("memory of a training step", "B", "test"),
    "forward_flops": ("counted FLOPs forward", "FLOP", "test"),
}
SWEEPS = {"cost-length": "sequence length n", "cost-width": "width d", "cost-tokens": "length n at fixed tokens"}


def cost_explorer(results: Results) -> Exhibit:
    """Cost of one layer: choose what is measured and over what, move the slider to read every network's value there.

    Below, length and width are free, and FLOPs are counted for them.
    """
    results.need("cost-length", "counted")
    sweeps: list[dict[str, Any]] = []
    for run, axis in SWEEPS.items():
        if not results.finished(run):
            continue
        for metric, (label, unit, split) in QUANTITIES.items():
            rows = results.select(run=run, split=split)
            rows = rows[rows["metric"].str.startswith(f"{metric}.") & (rows["step"] > 0)]
            curves = []
            for name, part in rows.groupby("metric", sort=False):
                points = []
                for step in sorted(part["step"].unique()):
                    values = part.loc[part["step"] == step, "value"]
                    points.append([int(step), float(values.median()), float(values.min()), float(values.max())])
                curves.append({"model": str(name).removeprefix(f"{metric}."), "points": points})
            if curves:
                sweeps.append({"axis": axis, "label": label, "unit": unit, "curves": curves})
    grid = results.artifacts("counted")
    counted = {
        "models": [str(model) for model in grid["grid_models"]],
        "lengths": grid["grid_lengths"].tolist(),
        "widths": grid["grid_widths"].tolist(),
        "flops": grid["grid_flops"].tolist(),
        "sequential": grid["grid_sequential"].tolist(),
    }
    alt = f"Cost of {len(sweeps[0]['curves'])} layers over length and width; the figures of this section show the same without scripts."
    return Exhibit("Cost explorer", alt, {"sweeps": sweeps, "counted": counted})
