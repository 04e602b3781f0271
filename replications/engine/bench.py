"""Our speed beside a baseline's: both in one process, by turns, on the same input, as a ratio of medians.

Turns cancel what changes slowly (clock rates, other work on the machine). CPU seconds are the better measure on a shared
machine, wall seconds what a user waits; both are given.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from replications.errors import ReplicationError


class NotComparable(ReplicationError):
    """A comparison says nothing on this machine; the message is the reason for skipping it."""


@dataclass(frozen=True)
class Comparison:
    """One thing done by us and by a baseline.

    Attributes:
        name: short, for the table.
        ours, baseline: do it once; whatever they need is built before.
        unit: what is counted, for example 'images'.
        amount: how many units one call handles.
        baseline_name: whose logic the baseline is.
        at_least: the ratio of speeds we promise, None where we promise nothing.
    """

    name: str
    ours: Callable[[], object]
    baseline: Callable[[], object]
    unit: str
    amount: float
    baseline_name: str
    at_least: float | None = None


@dataclass(frozen=True)
class Speeds:
    """Medians over rounds. Rates are units per second; ratios are ours over the baseline's."""

    name: str
    unit: str
    baseline_name: str
    rounds: int
    threads: int
    ours_per_second: float
    baseline_per_second: float
    ours_per_cpu_second: float
    baseline_per_cpu_second: float
    ratio: float
    cpu_ratio: float
    at_least: float | None


def compare_speed(comparison: Comparison, *, rounds: int = 7, seconds: float = 0.5) -> Speeds:
    """Return how fast both sides are, measured by turns.

    Args:
        comparison: what to run; one call of each warms up.
        rounds: turns of each.
        seconds: wall time that a turn should last; each side calls itself often enough for that.

    Returns:
        Medians over the rounds; the ratio is the median of each round's ratio.
    """
    sides = (comparison.ours, comparison.baseline)
    calls = [_calls(side, seconds) for side in sides]
    walls: tuple[list[float], list[float]] = ([], [])
    cpus: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for side, repeats, wall, cpu in zip(sides, calls, walls, cpus, strict=True):
            wall_seconds, cpu_seconds = _time(side, repeats)
            wall.append(wall_seconds / repeats)
            cpu.append(cpu_seconds / repeats)
    ours_wall, baseline_wall = (statistics.median(times) for times in walls)
    ours_cpu, baseline_cpu = (statistics.median(times) for times in cpus)
    return Speeds(
        name=comparison.name,
        unit=comparison.unit,
        baseline_name=comparison.baseline_name,
        rounds=rounds,
        threads=torch.get_num_threads(),
        ours_per_second=comparison.amount / ours_wall,
        baseline_per_second=comparison.amount / baseline_wall,
        ours_per_cpu_second=comparison.amount / ours_cpu,
        baseline_per_cpu_second=comparison.amount / baseline_cpu,
        # Each round's two turns are neighbours in time, so their ratio is steadier than either.
        ratio=statistics.median(baseline / ours for ours, baseline in zip(*walls, strict=True)),
        cpu_ratio=statistics.median(baseline / ours for ours, baseline in zip(*cpus, strict=True)),
        at_least=comparison.at_least,
    )


def _time(side: Callable[[], object], repeats: int) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        side()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def _calls(side: Callable[[], object], seconds: float) -> int:
    """Return the number of calls that last about `seconds`, from the second of two trial calls."""
    side()
    return max(1, round(seconds / max(_time(side, 1)[0], 1e-9)))
