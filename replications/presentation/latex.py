"""Plain text for LaTeX and BibTeX: nothing in it is a command, and accents survive engines that read ASCII only.

Not pylatexenc: the table below is short, and knows which few symbols the suite's own tables print.
"""

from __future__ import annotations

import unicodedata

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "†": r"\textsuperscript{\textdagger}",
    "‡": r"\textsuperscript{\textdaggerdbl}",
    "×": r"$\times$",  # noqa: RUF001 (the sign itself is what is replaced)
    "−": "$-$",  # noqa: RUF001
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "≈": r"$\approx$",
    "–": "--",  # noqa: RUF001
    "—": "---",
    "’": "'",  # noqa: RUF001
    "“": "``",
    "”": "''",
    "ß": r"{\ss}",
    "ø": r"{\o}",
    "Ø": r"{\O}",
    "ł": r"{\l}",
    "Ł": r"{\L}",
    "æ": r"{\ae}",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
    "\u0328": "k",
}


def escape(text: str) -> str:
    """Return text that LaTeX prints as it stands, in one line; letters with one accent become its accent commands.

    Args:
        text: plain text.

    Returns:
        LaTeX source.
    """
    return "".join(_escape(character) for character in unicodedata.normalize("NFC", " ".join(text.split())))


def _escape(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[1] in _ACCENTS:
        base = {"i": r"\i", "j": r"\j"}.get(parts[0], parts[0])
        command = _ACCENTS[parts[1]]
        return f"{{\\{command}{{{base}}}}}"
    return character
