"""Images with captions below, for several figures: nouns of absent objects are marked. Free of torch."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from replications.papers.show_and_tell.grammar import KIND_OF
from replications.presentation.palette import PALETTE
from replications.presentation.theme import COLUMN, canvas
from replications.results.mosaics import SIDE

ABSENT_COLOUR = PALETTE[1]
GREY = "#666666"
CHARACTER_WIDTH = 0.602
"""Width of a character of DejaVu Sans Mono divided by the font size."""


def mosaic_notes(images: np.ndarray) -> tuple[str, ...]:
    """Say below a drawing that its photographs are mosaics.

    Args:
        images: uint8 (..., 3, side, side).

    Returns:
        One sentence; none where the images are shown as they are.
    """
    return ("Photographs are shown as mosaics, since their licences do not let the committed results hold copies.",) * (
        images.shape[-1] <= SIDE
    )


def draw_image(axes: Axes, pixels: np.ndarray) -> None:
    """Draw an image over the whole axes.

    Args:
        axes: to draw on; afterwards it spans 0 to 1.
        pixels: uint8 (3, side, side).
    """
    axes.imshow(pixels.transpose(1, 2, 0), interpolation="nearest", extent=(0, 1, 0, 1))
    axes.set_axis_off()


def _draw_words(axes: Axes, words: Sequence[str], marked: Sequence[bool], *, top: float, side: float, size: float = 6.2) -> float:
    """Write words below an image, wrapped at its width.

    The font is monospaced, so that the position of each word can be computed without drawing it first.

    Args:
        axes: of the image, which spans 0 to 1.
        words: of the caption.
        marked: which words are bold and orange.
        top: upper edge of the first line, in axes units.
        side: of the image, in inches.
        size: of the font, in points.

    Returns:
        Lower edge of the last line, in axes units.
    """
    character_width, line_height = CHARACTER_WIDTH * size / 72 / side, size * 1.35 / 72 / side
    line, column = 0, 0
    for word, is_marked in zip(words, marked, strict=True):
        if column and (column + len(word)) * character_width > 1:
            line, column = line + 1, 0
        colour, weight = (ABSENT_COLOUR, "bold") if is_marked else ("black", "normal")
        position = (column * character_width, top - line * line_height)
        # Captions are no formulas: two dollar signs in a word would be read as one.
        font: dict[str, Any] = {"family": "DejaVu Sans Mono", "fontsize": size, "parse_math": False}
        axes.text(*position, word, va="top", color=colour, fontweight=weight, **font)
        column += len(word) + 1
    return top - (line + 1) * line_height


def _image_grid(images: np.ndarray, *, columns: int, below: float) -> tuple[Canvas, np.ndarray]:
    """Return a page-wide figure of square images with space for text below each, and its axes.

    Args:
        images: uint8 (n, 3, side, side).
        columns: images per row.
        below: height of the space as a multiple of the image's height.
    """
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


def absent_words(words: Sequence[str], kinds: str) -> list[bool]:
    """Find the words of a caption that name an absent object.

    Args:
        words: of the caption.
        kinds: object kinds in the image, separated by spaces; empty where they are not known.

    Returns:
        For each word, whether it names an absent object; all False where the content of the image is not known.
    """
    return [bool(kinds) and word in KIND_OF and KIND_OF[word] not in kinds.split() for word in words]


def caption_grid(images: np.ndarray, captions: Sequence[str], kinds: Sequence[str], notes: Sequence[str], columns: int) -> Canvas:
    """Draw images with their captions, in which nouns of absent objects are marked, and a note in grey below.

    Args:
        images: uint8 (n, 3, side, side).
        captions: one per image.
        kinds: object kinds in each image, separated by spaces; empty where they are not known.
        notes: one per image.
        columns: images per row.

    Returns:
        The figure, as wide as a page.
    """
    figure, axes = _image_grid(images, columns=columns, below=0.46)
    side, size = 0.93 * 2 * COLUMN / columns, 5.8
    for index, caption in enumerate(captions):
        words = caption.split() or ["(empty)"]
        bottom = _draw_words(axes[index], words, absent_words(words, kinds[index]), top=-0.03, side=side)
        lines = textwrap.wrap(notes[index].removesuffix(" ."), int(72 * side / CHARACTER_WIDTH / size))[:4]
        font: dict[str, Any] = {"family": "DejaVu Sans Mono", "fontsize": size, "style": "italic", "parse_math": False}
        axes[index].text(0, bottom - 0.01, "\n".join(lines), color=GREY, va="top", **font)
    return figure
