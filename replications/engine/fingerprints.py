"""Fingerprints: of what a model sees of a data set (pixels, labels, text), and of files as they lie on a disk.

The first kind is declared and stored in provenance: a re-encoded copy passes and an altered one does not. The second kind
identifies what a cache was made from.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from replications.engine.images import without_palette
from replications.errors import DataError

if TYPE_CHECKING:
    import datasets


def fingerprint(loaded: datasets.Dataset) -> str:
    """Return a digest of the decoded content.

    Args:
        loaded: data set; its columns are read in the order of their names.

    Returns:
        First 16 hexadecimal digits of the sha256.

    Raises:
        DataError: an image does not decode; the message names column and row.
    """
    digest = hashlib.sha256()
    for name in sorted(loaded.column_names):
        digest.update(name.encode() + b"\0")
        for value in column(loaded, name):
            digest.update(_content(value))
    return digest.hexdigest()[:16]


def column(loaded: datasets.Dataset, name: str) -> Iterator[Any]:
    """Yield the values of one column, decoded a thousand at a time; other columns (images) are not decoded.

    Args:
        loaded: data set.
        name: of the column.

    Yields:
        One value per row.

    Raises:
        DataError: an image does not decode; the message names column and row.
    """
    alone = loaded.select_columns(name)
    for start in range(0, len(alone), 1000):
        rows = range(start, min(start + 1000, len(alone)))
        try:
            values = alone[rows.start : rows.stop][name]
        except Exception:  # a damaged file can raise anything; row by row, to say which
            values = [_row(alone, row, name) for row in rows]
        yield from values


def _row(loaded: datasets.Dataset, row: int, name: str) -> Any:
    try:
        return loaded[row][name]
    except Exception as error:  # a damaged file can raise anything
        raise DataError(f"Row {row:,} of column '{name}' does not decode ({error}).") from error


def _content(value: Any) -> bytes:
    """Return the content of one value as bytes: texts end with a zero, which is escaped within them, as 0xff occurs in no UTF-8."""
    if value is None:
        return b"\xff\xff\0"
    if isinstance(value, str):
        return _text(value) + b"\0"
    if isinstance(value, bytes):
        return b"\xff\2" + str(len(value)).encode() + b"\0" + value
    if isinstance(value, dict):
        return b"\xff\3" + b"".join(_content(key) + _content(value[key]) for key in sorted(value)) + b"\0"
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return b"\1".join(_text(part).replace(b"\1", b"\xff\1") for part in value) + b"\0"
    array = np.asarray(without_palette(value)) if not _is_ragged(value) else None
    if array is None or array.dtype.hasobject or array.dtype.kind in "US":
        if isinstance(value, list | tuple):
            return b"\xff\4" + str(len(value)).encode() + b"\0" + b"".join(_content(part) for part in value)
        return _text(str(value)) + b"\0"
    return str(array.shape).encode() + np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()


def _text(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass").replace(b"\0", b"\xff\0")


def _is_ragged(value: Any) -> bool:
    """Return True for a list of lists of different lengths, which is no array."""
    if not isinstance(value, list):
        return False
    shapes = {len(part) if isinstance(part, list) else -1 for part in value}
    return len(shapes) > 1 or any(_is_ragged(part) for part in value if isinstance(part, list))


def file_digest(path: Path) -> str:
    """Return the sha256 of a file's bytes.

    Args:
        path: of the file.

    Returns:
        64 hexadecimal digits.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def files_digest(folder: Path, names: Iterable[str]) -> str:
    """Return a digest of files in a given order: of their names and their bytes.

    Args:
        folder: of the files.
        names: paths relative to it.

    Returns:
        64 hexadecimal digits.

    Raises:
        DataError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + file_digest(folder / name).encode())
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """Return a digest of all files below a folder; hidden ones, which no reader of data opens, do not count.

    Args:
        folder: to be read.

    Returns:
        64 hexadecimal digits.

    Raises:
        DataError: a file cannot be read.
    """
    names = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names += [str((Path(parent) / name).relative_to(folder)) for name in files if not name.startswith(".")]
    return files_digest(folder, sorted(names))
