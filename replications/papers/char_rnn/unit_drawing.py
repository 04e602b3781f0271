"""Panels of the figures of single units: scores per label, and a text coloured by activation."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from replications.papers.char_rnn.figure_data import LABELS
from replications.papers.char_rnn.unit_figure_data import UnitOnText
from replications.presentation.palette import ON_LIGHT, PALETTE
from replications.presentation.theme import COLUMN

GREY = "#767676"
MONOSPACE = 0.602
"""Width of a character of DejaVu Sans Mono in em."""


def draw_unit_scores(axis: Axes, scores: pd.DataFrame, labels: list[str], chance: float, jitter: np.random.Generator) -> None:
    """Draw the scores of all units, with both controls, at one horizontal position per label.

    Args:
        axis: axis to draw on.
        scores: as `unit_figure_data.unit_scores` returns them.
        labels: keys of `LABELS`, left to right.
        chance: score of a unit that knows nothing, drawn as a line.
        jitter: random numbers for the horizontal offsets.
    """
    for position, key in enumerate(labels):
        part = scores[scores["label"] == key]
        x = position + jitter.uniform(-0.3, 0.05, len(part))
        shuffled_x = position + jitter.uniform(0.15, 0.35, len(part))
        axis.scatter(shuffled_x, part["shuffled"], s=7, marker="x", color=GREY, alpha=0.5, linewidths=0.6)
        axis.scatter(x, part["score"], s=7, color=PALETTE[0], alpha=0.45, linewidths=0)
        selected = part["chosen"].to_numpy()
        axis.scatter(x[selected], part["score"][selected], s=46, facecolors="none", edgecolors=PALETTE[1], linewidths=1.3, zorder=4)
        axis.hlines(part.groupby("seed")["untrained"].first(), position - 0.35, position + 0.1, color="#000000", linewidth=1)
    axis.axhline(chance, color=GREY, linewidth=0.8)
    axis.set_xticks(range(len(labels)), [LABELS[key].replace(" ", "\n", 1) for key in labels])
    axis.set_xlim(-0.5, len(labels) - 0.5)
    axis.grid(visible=False, axis="x")


def draw_score_legend(axis: Axes) -> None:
    """Add the legend entries of `draw_unit_scores` to an axis.

    Args:
        axis: axis whose legend handles the figure uses.
    """
    for text, marker, colour in (("unit, trained", "o", PALETTE[0]), ("shifted labels", "x", GREY), ("untrained, best", "_", "#000000")):
        axis.scatter([], [], s=14, marker=marker, color=colour, label=text)
    axis.scatter([], [], s=40, facecolors="none", edgecolors=PALETTE[1], label="selected unit")


def draw_activation_text(axis: Axes, unit: UnitOnText, *, width: int, height: int) -> int:
    """Draw the first lines of a text, coloured by the activation of a unit and underlined where the label holds.

    Args:
        axis: axis to draw on; two journal columns wide.
        unit: activations on the text.
        width: characters per line; longer lines are cut.
        height: number of lines.

    Returns:
        Number of characters of the text that the drawn lines span.
    """
    colours = np.where(unit.activation[:, None] > 0, (0.90, 0.45, 0.05), (0.0, 0.45, 0.75))
    shades = 1 - 0.6 * np.abs(unit.activation)[:, None] * (1 - colours)  # pale enough to read black letters on
    lines = unit.text.split("\n")[:height]
    starts = np.cumsum([0, *(len(line) + 1 for line in lines)])
    image = np.ones((len(lines), width, 3))
    underlines: list[list[tuple[int, float]]] = []
    for row, (line, start) in enumerate(zip(lines, starts[:-1], strict=True)):
        visible = line[:width]
        image[row, : len(visible)] = shades[start : start + len(visible)]
        columns = np.flatnonzero(unit.truth[start : start + len(visible)]).tolist()
        underlines += [[(column, row + 0.97), (column + 1, row + 0.97)] for column in columns]
        for word in re.finditer(r"\S+", visible):  # word by word, so that a font of another width stays aligned with the cells
            font: dict[str, Any] = {"family": "DejaVu Sans Mono", "fontsize": 72 * 2 * COLUMN / width / MONOSPACE, "color": ON_LIGHT}
            axis.text(word.start(), row + 0.5, word.group(), ha="left", va="center", parse_math=False, **font)
    axis.set_axis_off()
    axis.imshow(image, extent=(0, width, len(lines), 0), aspect="auto", interpolation="nearest")
    axis.add_collection(LineCollection(underlines, colors=ON_LIGHT, linewidths=1))
    axis.set_xlim(0, width)
    axis.set_ylim(len(lines), 0)
    return min(int(starts[-1]), len(unit.text))
