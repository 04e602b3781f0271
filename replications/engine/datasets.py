"""Pinned data sources: declared once, loaded from a local mirror or the hub, verified by their decoded content.

A fingerprint is of what a model sees (pixels, labels, text), not of files, so that a re-encoded mirror passes and an
altered one does not. Order of look-up: the folder named by `REPLICATIONS_DATA` (`hub/<owner>/<name>`, `text/`,
`weights/`), then the hub at the pinned revision.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from replications.errors import DataError, nearest

if TYPE_CHECKING:
    import datasets

ENVIRONMENT = "REPLICATIONS_DATA"


@dataclass(frozen=True)
class DataSource:
    """One data set, pinned.

    Attributes:
        name: ours, used in messages and on the command line.
        hub: owner/name on the hub; empty for embedded data and single files.
        revision: commit of the hub repository.
        splits: split -> number of examples.
        fingerprints: split -> sha256 of the decoded content, first 16 hex digits; a split without one is not checked
            and says so. A tuple lists several accepted contents, with what each is in `note`.
        licence, citation, note: shown in the report; `note` says what could not be checked against the original.
        config: name of the hub configuration.
        build: for embedded data, split -> Dataset, without any download.
        address, file: for a single file, where it is fetched and its path below the mirror's folder.
    """

    name: str
    splits: Mapping[str, int]
    licence: str
    citation: str
    hub: str = ""
    revision: str = ""
    config: str | None = None
    fingerprints: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    note: str = ""
    build: Callable[[str], datasets.Dataset] | None = None
    address: str = ""
    file: str = ""


def mirror() -> Path | None:
    """Return the folder of the local mirror, or None when `REPLICATIONS_DATA` is not set.

    Raises:
        DataError: the variable does not name a folder.
    """
    value = os.environ.get(ENVIRONMENT)
    if not value:
        return None
    folder = Path(value)
    if not folder.is_dir():
        raise DataError(f"{ENVIRONMENT}={value} is not a folder. Correct it, or unset it to download from the hub.")
    return folder


def how_to_get(source: DataSource) -> str:
    """Return instructions for obtaining a missing data set.

    Args:
        source: the missing data set.

    Returns:
        One sentence with the two ways.
    """
    where = f"hub/{source.hub}" if source.hub else source.file
    return (
        f"Two ways to get it: (1) with a network: `replications data fetch {source.name}`; (2) without: put a copy at "
        f"<folder>/{where} and set {ENVIRONMENT}=<folder>."
    )


def load(source: DataSource, split: str) -> tuple[datasets.Dataset, dict[str, str]]:
    """Load one split and check its size and fingerprint. A process decodes and hashes each split once.

    Args:
        source: declared data set.
        split: name of one of its splits.

    Returns:
        The data set, and a note for the provenance: origin, rows, fingerprint, and whether it was verified.

    Raises:
        DataError: unknown split, nothing at hand, unreadable, of the wrong size, or of other content.
    """
    if split not in source.splits:
        raise DataError(f"{source.name} has no split '{split}'. {nearest(split, source.splits)}")
    key = (source.name, source.revision, split, os.environ.get(ENVIRONMENT))
    if key not in _verified:
        _verified[key] = _load(source, split)
    return _verified[key]


_verified: dict[tuple[str | None, ...], tuple[datasets.Dataset, dict[str, str]]] = {}
"""What this process has loaded and checked: a job with many runs decodes and hashes each split once."""


def _load(source: DataSource, split: str) -> tuple[datasets.Dataset, dict[str, str]]:
    loaded, origin = _open(source, split)
    if len(loaded) != source.splits[split]:
        raise DataError(
            f"{source.name}/{split} from {origin} has {len(loaded):,} examples, {source.splits[split]:,} were declared. "
            f"It is incomplete or another data set; remove it and fetch it again. {how_to_get(source)}"
        )
    digest = fingerprint(loaded)
    accepted = source.fingerprints.get(split, ())
    accepted = (accepted,) if isinstance(accepted, str) else accepted
    if accepted and digest not in accepted:
        raise DataError(
            f"{source.name}/{split} from {origin} is not the declared data: fingerprint {digest}, expected {' or '.join(accepted)}. "
            f"It was altered or damaged; remove it and fetch it again. {how_to_get(source)}"
        )
    return loaded, {
        "origin": origin,
        "rows": str(len(loaded)),
        "fingerprint": digest,
        "verified": "yes" if accepted else "no fingerprint declared",
        "licence": source.licence,
    }


def _open(source: DataSource, split: str) -> tuple[datasets.Dataset, str]:
    if source.build:
        return source.build(split), "embedded"
    if source.file:
        return _open_text(source)
    import datasets

    datasets.disable_progress_bars()
    folder = mirror()
    local = folder / "hub" / source.hub if folder else None
    place, origin, options = (
        (str(local), "local mirror", {}) if local and local.is_dir() else (source.hub, "hub", {"revision": source.revision})
    )
    try:
        return datasets.load_dataset(place, source.config, split=split, **options), origin
    except Exception as error:  # the library, its file formats and the network have many kinds
        offline = isinstance(error, ConnectionError | OSError) or "offline" in str(error).lower() or "Hub" in str(error)
        if origin == "hub" and offline:
            raise DataError(f"{source.name} is not on this machine and the hub cannot be reached. {how_to_get(source)}") from error
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{source.name}/{split} from {origin} cannot be read: {reason} Remove it and fetch it again. {how_to_get(source)}"
        ) from error


def _open_text(source: DataSource) -> tuple[datasets.Dataset, str]:
    """A single text file, as one row 'text'; gzip is unpacked."""
    import datasets

    folder = mirror()
    local = folder / source.file if folder else None
    if local and local.is_file():
        path, origin = local, "local mirror"
    else:
        path, origin = _download(source), "pinned address"
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(
            f"{source.name} from {origin} cannot be read: {error}. Remove it and fetch it again. {how_to_get(source)}"
        ) from error
    return datasets.Dataset.from_dict({"text": [text]}), origin


def cache_folder() -> Path:
    """Return the folder of downloads and decoded data: `REPLICATIONS_CACHE`, or the user's cache folder."""
    own = os.environ.get("REPLICATIONS_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "replications"


def _download(source: DataSource) -> Path:
    """Fetch a single file to the cache, resuming a part that is there; moved into place only when complete."""
    target = cache_folder() / source.file
    if target.is_file():
        return target
    if not source.address or os.environ.get("HF_HUB_OFFLINE") == "1":
        raise DataError(f"{source.name} is not on this machine. {how_to_get(source)}")
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(source.address, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 (pinned https)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer, part.open("ab" if answer.status == 206 else "wb") as file:  # noqa: S310
            while block := answer.read(1 << 20):
                file.write(block)
    except OSError as error:
        raise DataError(f"{source.name} could not be fetched from {source.address}: {error}. {how_to_get(source)}") from error
    part.replace(target)
    return target


def fingerprint(loaded: datasets.Dataset) -> str:
    """Return a digest of the decoded content.

    Args:
        loaded: data set; its columns are read in the order of their names.

    Returns:
        First 16 hexadecimal digits of the sha256.
    """
    digest = hashlib.sha256()
    for name in sorted(loaded.column_names):
        digest.update(name.encode() + b"\0")
        for value in _column(loaded, name):
            digest.update(_content(value))
    return digest.hexdigest()[:16]


def _column(loaded: datasets.Dataset, name: str) -> Iterator[Any]:
    """Yield the values of one column, decoded a thousand at a time; other columns (images) are not decoded."""
    alone = loaded.select_columns(name)
    for start in range(0, len(alone), 1000):
        yield from alone[start : start + 1000][name]


def _content(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode() + b"\0"
    if isinstance(value, list) and value and isinstance(value[0], str):
        return b"\1".join(part.encode() for part in value) + b"\0"
    array = np.asarray(value)
    return str(array.shape).encode() + np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()


def images_and_labels(loaded: datasets.Dataset, image: str, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Decode a column of images and one of labels.

    Args:
        loaded: data set of n rows.
        image: name of the column of images.
        label: name of the column of class numbers.

    Returns:
        Images, uint8 (n, height, width) or (n, height, width, channels), and labels, int64 (n,).

    Raises:
        DataError: images differ in size or mode.
    """
    images = [np.asarray(value) for value in _column(loaded, image)]
    shapes = {one.shape for one in images}
    if len(shapes) != 1:
        raise DataError(f"Images of column '{image}' differ in size or mode: {sorted(map(str, shapes))[:5]}. Use one size and mode.")
    return np.stack(images).astype(np.uint8), np.asarray(list(_column(loaded, label)), dtype=np.int64)
