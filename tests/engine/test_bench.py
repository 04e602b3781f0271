"""Comparisons of speed: turns, ratios, and the command that finds them."""

import json
import time

import pytest
from typer.testing import CliRunner

from replications.commands.app import app
from replications.commands.bench import comparisons
from replications.engine.bench import Comparison, compare_speed
from replications.errors import InputError


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_the_ratio_is_that_of_cpu_time() -> None:
    speeds = compare_speed(Comparison("burn", lambda: burn(0.002), lambda: burn(0.006), "turns", 10, "itself", 2.0), rounds=3, seconds=0.03)
    assert speeds.cpu_ratio == pytest.approx(3, rel=0.2)
    assert speeds.ours_per_cpu_second == pytest.approx(10 / 0.002, rel=0.2)
    assert (speeds.rounds, speeds.at_least, speeds.unit) == (3, 2.0, "turns")


def test_both_sides_take_turns() -> None:
    order: list[str] = []
    compare_speed(Comparison("turns", lambda: order.append("ours"), lambda: order.append("baseline"), "", 1, ""), rounds=2, seconds=0.0)
    turns = order[4:]  # after two trial calls of each
    assert turns == ["ours", "baseline", "ours", "baseline"]


def test_an_unknown_comparison_names_the_nearest() -> None:
    name = next(iter(comparisons()))
    result = CliRunner().invoke(app, ["bench", name + "x"])
    assert isinstance(result.exception, InputError)
    assert f"Did you mean '{name}'" in str(result.exception)


def test_json_is_a_list_of_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = Comparison("nothing", lambda: None, lambda: None, "calls", 1, "itself")
    monkeypatch.setattr("replications.commands.bench.comparisons", lambda: {"paper.nothing": lambda: fast})
    result = CliRunner().invoke(app, ["bench", "paper", "--rounds", "1", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)[0]["id"] == "paper.nothing"
