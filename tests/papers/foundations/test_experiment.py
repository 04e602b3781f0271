"""Runs of this paper: what they record, that seeds are independent of their company, and what its claims are marked as."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from replications.errors import Preempted
from replications.papers.foundations.experiment import FURTHER_STATEMENTS, STATEMENTS, run
from replications.papers.foundations.settings import Settings
from replications.registry.checks import check_claims
from replications.registry.claims import Measure
from replications.registry.papers import load_paper
from replications.registry.run_grid import load_runs
from replications.registry.schema import TIERS
from tests.contexts import make_context

PAPER = "foundations"
SMALL = {
    "statements": Settings(n_cases=2, n_vectors=200),
    "estimators": Settings(experiment="estimators", n_draws=200),
    "detector": Settings(experiment="detector", n_starts=2, n_steps=5, batch_size=4),
    "hello": Settings(experiment="hello", hidden_size=4, n_steps=5),
    "further": Settings(experiment="further", n_cases=2),
    "captions": Settings(experiment="captions", hidden_size=4, n_steps=5, batch_size=8, n_vectors=100),
    "same": Settings(experiment="same", hidden_size=4, n_steps=5, batch_size=8, n_vectors=100),
    "questions": Settings(experiment="questions", hidden_size=4, n_steps=5, batch_size=8, n_vectors=100),
    "glimpses": Settings(experiment="glimpses", hidden_size=4, n_steps=5, batch_size=8, n_vectors=100),
}


def records(folder: Path, settings: Settings, seeds: tuple[int, ...]) -> pd.DataFrame:
    context = make_context(folder, PAPER, seeds)
    run(settings, context)
    return pd.DataFrame(context.rows)


@pytest.mark.parametrize("experiment", SMALL)
def test_a_seed_gives_the_same_records_alone_and_in_company(experiment: str, tmp_path: Path) -> None:
    together = records(tmp_path / "both", SMALL[experiment], (0, 1))
    alone = records(tmp_path / "one", SMALL[experiment], (1,))
    together = together[together["seed"] == 1]
    # Some processors round products of another number of seeds differently, by less than this.
    pd.testing.assert_frame_equal(together.reset_index(drop=True), alone.reset_index(drop=True), rtol=1e-5)


@pytest.mark.parametrize("experiment", ["detector", "hello", "same", "captions", "questions", "glimpses"])
def test_a_stopped_training_ends_with_the_records_of_an_uninterrupted_one(experiment: str, tmp_path: Path) -> None:
    whole = records(tmp_path / "whole", SMALL[experiment], (0, 1))
    stopped = make_context(tmp_path / "stopped", PAPER, (0, 1))
    stopped.control.stop.signal = "SIGTERM"  # stops after the first update
    with pytest.raises(Preempted):
        run(SMALL[experiment], stopped)
    pd.testing.assert_frame_equal(records(tmp_path / "stopped", SMALL[experiment], (0, 1)), whole, check_exact=True)


@pytest.mark.parametrize("tier", TIERS)
def test_every_claim_can_be_decided_by_the_planned_runs(tier: str) -> None:
    check_claims(load_paper(PAPER), tier, load_runs(PAPER, tier))


def test_every_tier_has_the_same_runs_and_claims() -> None:
    names = [[run.name for run in load_runs(PAPER, tier)] for tier in TIERS]
    assert all(of_tier == names[0] for of_tier in names)
    assert all(tuple(claim.tiers) == TIERS for claim in load_paper(PAPER).claims)


def test_every_statement_is_claimed() -> None:
    measures = [measure for claim in load_paper(PAPER).claims for measure in claim.measures("smoke")]
    claimed = {measure.model for measure in measures if isinstance(measure, Measure) and measure.metric == "cases_apart"}
    assert claimed == {*STATEMENTS, *FURTHER_STATEMENTS}


def test_identities_are_counted_and_nothing_is_said_to_be_copied() -> None:
    for claim in load_paper(PAPER).claims:
        assert claim.evidence in ("derived", "ours"), claim.id
        assert claim.counted or claim.proxy("smoke"), claim.id
        assert not (claim.counted and claim.evidence == "ours"), claim.id


def test_hello_is_learned_and_spelled(tmp_path: Path) -> None:
    rows = records(tmp_path, Settings(experiment="hello", hidden_size=4, n_steps=200), (100, 101))
    assert (rows.loc[rows["metric"] == "continues_with_ello", "value"] == 1).all()
    assert (rows.loc[rows["metric"] == "cross_entropy", "value"] < 0.05).all()
