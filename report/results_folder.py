"""Read a results folder that may have holes: what is there, what is missing, and what cannot be right."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from replications.errors import ReplicationError
from replications.registry.papers import Paper
from replications.registry.run_grid import Run, load_runs, parse_seeds
from replications.results.provenance import cost_records, read_provenance
from replications.results.reader import Results
from replications.results.records import frame, read_records


@dataclass(frozen=True)
class Problem:
    """A fault in the results: the report still builds and names it in its place."""

    paper: str
    where: str
    what: str


@dataclass(frozen=True)
class Chunk:
    """The finished seeds of one job of one run, with their provenance; empty where it is damaged."""

    run: str
    seeds: tuple[int, ...]
    folder: Path
    provenance: dict[str, Any]


@dataclass(frozen=True)
class PaperResults:
    """Results on disk for one paper at one tier."""

    results: Results
    runs: tuple[Run, ...]
    chunks: tuple[Chunk, ...]
    problems: tuple[Problem, ...]

    def chunks_of(self, run: str) -> list[Chunk]:
        """The finished chunks of a run, by first seed."""
        return [chunk for chunk in self.chunks if chunk.run == run]

    def seeds_of(self, run: str) -> list[int]:
        """The finished seeds of a run."""
        return sorted(seed for chunk in self.chunks_of(run) for seed in chunk.seeds)


@dataclass
class _Reader:
    paper: Paper
    folder: Path
    planned: dict[str, Run]
    parts: list[pd.DataFrame] = field(default_factory=lambda: [frame([])])
    chunks: list[Chunk] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)

    def note(self, where: str, what: str) -> None:
        self.problems.append(Problem(self.paper.name, where, what.replace(f"{self.folder}/", "")))

    def read_chunk(self, run: str, folder: Path) -> None:
        where = f"{run}/{folder.name}"
        try:
            seeds = parse_seeds(folder.name.removeprefix("seeds-"))
            records = read_records(folder / "records.parquet")
        except ReplicationError as error:
            self.note(where, f"left out: {error}")
            return
        strangers = sorted(set(records["run"]) - {run}) + sorted(set(records["paper"]) - {self.paper.name})
        if strangers:
            self.note(where, f"holds records of '{', '.join(strangers)}', which do not belong there; they are left out.")
            records = records[(records["run"] == run) & (records["paper"] == self.paper.name)]
        provenance: dict[str, Any] = {}
        try:
            provenance = read_provenance(folder / "provenance.json")
            self.parts.append(cost_records(provenance, self.paper.name, run))
        except (ReplicationError, KeyError, TypeError, ValueError, IndexError) as error:
            # A file that was edited or cut can lack any key or hold any type.
            self.note(where, f"its provenance cannot be read, so cost and origin are unknown: {error}")
        self.parts.append(records)
        self.chunks.append(Chunk(run, seeds, folder, provenance))

    def read(self) -> None:
        base = self.folder / self.paper.name
        for folder in sorted(base.glob("*/seeds-*")):
            run = folder.parent.name
            if run in self.planned:
                self.read_chunk(run, folder)
            else:
                self.note(f"{run}/{folder.name}", "is of a run that runs.yaml does not have at this tier; it is left out.")
        begun = {chunk.run for chunk in self.chunks}
        absent = [name for name in self.planned if name not in begun]
        if absent:
            self.note("runs", f"{len(absent)} of {len(self.planned)} planned runs have no finished seed: {', '.join(absent)}.")
        for name in self.planned:
            if name in begun:
                self.check_run(name, self.planned[name])
        if self.outdated:
            were = "was" if len(self.outdated) == 1 else "were"
            self.note("runs", f"{', '.join(self.outdated)} {were} made with other settings than runs.yaml has now; run the pipeline again.")

    def check_run(self, name: str, plan: Run) -> None:
        mine = [chunk for chunk in self.chunks if chunk.run == name]
        finished = {seed for chunk in mine for seed in chunk.seeds}
        missing = [seed for seed in plan.seeds if seed not in finished]
        if missing:
            listed = ", ".join(str(seed) for seed in missing)
            self.note(name, f"seed{'s' if len(missing) > 1 else ''} {listed} of {len(plan.seeds)} not finished.")
        known = [chunk.provenance for chunk in mine if chunk.provenance]
        for key, meaning in (("settings_digest", "settings"), ("code_digest", "code"), ("lock", "package versions")):
            found = sorted({str(entry.get(key)) for entry in known})
            if len(found) > 1:
                self.note(name, f"its seeds were made with different {meaning} ({', '.join(found)}); they should not be averaged.")
        data: dict[str, set[str]] = {}
        for entry in known:
            for source, note in (entry.get("data") or {}).items():
                data.setdefault(source, set()).add(str(note.get("fingerprint")) if isinstance(note, dict) else str(note))
        for source, prints in data.items():
            if len(prints) > 1:
                self.note(name, f"its seeds saw different data for {source} ({', '.join(sorted(prints))}).")
        if known and plan.digest not in {entry.get("settings_digest") for entry in known}:
            self.outdated.append(name)


def read_paper_results(paper: Paper, tier: str, folder: Path) -> PaperResults:
    """Read every finished chunk of a paper, noting what is missing, damaged, unknown or in conflict."""
    runs = load_runs(paper.name, tier)
    reader = _Reader(paper, folder, {run.name: run for run in runs})
    reader.read()
    merged = pd.concat([part for part in reader.parts if len(part)] or reader.parts[:1], ignore_index=True)
    merged = merged.sort_values(["run", "seed", "split", "metric", "step"], kind="stable", ignore_index=True)
    return PaperResults(Results(paper, tier, folder, merged), runs, tuple(reader.chunks), tuple(reader.problems))
