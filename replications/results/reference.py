"""The committed reference results: one tier's records, artifacts and provenance, from which everything else is redrawn."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from replications.errors import InputError, ReplicationError
from replications.files import replacing
from replications.registry.papers import Paper
from replications.registry.run_grid import Run, load_runs
from replications.registry.schema import Strict, Tier
from replications.registry.yaml_models import read_yaml, validate
from replications.results import provenance
from replications.results.store import chunk_folders

FILES = ("records.parquet", "artifacts.npz", "provenance.json")
LARGEST = 20_000_000
"""Bytes that the reference may have in all: it is part of every clone."""


class Reference(Strict):
    """`reference.json`: what the committed results are.

    Attributes:
        promoted: the day on which they became the reference.
        commits: the commits that made them.
        reservations: what is missing or in doubt, one sentence each; empty when the tier is whole.
    """

    tier: Tier
    promoted: str
    commits: list[str]
    reservations: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class Chunk:
    """One finished chunk of a planned run, with its provenance."""

    run: Run
    folder: Path
    sidecar: dict[str, object]

    @property
    def size(self) -> int:
        """Bytes of the files that are kept."""
        return sum((self.folder / name).stat().st_size for name in FILES)


def read_reference(folder: Path) -> Reference:
    """What the reference results in `folder` are. Raises InputError when there are none, or their description is damaged."""
    path = folder / "reference.json"
    if not path.is_file():
        raise InputError(f"{path} is missing, so there are no reference results. `python -m replications promote DIR` makes them.")
    return validate(Reference, read_yaml(path), str(path))


def tier_of(folder: Path) -> Tier:
    """The tier that made a results folder, from the provenance of its chunks.

    Raises:
        InputError: nothing is finished there, or chunks are of different tiers.
    """
    found = {str(provenance.read_provenance(path).get("tier")) for path in folder.glob("*/*/seeds-*/provenance.json")}
    if len(found) != 1:
        what = f"is of several tiers ({', '.join(sorted(found))})" if found else "has no finished run"
        raise InputError(f"{folder} {what}. Give the results folder of one tier, for example results/gpu.")
    return validate(Reference, {"tier": found.pop(), "promoted": "", "commits": []}, f"{folder}: provenance").tier


def finished_chunks(source: Path, papers: Sequence[Paper], tier: str) -> list[Chunk]:
    """Every finished chunk of every planned run, in the order of the plan."""
    return [
        Chunk(run, folder, provenance.read_provenance(folder / "provenance.json"))
        for paper in papers
        for run in load_runs(paper.name, tier)
        for folder in chunk_folders(source, paper.name, run.name)
    ]


def reservations(chunks: Sequence[Chunk], papers: Sequence[Paper], tier: str) -> list[str]:
    """What keeps results from being the whole of a tier, made by committed code from today's settings."""
    found = []
    seeds = Counter((chunk.run.paper, chunk.run.name, seed) for chunk in chunks for seed in _seeds(chunk))
    for paper in papers:
        short = [run.name for run in load_runs(paper.name, tier) if any(not seeds[run.paper, run.name, seed] for seed in run.seeds)]
        changed = [c.run.name for c in chunks if c.run.paper == paper.name and c.sidecar.get("settings_digest") != c.run.digest]
        dirty = [c.run.name for c in chunks if c.run.paper == paper.name and c.sidecar.get("dirty")]
        for names, what in (
            (short, "lacks seeds of"),
            (changed, "has other settings than runs.yaml in"),
            (dirty, "ran uncommitted code in"),
        ):
            if names:
                found.append(f"{paper.name} {what} {', '.join(dict.fromkeys(names))}.")
    return found


def _seeds(chunk: Chunk) -> list[int]:
    listed = chunk.sidecar.get("seeds")
    return listed if isinstance(listed, list) else []


def promote(source: Path, target: Path, papers: Sequence[Paper], *, partial: bool = False) -> list[Chunk]:
    """Make the finished results of one tier the reference, whole or not at all; the reference before it is replaced.

    Args:
        source: results of one tier.
        target: the reference's folder; its file system must hold both the old and the new for a moment.
        papers: the papers that it is to have.
        partial: also where something is missing or in doubt; `reference.json` and the report then say so.

    Raises:
        InputError: `source` is no results folder or a rehearsal, something is missing or in doubt, or it is larger than `LARGEST`.
        ReplicationError: the target cannot be written; what was there before is intact.
    """
    tier = tier_of(source)
    chunks = finished_chunks(source, papers, tier)
    rehearsed = list(dict.fromkeys(chunk.run.name for chunk in chunks if "rehearsal" in chunk.sidecar))
    if rehearsed:
        raise InputError(
            f"{source} holds rehearsals, which are no results: {', '.join(rehearsed)}. Train them: `snakemake --config tier={tier}`."
        )
    doubts = reservations(chunks, papers, tier)
    if doubts and not partial:
        told = "\n  ".join(doubts)
        raise InputError(
            f"{source} is not the whole tier {tier}:\n  {told}\nFinish it with `snakemake --config tier={tier}`, or give --partial."
        )
    size = sum(chunk.size for chunk in chunks)
    if size > LARGEST:
        largest = max(chunks, key=lambda chunk: chunk.size)
        raise InputError(
            f"{source} has {size / 1e6:.1f} MB to keep, more than {LARGEST / 1e6:.0f} MB. The largest is {largest.folder} with"
            f" {largest.size / 1e6:.1f} MB; let its experiment keep only the artifacts that figures need."
        )
    commits = sorted({str(chunk.sidecar.get("commit")) for chunk in chunks})
    reference = Reference(tier=tier, promoted=provenance.now()[:10], commits=commits, reservations=doubts)
    fresh, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    try:
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)
        for chunk in chunks:
            kept = fresh / chunk.folder.relative_to(source)
            kept.mkdir(parents=True)
            for name in FILES:
                shutil.copyfile(chunk.folder / name, kept / name)
        with replacing(fresh / "reference.json") as temporary:
            temporary.write_text(reference.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        raise ReplicationError(f"Cannot write {target}: {error.strerror or error}. What was there before is unchanged.") from error
    return chunks
