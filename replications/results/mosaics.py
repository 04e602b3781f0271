"""Photographs and texts that the suite may not pass on under its own licence: the reference holds what shows their structure alone.

Of a photograph that is a mosaic, which shows where colours are; of a text its outline, in which every letter is an x.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
"""Where the provenance of a chunk with mosaics or outlines names them, and has the SHA-256 of the artifacts that the run wrote."""


def published_files(chunk: Chunk) -> dict[str, bytes]:
    """Return the files of a chunk as the reference may hold them.

    Images are artifacts whose names end in `_images`, texts those whose names end in `_text` before the first dot. Where the licence of a
    data set of the run (`DataSource.licence`) speaks of photographs, images become mosaics of `SIDE` x `SIDE` pixels; where it is a GPL,
    texts become outlines. Provenance says so.

    Args:
        chunk: a finished chunk.

    Returns:
        Name of the file -> content; the files as they are where nothing is to be kept back.

    Raises:
        InputError: a file with photographs or text is damaged.
    """
    files = {name: (chunk.folder / name).read_bytes() for name in CHUNK_FILES}
    if KEY in chunk.provenance:
        return files
    changed = {name: change(chunk.artifacts()[name]) for name, change in _changes(chunk).items()}
    if not changed:
        return files
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_artifacts(folder / ARTIFACTS, chunk.artifacts() | changed)
        written = _hashes(chunk.provenance)
        hashes = {RECORDS: written.get(RECORDS), ARTIFACTS: file_digest(folder / ARTIFACTS)}
        content = {**chunk.provenance, "sha256": hashes, KEY: {"names": sorted(changed), "artifacts": written.get(ARTIFACTS)}}
        write_provenance(folder / PROVENANCE, content | {"sha256": hashes | {PROVENANCE: content_digest(content)}})
        return files | {file: (folder / file).read_bytes() for file in (ARTIFACTS, PROVENANCE)}


def holds(folder: Path, chunk: Chunk) -> bool:
    """Return whether a folder of the reference holds a chunk: the same files, or those with mosaics and outlines made of it.

    Args:
        folder: a chunk's folder in the reference; it need not exist.
        chunk: a finished chunk elsewhere.

    Returns:
        True where nothing differs but pictures and texts.

    Raises:
        InputError: the provenance in the folder is damaged.
    """
    if not all((folder / name).is_file() for name in CHUNK_FILES):
        return False
    if all(file_digest(folder / name) == file_digest(chunk.folder / name) for name in CHUNK_FILES):
        return True
    held, made = Chunk(folder, chunk.paper, chunk.run).provenance, chunk.provenance
    origin = held.get(KEY)
    same_artifacts = isinstance(origin, dict) and origin.get("artifacts") == _hashes(made).get(ARTIFACTS)
    return (
        same_artifacts
        and _apart_from_artifacts(held) == _apart_from_artifacts(made)
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


def outline(text: np.ndarray) -> np.ndarray:
    """Return a text in which every letter is an x: line breaks, brackets, quotes, digits and other signs stay.

    >>> bytes(outline(np.frombuffer(b"if (Cup == 2) {", dtype=np.uint8)))
    b'xx (Xxx == 2) {'

    Args:
        text: Latin-1 codes, uint8, any shape.

    Returns:
        Codes of the same shape.
    """
    codes = np.arange(256, dtype=np.uint8)
    characters = [chr(code) for code in codes]
    codes[[character.isalpha() for character in characters]] = ord("x")
    codes[[character.isupper() for character in characters]] = ord("X")
    return codes[text]


def is_outline(text: str) -> bool:
    """Return whether a text is an outline, so that a drawing of it says why.

    Args:
        text: any text.

    Returns:
        True where it has letters, and none but x.
    """
    return {character for character in text if character.isalpha()} in ({"x"}, {"x", "X"})


def _changes(chunk: Chunk) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return what is done to which artifacts of a chunk before they are published, by name; empty where all stay."""
    notes = chunk.provenance.get("data")
    sources = notes.values() if isinstance(notes, dict) else ()
    licences = " ".join(str(source.get("licence")) for source in sources if isinstance(source, dict))
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    if "photographs" in licences:
        changes |= {name: mosaic for name in chunk.artifacts() if name.endswith("_images")}
    if "GPL" in licences:
        changes |= {name: outline for name in chunk.artifacts() if name.partition(".")[0].endswith("_text")}
    return changes


def _hashes(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the SHA-256 that are stored by file; empty where an edit removed them, which the integrity check says."""
    hashes = provenance.get("sha256")
    return hashes if isinstance(hashes, dict) else {}


def _apart_from_artifacts(provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in provenance.items() if key not in (KEY, "sha256")}
