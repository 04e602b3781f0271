"""Promotion: finished chunks of a tier become part of the committed reference, one by one, each whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from replications.errors import InputError, ReplicationError, nearest
from replications.registry.papers import Paper
from replications.registry.run_grid import load_runs, same_settings
from replications.registry.schema import TIERS, Tier
from replications.results import provenance
from replications.results.integrity import check_run, not_as_promoted, place
from replications.results.mosaics import holds, published_files
from replications.results.reference import (
    DESCRIPTION,
    PromotedTier,
    Reference,
    log_fault,
    promoted_chunks,
    read_reference,
    write_description,
)
from replications.results.store import PROVENANCE, Chunk, chunks, file_digest, seed_range

LARGEST = 20_000_000
"""Bytes that the reference may have in all: it is part of every clone."""

MOST_NAMED = 5
"""Runs without all of their seeds that a reservation names; of more it gives the number."""


def tier_of(folder: Path) -> Tier:
    """Return the tier that made a results folder, from the provenance of its chunks.

    Args:
        folder: results of one tier.

    Returns:
        Name of the tier.

    Raises:
        InputError: nothing is finished there, or chunks are of different tiers.
    """
    tiers = {str(provenance.read_provenance(path).get("tier")) for path in folder.glob(f"*/*/seeds-*/{PROVENANCE}")}
    if len(tiers) != 1:
        what = f"is of several tiers ({', '.join(sorted(tiers))})" if tiers else "has no finished run"
        raise InputError(f"{folder} {what}. Give the results folder of one tier, for example results/gpu.")
    name = tiers.pop()
    for tier in TIERS:
        if tier == name:
            return tier
    raise InputError(f"{folder}: provenance names no tier but '{name}'. {nearest(name, TIERS)}")


def finished_chunks(source: Path, papers: Sequence[Paper], tier: str) -> list[Chunk]:
    """Return each finished chunk of each planned run, in the order of the plan.

    Args:
        source: results of one tier.
        papers: papers whose runs are listed.
        tier: name of the tier that plans the runs.

    Returns:
        Chunks whose files are complete.
    """
    return [chunk for paper in papers for run in load_runs(paper.name, tier) for chunk in chunks(source, paper.name, run.name)]


def reservations(finished: Sequence[Chunk], papers: Sequence[Paper], tier: str) -> list[str]:
    """Return what keeps chunks from being a whole tier, one sentence each: missing seeds, then what is in doubt.

    Args:
        finished: finished chunks of planned runs.
        papers: the papers that they are of.
        tier: the tier that they must be of.

    Returns:
        Sentences; empty when the tier is whole.
    """
    sentences = []
    for paper in papers:
        seeds = {(chunk.run, seed) for chunk in finished if chunk.paper == paper.name for seed in chunk.seeds}
        planned = load_runs(paper.name, tier)
        incomplete = [run.name for run in planned if any((run.name, seed) not in seeds for seed in run.seeds)]
        which = ", ".join(incomplete) if len(incomplete) <= MOST_NAMED else f"{len(incomplete)} of {len(planned)} runs"
        sentences += [f"{paper.name} lacks seeds of {which}."] if incomplete else []
    return sentences + doubts(finished, papers, tier)


def doubts(finished: Sequence[Chunk], papers: Sequence[Paper], tier: str) -> list[str]:
    """Return what is in doubt about finished chunks, one sentence each.

    That is what the integrity check finds, other settings than today's, uncommitted code, and code of which no commit is known.

    Args:
        finished: chunks of planned runs.
        papers: the papers that they are of.
        tier: the tier that they must be of.

    Returns:
        Sentences; empty when nothing is in doubt.
    """
    sentences = []
    for paper in papers:
        changed, dirty, unknown = [], [], []
        for plan in load_runs(paper.name, tier):
            mine = [chunk for chunk in finished if (chunk.paper, chunk.run) == (paper.name, plan.name)]
            faults = check_run(mine, tier, plan).faults
            sentences += [f"{paper.name} {fault}" for fault in faults]
            if not faults and any(not same_settings(chunk.provenance.get("settings"), plan) for chunk in mine):
                changed.append(plan.name)
            if not faults and any(chunk.provenance.get("dirty") for chunk in mine):
                dirty.append(plan.name)
            if not faults and any(chunk.code_unknown for chunk in mine):
                unknown.append(plan.name)
        for names, what in (
            (changed, "has other settings than runs.yaml in"),
            (dirty, "ran uncommitted code in"),
            (unknown, "ran code of which no commit is known in"),
        ):
            sentences += [f"{paper.name} {what} {', '.join(names)}."] if names else []
    return sentences


@dataclass(frozen=True)
class Promotion:
    """What a promotion did.

    Attributes:
        held: the chunks of the tier that the reference then holds.
        written: those of them that were added or replaced.
        removed: chunks that went because the tier plans none of their seeds any more; their folders are gone.
    """

    held: tuple[Chunk, ...]
    written: tuple[Chunk, ...]
    removed: tuple[Chunk, ...] = ()

    def runs_written(self, paper: str) -> list[str]:
        """Return the names of a paper's runs of which a chunk was added, replaced or removed.

        Args:
            paper: name of the paper.

        Returns:
            Names, each once.
        """
        return list(dict.fromkeys(chunk.run for chunk in (*self.written, *self.removed) if chunk.paper == paper))


def promote(source: Path, target: Path, papers: Sequence[Paper], *, partial: bool = False, reason: str = "") -> Promotion:
    """Add the finished chunks of one tier to the reference, one by one; each is added whole or not at all.

    Photographs that others may not pass on become mosaics (`results.mosaics`). A chunk that is there already is left alone if its files
    are equal, and replaced only for a reason: a result that was made
    again is a second try, which the log of verdicts keeps. So is one of the seeds of several chunks that are there, whose place
    it takes. Chunks of other tiers, and of seeds
    that `source` does not have, stay. Chunks of runs that the tier no longer plans are removed, and, where a reason is given, those
    of planned runs of which the tier plans no seed any more: they decide nothing.

    Args:
        source: results of one tier.
        target: the reference's folder.
        papers: the papers whose chunks are added.
        partial: add chunks that are in doubt as well; `reference.json` and the report then say so.
        reason: why chunks that the reference holds with other content were made again; empty: such chunks are refused.

    Returns:
        What the reference then holds, and what of it is new.

    Raises:
        InputError: `source` is not a results folder, holds trials, chunks in doubt or chunks made again without a reason, or the
            reference would be larger than `LARGEST` or was changed by hand.
        ReplicationError: the target cannot be written; the chunks that it held are intact.
    """
    tier = tier_of(source)
    finished = finished_chunks(source, papers, tier)
    trials = list(dict.fromkeys(chunk.run for chunk in finished if "trial" in chunk.provenance))
    if trials:
        raise InputError(
            f"{source} holds trials, which are not results: {', '.join(trials)}. Train them: `snakemake --config tier={tier}`."
        )
    uncertain = doubts(finished, papers, tier)
    if uncertain and not partial:
        lines = "\n  ".join(uncertain)
        raise InputError(
            f"{source} holds chunks in doubt:\n  {lines}\nMake them again with `snakemake --config tier={tier}`, or give --partial."
        )
    folder_of_tier = target / tier
    places = {chunk: folder_of_tier / chunk.folder.relative_to(source) for chunk in finished}
    new = [chunk for chunk in finished if not holds(places[chunk], chunk)]
    inner = {chunk: _inner(places[chunk]) for chunk in new}
    again = [(chunk, held) for chunk in new for held in ([places[chunk]] if places[chunk].exists() else []) + inner[chunk]]
    if again and not reason.strip():
        lines = "\n  ".join(_both(chunk, held) for chunk, held in again[:MOST_NAMED])
        more = f"\n  and {len(again) - MOST_NAMED} more" if len(again) > MOST_NAMED else ""
        raise InputError(
            f"{target} holds other results of {len(again)} chunk{'s' if len(again) > 1 else ''}:\n  {lines}{more}\nTwo machines may have trained"
            " them, or one trained them twice. A result that is made again is a second try: say why with"
            ' --reason "...", which the log of verdicts keeps, or promote only what is new.'
        )
    contents = {chunk: published_files(chunk) for chunk in new}
    _check_size(contents, target, {places[chunk] for chunk in new})
    before = read_reference(target) if (target / DESCRIPTION).is_file() else None
    _check_untouched(target, before, tier, papers)
    try:
        for chunk in new:
            _add(contents[chunk], places[chunk])
            for folder in inner[chunk]:
                shutil.rmtree(folder)
        planned = {(paper.name, run.name) for paper in papers for run in load_runs(paper.name, tier)}
        for paper in papers:
            for folder in sorted((folder_of_tier / paper.name).glob("*/")):
                if (paper.name, folder.name) not in planned:
                    shutil.rmtree(folder)
        removed = _without_planned_seeds(folder_of_tier, papers, tier) if reason.strip() else []
        for chunk in removed:
            shutil.rmtree(chunk.folder)
        held = finished_chunks(folder_of_tier, papers, tier)
        description = PromotedTier(
            promoted=provenance.now()[:10],
            commits=sorted({chunk.commit for chunk in held}),
            reservations=reservations(held, papers, tier),
            chunks=_manifest(before, held, papers, tier),
        )
        tiers = (before.tiers if before else {}) | {tier: description}
        write_description(target, Reference(tiers=tiers, log=before.log if before else None))
    except OSError as error:
        raise ReplicationError(f"Cannot write {target}: {error.strerror or error}. The chunks that it held are unchanged.") from error
    written = {places[chunk] for chunk in new}
    return Promotion(tuple(held), tuple(chunk for chunk in held if chunk.folder in written), tuple(removed))


def _inner(folder: Path) -> list[Path]:
    """Return the chunks in the same run whose seeds all lie inside a longer chunk's."""
    first, last = seed_range(folder)
    others = [path for path in folder.parent.glob("seeds-*/") if path.name != folder.name]
    return sorted(path for path in others if first <= seed_range(path)[0] and seed_range(path)[1] <= last)


def _without_planned_seeds(folder: Path, papers: Sequence[Paper], tier: str) -> list[Chunk]:
    """Return the chunks of planned runs of which the tier plans no seed."""
    planned = {(paper.name, run.name): set(run.seeds) for paper in papers for run in load_runs(paper.name, tier)}
    return [chunk for chunk in finished_chunks(folder, papers, tier) if not planned[chunk.paper, chunk.run] & set(chunk.seeds)]


def _both(chunk: Chunk, held: Path) -> str:
    """Return which machine made a new chunk, and which the one that the reference holds, when and from which commit."""
    theirs = Chunk(held, chunk.paper, chunk.run)
    return f"{chunk.paper} {place(chunk)}: the reference's {_origin(theirs)}; that of {chunk.folder.parents[2]} {_origin(chunk)}"


def _origin(chunk: Chunk) -> str:
    content = chunk.provenance
    hardware = content.get("hardware")
    machine = hardware if isinstance(hardware, dict) else {}
    device = machine.get("device") or "an unknown device"
    cores = f" ({machine['cores']} cores, {machine.get('memory_gb', '?')} GiB)" if machine.get("cores") else ""
    return f"was made on {device}{cores}, commit {chunk.commit[:12]}, ended {content.get('ended')}"


def _key(chunk: Chunk) -> str:
    return f"{chunk.paper}/{place(chunk)}"


def _manifest(before: Reference | None, held: Sequence[Chunk], papers: Sequence[Paper], tier: Tier) -> dict[str, str]:
    """Return the hash of each held chunk's provenance, with those of papers that are not promoted now as they were."""
    names = {paper.name for paper in papers}
    known = (before.tiers[tier].chunks if before and tier in before.tiers else None) or {}
    others = {key: digest for key, digest in known.items() if key.partition("/")[0] not in names}
    return others | {_key(chunk): file_digest(chunk.folder / PROVENANCE) for chunk in held}


def _check_untouched(target: Path, before: Reference | None, tier: Tier, papers: Sequence[Paper]) -> None:
    """Raise InputError when the reference was edited by hand: a promotion would sign the edit."""
    faults = [fault] if before and before.log and (fault := log_fault(target)) else []
    for paper in papers if before and tier in before.tiers else ():
        promoted = promoted_chunks(target / tier, tier, paper.name)
        if promoted is None:
            continue
        for run in load_runs(paper.name, tier):
            mine = {name: digest for name, digest in promoted.items() if name.partition("/")[0] == run.name}
            faults += [f"{paper.name} {fault}" for fault in not_as_promoted(chunks(target / tier, paper.name, run.name), mine)]
    if faults:
        lines = "\n  ".join(faults)
        raise InputError(f"{target} was changed since the last promotion:\n  {lines}\nRestore it from git, then promote.")


def _check_size(contents: Mapping[Chunk, Mapping[str, bytes]], target: Path, replaced: set[Path]) -> None:
    """Raise InputError when the reference would grow beyond `LARGEST` bytes."""
    sizes = {chunk: sum(map(len, files.values())) for chunk, files in contents.items()}
    others = sum(path.stat().st_size for path in target.glob("*/*/*/seeds-*/*") if path.parent not in replaced)
    size = others + sum(sizes.values())
    if sizes and size > LARGEST:
        largest = max(sizes, key=lambda chunk: sizes[chunk])
        raise InputError(
            f"The reference would have {size / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f} MB. The largest new chunk is {largest.folder} with"
            f" {sizes[largest] / 1e6:.1f} MB; let its experiment keep only the artifacts that figures need."
        )


def _add(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a chunk to its folder. Readers see the old chunk or the new one, never a part."""
    fresh, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)
