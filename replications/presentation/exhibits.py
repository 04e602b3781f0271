"""Interactive exhibits: what a paper's `exhibits.py` returns, and the self-contained page it becomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from replications.errors import InputError
from replications.files import replacing
from replications.presentation.metadata import (
    DrawingMetadata,
    draw_from_largest,
    metadata_of,
    tier_note,
    title_of,
    why_not_drawn,
    write_metadata,
)
from replications.results.reader import NotMeasured, Results

PLACE = "/*DATA*/null"
"""Where a template receives its data, inside one `<script>`: `const data = /*DATA*/null;`."""

STYLE_PLACE = "/*STYLE*/"
"""Where a template receives the style that exhibits share, if it wants it, inside its `<style>`."""

STYLE = Path(__file__).with_name("exhibit.css")


@dataclass(frozen=True)
class Exhibit:
    """Data for one interactive page.

    Attributes:
        title: heading.
        alt: what can be explored, and what is seen without scripts.
        data: anything JSON can hold; keep it below about 3 MB.
        figure: name of the paper's figure that shows the same at rest; its small picture stands for the exhibit on the opening page.
    """

    title: str
    alt: str
    data: Any
    figure: str = ""


def page(function: Callable[[Results], Exhibit], results: Results) -> tuple[Exhibit, str]:
    """Return an exhibit and its HTML: the paper's `exhibits/<name>.html` with style and data put in. It needs no network.

    Args:
        function: a public function of the paper's `exhibits.py`.
        results: results of the paper.

    Returns:
        The exhibit, and the text of its page.

    Raises:
        NotMeasured: when the tier lacks the runs.
        InputError: when the template is missing or has no place for the data.
    """
    exhibit = function(results)
    path = results.paper.folder / "exhibits" / f"{function.__name__}.html"
    template = path.read_text(encoding="utf-8") if path.is_file() else ""
    if template.count(PLACE) != 1:
        raise InputError(f"{path}: expected a template with exactly one {PLACE}.")
    return exhibit, template.replace(STYLE_PLACE, STYLE.read_text(encoding="utf-8")).replace(PLACE, embed(exhibit.data))


def embed(data: Any) -> str:
    """Return JSON that is safe inside a script element: no '<', so that no text of the data can end it or open another.

    Args:
        data: what JSON can hold.

    Returns:
        JSON in one line.
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def write_page(path: Path, html: str) -> None:
    """Write a page whole or not at all.

    Args:
        path: file to write.
        html: text of the page.
    """
    with replacing(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def write_exhibit(function: Callable[[Results], Exhibit], results: Results, folder: Path) -> DrawingMetadata:
    """Write one exhibit as `<name>.html`, with its metadata.

    An exhibit whose runs this tier does not have becomes a page that says so, with `drawn: false` in its metadata.

    Args:
        function: an exhibit of a paper; its name is the name of the files.
        results: what it reads.
        folder: where the files go.

    Returns:
        The metadata, which names the runs that are read.
    """
    name = function.__name__
    read, why_not = results, ""
    try:
        (exhibit, html), read = draw_from_largest(partial(page, function), results)
    except NotMeasured as missing:
        why_not = why_not_drawn(missing, results)
        exhibit = Exhibit(title_of(name), why_not, None)
        html = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(exhibit.title)}</title><p>{escape(why_not)}</p></html>\n'
        )
    note = tier_note(read, results)
    metadata = metadata_of(
        function, read, title=exhibit.title, alt=exhibit.alt, runs=read.used, why_not=why_not, notes=note, figure=exhibit.figure
    )
    write_page(folder / f"{name}.html", html)
    write_metadata(folder, metadata)
    return metadata
