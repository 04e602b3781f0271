"""Tidy records and artifacts: write, read, collect.

A record is one row: paper, run, seed, split, step, metric, value, unit. An artifact is an array that a figure needs and
that is no scalar. Files are written under a temporary name and moved, so that a reader never sees half of one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from replications.evidence.errors import InputError, ReplicationError

COLUMNS = ["paper", "run", "seed", "split", "step", "metric", "value", "unit"]
DTYPES = {
    "paper": "str",
    "run": "str",
    "seed": "int64",
    "split": "str",
    "step": "int64",
    "metric": "str",
    "value": "float64",
    "unit": "str",
}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success flush it to disk and move it there, else remove it.

    Raises:
        ReplicationError: when the folder cannot be written or the disk is full; what `path` held before is intact.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ReplicationError(
            f"Cannot write {path}: {error.strerror or error}. Free space or fix the permissions of {path.parent}, then run the same"
            " command again; what was there before is unchanged."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Rows as a data frame with exactly the columns and types of records."""
    return pd.DataFrame(rows, columns=COLUMNS).astype(DTYPES)


def write_records(path: Path, records: pd.DataFrame) -> None:
    """Write records as parquet. Raises InputError when columns are missing or a value has no number."""
    if list(records.columns) != COLUMNS:
        raise InputError(f"Records need the columns {COLUMNS}, got {list(records.columns)}.")
    with replacing(path) as temporary:
        records.astype(DTYPES).to_parquet(temporary, index=False)


def read_records(path: Path) -> pd.DataFrame:
    """Read records. Raises InputError when the file is missing, damaged or of another shape."""
    try:
        records = pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing. Run its job again.") from None
    except Exception as error:  # pyarrow has a dozen kinds for a damaged file
        raise InputError(f"{path} cannot be read ({error}). Delete it and run its job again.") from None
    if list(records.columns) != COLUMNS:
        raise InputError(f"{path}: expected the columns {COLUMNS}, got {list(records.columns)}.")
    return records.astype(DTYPES)


def write_artifacts(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays as a compressed npz without objects. Raises InputError on an object array."""
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise InputError(f"Artifact '{name}' holds Python objects; store numbers, or text as fixed-width strings.")
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read_artifacts(path: Path) -> dict[str, np.ndarray]:
    """Read named arrays. Raises InputError when the file is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise InputError(f"{path} is missing. Run its job again.") from None
    except Exception as error:  # zipfile, zlib and numpy each have their own kind for a damaged file
        raise InputError(f"{path} cannot be read ({error}). Delete it and run its job again.") from None


def chunk_folders(results: Path, paper: str, run: str) -> list[Path]:
    """The finished chunks of a run, by first seed; a chunk inside a longer one is left out.

    Raises:
        InputError: when two chunks overlap otherwise.
    """
    found = [path.parent for path in (results / paper / run).glob("seeds-*/records.parquet")]
    found.sort(key=lambda folder: (_seed_range(folder)[0], -_seed_range(folder)[1]))
    kept: list[Path] = []
    for folder in found:
        first, last = _seed_range(folder)
        until = _seed_range(kept[-1])[1] if kept else -1
        if last <= until:  # wholly inside a longer chunk: seeds run by hand before the whole
            continue
        if first <= until:
            raise InputError(f"{kept[-1]} and {folder.name} share seeds, which would count twice. Delete one of the two folders.")
        kept.append(folder)
    return kept


def _seed_range(folder: Path) -> tuple[int, int]:
    numbers = folder.name.removeprefix("seeds-").split("-")
    return int(numbers[0]), int(numbers[-1])


def collect(results: Path, paper: str, runs: list[str]) -> pd.DataFrame:
    """All records of the named runs, one frame, sorted, with the measured cost of each chunk as split 'cost'."""
    from replications.evidence.provenance import cost_records

    parts = [frame([])]
    for run in runs:
        for folder in chunk_folders(results, paper, run):
            parts += [read_records(folder / "records.parquet"), cost_records(folder, paper, run)]
    merged = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    gathered = merged.sort_values(["run", "seed", "split", "metric", "step"], kind="stable", ignore_index=True).astype(DTYPES)
    gathered.attrs = {"chunks": _fingerprint(results, paper)}
    return gathered


def _fingerprint(results: Path, paper: str) -> str:
    """Hash of every chunk's records and sidecar. Contents, not times: chunks are written by machines whose clocks differ."""
    digest = hashlib.sha256()
    for path in sorted((results / paper).glob("*/seeds-*/*")):
        if path.name in ("records.parquet", "provenance.json"):
            digest.update(f"{path.relative_to(results)} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def write_index(folder: Path, names: list[str]) -> None:
    """Write the order in which a folder's figures or exhibits are shown as `index.json`."""
    with replacing(folder / "index.json") as temporary:
        temporary.write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")


def read_collected(results: Path, paper: str) -> pd.DataFrame | None:
    """The table that `collect` wrote to `<results>/<paper>/records.parquet`, or None where it is missing or of other chunks."""
    path = results / paper / "records.parquet"
    if not path.is_file():
        return None
    gathered = read_records(path)
    return gathered if gathered.attrs.get("chunks") == _fingerprint(results, paper) else None
