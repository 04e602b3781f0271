"""The store of finished chunks: one writer and one reader of records, artifacts and provenance, and the integrity check.

A chunk is what one job leaves: `<results>/<paper>/<run>/seeds-<first>-<last>/` with the files of `CHUNK_FILES`. Provenance
is written last and holds the SHA-256 of the other two and of its own content, so that a later change of any is noticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from replications.errors import InputError
from replications.registry.run_grid import parse_seeds, settings_digest
from replications.results.contradictions import WRONG, contradictions
from replications.results.provenance import cost_rows, read_provenance, write_provenance
from replications.results.records import DTYPES, frame, read_artifacts, read_records, write_artifacts, write_records

RECORDS, ARTIFACTS, PROVENANCE = CHUNK_FILES = ("records.parquet", "artifacts.npz", "provenance.json")
"""Files of a finished chunk."""

UNKNOWN = "unknown"
"""Instead of a commit, where a run's provenance has none."""


@dataclass(frozen=True)
class Chunk:
    """One finished chunk of a run: some of its seeds, trained and measured by one job.

    Attributes:
        folder: where its files are.
        paper: name of the paper.
        run: name of the run.
    """

    folder: Path
    paper: str
    run: str

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the chunk, from the folder's name."""
        first, last = seed_range(self.folder)
        return tuple(range(first, last + 1))

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Content of its provenance file. Raises InputError when it is missing or damaged."""
        return read_provenance(self.folder / PROVENANCE)

    @property
    def commit(self) -> str:
        """Commit of the code that it ran; 'unknown' where git did not tell it."""
        return str(self.provenance.get("commit") or UNKNOWN)

    @property
    def code_unknown(self) -> bool:
        """True where no commit is known, or not whether files differed from it: nobody can fetch that code again."""
        return self.commit == UNKNOWN or self.provenance.get("dirty") is None

    @property
    def labels(self) -> dict[str, Any]:
        """Values of the run's grid variables when it was trained; empty where none are stored."""
        labels = self.provenance.get("labels")
        return dict(labels) if isinstance(labels, dict) else {}

    @cached_property
    def records(self) -> pd.DataFrame:
        """Its records. Raises InputError when the file is missing or damaged."""
        return read_records(self.folder / RECORDS)

    def artifacts(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return its arrays whose names begin with a prefix.

        Args:
            prefix: of the names; empty: all.

        Returns:
            Name -> array.

        Raises:
            InputError: the file is missing or damaged.
        """
        return read_artifacts(self.folder / ARTIFACTS, prefix)

    @cached_property
    def cost(self) -> list[dict[str, object]]:
        """Its measured cost as rows of split 'cost', under its first seed.

        Raises:
            InputError: provenance is missing, damaged, or was edited into something else.
        """
        try:
            return cost_rows(self.provenance, self.paper, self.run)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:  # an edited file can lack any key or hold any type
            raise InputError(f"{self.folder / PROVENANCE}: cost and seeds cannot be read ({error}). Run its job again.") from None

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum((self.folder / name).stat().st_size for name in CHUNK_FILES)

    def integrity_faults(self, tier: str | None = None) -> list[str]:
        """Return what is wrong between the files of the chunk, one sentence each; empty when they belong together.

        Args:
            tier: the tier that the chunk must be of; None: any.

        Returns:
            Sentences that name the file.
        """
        try:
            provenance, records, wrong, _ = self.provenance, self.records, self.artifacts(WRONG), self.cost
        except InputError as error:
            return [str(error)]
        return [*_faults(self, provenance, records, tier), *contradictions(records, wrong, self.seeds)]


def _faults(chunk: Chunk, provenance: Mapping[str, Any], records: pd.DataFrame, tier: str | None) -> Iterator[str]:
    hashes = provenance.get("sha256")
    for name in (RECORDS, ARTIFACTS):
        if not isinstance(hashes, dict) or name not in hashes:
            yield f"provenance has no SHA-256 of {name}."
        elif file_digest(chunk.folder / name) != hashes[name]:
            yield f"{name} is not the file that the run wrote: its SHA-256 differs."
    if isinstance(hashes, dict) and hashes.get(PROVENANCE, content_digest(provenance)) != content_digest(provenance):
        yield f"{PROVENANCE} is not what the run wrote: its SHA-256 differs."
    for key, value in (("paper", chunk.paper), ("run", chunk.run), *((("tier", tier),) if tier else ())):
        if provenance.get(key) != value:
            yield f"provenance is of {key} '{provenance.get(key)}', not '{value}'."
    for what, seeds in (("provenance", provenance.get("seeds")), ("records", sorted({int(seed) for seed in records["seed"]}))):
        if seeds != list(chunk.seeds):
            yield f"the folder's name says seeds {list(chunk.seeds)}, {what} {'say' if what == 'records' else 'says'} {seeds}."
    if {str(run) for run in records["run"]} - {chunk.run} or {str(paper) for paper in records["paper"]} - {chunk.paper}:
        yield "records are of another run or paper."
    settings = provenance.get("settings")
    if not isinstance(settings, dict) or settings_digest(chunk.paper, chunk.run, settings) != provenance.get("settings_digest"):
        yield "settings do not have the digest that is stored with them."


def content_digest(provenance: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the content of a provenance file, its own entry under `sha256` left out.

    Args:
        provenance: content of a provenance file.

    Returns:
        64 hexadecimal digits.
    """
    hashes = provenance.get("sha256")
    others = {name: value for name, value in hashes.items() if name != PROVENANCE} if isinstance(hashes, dict) else hashes
    return hashlib.sha256(json.dumps({**provenance, "sha256": others}, sort_keys=True).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits; empty when it cannot be read.

    Args:
        path: file to read.

    Returns:
        64 digits, or an empty text.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def write_chunk(folder: Path, rows: list[dict[str, object]], arrays: dict[str, np.ndarray], provenance: dict[str, Any]) -> None:
    """Write a finished chunk: records and artifacts first, then provenance with their SHA-256.

    Args:
        folder: the chunk's folder.
        rows: one mapping per record.
        arrays: artifacts by name, without objects.
        provenance: what is to be stored about the run; `sha256` is added here.

    Raises:
        InputError: an artifact holds objects.
        ReplicationError: the folder cannot be written.
    """
    write_records(folder / RECORDS, frame(rows))
    write_artifacts(folder / ARTIFACTS, arrays)
    hashes = {name: file_digest(folder / name) for name in (RECORDS, ARTIFACTS)}
    content = {**provenance, "sha256": hashes}
    write_provenance(folder / PROVENANCE, content | {"sha256": hashes | {PROVENANCE: content_digest(content)}})


def chunks(results: Path, paper: str, run: str) -> list[Chunk]:
    """Return the finished chunks of a run by first seed, without those that lie inside a longer one.

    Args:
        results: folder of a tier's results.
        paper: name of the paper.
        run: name of the run.

    Returns:
        Chunks, those of which records exist.

    Raises:
        InputError: two chunks overlap otherwise.
    """
    folders = [path.parent for path in (results / paper / run).glob(f"seeds-*/{RECORDS}")]
    folders.sort(key=lambda folder: (seed_range(folder)[0], -seed_range(folder)[1]))
    separate: list[Path] = []
    for folder in folders:
        first, last = seed_range(folder)
        until = seed_range(separate[-1])[1] if separate else -1
        if last <= until:  # wholly inside a longer chunk: seeds run by hand before the whole
            continue
        if first <= until:
            raise InputError(f"{separate[-1]} and {folder.name} share seeds, which would count twice. Delete one of the two folders.")
        separate.append(folder)
    return [Chunk(folder, paper, run) for folder in separate]


def inner_chunks(results: Path, paper: str, run: str) -> list[str]:
    """Return the names of the folders of a run that `chunks` does not read because they lie inside longer chunks.

    Args:
        results: folder of a tier's results.
        paper: name of the paper.
        run: name of the run.

    Returns:
        Names of folders, sorted.

    Raises:
        InputError: two chunks overlap otherwise.
    """
    read = {chunk.folder.name for chunk in chunks(results, paper, run)}
    return sorted({path.parent.name for path in (results / paper / run).glob(f"seeds-*/{RECORDS}")} - read)


def seed_range(folder: Path) -> tuple[int, int]:
    """Return the first and the last seed of a chunk's folder, from its name.

    Args:
        folder: path that ends in 'seeds-<first>-<last>'.

    Returns:
        Both ends, inclusive.

    Raises:
        InputError: the name is not 'seeds-<first>-<last>'.
    """
    seeds = parse_seeds(folder.name.removeprefix("seeds-"))
    return seeds[0], seeds[-1]


def collect(chunks_of: Callable[[str], Sequence[Chunk]], runs: Sequence[str]) -> pd.DataFrame:
    """Return all records of the named runs in one sorted frame, with the measured cost of each chunk as split 'cost'.

    What cannot be read is left out; the integrity check of its run says so (`results.integrity`).

    Args:
        chunks_of: returns the finished chunks of a run; whoever reads them again has them in memory.
        runs: names of runs.

    Returns:
        Rows with the columns of records, sorted.
    """
    parts: list[pd.DataFrame] = []
    costs: list[dict[str, object]] = []
    for run in runs:
        try:
            for chunk in chunks_of(run):
                records, cost = chunk.records, chunk.cost
                parts.append(records)
                costs += cost
        except InputError:
            continue
    merged = pd.concat([*parts, frame(costs)], ignore_index=True)
    order = ["run", "seed", "model", "split", "metric", "axis", "at", "step"]
    return merged.sort_values(order, kind="stable", ignore_index=True).astype(DTYPES)
