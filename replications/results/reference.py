"""The committed reference results: one tier's records, artifacts and provenance, from which everything else is redrawn."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from replications.errors import InputError, ReplicationError
from replications.files import replacing
from replications.registry.papers import Paper
from replications.registry.run_grid import load_runs
from replications.registry.schema import Strict, Tier
from replications.registry.yaml_models import read_yaml, validate
from replications.results import provenance
from replications.results.store import CHUNK_FILES, PROVENANCE, Chunk, chunks

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


def read_reference(folder: Path) -> Reference:
    """Return the description of the reference results in a folder.

    Raises:
        InputError: there are none, or their description is damaged.
    """
    path = folder / "reference.json"
    if not path.is_file():
        raise InputError(f"{path} is missing, so there are no reference results. `python -m replications promote DIR` makes them.")
    return validate(Reference, read_yaml(path), str(path))


def tier_of(folder: Path) -> Tier:
    """Return the tier that made a results folder, from the provenance of its chunks.

    Raises:
        InputError: nothing is finished there, or chunks are of different tiers.
    """
    found = {str(provenance.read_provenance(path).get("tier")) for path in folder.glob(f"*/*/seeds-*/{PROVENANCE}")}
    if len(found) != 1:
        what = f"is of several tiers ({', '.join(sorted(found))})" if found else "has no finished run"
        raise InputError(f"{folder} {what}. Give the results folder of one tier, for example results/gpu.")
    return validate(Reference, {"tier": found.pop(), "promoted": "", "commits": []}, f"{folder}: provenance").tier


def finished_chunks(source: Path, papers: Sequence[Paper], tier: str) -> list[Chunk]:
    """Return each finished chunk of each planned run, in the order of the plan."""
    return [chunk for paper in papers for run in load_runs(paper.name, tier) for chunk in chunks(source, paper.name, run.name)]


def reservations(finished: Sequence[Chunk], papers: Sequence[Paper], tier: str) -> list[str]:
    """Return what keeps results from being a whole tier, made by committed code from today's settings; one sentence each."""
    sentences = []
    for paper in papers:
        plans = {run.name: run for run in load_runs(paper.name, tier)}
        mine = [chunk for chunk in finished if chunk.paper == paper.name]
        seeds = {(chunk.run, seed) for chunk in mine for seed in chunk.seeds}
        incomplete = [run.name for run in plans.values() if any((run.name, seed) not in seeds for seed in run.seeds)]
        changed = [chunk.run for chunk in mine if chunk.provenance.get("settings_digest") != plans[chunk.run].digest]
        dirty = [chunk.run for chunk in mine if chunk.provenance.get("dirty")]
        damaged = [chunk.run for chunk in mine if chunk.integrity_faults(tier)]
        for names, what in (
            (incomplete, "lacks seeds of"),
            (changed, "has other settings than runs.yaml in"),
            (dirty, "ran uncommitted code in"),
            (damaged, "has files that do not belong together in"),
        ):
            if names:
                sentences.append(f"{paper.name} {what} {', '.join(dict.fromkeys(names))}.")
    return sentences


def promote(source: Path, target: Path, papers: Sequence[Paper], *, partial: bool = False) -> list[Chunk]:
    """Make the finished results of one tier the reference, whole or not at all; the reference before it is replaced.

    Args:
        source: results of one tier.
        target: the reference's folder; its file system must hold both the old and the new for a moment.
        papers: the papers that it is to have.
        partial: also where something is missing or in doubt; `reference.json` and the report then say so.

    Raises:
        InputError: `source` is not a results folder or holds trials, something is missing or in doubt, or it is larger than `LARGEST`.
        ReplicationError: the target cannot be written; what was there before is intact.
    """
    tier = tier_of(source)
    finished = finished_chunks(source, papers, tier)
    trials = list(dict.fromkeys(chunk.run for chunk in finished if "rehearsal" in chunk.provenance))
    if trials:
        raise InputError(
            f"{source} holds trials, which are not results: {', '.join(trials)}. Train them: `snakemake --config tier={tier}`."
        )
    doubts = reservations(finished, papers, tier)
    if doubts and not partial:
        told = "\n  ".join(doubts)
        raise InputError(
            f"{source} is not the whole tier {tier}:\n  {told}\nFinish it with `snakemake --config tier={tier}`, or give --partial."
        )
    size = sum(chunk.size for chunk in finished)
    if size > LARGEST:
        largest = max(finished, key=lambda chunk: chunk.size)
        raise InputError(
            f"{source} has {size / 1e6:.1f} MB to keep, more than {LARGEST / 1e6:.0f} MB. The largest is {largest.folder} with"
            f" {largest.size / 1e6:.1f} MB; let its experiment keep only the artifacts that figures need."
        )
    commits = sorted({str(chunk.provenance.get("commit")) for chunk in finished})
    reference = Reference(tier=tier, promoted=provenance.now()[:10], commits=commits, reservations=doubts)
    fresh, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    try:
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)
        for chunk in finished:
            kept = fresh / chunk.folder.relative_to(source)
            kept.mkdir(parents=True)
            for name in CHUNK_FILES:
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
    return finished
