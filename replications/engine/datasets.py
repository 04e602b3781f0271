"""Pinned data sources: declared once, loaded from a local mirror or the hub, verified by their decoded content.

A fingerprint is of what a model sees (pixels, labels, text), not of files, so that a re-encoded mirror passes and an
altered one does not. Order of look-up: the folder named by `REPLICATIONS_DATA` (`hub/<owner>/<name>`, `text/`,
`weights/`), then the hub at the pinned revision.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from replications.engine.downloads import download, offline
from replications.engine.fingerprints import column, file_digest, fingerprint, folder_digest
from replications.engine.images import as_array
from replications.errors import DataError, nearest

if TYPE_CHECKING:
    import datasets

ENVIRONMENT = "REPLICATIONS_DATA"


@dataclass(frozen=True, eq=False)
class DataSource:
    """One data set, pinned; two declarations are never the same, whatever their names.

    Attributes:
        name: ours, used in messages and on the command line.
        hub: owner/name on the hub; empty for embedded data and single files.
        revision: commit of the hub repository.
        splits: split -> number of examples.
        fingerprints: split -> sha256 of the decoded content, first 16 hex digits; a split without one is not checked
            and says so. A tuple lists several accepted contents, with what each is in `note`.
        licence, citation, note: shown in the report; `note` says what could not be checked against the original. Where `licence` speaks
            of photographs, the committed results hold mosaics of them, and where it is a GPL outlines of texts (`results.mosaics`).
        config: name of the hub configuration.
        build: for embedded data, split -> Dataset, without any download.
        address, file: for a single file, where it is fetched and its path below the mirror's folder.
        read: for a single file that is no text, what turns it into rows; it raises `DataError` for a damaged one.
        installed: for a single file whose text a system package carries, reads it from there; a missing package is a `DataError`.
        install: the command that installs this package.
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
    read: Callable[[Path], datasets.Dataset] | None = None
    installed: Callable[[], str] | None = None
    install: str = ""


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
        One sentence with the ways that there are.
    """
    where = f"hub/{source.hub}" if source.hub else source.file
    if not (source.hub or source.address or source.install):
        copy = f"put a copy at <folder>/{where}" if where else "put a copy into a folder that is laid out as it says"
        note = f" {source.note}" if source.note else ""
        return f"No address is known to fetch it from: {copy} and set {ENVIRONMENT}=<folder>.{note}"
    command = source.install or f"replications data fetch {source.name}"
    return (
        f"Two ways to get it: (1) with a network: `{command}`; (2) without: put a copy at <folder>/{where} and set {ENVIRONMENT}=<folder>."
    )


def load(source: DataSource, split: str) -> tuple[datasets.Dataset, dict[str, str]]:
    """Load one split and check its size and fingerprint. A process decodes and hashes what has not changed once.

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
    place = _locate(source)
    key = (source, split, place)
    if key not in _verified:
        _verified[key] = _load(source, split, place)
    return _verified[key]


@dataclass(frozen=True)
class Place:
    """Where a data set is read, and what is there.

    Attributes:
        origin: 'embedded', 'local mirror', 'installed package', 'hub' or 'pinned address', as provenance names it.
        path: file or folder on this machine; None where a library keeps it.
        content: digest of the files, or the revision: the part of a cache's key that changes when the content does.
    """

    origin: str
    path: Path | None = None
    content: str = ""

    def __str__(self) -> str:
        """Return origin and path, for messages."""
        return f"{self.origin} {self.path}" if self.path else self.origin


_verified: dict[tuple[DataSource, str, Place], tuple[datasets.Dataset, dict[str, str]]] = {}
"""What this process has loaded and checked: a job with many runs decodes and hashes each split once."""


def _locate(source: DataSource) -> Place:
    """Return where a source is read from; a single file is downloaded when it is nowhere."""
    if source.build:
        return Place("embedded")
    folder = mirror()
    if source.file:
        local = folder / source.file if folder else None
        if local and local.is_file():
            return Place("local mirror", local, file_digest(local))
        if source.installed:
            return Place("installed package")
        path = _download(source)
        return Place("pinned address", path, file_digest(path))
    local = folder / "hub" / source.hub if folder else None
    if local and local.is_dir():
        return Place("local mirror", local, folder_digest(local))
    return Place("hub", None, source.revision)


def _load(source: DataSource, split: str, place: Place) -> tuple[datasets.Dataset, dict[str, str]]:
    loaded = _open(source, split, place)
    if len(loaded) != source.splits[split]:
        raise DataError(
            f"{source.name}/{split} from {place} has {len(loaded):,} examples, {source.splits[split]:,} were declared. "
            f"It is incomplete or another data set; remove it and fetch it again. {how_to_get(source)}"
        )
    try:
        digest = fingerprint(loaded)
    except DataError as error:
        raise DataError(f"{source.name}/{split} from {place}: {error} Remove it and fetch it again. {how_to_get(source)}") from error
    accepted = _accepted(source, split)
    if accepted and digest not in accepted:
        raise DataError(
            f"{source.name}/{split} from {place} is not the declared data: fingerprint {digest}, expected {' or '.join(accepted)}. "
            f"It was altered or damaged; remove it and fetch it again. {how_to_get(source)}"
        )
    return loaded, {
        "origin": place.origin,
        "rows": str(len(loaded)),
        "fingerprint": digest,
        "verified": "yes" if accepted else "no fingerprint declared",
        "licence": source.licence,
    }


def _accepted(source: DataSource, split: str) -> tuple[str, ...]:
    declared = source.fingerprints.get(split, ())
    return (declared,) if isinstance(declared, str) else declared


def _open(source: DataSource, split: str, place: Place) -> datasets.Dataset:
    if source.build:
        return source.build(split)
    if source.file and (place.path or not source.installed):
        return _single_file(source, place)
    import datasets

    if source.installed:
        return datasets.Dataset.from_dict({"text": [source.installed()]})
    datasets.disable_progress_bars()
    # The library finds its prepared copy by the patterns of the card, not by the content of the files, and offline takes the newest of
    # any revision: each content has a folder of its own.
    prepared = Path(datasets.config.HF_DATASETS_CACHE) / "replications" / f"{source.name}-{place.content[:16]}"
    options = {} if place.path else {"revision": source.revision}
    try:
        return datasets.load_dataset(str(place.path or source.hub), source.config, split=split, cache_dir=str(prepared), **options)
    except Exception as error:  # the library, its file formats and the network have many kinds
        unreachable = isinstance(error, ConnectionError | OSError) or "offline" in str(error).lower() or "Hub" in str(error)
        if place.path is None and unreachable:
            raise DataError(f"{source.name} is not on this machine and the hub cannot be reached. {how_to_get(source)}") from error
        cause: BaseException = error
        while cause.__cause__:  # the library says 'An error occurred', and its cause says which
            cause = cause.__cause__
        reason = (str(cause).splitlines() or [type(cause).__name__])[0].removesuffix(".") + "."
        raise DataError(
            f"{source.name}/{split} from {place} cannot be read: {reason} {_pointers(place.path)}Remove it and fetch it again. "
            f"{how_to_get(source)}"
        ) from error


def _pointers(folder: Path | None) -> str:
    """Return a sentence that names a file of which git has only the pointer, or nothing."""
    for path in sorted(folder.rglob("*.parquet")) if folder else ():
        with path.open("rb") as file:
            if file.read(40).startswith(b"version https://git-lfs"):
                return f"{path} is a pointer of Git LFS, not the file: `git lfs pull` in that folder fetches it. "
    return ""


def _single_file(source: DataSource, place: Place) -> datasets.Dataset:
    """Return a single file: read as the source says, else as text in one row 'text', where gzip is unpacked."""
    import datasets

    assert place.path is not None  # noqa: S101 (single files are always on this machine)
    try:
        if source.read:
            return source.read(place.path)
        data = place.path.read_bytes()
        text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode("utf-8")
    except (OSError, EOFError, ValueError, zlib.error) as error:  # ValueError: no UTF-8, or of a reader
        raise DataError(
            f"{source.name} from {place} cannot be read: {error}. Remove it and fetch it again. {how_to_get(source)}"
        ) from error
    return datasets.Dataset.from_dict({"text": [text]})


def cache_folder() -> Path:
    """Return the folder of downloads and decoded data: `REPLICATIONS_CACHE`, or the user's cache folder."""
    own = os.environ.get("REPLICATIONS_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "replications"


def _download(source: DataSource) -> Path:
    """Return a single file in the cache. It is fetched when it is not there, and again when it is not the declared one."""
    target = cache_folder() / source.file
    can_fetch = bool(source.address) and not offline()

    def check(path: Path) -> None:
        for split in source.splits:
            _load(source, split, Place("pinned address", path))

    if target.is_file():
        if not can_fetch or _passes(check, target):
            return target
        target.unlink()
    if not can_fetch:
        raise DataError(f"{source.name} is not on this machine. {how_to_get(source)}")
    try:
        download(source.address, target, check)
    except OSError as error:
        raise DataError(f"{source.name} could not be fetched from {source.address}: {error}. {how_to_get(source)}") from error
    except DataError as error:
        raise DataError(
            f"{source.address} answered with something else than {source.name}, which was not kept: a network that asks for a sign-in does"
            f" that. Open the address in a browser, then run the same command again. ({error})"
        ) from error
    return target


def _passes(check: Callable[[Path], None], path: Path) -> bool:
    try:
        check(path)
    except DataError:
        return False
    return True


def images_and_labels(loaded: datasets.Dataset, image: str, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Decode a column of images and one of labels.

    Args:
        loaded: data set of n rows.
        image: name of the column of images.
        label: name of the column of class numbers.

    Returns:
        Images, uint8 (n, height, width) or (n, height, width, channels), and labels, int64 (n,).

    Raises:
        DataError: a column is missing, images differ in size or mode, one does not decode or does not fit 8 bits, or labels are no integers.
    """
    missing = {image, label} - set(loaded.column_names)
    if missing or not len(loaded):
        raise DataError(f"No column {sorted(missing)} among {loaded.column_names}." if missing else "The data set has no rows.")
    images = []
    for row, value in enumerate(column(loaded, image)):
        try:
            images.append(as_array(value))
        except (DataError, ValueError, OSError) as error:
            raise DataError(f"Row {row:,} of column '{image}' is no image of 8 bits: {error}.") from error
    shapes = {one.shape for one in images}
    if len(shapes) != 1:
        raise DataError(f"Images of column '{image}' differ in size or mode: {sorted(map(str, shapes))[:5]}. Use one size and mode.")
    labels = np.asarray(list(column(loaded, label)))
    if labels.dtype.kind not in "iub" or labels.ndim != 1:
        raise DataError(f"Values of column '{label}' are not numbers of classes, but such as {labels.ravel()[0]!r}.")
    return np.stack(images), labels.astype(np.int64)
