"""Images with their captions below, words for absent objects marked, for several figures. Free of torch."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from replications.papers.show_and_tell.grammar import KIND_OF
from replications.presentation.palette import PALETTE
from replications.presentation.theme import COLUMN, canvas

WRONG = PALETTE[1]
GREY = "#666666"
LETTER = 0.602
"""Width of a letter of DejaVu Sans Mono over its font size."""


def draw_image(axes: Axes, pixels: np.ndarray) -> None:
    """Draw pixels, uint8 (3, side, side), over the whole axes."""
    axes.imshow(pixels.transpose(1, 2, 0), interpolation="nearest", extent=(0, 1, 0, 1))
    axes.set_axis_off()


def _words(axes: Axes, words: Sequence[str], wrong: Sequence[bool], *, top: float, side: float, size: float = 6.2) -> float:
    """Write words below an image, wrapped at its width, the wrong ones bold and orange; return the height at which the text ends.

    The font is monospaced, so that the place of each word can be computed without drawing it first.

    Args:
        axes: of the image, which spans 0 to 1.
        words: of the caption.
        wrong: which of them to mark.
        top: height of the first line, in axes units.
        side: of the image, in inches.
        size: of the font, in points.
    """
    step, height = LETTER * size / 72 / side, size * 1.35 / 72 / side
    line, column = 0, 0
    for word, bad in zip(words, wrong, strict=True):
        if column and (column + len(word)) * step > 1:
            line, column = line + 1, 0
        colour, weight = (WRONG, "bold") if bad else ("black", "normal")
        place = (column * step, top - line * height)
        axes.text(*place, word, fontsize=size, family="DejaVu Sans Mono", va="top", color=colour, fontweight=weight)
        column += len(word) + 1
    return top - (line + 1) * height


def _panels(images: np.ndarray, *, columns: int, below: float) -> tuple[Canvas, np.ndarray]:
    """Return a page-wide grid of square images with room for text below each, `below` times the image's height, and its axes."""
    rows = -(-len(images) // columns)
    width = 2 * COLUMN
    side = width / columns
    figure, axes = canvas(width, rows * side * (0.94 + below), columns=columns, rows=rows, layout="none")
    figure.subplots_adjust(left=0.01, right=0.99, top=1 - 0.02 / rows, bottom=0.0, wspace=0.08, hspace=0.0)
    for index, ax in enumerate(axes.ravel()):
        ax.set_anchor("N")
        if index < len(images):
            draw_image(ax, images[index])
        else:
            ax.set_axis_off()
    return figure, axes.ravel()


def missing(words: Sequence[str], kinds: str) -> list[bool]:
    """Return which words name a kind that is not there; none where the content of the image is not known.

    Args:
        words: of a caption.
        kinds: the kinds in the image, space between; empty where they are not known.
    """
    return [bool(kinds) and word in KIND_OF and KIND_OF[word] not in kinds.split() for word in words]


def captioned(images: np.ndarray, captions: Sequence[str], kinds: Sequence[str], second: Sequence[str], columns: int) -> Canvas:
    """Return a figure of images with their captions, wrong words marked, and a second text in grey.

    Args:
        images: uint8 (n, 3, side, side).
        captions: one per image.
        kinds: the kinds in each image, space between; empty where they are not known.
        second: second text of each image.
        columns: images per row.
    """
    figure, axes = _panels(images, columns=columns, below=0.46)
    side, size = 0.93 * 2 * COLUMN / columns, 5.8
    for index, caption in enumerate(captions):
        words = caption.split() or ["(empty)"]
        below = _words(axes[index], words, missing(words, kinds[index]), top=-0.03, side=side)
        lines = textwrap.wrap(second[index].removesuffix(" ."), int(72 * side / LETTER / size))[:4]
        axes[index].text(0, below - 0.01, "\n".join(lines), fontsize=size, color=GREY, family="DejaVu Sans Mono", va="top", style="italic")
    return figure
