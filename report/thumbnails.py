"""Small pictures for the opening page, made from the figures that are drawn, so that it loads in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from report.content import PaperContent

WIDTH, RATIO = 480, 16 / 9
"""Pixels, twice the width at which a card shows it; what is taller than this ratio is cut off below."""

SCALE = 0.42
"""Most that a figure of 300 dots per inch is shrunk, so that its letters can be made out; a wider one is cut off at the right."""


def write_thumbnails(papers: Sequence[PaperContent], out: Path) -> dict[tuple[str, str], str]:
    """Write a small picture of every headline figure, and of every figure that stands for an exhibit.

    Args:
        papers: content of the report.
        out: folder of the report.

    Returns:
        (paper, figure) -> address of the picture, relative to `out`.
    """
    written = {}
    for paper in papers:
        wanted = {paper.headline.name} if paper.headline else set()
        wanted |= {exhibit.figure for exhibit in paper.exhibits if exhibit.drawn}
        for figure in paper.figures:
            if figure.name in wanted and figure.drawn and "png" in figure.files:
                address = f"assets/{paper.name}.{figure.name}.png"
                _shrink(figure.files["png"], out / address)
                written[paper.name, figure.name] = address
    return written


def _shrink(source: Path, target: Path) -> None:
    with Image.open(source) as image:
        wide = min(image.width, round(WIDTH / SCALE))
        tall = min(image.height, round(wide / RATIO))
        part = image.convert("RGB").crop((0, 0, wide, tall))
        size = (WIDTH, round(WIDTH * tall / wide))
        small = part.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0).quantize(256, dither=Image.Dither.NONE)
    target.parent.mkdir(parents=True, exist_ok=True)
    small.save(target, optimize=True)
