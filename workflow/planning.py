"""Cost of a tier before it runs: jobs, GPU-hours, wall time over N GPUs, and what a budget would decide.

The minutes of a job are those its paper's `runs.yaml` expects, corrected by what was measured: a finished run of the tier
counts as measured, the others are scaled by the ratio of measured to expected time of their paper.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean

from replications.errors import InputError
from replications.registry import run_grid as grid
from replications.registry.claims import Claim, Items
from replications.registry.papers import load_paper
from replications.registry.run_grid import Job, Run, run_folder
from replications.results.store import Chunk

QUARTERS = 4
"""Slots of one GPU; see `gpu_slots` of `Resources`."""


@dataclass(frozen=True)
class Estimate:
    """Minutes of one chunk of a run, and what they rest on: 'expected', 'measured', or 'scaled' by its paper's ratio."""

    minutes: float
    basis: str


def measured_minutes(folder: Path, run: Run) -> float | None:
    """Mean minutes of a run's finished chunks below a tier's folder; None when there are none, or of another kind of device."""
    found = []
    for seeds in run.chunks():
        try:
            provenance = Chunk(run_folder(folder, run, seeds), run.paper, run.name).provenance
            cost, hardware = provenance["cost"], provenance["hardware"]
        except (InputError, KeyError):
            continue
        if bool(run.resources.gpus) == (hardware.get("kind") == "cuda"):
            # After a resume `seconds` is the last attempt's alone, `train_seconds` that of all.
            found.append(max(cost.get("seconds", 0.0), cost.get("train_seconds", 0.0)) / 60)
    return sum(found) / len(found) if found else None


def estimates(runs: Sequence[Run], folder: Path) -> dict[str, Estimate]:
    """Minutes of one chunk of every run of one paper, by name."""
    measured = {run.name: measured_minutes(folder, run) for run in runs}
    ratios = [minutes / run.resources.minutes for run in runs if (minutes := measured[run.name])]
    ratio = geometric_mean(ratios) if ratios else None
    found = {}
    for run in runs:
        minutes = measured[run.name]
        if minutes is not None:
            found[run.name] = Estimate(minutes, "measured")
        elif ratio is not None:
            found[run.name] = Estimate(run.resources.minutes * ratio, "scaled")
        else:
            found[run.name] = Estimate(run.resources.minutes, "expected")
    return found


def gpu_share(run: Run) -> float:
    """GPUs that a run fills: a quarter to all of one, or several."""
    need = run.resources
    return need.gpus * (need.gpu_slots / QUARTERS if need.gpus == 1 else 1)


@dataclass(frozen=True)
class Task:
    """A job as the simulation sees it: minutes on `gpus` whole GPUs or `slots` quarters of one, or on CPU cores."""

    minutes: float
    gpus: int
    slots: int
    threads: int


def task(job: Job, minutes: dict[str, Estimate]) -> Task:
    """The job with the estimated minutes of its runs, one after the other."""
    need = job.resources
    return Task(sum(minutes[run.name].minutes for run in job.runs), need.gpus, need.gpu_slots, need.threads)


def wall_minutes(tasks: Iterable[Task], *, gpus: int, cores: int) -> float:
    """Time from the first start to the last end, by simulated list scheduling: longest first, whoever fits starts.

    A job that wants more GPUs than there are takes all, and as much longer. GPU jobs do not compete for cores, since a
    machine has several per GPU. Jobs that use no GPU share the cores.
    """
    waiting: dict[tuple[int, int, int], list[float]] = defaultdict(list)
    for one in tasks:
        if one.gpus and gpus:
            count = min(one.gpus, gpus)
            slots = one.slots if count == 1 and one.gpus == 1 else QUARTERS
            waiting[count, slots, 0].append(one.minutes * one.gpus / count)
        else:
            waiting[0, 0, min(one.threads, cores)].append(one.minutes)
    for lengths in waiting.values():
        lengths.sort()
    free, free_cores = [QUARTERS] * gpus, cores
    running: list[tuple[float, list[int], int, int]] = []
    now = 0.0
    while any(waiting.values()):
        for count, slots, threads in sorted((shape for shape in waiting if waiting[shape]), key=lambda shape: -waiting[shape][-1]):
            lengths = waiting[count, slots, threads]
            while lengths:
                fitting = sorted((device for device in range(gpus) if free[device] >= slots), key=lambda device: free[device])
                if (count and len(fitting) < count) or (threads and free_cores < threads):
                    break
                taken = fitting[:count] if count else []
                for device in taken:
                    free[device] -= slots
                free_cores -= threads
                heapq.heappush(running, (now + lengths.pop(), taken, slots, threads))
        now, taken, slots, threads = heapq.heappop(running)
        for device in taken:
            free[device] += slots
        free_cores += threads
    return max([now, *(end for end, *_ in running)])


def runs_of(claim: Claim, tier: str) -> set[str]:
    """Names of the runs that a claim's rule reads at a tier."""
    return {read.run for read in claim.measures(tier) if isinstance(read, Items) or read.run}


@dataclass(frozen=True)
class ClaimCost:
    """One claim that a tier tests: its runs, and what they cost by themselves."""

    id: str
    primary: bool
    runs: frozenset[tuple[str, str]]


def claim_costs(paper: str, tier: str) -> list[ClaimCost]:
    """The claims of a paper that the tier's runs can decide, in the order written."""
    planned = {run.name for run in grid.load_runs(paper, tier)}
    found = []
    for claim in load_paper(paper).claims:
        if tier in claim.tiers and (needed := runs_of(claim, tier)) <= planned:
            found.append(ClaimCost(f"{paper}.{claim.id}", claim.primary, frozenset((paper, name) for name in needed)))
    return found


def decided_by(budget: float, claims: Sequence[ClaimCost], hours: dict[tuple[str, str], float]) -> set[str]:
    """Claims that a budget of GPU-hours pays for: primary ones first, and always the one that adds least to what is run already."""
    left, chosen, have = budget, set(), set[tuple[str, str]]()
    pending = list(claims)
    while pending:
        extra = {claim.id: math.fsum(hours[run] for run in claim.runs - have) for claim in pending}
        best = min(pending, key=lambda claim: (not claim.primary, extra[claim.id]))
        if extra[best.id] <= left:
            left -= extra[best.id]
            have |= best.runs
            chosen.add(best.id)
        pending.remove(best)
    return chosen
