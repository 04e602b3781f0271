"""The finished chunks of a results folder: where they are, and all of their records in one table."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from replications.errors import InputError
from replications.results.provenance import cost_records
from replications.results.records import DTYPES, frame, read_records


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
    parts = [frame([])]
    for run in runs:
        for folder in chunk_folders(results, paper, run):
            parts += [read_records(folder / "records.parquet"), cost_records(folder, paper, run)]
    merged = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    gathered = merged.sort_values(
        ["run", "seed", "model", "split", "metric", "axis", "at", "step"], kind="stable", ignore_index=True
    ).astype(DTYPES)
    gathered.attrs = {"chunks": _fingerprint(results, paper)}
    return gathered


def _fingerprint(results: Path, paper: str) -> str:
    """Hash of every chunk's records and sidecar. Contents, not times: chunks are written by machines whose clocks differ."""
    digest = hashlib.sha256()
    for path in sorted((results / paper).glob("*/seeds-*/*")):
        if path.name in ("records.parquet", "provenance.json"):
            digest.update(f"{path.relative_to(results)} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def read_collected(results: Path, paper: str) -> pd.DataFrame | None:
    """The table that `collect` wrote to `<results>/<paper>/records.parquet`, or None where it is missing or of other chunks."""
    path = results / paper / "records.parquet"
    if not path.is_file():
        return None
    gathered = read_records(path)
    return gathered if gathered.attrs.get("chunks") == _fingerprint(results, paper) else None
