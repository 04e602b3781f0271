"""Write a figure: SVG, PDF, PNG, the CSV of what is drawn, and its metadata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from replications.files import replacing
from replications.presentation.marks import faults_of, show_whole_points
from replications.presentation.metadata import DrawingMetadata, draw_from_largest, metadata_of, tier_note, why_not_drawn, write_metadata
from replications.presentation.theme import canvas, linear_without_positive_values
from replications.registry.outputs import FIGURE_KINDS
from replications.results.reader import NotMeasured, Results


@dataclass
class Figure:
    """Return value of a figure function.

    Attributes:
        canvas: the drawing.
        data: exactly what is drawn, tidy.
        alt: what the figure shows, for a reader who cannot see it; numbers in it are generated.
        title: short heading; default: the function's name.
        runs: the runs that are drawn, where the function reads more than it draws; default: all that it reads.
        notes: sentences of the caption on what is drawn at some tiers alone; the docstring says what is drawn at all of them.
    """

    canvas: Canvas
    data: pd.DataFrame
    alt: str
    title: str = ""
    runs: Sequence[str] = ()
    notes: Sequence[str] = ()


_FILE_METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
}
"""What matplotlib leaves out of a file, so that equal figures are equal bytes."""


def write_figure(function: Callable[[Results], Figure], results: Results, folder: Path) -> DrawingMetadata:
    """Draw one figure and write it in every kind of `FIGURE_KINDS`, with its metadata.

    A figure whose runs this tier does not have is written as an empty drawing that says so, with `drawn: false` in its
    metadata, so that every declared output exists.

    Args:
        function: a figure of a paper; its name is the name of the files.
        results: what it reads.
        folder: where the files go.

    Returns:
        The metadata, which names the runs that are drawn.
    """
    name = function.__name__
    read, why_not = results, ""
    try:
        figure, read = draw_from_largest(function, results)
    except NotMeasured as missing:
        why_not = why_not_drawn(missing, results)
        figure = _empty(why_not)
    notes = " ".join(note for note in (*figure.notes, tier_note(read, results)) if note)
    runs = figure.runs or read.used
    linear_without_positive_values(figure.canvas)
    figure.canvas.draw_without_rendering()
    show_whole_points(figure.canvas)
    metadata = metadata_of(function, read, title=figure.title, alt=figure.alt, runs=runs, why_not=why_not, notes=notes)
    if metadata.drawn:
        metadata = metadata.model_copy(update={"faults": tuple(faults_of(figure.canvas, metadata.caption))})
    with mpl.rc_context({"figure.constrained_layout.use": False}):  # laid out once, not once more per format
        figure.canvas.set_layout_engine(None)
        for kind in FIGURE_KINDS:
            with replacing(folder / f"{name}.{kind}") as temporary:
                if kind == "csv":
                    figure.data.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
                else:
                    figure.canvas.savefig(temporary, format=kind, metadata=_FILE_METADATA.get(kind, {}))
    plt.close(figure.canvas)
    write_metadata(folder, metadata)
    return metadata


def _empty(why: str) -> Figure:
    figure, axes = canvas(height=0.8)
    axes[0, 0].axis("off")
    axes[0, 0].text(0, 0.5, why, fontsize=8, color="#555555", va="center", wrap=True)
    return Figure(figure, pd.DataFrame({"note": [why]}), alt=why)
