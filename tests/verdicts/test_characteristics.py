"""Operating characteristics: every rule keeps the rates that it promises, where the truth is known by simulation.

The rates are in `verdicts/characteristics.csv`, which the report prints; 1,000 simulated studies each, so that a rate of 5 % has
a standard error of 0.7 points. Here the cheapest scenarios are simulated again and must be equal, and all others again with
fewer studies.
"""

import math
from pathlib import Path

import numpy as np
import pytest

from replications.errors import InputError
from replications.presentation.characteristics_csv import read_characteristics, write_characteristics
from replications.verdicts.characteristics import Rates, simulate
from replications.verdicts.scenarios import Scenario, scenarios

SCENARIOS = scenarios()
TABLE = {(row.rule, row.situation, row.seeds): row for row in read_characteristics()}
WITH_LIMIT = [scenario for scenario in SCENARIOS if scenario.wrong]
FEW = 40


def row_of(scenario: Scenario) -> Rates:
    return TABLE[scenario.rule, scenario.situation, scenario.seeds]


def test_the_table_holds_every_scenario_once() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert list(TABLE) == [(scenario.rule, scenario.situation, scenario.seeds) for scenario in SCENARIOS]


@pytest.mark.parametrize("scenario", WITH_LIMIT, ids=lambda scenario: scenario.name)
def test_no_rule_errs_more_often_than_it_promises(scenario: Scenario) -> None:
    row = row_of(scenario)
    assert row.limit == scenario.limit
    tolerance = 3 * math.sqrt(scenario.limit * (1 - scenario.limit) / row.draws)
    assert row.errors <= scenario.limit + tolerance


@pytest.mark.parametrize("scenario", [scenario for scenario in SCENARIOS if scenario.power], ids=lambda scenario: scenario.name)
def test_rules_decide_where_the_truth_is_clear(scenario: Scenario) -> None:
    assert getattr(row_of(scenario), scenario.right) >= scenario.power


CHEAP = ("downwards", "two, claimed", "none, claimed", "no gap", "only begins", "no network", "every network", "at chance")


@pytest.mark.parametrize(
    "scenario", [s for s in SCENARIOS if s.seeds == 3 and any(part in s.situation for part in CHEAP)], ids=lambda s: s.name
)
def test_the_table_is_what_the_rules_give_today(scenario: Scenario) -> None:
    assert simulate(scenario) == row_of(scenario)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_fewer_studies_agree_with_the_table(scenario: Scenario) -> None:
    draws = 5 if scenario.rule == "family" else FEW
    found, table = simulate(scenario, draws), row_of(scenario)
    for word in ("holds", "contradicted", "open"):
        rate = getattr(table, word)
        # Four standard errors, at least of a rate of 2 %, and one study.
        band = 4 * math.sqrt(max(rate * (1 - rate), 0.02) / draws) + 1 / draws
        assert abs(getattr(found, word) - rate) <= band


def test_a_rule_that_takes_equal_seeds_for_proof_would_be_found_out() -> None:
    # What the t-test alone says of seeds that solve a task or do not: certain in a third of studies, though the claim is false.
    generator = np.random.default_rng(0)
    solved = np.where(generator.random((2000, 3)) < 0.7, 100.0, 50.0)
    assert 0.3 < float((np.ptp(solved, axis=1) == 0)[solved[:, 0] == 100].mean() * (solved[:, 0] == 100).mean()) < 0.4
    (row,) = [TABLE[s.rule, s.situation, 3] for s in SCENARIOS if s.situation.startswith("seeds solve") and s.seeds == 3]
    assert row.holds == 0


def test_the_table_survives_its_file_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    write_characteristics(list(TABLE.values()), path)
    assert read_characteristics(path) == list(TABLE.values())
    path.write_text("rule,holds\n", encoding="utf-8")
    with pytest.raises(InputError, match="characteristics --write"):
        read_characteristics(path)
    with pytest.raises(InputError, match="is missing"):
        read_characteristics(tmp_path / "none.csv")
