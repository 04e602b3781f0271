"""Interactive exhibits: what a paper's `exhibits.py` returns, and the self-contained page it becomes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from replications.errors import InputError
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
    """

    title: str
    alt: str
    data: Any


def page(function: Callable[[Results], Exhibit], results: Results) -> tuple[Exhibit, str]:
    """The exhibit and its HTML: the paper's `exhibits/<name>.html` with style and data put in. It needs no network.

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
    """JSON that is safe inside a script element: no '<', so that no text of the data can end it or open another."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def write_page(path: Path, html: str) -> None:
    """Write a page whole or not at all."""
    from replications.files import replacing

    with replacing(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def caption_of(function: Callable[[Results], Exhibit]) -> str:
    """The docstring as one paragraph."""
    return " ".join((inspect.getdoc(function) or "").split())


def write_exhibit(function: Callable[[Results], Exhibit], results: Results, folder: Path) -> dict[str, object]:
    """Write one exhibit as `<name>.html` and its sidecar `<name>.json`, which names the runs it reads, into `folder`.

    An exhibit whose runs this tier does not have becomes a page that says so, with `drawn: false` in its sidecar.

    Returns:
        The sidecar.
    """
    name = function.__name__
    read = results.unused()
    try:
        exhibit, html = page(function, read)
        drawn, why = True, ""
    except NotMeasured as missing:
        drawn, why = False, f"Not measured at tier {results.tier}: {missing}."
        exhibit = Exhibit(name.replace("_", " ").capitalize(), why, None)
        html = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(exhibit.title)}</title><p>{escape(why)}</p></html>\n'
    sidecar: dict[str, object] = {
        "id": f"{results.paper.name}.{name}",
        "paper": results.paper.name,
        "tier": results.tier,
        "title": exhibit.title,
        "caption": caption_of(function),
        "alt": exhibit.alt,
        "drawn": drawn,
        "why_not": why,
        "runs": sorted(read.used) if drawn else [],
    }
    write_page(folder / f"{name}.html", html)
    write_page(folder / f"{name}.json", json.dumps(sidecar, indent=2, sort_keys=True) + "\n")
    return sidecar
