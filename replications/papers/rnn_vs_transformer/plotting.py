"""Drawing shared by the figures: colours and names of networks, runs of an experiment, curves with fits and labels at their ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from replications.papers.rnn_vs_transformer.settings import Network, Settings
from replications.presentation.palette import PALETTE
from replications.presentation.theme import dots, label_end
from replications.registry.run_grid import Run
from replications.results.reader import NotMeasured, Results
from replications.verdicts.statistics import loglog_slope

COLOURS = {
    "transformer": PALETTE[0],
    "lstm": PALETTE[1],
    "gru": PALETTE[2],
    "rnn": PALETTE[3],
    "mingru": PALETTE[4],
    "minlstm": PALETTE[7],
    "ssm": PALETTE[5],
    "linear": PALETTE[6],
}
"""Colour of each mixer."""

NAMES = {
    "transformer": "attention, fused",
    "transformer.naive": "attention, naive",
    "lstm": "LSTM, fused",
    "lstm.loop": "LSTM, loop",
    "gru": "GRU, fused",
    "gru.loop": "GRU, loop",
    "rnn": "tanh-RNN, fused",
    "mingru": "minGRU, scan",
    "minlstm": "minLSTM, scan",
    "ssm": "state space, scan",
    "linear": "linear attention",
}
"""Labels of layers by the name of their network."""


def runs_of(results: Results, experiment: str, **labels: str) -> list[tuple[Run, Settings]]:
    """Return the finished runs of an experiment with their settings, in planned order.

    Args:
        results: of the paper.
        experiment: as in the settings.
        labels: labels that the runs must have.

    Raises:
        NotMeasured: there is none.
    """
    runs = [
        (run, settings)
        for run in results.runs()
        if (settings := run.settings_as(Settings)).experiment == experiment
        and labels.items() <= run.labels.items()
        and results.finished(run.name)
    ]
    if not runs:
        raise NotMeasured(f"needs a run of the experiment '{experiment}'")
    return runs


def networks_of(results: Results, run: str) -> dict[str, Network]:
    """Return the networks that a run compares, by the name under which they are recorded."""
    settings = next((plan.settings_as(Settings) for plan in results.runs() if plan.name == run), None)
    if settings is None:
        raise NotMeasured(f"needs {run}")
    return {network.name: network for network in settings.models}


def sweep_of(results: Results, run: str, metric: str, axis: str, split: str = "test") -> pd.DataFrame:
    """Return the records of one metric over an axis, with columns run, model, seed, at and value.

    Raises:
        NotMeasured: the run is not finished, or has no clocked records.
    """
    results.need(run)
    rows = results.select(run=run, metric=metric, split=split, axis=axis)
    if not len(rows):
        raise NotMeasured(f"needs {metric} of {run}")
    return rows[["run", "model", "seed", "at", "value"]]


def spread(ends: Sequence[float], apart: float) -> list[float]:
    """Return offsets that push labels apart, each as little as possible.

    Args:
        ends: heights of the labels in points.
        apart: smallest distance in points.
    """
    order = np.argsort(ends)
    placed = np.array(ends, dtype=float)[order]
    for _ in range(200):
        close = np.clip(apart - np.diff(placed), 0, None) / 2
        placed[:-1] -= close
        placed[1:] += close
    offsets = np.empty(len(placed))
    offsets[order] = placed - np.array(ends, dtype=float)[order]
    return [float(offset) for offset in offsets]


def label_ends(panel: Axes, ends: Sequence[tuple[str, str, float, float]], *, dx: float = 4) -> None:
    """Write labels at the ends of lines, pushed apart.

    Args:
        panel: axes whose limits are final.
        ends: text, colour, x and y of each line's end.
        dx: distance from the end in points.
    """
    if figure := panel.get_figure(root=True):
        figure.draw_without_rendering()  # lays out, so that heights are known
    heights = [panel.transData.transform((x, y))[1] * 72 / panel.figure.dpi for *_, x, y in ends]
    for (text, colour, x, y), dy in zip(ends, spread(heights, 9), strict=True):
        label_end(panel, x, y, text, colour, dx=dx, dy=dy)


def _plain_ticks(axes: Axes, positions: Sequence[float]) -> None:
    """Label a logarithmic axis at measured positions, at most eight of them, with plain numbers."""
    ticks = sorted(set(positions))
    ticks = ticks[:: math.ceil(len(ticks) / 8)]
    axes.set_xticks(ticks, [f"{x:,.0f}" for x in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def curves(
    axes: Axes,
    rows: pd.DataFrame,
    networks: dict[str, Network],
    *,
    xlabel: str,
    ylabel: str,
    symbol: str = "n",
    fit_span: float = 4,
) -> dict[str, float]:
    """Draw one curve per network on logarithmic axes: every seed a dot, medians joined, names and exponents at the ends.

    Args:
        axes: to draw on.
        rows: columns model, at and value.
        networks: by name; those computed step by step or with a matrix of scores are dashed.
        xlabel: of the axis.
        ylabel: of the axis.
        symbol: of the axis, in the labels of exponents.
        fit_span: ratio of the largest position to the smallest one that the fit uses.

    Returns:
        Exponents by name of network.
    """
    axes.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    _plain_ticks(axes, rows["at"].tolist())
    ends: list[tuple[str, float, float]] = []
    exponents: dict[str, float] = {}
    for name, part in rows.groupby("model", sort=False):
        network = networks[str(name)]
        colour = COLOURS[network.mixer]
        dots(axes, part["at"], part["value"], colour=colour)
        middle = part.groupby("at")["value"].median()
        axes.plot(middle.index, middle, color=colour, ls="--" if network.form in ("loop", "naive") else "-", lw=1.1)
        tail = middle[middle.index * fit_span >= middle.index.max()]
        if len(tail) > 1 and (tail > 0).all():
            exponents[network.name] = float(loglog_slope(tail.index.to_numpy(dtype=float), tail.to_numpy()[None])[0])
        ends.append((network.name, float(middle.index[-1]), float(middle.iloc[-1])))
    if figure := axes.get_figure(root=True):
        figure.draw_without_rendering()  # lays out, so that heights are known
    heights = [axes.transData.transform((x, y))[1] * 72 / axes.figure.dpi for _, x, y in ends]
    right = max(x for _, x, _ in ends)
    for (name, x, y), dy in zip(ends, spread(heights, 9.5), strict=True):
        colour = COLOURS[networks[name].mixer]
        exponent = f"  {symbol}^{round(exponents[name], 2) + 0.0:.2f}" if name in exponents else ""
        if x < right or dy:
            axes.plot([x, right], [y, y], color=colour, lw=0.5, ls=":", alpha=0.6)
        label_end(axes, right, y, f"{NAMES.get(name, name)}{exponent}", colour, dx=6, dy=dy)
    return exponents


def in_text(exponents: dict[str, float]) -> str:
    """Return exponents as text, for a figure's description."""
    return ", ".join(f"{NAMES.get(name, name)} {value:.2f}" for name, value in exponents.items())
