"""Photographs that others may not pass on: the reference holds mosaics of them, which show where colours are and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from replications.results.provenance import write_provenance
from replications.results.records import write_artifacts
from replications.results.store import ARTIFACTS, CHUNK_FILES, PROVENANCE, RECORDS, Chunk, content_digest, file_digest

SIDE = 8
"""Height and width of a mosaic, in pixels."""

KEY = "mosaics"
"""Where the provenance of a chunk with mosaics names them, and has the SHA-256 of the artifacts that the run wrote."""


def published_files(chunk: Chunk) -> dict[str, bytes]:
    """Return the files of a chunk as the reference may hold them.

    Images are artifacts whose names end in `_images`. Where the licence of a data set of the run speaks of photographs
    (`DataSource.licence`) they become mosaics of `SIDE` x `SIDE` pixels, and provenance says so.

    Args:
        chunk: a finished chunk.

    Returns:
        Name of the file -> content; the files as they are where nothing is to be kept back.

    Raises:
        InputError: a file with photographs is damaged.
    """
    files = {name: (chunk.folder / name).read_bytes() for name in CHUNK_FILES}
    if KEY in chunk.provenance or not _holds_photographs(chunk.provenance):
        return files
    pictures = {name: array for name, array in chunk.artifacts().items() if name.endswith("_images")}
    if not pictures:
        return files
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_artifacts(folder / ARTIFACTS, chunk.artifacts() | {name: mosaic(array) for name, array in pictures.items()})
        written = _hashes(chunk.provenance)
        hashes = {RECORDS: written.get(RECORDS), ARTIFACTS: file_digest(folder / ARTIFACTS)}
        content = {**chunk.provenance, "sha256": hashes, KEY: {"names": sorted(pictures), "artifacts": written.get(ARTIFACTS)}}
        write_provenance(folder / PROVENANCE, content | {"sha256": hashes | {PROVENANCE: content_digest(content)}})
        return files | {changed: (folder / changed).read_bytes() for changed in (ARTIFACTS, PROVENANCE)}


def holds(folder: Path, chunk: Chunk) -> bool:
    """Return whether a folder of the reference holds a chunk: the same files, or those with mosaics made of it.

    Args:
        folder: a chunk's folder in the reference; it need not exist.
        chunk: a finished chunk elsewhere.

    Returns:
        True where nothing but pictures differs.

    Raises:
        InputError: the provenance in the folder is damaged.
    """
    if not all((folder / name).is_file() for name in CHUNK_FILES):
        return False
    if all(file_digest(folder / name) == file_digest(chunk.folder / name) for name in CHUNK_FILES):
        return True
    held, made = Chunk(folder, chunk.paper, chunk.run).provenance, chunk.provenance
    origin = held.get(KEY)
    same_pictures = isinstance(origin, dict) and origin.get("artifacts") == _hashes(made).get(ARTIFACTS)
    return (
        same_pictures
        and _apart_from_pictures(held) == _apart_from_pictures(made)
        and _hashes(held).get(RECORDS) == _hashes(made).get(RECORDS)
    )


def mosaic(pictures: np.ndarray) -> np.ndarray:
    """Return pictures as mosaics.

    >>> mosaic(np.full((2, 3, 96, 96), 7, dtype=np.uint8)).shape
    (2, 3, 8, 8)

    Args:
        pictures: uint8 (..., channels, height, width).

    Returns:
        uint8 (..., channels, `SIDE`, `SIDE`): means of equal parts; pictures that are as small stay.
    """
    for axis in (-2, -1):
        size = pictures.shape[axis]
        if size > SIDE:
            parts = np.array_split(np.arange(size), SIDE)
            pictures = np.stack([pictures.take(part, axis=axis).mean(axis=axis) for part in parts], axis=axis)
    return np.rint(pictures).astype(np.uint8)


def _holds_photographs(provenance: Mapping[str, Any]) -> bool:
    notes = provenance.get("data")
    sources = notes.values() if isinstance(notes, dict) else ()
    return any("photographs" in str(source.get("licence")) for source in sources if isinstance(source, dict))


def _hashes(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the SHA-256 that are stored by file; empty where an edit removed them, which the integrity check says."""
    hashes = provenance.get("sha256")
    return hashes if isinstance(hashes, dict) else {}


def _apart_from_pictures(provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in provenance.items() if key not in (KEY, "sha256")}
