"""A results folder that may have holes: what is there, what is missing, and what cannot be right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from replications.errors import InputError
from replications.registry.run_grid import Run
from replications.results.reader import Results
from replications.results.store import Chunk


@dataclass(frozen=True)
class Problem:
    """A fault in the results: the report still builds and names it in its place.

    Attributes:
        paper: name of the paper; empty where it concerns the whole report.
        where: run, chunk or part that it is about.
        what: one or two sentences.
    """

    paper: str
    where: str
    what: str


@dataclass(frozen=True)
class PaperResults:
    """Results on disk for one paper at one tier.

    Attributes:
        results: the one reader of records, which withholds runs that fail the integrity check.
        runs: the planned runs.
        chunks: the finished chunks of planned runs whose provenance can be read, by run and first seed.
        problems: what is missing or in doubt.
        smaller: the same of smaller tiers, where the committed reference is read.
    """

    results: Results
    runs: tuple[Run, ...]
    chunks: tuple[Chunk, ...]
    problems: tuple[Problem, ...]
    smaller: tuple[PaperResults, ...] = ()

    def of_tier(self, tier: str) -> PaperResults:
        """Return what was read of one tier, which must be this one's or among `smaller`.

        Args:
            tier: name of the tier.

        Returns:
            These results, or those of a smaller tier.
        """
        return next(layer for layer in (self, *self.smaller) if layer.results.tier == tier)

    def chunks_of(self, run: str) -> list[Chunk]:
        """Return the finished chunks of a run, by first seed.

        Args:
            run: name of the run.

        Returns:
            Chunks; none where nothing is finished.
        """
        return [chunk for chunk in self.chunks if chunk.run == run]

    def seeds_of(self, run: str) -> list[int]:
        """Return the finished seeds of a run, sorted.

        Args:
            run: name of the run.

        Returns:
            Seeds.
        """
        return sorted(seed for chunk in self.chunks_of(run) for seed in chunk.seeds)


def read_paper_results(results: Results) -> PaperResults:
    """Return every finished chunk of a paper, with notes on what is missing, damaged, unknown or in conflict.

    Args:
        results: records of the paper at one tier, or at several of the committed reference.

    Returns:
        The chunks and the notes.
    """
    paper, folder, runs = results.paper, results.folder, results.runs()
    chunks = {run.name: _readable(results, run.name) for run in runs}
    notes = [*_strangers(folder / paper.name, {run.name for run in runs}), *_missing(runs, chunks)]
    for run in runs:
        integrity = results.integrity(run.name)
        notes += [(run.name, f"withheld: {fault}") for fault in integrity.faults]
        notes += [(run.name, remark) for remark in integrity.remarks]
    problems = tuple(Problem(paper.name, where, what.replace(f"{folder}/", "")) for where, what in notes)
    smaller = tuple(read_paper_results(layer) for layer in results.smaller)
    return PaperResults(results, runs, tuple(chunk for mine in chunks.values() for chunk in mine), problems, smaller)


def _readable(results: Results, run: str) -> list[Chunk]:
    """Return the chunks of a run whose provenance can be read; the integrity check names the others."""
    try:
        return [chunk for chunk in results.stored.chunks(run) if _has_provenance(chunk)]
    except InputError:
        return []


def _has_provenance(chunk: Chunk) -> bool:
    try:
        return bool(chunk.provenance)
    except InputError:
        return False


def _strangers(base: Path, planned: set[str]) -> Iterator[tuple[str, str]]:
    for folder in sorted(base.glob("*/seeds-*")):
        if folder.parent.name not in planned:
            name = f"{folder.parent.name}/{folder.name}"
            yield name, "is of a run that runs.yaml does not have at this tier; it is left out."


def _missing(runs: tuple[Run, ...], chunks: dict[str, list[Chunk]]) -> Iterator[tuple[str, str]]:
    absent = [run.name for run in runs if not chunks[run.name]]
    if absent:
        yield "runs", f"{len(absent)} of {len(runs)} planned runs have no finished seed: {', '.join(absent)}."
    for run in runs:
        finished = {seed for chunk in chunks[run.name] for seed in chunk.seeds}
        missing = [str(seed) for seed in run.seeds if seed not in finished]
        if missing and finished:
            yield run.name, f"{len(missing)} of {len(run.seeds)} seeds not finished: {', '.join(missing)}."
