"""The cores of a measurement are those that other programs leave idle, and it says which."""

import os

import pytest

from replications.engine import cores
from replications.engine.cores import idlest

BEFORE = "cpu  0 0 0 0\ncpu0 100 0 0 100 0 0 0 0\ncpu1 900 0 0 100 0 0 0 0\ncpu2 0 0 0 100 0 0 0 0\ncpu3 5 5 5 100 5 5 5 5\n"
AFTER = "cpu  0 0 0 0\ncpu0 150 0 0 100 0 0 0 0\ncpu1 901 0 0 149 0 0 0 0\ncpu2 0 0 9 101 40 0 0 0\ncpu3 5 5 5 150 5 5 5 5\n"
"""Fifty hundredths of a second in which core 0 worked for all, core 1 for 1, core 2 for 9 (40 waiting for a disk) and core 3 for none."""


@pytest.mark.parametrize(
    ("allowed", "count", "chosen"),
    [({0, 1, 2, 3}, 1, [3]), ({0, 1, 2, 3}, 3, [3, 1, 2]), ({0, 2}, 1, [2]), ({0, 2}, 4, [2, 0]), ({7}, 1, [])],
)
def test_the_cores_that_worked_least_are_chosen_among_those_allowed(allowed: set[int], count: int, chosen: list[int]) -> None:
    assert idlest(BEFORE, AFTER, allowed, count) == chosen


def test_of_equally_idle_cores_the_last_is_chosen() -> None:
    assert idlest(BEFORE, BEFORE, {0, 1, 2, 3}, 2) == [3, 2]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot keep a process on a core")
def test_a_measurement_is_kept_on_one_core_and_says_which() -> None:
    allowed = os.sched_getaffinity(0)
    with cores.on_idle_cores(1) as said:
        (kept,) = os.sched_getaffinity(0)
        assert said == f"Measured on 1 thread, kept on core {kept}: the least busy of this machine."
    assert os.sched_getaffinity(0) == allowed
    with cores.on_idle_cores(10_000) as said:
        assert said.endswith("they wait for each other.")
        assert os.sched_getaffinity(0) == allowed


def test_a_system_that_cannot_do_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    with cores.on_idle_cores(2) as said:
        assert said.startswith("Measured on 2 threads; this system does not keep a thread on a core")
