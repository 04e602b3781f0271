"""Cost of a tier before it runs: jobs, GPU-hours, wall time on a number of GPUs, and the claims that a budget decides.

The minutes of a job are those expected in its paper's `runs.yaml`, corrected by measurements: a finished run of the tier counts with its
measured time, and other runs of its paper are scaled by the ratio of measured to expected time.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from replications.errors import InputError
from replications.registry import run_grid as grid
from replications.registry.claims import Claim, Items
from replications.registry.papers import load_paper
from replications.registry.run_grid import Job, Run, run_folder
from replications.results.store import Chunk

QUARTERS = 4
"""Slots of one GPU; see `gpu_slots` of `Resources`."""


LONGER = 5
"""A measured run scales runs that are expected to take at most this many times as long: of a short one most is start-up."""


@dataclass(frozen=True)
class Estimate:
    """Duration of one chunk of a run.

    Attributes:
        minutes: of one chunk.
        basis: 'expected', 'measured', or 'scaled' by the ratio of measured runs of its paper.
    """

    minutes: float
    basis: str


def measured_minutes(folder: Path, run: Run) -> float | None:
    """Compute the mean duration of a run's finished chunks.

    Args:
        folder: results of a tier.
        run: the run.

    Returns:
        Minutes; None when no chunk is finished on the planned kind of device.
    """
    minutes = []
    for seeds in run.chunks():
        try:
            provenance = Chunk(run_folder(folder, run, seeds), run.paper, run.name).provenance
            cost, hardware = provenance["cost"], provenance["hardware"]
        except (InputError, KeyError):
            continue
        if bool(run.resources.gpus) == (hardware.get("kind") == "cuda"):
            # After a resume `seconds` covers the last attempt only, `train_seconds` all attempts.
            minutes.append(max(cost.get("seconds", 0.0), cost.get("train_seconds", 0.0)) / 60)
    return sum(minutes) / len(minutes) if minutes else None


def estimates(runs: Sequence[Run], folder: Path) -> dict[str, Estimate]:
    """Estimate the duration of one chunk of every run of one paper.

    Args:
        runs: of the paper.
        folder: results of the tier, from which finished runs are read.

    Returns:
        Name of the run -> estimate.
    """
    measured = {run.name: measured_minutes(folder, run) for run in runs}
    pairs = [(run.resources.minutes, minutes) for run in runs if (minutes := measured[run.name])]
    by_name = {}
    for run in runs:
        minutes, expected = measured[run.name], run.resources.minutes
        alike = [pair for pair in pairs if expected <= LONGER * pair[0]]
        if minutes is not None:
            by_name[run.name] = Estimate(minutes, "measured")
        elif alike:
            ratio = math.fsum(taken for _, taken in alike) / math.fsum(planned for planned, _ in alike)
            by_name[run.name] = Estimate(expected * ratio, "scaled")
        else:
            by_name[run.name] = Estimate(expected, "expected")
    return by_name


def gpu_share(run: Run) -> float:
    """Compute the number of GPUs that a run occupies.

    Args:
        run: the run.

    Returns:
        0, a quarter to all of one GPU, or several.
    """
    need = run.resources
    return need.gpus * (need.gpu_slots / QUARTERS if need.gpus == 1 else 1)


def core_count(run: Run) -> int:
    """Return the cores that a run without a GPU keeps busy; 0 for one on GPUs, which is counted in GPUs.

    Args:
        run: a planned run.

    Returns:
        Number of cores.
    """
    return 0 if run.resources.gpus else run.resources.threads


@dataclass(frozen=True)
class Task:
    """A job as the simulation sees it.

    Attributes:
        minutes: duration.
        gpus: whole GPUs; 0 for a job on CPU cores; 1 with fewer than four slots for a part of one.
        slots: quarters of a GPU.
        threads: CPU cores.
    """

    minutes: float
    gpus: int
    slots: int
    threads: int


def task(job: Job, minutes: dict[str, Estimate]) -> Task:
    """Convert a job to a task of the simulation.

    Args:
        job: its runs are trained one after the other.
        minutes: name of the run -> estimate.

    Returns:
        The task.
    """
    need = job.resources
    return Task(sum(minutes[run.name].minutes for run in job.runs), need.gpus, need.gpu_slots, need.threads)


def wall_minutes(tasks: Iterable[Task], *, gpus: int, cores: int) -> float:
    """Simulate list scheduling, longest task first, and return the time from the first start to the last end.

    A task that needs more GPUs than there are uses all of them, and its duration scales up accordingly. GPU tasks do not compete for
    cores, since a machine has several per GPU. Tasks without a GPU share the cores.

    Args:
        tasks: all tasks, in any order.
        gpus: number of GPUs.
        cores: number of cores for tasks without a GPU.

    Returns:
        Wall time in minutes.
    """
    waiting: dict[tuple[int, int, int], list[float]] = defaultdict(list)
    for item in tasks:
        if item.gpus and gpus:
            count = min(item.gpus, gpus)
            slots = item.slots if count == 1 and item.gpus == 1 else QUARTERS
            waiting[count, slots, 0].append(item.minutes * item.gpus / count)
        else:
            waiting[0, 0, min(item.threads, cores)].append(item.minutes)
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
    """List the runs that a claim's rule reads at a tier.

    Args:
        claim: the claim.
        tier: the tier.

    Returns:
        Names of runs.
    """
    return {read.run for read in claim.measures(tier) if isinstance(read, Items) or read.run}


@dataclass(frozen=True)
class ClaimCost:
    """One claim that a tier tests, with its runs.

    Attributes:
        id: '<paper>.<claim>'.
        primary: whether the claim is primary.
        runs: (paper, run) of every run that its rule reads.
    """

    id: str
    primary: bool
    runs: frozenset[tuple[str, str]]


def claim_costs(paper: str, tier: str) -> list[ClaimCost]:
    """List the claims of a paper that the runs of a tier can decide.

    Args:
        paper: name of the paper.
        tier: the tier.

    Returns:
        Claims in the order of paper.yaml.
    """
    planned = {run.name for run in grid.load_runs(paper, tier)}
    costs = []
    for claim in load_paper(paper).claims:
        if tier in claim.tiers and (needed := runs_of(claim, tier)) <= planned:
            costs.append(ClaimCost(f"{paper}.{claim.id}", claim.primary, frozenset((paper, name) for name in needed)))
    return costs


def decided_by(budget: float, claims: Sequence[ClaimCost], hours: dict[tuple[str, str], float]) -> set[str]:
    """Select the claims that a budget pays for: greedily, primary claims first, each time the claim that adds the fewest GPU-hours.

    Args:
        budget: GPU-hours.
        claims: all claims.
        hours: (paper, run) -> GPU-hours of all its chunks.

    Returns:
        Ids of the claims.
    """
    remaining, decided, paid_runs = budget, set(), set[tuple[str, str]]()
    pending = list(claims)
    while pending:
        extra = {claim.id: math.fsum(hours[run] for run in claim.runs - paid_runs) for claim in pending}
        cheapest = min(pending, key=lambda claim: (not claim.primary, extra[claim.id]))
        if extra[cheapest.id] <= remaining:
            remaining -= extra[cheapest.id]
            paid_runs |= cheapest.runs
            decided.add(cheapest.id)
        pending.remove(cheapest)
    return decided
