"""One theme, one figure writer: SVG, PDF, PNG, the CSV of what is drawn, and a sidecar with caption and provenance."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from fontTools.ttLib import TTFont
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from replications.files import replacing
from replications.presentation.palette import PALETTE
from replications.results.reader import NotMeasured, Results

COLUMN = 3.4
"""Width of a journal column in inches; `2 * COLUMN` spans the page."""

PUBLISHED = {"facecolors": "none", "linewidths": 1.2, "s": 34, "zorder": 4}
"""Scatter style of published values: open markers; the caller gives `edgecolors` and `marker`."""


@dataclass
class Figure:
    """What a figure function returns.

    Attributes:
        canvas: the drawing.
        data: exactly what is drawn, tidy.
        alt: what the figure shows, for a reader who cannot see it; numbers in it are generated.
        title: short heading; default: the function's name.
        runs: the runs that are drawn, where the function reads more than it draws; default: all that it reads.
    """

    canvas: Canvas
    data: pd.DataFrame
    alt: str
    title: str = ""
    runs: Sequence[str] = ()


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
            with TTFont(path) as font:
                for table in {"GSUB", "GPOS", "GDEF", "MATH"} & set(font.keys()):
                    del font[table]
                font.save(Path(folder.name) / path.name)
            fonts.addfont(Path(folder.name) / path.name)
    return folder


def theme() -> None:
    """Set the look of every figure."""
    _fonts_without_layout_tables()
    sns.set_theme(
        context="paper",
        style="ticks",
        palette=PALETTE,
        rc={
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
        },
    )


def canvas(width: float = 2 * COLUMN, height: float = 2.6, *, columns: int = 1, rows: int = 1, **options: Any) -> tuple[Canvas, np.ndarray]:
    """A drawing and its axes as an array of shape (rows, columns); sizes in inches."""
    theme()
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **options)
    return figure, axes


def dots(
    axes: Axes,
    x: Sequence[float] | np.ndarray | pd.Series,
    y: Sequence[float] | np.ndarray | pd.Series,
    *,
    colour: str,
    label: str | None = None,
) -> None:
    """Draw every seed as a dot."""
    axes.scatter(x, y, s=14, color=colour, alpha=0.75, linewidths=0, label=label, zorder=3)


def published(axes: Axes, x: Sequence[float] | float, y: Sequence[float] | float, *, colour: str, label: str, marker: str = "D") -> None:
    """Draw published values as open markers."""
    axes.scatter(x, y, facecolors="none", edgecolors=colour, marker=marker, linewidths=1.2, s=34, zorder=4, label=label)


def label_end(axes: Axes, x: float, y: float, text: str, colour: str, *, dx: float = 4, dy: float = 0) -> None:
    """Name a series at its last point instead of in a legend; offsets in points."""
    axes.annotate(text, (x, y), xytext=(dx, dy), textcoords="offset points", color=colour, fontsize=7.5, va="center", clip_on=False)


def in_words(data: pd.DataFrame, by: str | list[str], value: str = "value", form: str = ".2f") -> str:
    """Means by group for an alternative text: `lstm: 0.39; transformer: 1.00`."""
    means = data.groupby(by, sort=False)[value].mean()
    return "; ".join(f"{' '.join(map(str, key)) if isinstance(key, tuple) else key}: {mean:{form}}" for key, mean in means.items())


def last_rows(data: pd.DataFrame, along: str, by: str) -> pd.DataFrame:
    """The rows of every group at its largest place, such as the last step of every run."""
    return data[data[along] == data.groupby(by)[along].transform("max")]


def caption_of(function: Callable[[Results], Figure]) -> str:
    """The docstring as one paragraph: the figure's caption."""
    return " ".join((inspect.getdoc(function) or "").split())


def title_of(name: str) -> str:
    """A function's name as a heading."""
    return name.replace("_", " ").capitalize()


def write_figure(function: Callable[[Results], Figure], results: Results, folder: Path) -> dict[str, object]:
    """Draw one figure and write `<id>.{svg,pdf,png,csv,json}` into `folder`; the sidecar names the runs that it draws.

    A figure whose runs this tier does not have is written as an empty picture that says so, with `drawn: false` in its
    sidecar, so that every declared output exists.

    Returns:
        The sidecar.
    """
    name = function.__name__
    read = results.unused()
    try:
        figure = function(read)
        drawn, why = True, ""
    except NotMeasured as missing:
        drawn, why = False, f"Not measured at tier {results.tier}: {missing}."
        figure = _empty(why)
    sidecar: dict[str, object] = {
        "id": f"{results.paper.name}.{name}",
        "paper": results.paper.name,
        "tier": results.tier,
        "title": figure.title or title_of(name),
        "caption": caption_of(function),
        "alt": figure.alt,
        "drawn": drawn,
        "why_not": why,
        "runs": sorted(figure.runs or read.used) if drawn else [],
    }
    metadata = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
        "png": {},
    }
    figure.canvas.draw_without_rendering()
    with mpl.rc_context({"figure.constrained_layout.use": False}):  # laid out once, not once more per format
        figure.canvas.set_layout_engine(None)
        for kind, fields in metadata.items():
            with replacing(folder / f"{name}.{kind}") as temporary:
                figure.canvas.savefig(temporary, format=kind, metadata=fields)
    plt.close(figure.canvas)
    with replacing(folder / f"{name}.csv") as temporary:
        figure.data.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    with replacing(folder / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(sidecar, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return sidecar


def _empty(why: str) -> Figure:
    figure, axes = canvas(height=0.8)
    axes[0, 0].axis("off")
    axes[0, 0].text(0, 0.5, why, fontsize=8, color="#555555", va="center", wrap=True)
    return Figure(figure, pd.DataFrame({"note": [why]}), alt=why)


mpl.use("Agg")
