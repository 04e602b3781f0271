"""Finished chunks of the reference, put back into a results folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from replications.errors import InputError
from replications.files import replacing
from replications.registry import run_grid as grid
from replications.registry.papers import paper_names
from replications.registry.run_grid import Job, Run, run_folder, seeds_label
from replications.results.reference import reference_tier
from replications.results.store import CHUNK_FILES, PROVENANCE, Chunk


def restore_chunks(reference: Path, results: Path, tier: str, papers: Sequence[str] | None = None) -> list[dict[str, object]]:
    """Copy the chunks of the reference that a tier plans into a results folder; what is finished there is left alone.

    Snakemake takes the copies as done because they are newer than the code and the data that they depend on.

    Args:
        reference: folder of the reference, which is read.
        results: folder of the tier, which is written.
        tier: the tier whose plan is restored.
        papers: the papers to restore; None: all.

    Returns:
        One row per job of the plan: paper, group, seeds, number of chunks restored, and a note on what was not.

    Raises:
        InputError: the reference does not exist, or has no chunk of the tier.
        ReplicationError: the results folder cannot be written.
    """
    if not reference.is_dir():
        raise InputError(f"There is no reference in {reference}: the folder does not exist. --results DIR reads another folder.")
    name, source = reference_tier(reference, tier)
    rows = [_restore_job(job, source, results) for paper in papers or paper_names() for job in grid.jobs(paper, name)]
    if not any(row["restored"] or row["note"] == FINISHED for row in rows):
        raise InputError(f"{reference} has no chunk that tier {tier} plans with the same settings, so nothing was restored.")
    return rows


FINISHED = "finished before; left alone"
ABSENT = "not in the reference"


def summary(rows: Sequence[Mapping[str, object]]) -> tuple[list[Mapping[str, object]], str]:
    """Return what a user looks at after a restoration: the jobs that did not simply stay absent, and one sentence about all.

    Args:
        rows: as `restore_chunks` returns them.

    Returns:
        The rows of jobs that were restored, finished before or refused; how many jobs are done and how many are left to train.
    """
    done = [row for row in rows if row["restored"] or row["note"] == FINISHED]
    absent = [row for row in rows if all(note.endswith(f": {ABSENT}") for note in str(row["note"]).split("; "))]
    restored = sum(int(str(row["restored"])) for row in rows)
    sentence = f"{restored} chunks restored; {len(done)} of {len(rows)} jobs are done, {len(rows) - len(done)} are left to train"
    return [row for row in rows if row not in absent], f"{sentence} ({len(absent)} of them {ABSENT})." if absent else f"{sentence}."


def _restore_job(job: Job, reference: Path, results: Path) -> dict[str, object]:
    """Restore all runs of a job or none, because Snakemake repeats a job of which one file is missing."""
    missing = [run for run in job.runs if not all((run_folder(results, run, job.seeds) / name).is_file() for name in CHUNK_FILES)]
    faults = [f"{run.name}: {fault}" for run in missing if (fault := _fault(run, job, reference))]
    if not faults:
        for run in missing:
            _copy(run_folder(reference, run, job.seeds), run_folder(results, run, job.seeds))
    return {
        "paper": job.paper,
        "group": job.group,
        "seeds": seeds_label(job.seeds),
        "restored": 0 if faults else len(missing),
        "note": "; ".join(faults) if missing else FINISHED,
    }


def _fault(run: Run, job: Job, reference: Path) -> str:
    """Return why the reference's chunk of a run does not do; empty when it does."""
    folder = run_folder(reference, run, job.seeds)
    if not all((folder / name).is_file() for name in CHUNK_FILES):
        return ABSENT
    chunk = Chunk(folder, run.paper, run.name)
    if faults := chunk.integrity_faults(run.tier):
        return " ".join(faults)
    return "" if grid.same_settings(chunk.provenance.get("settings"), run) else "trained with other settings"


def _copy(source: Path, target: Path) -> None:
    """Copy a chunk, its provenance last, so that a chunk with provenance is whole."""
    for name in sorted(CHUNK_FILES, key=lambda name: name == PROVENANCE):
        with replacing(target / name) as temporary:
            shutil.copyfile(source / name, temporary)
