"""Write a figure: SVG, PDF, PNG, the CSV of what is drawn, and its metadata."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from replications.files import replacing
from replications.presentation.theme import canvas
from replications.results.reader import NotMeasured, Results


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
