"""Drawing shared by the figures: colours and names of networks, curves with fits, and labels at the ends of curves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from replications.papers.rnn_vs_transformer.settings import Network
from replications.presentation.palette import MUTED, PALETTE
from replications.presentation.theme import dots, label_end
from replications.verdicts.trends import loglog_slope

COLOURS = {
    "transformer": PALETTE[0],
    "lstm": PALETTE[1],
    "gru": PALETTE[2],
    "rnn": PALETTE[3],
    "mingru": PALETTE[4],
    "minlstm": PALETTE[7],
    "ssm": MUTED[4],
    "linear": PALETTE[6],
    "mamba": MUTED[0],
    "mamba-lti": MUTED[1],
    "rwkv4": MUTED[2],
    "convolution": MUTED[3],
}
"""Colour of each mixer. The second blue of the palette is left out, since it is too near the first."""

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
    "mamba": "Mamba, scan",
    "mamba-lti": "Mamba without selection",
    "rwkv4": "RWKV-4, scan",
    "convolution": "dilated convolution",
}
"""Display names of layers, by the name of their network."""

MODELS = {
    "transformer": "transformer",
    "transformer.alibi": "transformer, hard-ALiBi",
    "transformer.nope": "transformer, no positions",
    "lstm": "LSTM",
    "gru": "GRU",
    "rnn": "tanh-RNN",
    "mingru": "minGRU",
    "minlstm": "minLSTM",
    "ssm": "state space",
    "linear": "linear attention",
    "mamba": "Mamba",
    "mamba-lti": "Mamba without selection",
    "rwkv4": "RWKV-4",
    "convolution": "dilated convolution",
}
"""Display names of whole networks, where it does not matter in which form a layer is computed."""


def model_name(network: str) -> str:
    """Return the display name of a whole network.

    Args:
        network: its name in the records.

    Returns:
        For example 'LSTM'; the name itself where none is declared.
    """
    return MODELS.get(network, network)


def spread(ends: Sequence[float], min_distance: float) -> list[float]:
    """Return offsets that separate labels, each as small as possible.

    Args:
        ends: heights of the labels in points.
        min_distance: smallest distance in points.

    Returns:
        One offset per label, in points.
    """
    order = np.argsort(ends)
    heights = np.array(ends, dtype=float)[order]
    for _ in range(200):
        overlap = np.clip(min_distance - np.diff(heights), 0, None) / 2
        heights[:-1] -= overlap
        heights[1:] += overlap
    offsets = np.empty(len(heights))
    offsets[order] = heights - np.array(ends, dtype=float)[order]
    return [float(offset) for offset in offsets]


def label_ends(panel: Axes, ends: Sequence[tuple[str, str, float, float]], *, dx: float = 4) -> None:
    """Draw labels at the ends of lines, without overlaps.

    Args:
        panel: axes whose limits are final.
        ends: text, colour, x and y of each line's end.
        dx: distance from the end in points.
    """
    if figure := panel.get_figure(root=True):
        figure.draw_without_rendering()  # computes the layout, which gives the heights
    heights = [panel.transData.transform((x, y))[1] * 72 / panel.figure.dpi for *_, x, y in ends]
    for (text, colour, x, y), dy in zip(ends, spread(heights, 9), strict=True):
        label_end(panel, x, y, text, colour, dx=dx, dy=dy)


def _plain_ticks(axes: Axes, positions: Sequence[float]) -> None:
    """Label a logarithmic axis at no more than eight of the measured positions, with plain numbers.

    Args:
        axes: to label.
        positions: measured positions.
    """
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
    """Draw one curve per network on logarithmic axes: a dot per seed, a line through the medians, name and exponent at its end.

    Args:
        axes: axes to draw on.
        rows: columns model, at and value.
        networks: networks by name; those in a loop or with a stored matrix of scores are dashed.
        xlabel: label of the x axis.
        ylabel: label of the y axis.
        symbol: symbol of the x axis in the exponents.
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
        medians = part.groupby("at")["value"].median()
        axes.plot(medians.index, medians, color=colour, ls="--" if network.form in ("loop", "naive") else "-", lw=1.1)
        tail = medians[medians.index * fit_span >= medians.index.max()]
        if len(tail) > 1 and (tail > 0).all():
            exponents[network.name] = float(loglog_slope(tail.index.to_numpy(dtype=float), tail.to_numpy()[None])[0])
        ends.append((network.name, float(medians.index[-1]), float(medians.iloc[-1])))
    if figure := axes.get_figure(root=True):
        figure.draw_without_rendering()  # computes the layout, which gives the heights
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
    """Return exponents as text for a figure's description.

    Args:
        exponents: by name of network.

    Returns:
        For example 'LSTM, fused 1.00, attention, fused 1.85'.
    """
    return ", ".join(f"{NAMES.get(name, name)} {value:.2f}" for name, value in exponents.items())
