"""Text files as spreadsheets, editors and other systems write them: byte order marks, line ends, other encodings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_OTHER_UNICODE = (b"\xff\xfe", b"\xfe\xff")
"""First bytes of UTF-16, which spreadsheets call Unicode text."""


def read_text(path: Path) -> str:
    r"""Return the text of a file in UTF-8, without a byte order mark.

    Args:
        path: of the file.

    Returns:
        The text; line ends are as they are.

    Raises:
        OSError: the file cannot be read.
        UnicodeError: it is not UTF-8; the message names the encoding where its mark tells it.
    """
    data = path.read_bytes()
    if data.startswith(_OTHER_UNICODE):
        raise UnicodeError("it is text in UTF-16; save it as UTF-8")
    return data.decode("utf-8-sig")


def split_lines(text: str) -> list[str]:
    r"""Return the lines of a text, which end at \n, \r\n or \r and nowhere else.

    `str.splitlines` also ends a line at U+2028, U+0085, form feeds and more, which are characters of a caption.

    >>> split_lines("a\r\nb\u2028c\n")
    ['a', 'b\u2028c']

    Args:
        text: any text.

    Returns:
        Lines without their ends.
    """
    lines = re.split(r"\r\n|\n|\r", text)
    return lines[:-1] if lines[-1] == "" else lines


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, with or without a byte order mark.

    Args:
        path: of the file.

    Returns:
        What the file holds.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON in UTF-8, or nested too deep to be read.
    """
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise ValueError("it is nested too deep") from None
