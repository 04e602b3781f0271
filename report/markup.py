"""Markdown tokens as Typst markup, with every special character of the text escaped.

Not Typst's cmarker: it is downloaded when a document is typeset, and pages and PDF are rendered from the same tokens here.
"""

from __future__ import annotations

import re

from markdown_it.token import Token

from report.mathematics import typst

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#$@<>~'\"=+\-/.:])")
_BLOCKS: dict[str, str] = {
    "bullet_list_open": "#list(",
    "ordered_list_open": "#enum(",
    "list_item_open": "[",
    "th_open": "[",
    "td_open": "[",
    "blockquote_open": "#quote(block: true)[",
    "list_item_close": "],",
    "th_close": "],",
    "td_close": "],",
    "bullet_list_close": ")\n\n",
    "ordered_list_close": ")\n\n",
    "heading_close": "]\n\n",
    "blockquote_close": "]\n\n",
    "paragraph_close": "\n\n",
    "hr": "#line(length: 100%)\n\n",
    "thead_open": "table.header(",
    "thead_close": "table.hline(stroke: 0.7pt)),",
    "table_close": ")\n\n",
}
"""Block tokens that become the same markup wherever they stand; those not named print nothing."""

_SPANS: dict[str, str] = {
    "softbreak": "\n",
    "hardbreak": " \\\n",
    "strong_open": "#strong[",
    "em_open": "#emph[",
    "strong_close": "]",
    "em_close": "]",
    "link_close": "]",
}


def escape_typst(text: str) -> str:
    """Return text that Typst prints as it stands.

    Args:
        text: plain text.

    Returns:
        Typst markup.
    """
    return _SPECIAL.sub(r"\\\1", text)


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _inline(token: Token) -> str:
    match token.type:
        case "code_inline":
            return f"#raw({_string(token.content)})"
        case "math_inline":
            return typst(token.content)
        case "link_open":
            href = str(token.attrGet("href") or "")
            # Links within a page have no counterpart in the PDF; their text stays.
            return f"#link({_string(href)})[" if href.startswith(("https://", "http://")) else "#text["
        case kind if kind in _SPANS:
            return _SPANS[kind]
        case _:
            return escape_typst(token.content)


def typst_markup(tokens: list[Token]) -> str:
    """Return block tokens as Typst markup.

    Args:
        tokens: what the parser of `report.prose` returned.

    Returns:
        Typst markup.

    Raises:
        InputError: an equation that cannot be read.
    """
    parts: list[str] = []
    for position, token in enumerate(tokens):
        match token.type:
            case "inline":
                parts += [_inline(child) for child in token.children or []]
            case "heading_open":
                parts.append(f"#heading(level: {token.tag[1:]}, outlined: false)[")
            case "fence" | "code_block":
                parts.append(f"#raw({_string(token.content)}, block: true)\n\n")
            case "math_block":
                parts.append(typst(token.content, block=True) + "\n\n")
            case "table_open":
                parts.append(f"#table(columns: {_columns(tokens[position:])}, ")
            case kind:
                parts.append(_BLOCKS.get(kind, ""))
    return "".join(parts)


def _columns(tokens: list[Token]) -> int:
    """Cells of the first row."""
    row = [token.type for token in tokens]
    return sum(kind in {"th_open", "td_open"} for kind in row[: row.index("tr_close")])
