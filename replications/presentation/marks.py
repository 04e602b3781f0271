"""Which marks a figure draws, and whether its caption and legend name the same: nothing is described that is not there, nothing drawn unsaid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection, PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Canvas
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox

MARKS = {
    "dots": r"\bdots?\b",
    "open markers": r"\bopen (markers?|diamonds?|squares?|circles?)\b|\brings\b|\bcircles\b|\bdiamonds\b",
    "crosses": r"\bcrosses\b",
    "dashed lines": r"\bdashed\b",
    "dotted lines": r"\bdotted\b",
    "shaded areas": r"\bshaded\b",
}
"""Mark -> the words that name it in a caption."""

UNSAID = ("dots", "open markers", "crosses", "dashed lines", "dotted lines", "shaded areas")
"""Marks that nobody understands without a word on them; solid lines and bars are what the axes say."""


@dataclass(frozen=True)
class Mark:
    """One mark of a figure.

    Attributes:
        kind: a key of `MARKS`.
        labelled: whether a legend or a text of its colour in the axes names it.
    """

    kind: str
    labelled: bool


def marks_of(canvas: Canvas) -> list[Mark]:
    """Return the marks that are drawn.

    Args:
        canvas: a finished drawing.

    Returns:
        One entry per artist of the kinds of `MARKS` that has anything to draw.
    """
    legends = [legend for legend in [*canvas.legends, *(axes.get_legend() for axes in canvas.axes)] if legend]
    named = {text.get_text() for legend in legends for text in legend.get_texts()}
    keys = {kind for legend in legends for handle in legend.legend_handles if handle is not None for kind in _kinds(handle)}
    found = []
    for axes in canvas.axes:
        colours = {to_rgb(text.get_color()) for text in axes.texts}
        for artist in _drawn(axes):
            for kind in _kinds(artist):
                labelled = str(artist.get_label()) in named or kind in keys or _colour(artist) in colours
                found.append(Mark(kind, labelled))
    return found


def faults_of(canvas: Canvas, caption: str) -> list[str]:
    """Return what a caption says of marks that are not drawn, which marks neither it nor a legend names, and what is cut off.

    Args:
        canvas: a finished drawing, laid out.
        caption: its caption.

    Returns:
        Sentences; empty where caption and drawing agree.
    """
    marks = marks_of(canvas)
    drawn = {mark.kind for mark in marks}
    said = {kind for kind, words in MARKS.items() if re.search(words, caption, re.IGNORECASE)}
    faults = [f"The caption names {kind}, of which none is drawn." for kind in MARKS if kind in said - drawn]
    unsaid = {mark.kind for mark in marks if not mark.labelled} - said
    faults += [f"Neither caption nor legend says what {kind} are." for kind in UNSAID if kind in unsaid]
    outside = sum(_outside(axes, artist) for axes in canvas.axes for artist in _drawn(axes) if isinstance(artist, PathCollection))
    faults += [f"{outside} point{'s lie' if outside > 1 else ' lies'} outside the axes."] if outside else []
    return faults + [f"The text '{text}' is cut off." for text in _cut_texts(canvas)]


def show_whole_points(canvas: Canvas) -> None:
    """Let points at the edge of their axes be drawn whole instead of being cut in half.

    Args:
        canvas: a drawing whose limits are final; points outside them stay hidden.
    """
    for axes in canvas.axes:
        for artist in _drawn(axes):
            if isinstance(artist, PathCollection) and not _outside(axes, artist):
                artist.set_clip_on(False)


def _drawn(axes: Axes) -> Iterator[Artist]:
    if axes.axison:
        yield from (one for one in [*axes.collections, *axes.lines, *axes.patches] if one.get_visible() and not isinstance(one, Legend))


def _kinds(artist: Artist) -> list[str]:
    if isinstance(artist, PathCollection):
        return _point_kinds(artist)
    if isinstance(artist, Line2D):
        if not len(np.atleast_1d(np.asarray(artist.get_xdata(), dtype=object))):
            return []
        marker = {"o": "open markers" if artist.get_markerfacecolor() == "none" else "dots", "x": "crosses"}.get(str(artist.get_marker()))
        line = {"--": "dashed lines", ":": "dotted lines", "-.": "dashed lines"}.get(str(artist.get_linestyle()))
        return [kind for kind in (marker, line) if kind]
    if isinstance(artist, FillBetweenPolyCollection):
        return ["shaded areas"]
    if isinstance(artist, Patch):
        if artist.get_fill():
            return ["shaded areas"] if isinstance(artist, Rectangle) and artist.get_alpha() is not None else []
        return [] if artist.get_linestyle() in ("-", "solid") else ["dashed lines"]
    return []


def _point_kinds(points: PathCollection) -> list[str]:
    offsets: np.ndarray = np.ma.filled(np.ma.asarray(points.get_offsets(), dtype=float), np.nan)
    if not np.isfinite(offsets).all(axis=1).any():
        return []
    if not len(points.get_facecolor()):
        return ["open markers"]
    closed = any(path.codes is not None and Path.CLOSEPOLY in np.asarray(path.codes) for path in points.get_paths())
    return ["dots" if closed else "crosses"]


def _colour(artist: Artist) -> tuple[float, float, float] | None:
    """The colour of a line; of anything else, where a text beside it may name something else, none."""
    return to_rgb(artist.get_color()) if isinstance(artist, Line2D) else None


def _outside(axes: Axes, points: PathCollection) -> int:
    if not points.get_offset_transform().contains_branch(axes.transData):
        return 0
    offsets: np.ndarray = np.ma.filled(np.ma.asarray(points.get_offsets(), dtype=float), np.nan)
    offsets = offsets[np.isfinite(offsets).all(axis=1)]
    (left, right), (bottom, top) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
    inside = (offsets[:, 0] >= left) & (offsets[:, 0] <= right) & (offsets[:, 1] >= bottom) & (offsets[:, 1] <= top)
    return int((~inside).sum())


def _cut_texts(canvas: Canvas) -> list[str]:
    """Texts that reach beyond the sheet by more than a pixel; of the labels of an axis, its name or its first label."""
    sheet = canvas.bbox.padded(1)

    def whole(box: Bbox | None) -> bool:
        return box is None or not box.width or (sheet.x0 <= box.x0 and box.x1 <= sheet.x1 and sheet.y0 <= box.y0 and box.y1 <= sheet.y1)

    sides = [axis for axes in canvas.axes for axis in (axes.xaxis, axes.yaxis)]
    labels = {id(text) for axis in sides for text in axis.findobj(Text)}
    cut = []
    for axis in (axis for axis in sides if axis.axes.axison and not whole(axis.get_tightbbox())):
        names = [axis.get_label_text(), *(label.get_text() for label in axis.get_ticklabels())]
        cut.append(next((name for name in names if name), ""))
    for text in canvas.findobj(Text):
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip() and id(text) not in labels:
            box = text.get_window_extent()
            clipped = text.get_clip_on() and text.axes is not None and not text.axes.bbox.overlaps(box)
            if not clipped and not whole(box):
                cut.append(text.get_text())
    return [" ".join(text.split()) for text in cut]
