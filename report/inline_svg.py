"""Figures put into the page itself: their colours follow light and dark, their text can be selected and read aloud."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from markupsafe import Markup, escape

from replications.presentation.palette import MUTED, ON_DARK, ON_LIGHT, PALETTE

INK = {"#000000": "--ink", "#262626": "--ink", "#e6e6e6": "--grid", "#cccccc": "--rule"}
INK |= {f"#{level:02x}{level:02x}{level:02x}": "--quiet" for level in range(0x30, 0x90)}
SERIES = {colour.lower(): f"--series-{index}" for index, colour in enumerate([*PALETTE, *MUTED], start=1)}
DROPPED = {"script", "foreignObject", "metadata", "style", "a", "title"}
"""Elements that a drawing in a page has no use for; a style element would reach the whole page."""

FONTS = "'DejaVu Sans', Verdana, Geneva, sans-serif"
"""Verdana is cut like DejaVu Sans, so labels keep their width where that font is missing."""

LEAST, MOST = 0.95, 1.75
"""Pixels for a point of the drawing: labels of 8 points stay between 7.6 and 14 pixels, and wide figures scroll."""

_HEX = re.compile(r"#[0-9a-fA-F]{6}\b")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FAMILY = re.compile(r"'DejaVu Sans'(?:, sans-serif)?")


def themed_svg(path: Path, prefix: str, alt: str) -> Markup:
    """Return a figure for inlining.

    Known colours become the page's variables, ids get a prefix and are unique, the white sheet behind the drawing goes. Scripts, event
    attributes and outside references are dropped.

    Args:
        path: the SVG file.
        prefix: makes the ids of this drawing unique within its page.
        alt: what the figure shows.

    Returns:
        An SVG element.

    Raises:
        ET.ParseError: when the file is damaged.
    """
    root = ET.fromstring(path.read_bytes())  # noqa: S314 (written by our own figure writer; expat loads nothing from outside)
    for parent in list(root.iter()):
        for child in [child for child in parent if local(child.tag) in DROPPED]:
            parent.remove(child)
    _clear_sheets(root)
    _name_once(root)
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            _attribute(element, name, value, prefix)
    view = root.get("viewBox", "0 0 1 1")
    width = float(view.split()[2])
    size = f"min-width: {LEAST * width:.0f}px; max-width: {MOST * width:.0f}px"
    inner = "".join(_serialise(child) for child in root)
    label = escape(alt)
    return Markup(f'<svg class="drawing" viewBox="{escape(view)}" style="{size}" role="img" aria-label="{label}">{inner}</svg>')  # noqa: S704


def local(name: object) -> str:
    """Return a tag or attribute without its namespace.

    Args:
        name: as the XML parser gives it.

    Returns:
        The name alone; empty for what is not text.
    """
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _name_once(root: ET.Element) -> None:
    """Leave an id to the first element that has it: Matplotlib names images by their content, so that equal ones have one id."""
    seen = set()
    for element in root.iter():
        name = element.get("id")
        if name is None:
            continue
        if name in seen:
            del element.attrib["id"]
        seen.add(name)


def _clear_sheets(root: ET.Element) -> None:
    """Make the white patch of the figure and of each of its axes transparent: the first patch in their group."""
    for group in root.iter():
        if not re.match(r"(figure|axes)_\d+$", group.get("id", "")):
            continue
        first = next((child for child in group if re.match(r"patch_\d+$", child.get("id", ""))), None)
        for path in first if first is not None else ():
            if "fill: #ffffff" in path.get("style", ""):
                path.set("style", path.get("style", "").replace("fill: #ffffff", "fill: none"))


def _attribute(element: ET.Element, name: str, value: str, prefix: str) -> None:
    match local(name):
        case event if event.startswith("on"):
            del element.attrib[name]
        case "id":
            element.set(name, f"{prefix}-{value}")
        case "href" if value.startswith("#"):
            element.set(name, f"#{prefix}-{value[1:]}")
        case "href" if not value.startswith("data:image/"):
            del element.attrib[name]
        case "style" if local(element.tag) == "text" and f"fill: {ON_DARK}" in value:  # its ground may be a series that dark pages lighten
            element.set(name, _FAMILY.sub(FONTS, f"{value}; paint-order: stroke; stroke: {ON_LIGHT}; stroke-width: 1.5px"))
        case "style" | "clip-path" | "mask" | "filter":
            themed = _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
            themed = _HEX.sub(_variable, themed)
            element.set(name, _FAMILY.sub(FONTS, themed))


def _variable(match: re.Match[str]) -> str:
    name = (INK | SERIES).get(match[0].lower())
    return f"var({name})" if name else match[0]


def _serialise(element: ET.Element) -> str:
    """SVG as HTML wants it: no prefixes, no namespaces."""
    tag = local(element.tag)
    attributes = "".join(f' {local(name)}="{_quoted(value)}"' for name, value in element.attrib.items())
    inner = _quoted(element.text or "") + "".join(_serialise(child) + _quoted(child.tail or "") for child in element)
    return f"<{tag}{attributes}>{inner}</{tag}>"


def _quoted(text: str) -> str:
    return str(escape(" ".join(text.split()) if not text.strip() else text))
