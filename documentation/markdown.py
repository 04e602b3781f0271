"""Markdown as Python-Markdown reads it: escaped text and tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPECIAL = re.compile(r"([\\*_{}\[\]])")


def text(value: object) -> str:
    """Return plain text, in which `code` stands between backticks, as Markdown that shows it as it is.

    Args:
        value: anything that has a text.

    Returns:
        Markdown of one line.
    """
    parts = " ".join(str(value).split()).split("`")
    if len(parts) % 2 == 0:
        return _plain(str(value).replace("`", "'"))
    return "".join(f"`{part}`" if position % 2 else _plain(part) for position, part in enumerate(parts))


def _plain(value: str) -> str:
    return _SPECIAL.sub(r"\\\1", value).replace("<", "&lt;").replace("|", "&#124;")


def code(value: object) -> str:
    """Return text as code; empty text stays empty.

    Args:
        value: anything that has a text.

    Returns:
        Markdown.
    """
    return f"`{value}`" if str(value) else ""


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table.

    Args:
        headings: of the columns.
        rows: cells that are Markdown already.

    Returns:
        Markdown that ends with a line break; empty where there are no rows.
    """
    if not rows:
        return ""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
