"""The look of every figure, and what several figures draw alike: dots for seeds, open markers for published values, labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from fontTools.ttLib import TTFont
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas

from replications.presentation.palette import PALETTE

COLUMN = 3.4
"""Width of a journal column in inches; `2 * COLUMN` spans the page."""

SEABORN = Path(__file__).with_name("seaborn.mplstyle")
"""Seaborn's theme, of which `theme` changes some values."""

PUBLISHED = {"facecolors": "none", "linewidths": 1.2, "s": 34, "zorder": 4}
"""Scatter style of published values: open markers; the caller gives `edgecolors` and `marker`."""


@cache
def _fonts_without_layout_tables() -> TemporaryDirectory[str]:
    """Draw with matplotlib's own DejaVu Sans, the same on every machine, less its OpenType layout tables.

    Labels need none of them, and every PDF would take them apart and put them together again.

    Returns:
        Where the fonts lie until the process ends.
    """
    folder: TemporaryDirectory[str] = TemporaryDirectory(prefix="fonts-")
    fonts = font_manager.fontManager
    fonts.ttflist = [entry for entry in fonts.ttflist if entry.name != "DejaVu Sans"]
    for path in sorted(Path(mpl.get_data_path(), "fonts", "ttf").glob("DejaVuSans*.ttf")):
        if "Mono" not in path.name and "Display" not in path.name:
            with TTFont(path, recalcTimestamp=False) as font:  # else a PDF would say when its figure was drawn
                for table in {"GSUB", "GPOS", "GDEF", "MATH"} & set(font.keys()):
                    del font[table]
                font.save(Path(folder.name) / path.name)
            fonts.addfont(Path(folder.name) / path.name)
    return folder


def theme() -> None:
    """Set the look of every figure, the same on every machine: what a user's `matplotlibrc` sets does not count."""
    mpl.rcdefaults()
    _fonts_without_layout_tables()
    mpl.style.use(SEABORN)
    mpl.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=PALETTE),
            "patch.facecolor": PALETTE[0],
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": 9,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 8.5,
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
            "legend.fontsize": 7.5,
            "legend.frameon": False,
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "text.hinting": "no_hinting",  # letters are as wide at every resolution, so that one layout fits all formats
            "savefig.dpi": 300,
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "svg.fonttype": "none",
            "svg.hashsalt": "replications",
            "pdf.fonttype": 42,
            "lines.linewidth": 1.4,
            "lines.markersize": 4,
            "axes.grid": True,
            "grid.color": "#e6e6e6",
            "grid.linewidth": 0.6,
        }
    )


def canvas(width: float = 2 * COLUMN, height: float = 2.6, *, columns: int = 1, rows: int = 1, **options: Any) -> tuple[Canvas, np.ndarray]:
    """Return a drawing and its axes.

    Args:
        width: in inches.
        height: in inches.
        columns: columns of axes.
        rows: rows of axes.
        **options: passed on to `subplots`.

    Returns:
        The drawing, and an array of axes of shape (rows, columns).
    """
    theme()
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **options)
    return figure, axes


def linear_without_positive_values(figure: Canvas) -> None:
    """Make logarithmic axes linear on which nothing positive is drawn, as after trainings that all diverged: they cannot be laid out.

    Args:
        figure: drawn and not laid out yet.
    """
    for axes in figure.axes:
        if axes.get_xscale() == "log" and not np.isfinite(axes.dataLim.minposx):
            axes.set_xscale("linear")
        if axes.get_yscale() == "log" and not np.isfinite(axes.dataLim.minposy):
            axes.set_yscale("linear")


def dots(
    axes: Axes,
    x: Sequence[float] | np.ndarray | pd.Series,
    y: Sequence[float] | np.ndarray | pd.Series,
    *,
    colour: str,
    label: str | None = None,
) -> None:
    """Draw every seed as a dot.

    Args:
        axes: where to draw.
        x: positions, shape (n,).
        y: one value per seed, shape (n,).
        colour: of the dots.
        label: for the legend; None: not in it.
    """
    axes.scatter(x, y, s=14, color=colour, alpha=0.75, linewidths=0, label=label, zorder=3)


def published(axes: Axes, x: Sequence[float] | float, y: Sequence[float] | float, *, colour: str, label: str, marker: str = "D") -> None:
    """Draw published values as open markers.

    Args:
        axes: where to draw.
        x: positions, shape (n,), or one.
        y: values, shape (n,), or one.
        colour: of the markers' edges.
        label: for the legend.
        marker: shape, in Matplotlib's letters.
    """
    axes.scatter(x, y, facecolors="none", edgecolors=colour, marker=marker, linewidths=1.2, s=34, zorder=4, label=label)


def signed_colours() -> LinearSegmentedColormap:
    """Return the colours of a signed quantity, as exhibits show it: orange for -1, white for 0, blue for +1.

    Returns:
        A colour map for limits that are symmetric about zero.
    """
    return LinearSegmentedColormap.from_list("signed", [PALETTE[1], "#ffffff", PALETTE[0]])


def label_end(axes: Axes, x: float, y: float, text: str, colour: str, *, dx: float = 4, dy: float = 0) -> None:
    """Name a series at its last point instead of in a legend; offsets in points.

    Args:
        axes: where to draw.
        x: position of the last point.
        y: value of the last point.
        text: name of the series.
        colour: of the text.
        dx: offset to the right, in points.
        dy: offset upwards, in points.
    """
    axes.annotate(text, (x, y), xytext=(dx, dy), textcoords="offset points", color=colour, fontsize=7.5, va="center", clip_on=False)


def in_words(data: pd.DataFrame, by: str | list[str], value: str = "value", form: str = ".2f") -> str:
    """Return means by group for an alternative text: `lstm: 0.39; transformer: 1.00`.

    Args:
        data: rows with the columns `by` and `value`.
        by: column or columns that make groups.
        value: column of the values.
        form: format of a number.

    Returns:
        Groups and means, joined by semicolons.
    """
    means = data.groupby(by, sort=False)[value].mean()
    return "; ".join(f"{' '.join(map(str, key)) if isinstance(key, tuple) else key}: {mean:{form}}" for key, mean in means.items())


def last_rows(data: pd.DataFrame, along: str, by: str) -> pd.DataFrame:
    """Return the rows of every group at its largest place, such as the last step of every run.

    Args:
        data: rows with the columns `along` and `by`.
        along: column of places, for example 'step'.
        by: column that makes groups.

    Returns:
        Some of the rows.
    """
    return data[data[along] == data.groupby(by)[along].transform("max")]


mpl.use("Agg")
