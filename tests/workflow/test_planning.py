"""A plan adds up, corrects itself by what was measured, and buys the claims that matter first."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replications.registry.run_grid import Run
from replications.registry.runs_yaml import Resources
from replications.registry.schema import Strict
from workflow import planning
from workflow.planning import ClaimCost, Task, decided_by, estimates, wall_minutes


class Settings(Strict):
    """Of a made-up paper."""


def run(name: str, **resources: float) -> Run:
    need = Resources.model_validate({"minutes": 10} | resources)
    return Run("paper", "gpu", name, Settings(), (0, 1), 2, name, need, "", None)


def finish(folder: Path, name: str, *, kind: str = "cuda", **cost: float) -> None:
    place = folder / "paper" / name / "seeds-0-1"
    place.mkdir(parents=True)
    (place / "provenance.json").write_text(json.dumps({"cost": cost, "hardware": {"kind": kind}}))


def test_settings_are_given_as_the_papers_own_class_or_not_at_all() -> None:
    assert run("a").settings_as(Settings) == Settings()
    with pytest.raises(TypeError, match="paper a has settings of"):
        run("a").settings_as(Resources)


def test_without_measurements_a_plan_rests_on_what_is_expected(tmp_path: Path) -> None:
    found = estimates([run("a", gpus=1), run("b", gpus=1, minutes=3)], tmp_path)
    assert {name: (one.minutes, one.basis) for name, one in found.items()} == {"a": (10, "expected"), "b": (3, "expected")}


def test_a_finished_run_counts_as_measured_and_scales_the_others(tmp_path: Path) -> None:
    finish(tmp_path, "a", seconds=300.0, train_seconds=290.0)
    found = estimates([run("a", gpus=1), run("b", gpus=1, minutes=3)], tmp_path)
    assert (found["a"].minutes, found["a"].basis) == (5, "measured")
    assert (found["b"].minutes, found["b"].basis) == (pytest.approx(1.5), "scaled")


def test_a_short_run_does_not_scale_a_long_one_and_long_ones_weigh_more(tmp_path: Path) -> None:
    finish(tmp_path, "short", seconds=6.0)
    runs = [run("short", gpus=1, minutes=0.4), run("medium", gpus=1, minutes=2), run("long", gpus=1, minutes=20)]
    found = estimates(runs, tmp_path)
    assert (found["medium"].minutes, found["medium"].basis) == (pytest.approx(0.5), "scaled")
    assert (found["long"].minutes, found["long"].basis) == (20, "expected"), "a few seconds of start-up say nothing about an evening"
    finish(tmp_path, "long", seconds=60 * 40.0)
    assert estimates(runs, tmp_path)["medium"].minutes == pytest.approx(2 * 40.1 / 20.4)


def test_a_resumed_run_counts_with_all_its_attempts(tmp_path: Path) -> None:
    finish(tmp_path, "a", seconds=60.0, train_seconds=600.0)
    assert estimates([run("a", gpus=1)], tmp_path)["a"].minutes == 10


def test_a_run_on_another_kind_of_device_measures_nothing(tmp_path: Path) -> None:
    finish(tmp_path, "a", kind="cpu", seconds=6000.0)
    assert estimates([run("a", gpus=1)], tmp_path)["a"].basis == "expected"


@pytest.mark.parametrize(
    ("need", "share"), [({"gpus": 0}, 0), ({"gpus": 1}, 1), ({"gpus": 1, "gpu_slots": 1}, 0.25), ({"gpus": 8, "gpu_slots": 1}, 8)]
)
def test_the_share_of_gpus(need: dict[str, int], share: float) -> None:
    assert planning.gpu_share(run("a", **need)) == share


@pytest.mark.parametrize(
    ("tasks", "gpus", "expected"),
    [
        ([Task(10, 1, 4, 1)] * 4, 2, 20),
        ([Task(10, 1, 1, 1)] * 4, 1, 10),
        ([Task(10, 1, 2, 1)] * 3, 1, 20),
        ([Task(10, 2, 4, 1), Task(10, 1, 4, 1)], 2, 20),
        ([Task(10, 8, 4, 1)], 2, 40),
        ([Task(7, 1, 4, 1), Task(5, 1, 4, 1), Task(4, 1, 4, 1), Task(4, 1, 4, 1)], 2, 11),
        ([Task(10, 0, 4, 1)] * 4, 0, 20),
        ([Task(10, 1, 4, 1)], 0, 10),
        ([], 3, 0),
    ],
)
def test_wall_time_of_cases_worked_by_hand(tasks: list[Task], gpus: int, expected: float) -> None:
    assert wall_minutes(tasks, gpus=gpus, cores=2) == pytest.approx(expected)


@given(
    st.lists(st.tuples(st.floats(1, 100), st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=30),
    st.integers(1, 6),
)
def test_wall_time_lies_between_the_bounds_that_any_schedule_has(shapes: list[tuple[float, int, int]], gpus: int) -> None:
    tasks = [Task(minutes, count, slots, 1) for minutes, count, slots in shapes]
    work = sum(one.minutes * one.gpus * (one.slots / 4 if one.gpus == 1 else 1) for one in tasks)
    longest = max(one.minutes * max(1, one.gpus / gpus) for one in tasks)
    found = wall_minutes(tasks, gpus=gpus, cores=1)
    assert found >= max(work / gpus, longest) * (1 - 1e-9)
    assert found <= sum(one.minutes * max(1, one.gpus / gpus) for one in tasks) * (1 + 1e-9)


def test_a_thousand_gpus_and_jobs_are_planned_quickly() -> None:
    tasks = [Task(1 + i % 17, 1 + (i % 5 == 0), 1 + i % 4, 1) for i in range(3000)]
    assert wall_minutes(tasks, gpus=256, cores=8) > 17


def test_a_budget_buys_primary_claims_first_and_shared_runs_once() -> None:
    hours = {("p", "a"): 5.0, ("p", "b"): 3.0, ("p", "c"): 1.0}

    def claim(name: str, *runs: str, primary: bool = False) -> ClaimCost:
        return ClaimCost(name, primary, frozenset(("p", one) for one in runs))

    claims = [claim("cheap", "c"), claim("main", "a", primary=True), claim("both", "a", "b")]
    assert decided_by(0, claims, hours) == set()
    assert decided_by(1, claims, hours) == {"cheap"}
    assert decided_by(5, claims, hours) == {"main"}
    assert decided_by(6, claims, hours) == {"main", "cheap"}
    assert decided_by(9, claims, hours) == {"main", "cheap", "both"}
