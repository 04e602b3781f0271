"""From claims and records to verdicts: what is missing, diverged, recalled or scaled down is said and decides nothing."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replications.presentation.judging import judge_paper
from replications.registry import run_grid
from replications.registry.papers import Paper
from replications.registry.settings import RunSettings
from replications.results.reader import Results
from replications.verdicts.verdict import Verdict
from replications.verdicts.words import WORDS

Make = Callable[..., Paper]
Finish = Callable[..., None]
Read = Callable[..., Results]

GOOD = [1.30, 1.25, 1.35, 1.31, 1.20]
ORDER: dict[str, Any] = {
    "kind": "order",
    "better": "lower",
    "ranking": [{"run": "lady", "metric": "error"}, {"run": "guest", "metric": "error"}],
    "min_difference": 1.0,
}


@pytest.fixture
def verdict(make_paper: Make, read: Read) -> Callable[..., Verdict]:
    """The verdict on one claim, made from the lady's by the changes given."""

    def one(tier: str = "gpu", **changes: Any) -> Verdict:
        return judge_paper(read(make_paper(changes), tier))[0]

    return one


def test_a_finished_claim_carries_everything_a_report_shows(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    finish("lady", error=GOOD)
    found = verdict(id="lady-error")
    assert (found.id, found.verdict, found.symbol, found.shape) == ("tea.lady-error", "replicated", "✓", "circle")
    assert (found.seeds_planned, found.seeds_finished, found.level, found.margin) == (5, 5, 0.9, 0.3)
    assert found.values == tuple(GOOD)
    assert found.low is not None and found.high is not None
    assert found.low < np.mean(GOOD) < found.high
    assert found.p is not None and found.p < 0.001
    assert found.p_holm == found.p
    assert found.runs == ("lady",)


def test_every_word_has_its_own_symbol_and_shape() -> None:
    assert len({mark.symbol for mark in WORDS.values()}) == len({mark.shape for mark in WORDS.values()}) == len(WORDS) == 11


def test_a_claim_without_this_tier_or_without_runs_is_not_tested(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    elsewhere = verdict(tier="paper")
    assert elsewhere.verdict == "not tested"
    assert "judged at gpu and smoke" in elsewhere.reason
    never = verdict(tiers={}, untested="the cups are lost.")
    assert (never.verdict, never.reason) == ("not tested", "Not tested: the cups are lost.")
    missing = verdict()
    assert (missing.verdict, missing.seeds_finished) == ("not tested", 0)
    assert "run lady has no results at tier gpu" in missing.reason
    finish("lady", errors=GOOD)
    misnamed = verdict()
    assert misnamed.verdict == "not tested"
    assert "no metric 'error' is recorded. Did you mean 'errors'?" in misnamed.reason


def test_one_seed_never_decides_and_missing_seeds_are_said(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    finish("lady", error=GOOD[:1])
    assert verdict().verdict == "inconclusive"
    assert "one never decides" in verdict().reason
    finish("lady", error=GOOD[:4])
    found = verdict()
    assert (found.verdict, found.seeds_finished, found.seeds_planned) == ("inconclusive", 4, 5)
    assert "1 of 5 planned seeds is not finished" in found.reason
    assert found.p is not None and found.p < 0.01
    first = verdict(tiers={"gpu": {"first_look": True}})
    assert first.verdict == "replicated"
    assert "A first look, announced in the plan: 1 of 5 planned seeds is not finished." in first.reason


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_seed_is_never_left_out(bad: float, finish: Finish, verdict: Callable[..., Verdict]) -> None:
    finish("lady", error=[*GOOD[:4], bad])
    finish("guest", error=[50.0] * 5)
    for found in (verdict(), verdict(**ORDER)):
        assert found.verdict == "inconclusive"
        assert "seed 4 of lady" in found.reason


def test_what_is_only_recalled_decides_nothing_at_any_kind(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    finish("lady", error=GOOD)
    finish("guest", error=[49.0, 50, 51, 52, 50])
    value = verdict(evidence="recalled")
    assert value.verdict == "compatible"
    assert value.reason.startswith("What was published is only recalled")
    assert value.ours == pytest.approx(np.mean(GOOD))
    assert (value.p, value.p_against) == (None, None)
    assert verdict(evidence="recalled", published=9).verdict == "inconclusive"
    assert verdict(evidence="recalled", **ORDER).verdict == "compatible"
    assert verdict(evidence="recalled", **ORDER | {"better": "higher"}).verdict == "inconclusive"
    assert verdict(evidence="recalled", counted=True, **ORDER).verdict == "inconclusive"  # its seeds differ
    assert verdict(**ORDER).verdict == "replicated"


@pytest.mark.parametrize(
    ("ours", "word"),
    [
        ([1.3, 1.4, 1.2], "supported (proxy)"),
        ([0.1, 0.11, 0.12], "supported (proxy)"),
        ([9, 9.5, 9.2], "contradicted (proxy)"),
        ([1, 5, 3], "inconclusive"),
    ],
)
def test_a_stand_in_supports_or_contradicts_as_a_proxy(
    ours: list[float], word: str, finish: Finish, verdict: Callable[..., Verdict]
) -> None:
    finish("lady", error=ours, changes={"tier": "smoke"})
    found = verdict(tier="smoke")
    assert (found.verdict, found.seeds_planned, found.margin) == (word, 3, 1)
    assert found.proxy == "Three cups instead of eight."


def test_the_recorded_size_of_the_test_set_is_part_of_the_interval(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    finish("lady", error=GOOD, test_examples=[1000.0] * 5)
    found = verdict()
    assert (found.verdict, found.margin) == ("inconclusive", 0.3)
    assert "1,000 test items" in found.reason
    assert verdict(shared_test_set=True).verdict == "replicated"


def test_an_order_pairs_the_test_items_that_runs_stored(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    generator = np.random.default_rng(5)
    hard = generator.random(1001) < 0.1
    wrong = {"lady": hard & (generator.random((5, 1001)) < 0.9), "guest": hard | (generator.random((5, 1001)) < 0.02)}
    keys = ORDER | {"min_difference": 1.5}
    for run, rows in wrong.items():
        finish(run, error=list(100 * rows.mean(axis=1)), test_examples=[1001.0] * 5)
    assert verdict(**keys).verdict == "inconclusive"
    for run, rows in wrong.items():
        finish(
            run, error=list(100 * rows.mean(axis=1)), test_examples=[1001.0] * 5, arrays={"wrong_error_test": np.packbits(rows, axis=-1)}
        )
    found = verdict(**keys)
    assert found.verdict == "replicated"
    assert "test items included" in found.reason


def test_a_trend_counts_and_pairs_the_test_items_behind_its_points(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    wrong = {"lady": np.arange(2000) < [[100], [102], [98]], "guest": np.arange(2000) < [[124], [128], [120]]}
    points = [{"run": run, "metric": "error", "x": x} for run, x in (("lady", 1), ("guest", 10))]
    keys: dict[str, Any] = {"kind": "trend", "points": points, "statistic": "semilogx_slope", "range": [0, math.inf], "seeds": 3}

    def judged(unit: str, *, sizes: bool, stored: bool) -> Verdict:
        for run, rows in wrong.items():
            metrics = {"error": list(100 * rows.mean(axis=1))} | ({"test_examples": [2000.0] * 3} if sizes else {})
            arrays = {"wrong_error_test": np.packbits(rows, axis=-1)} if stored else {}
            finish(run, arrays=arrays, changes={"units": {"error": unit}}, **metrics)
        return verdict(**keys)

    assert judged("%", sizes=False, stored=False).verdict == "replicated"
    unpaired = judged("%", sizes=True, stored=False)
    assert (unpaired.verdict, "with the error of the test items" in unpaired.reason) == ("inconclusive", True)
    assert judged("nats", sizes=True, stored=False).verdict == "replicated"
    paired = judged("%", sizes=True, stored=True)  # the 24 items that one alone gets wrong decide, not the 100 of both
    assert (paired.verdict, "with the error of the test items" in paired.reason) == ("replicated", True)


def test_a_run_that_is_declared_to_solve_its_task_or_fail_is_judged_so(
    finish: Finish, make_paper: Make, discovered: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SolvesOrFails(RunSettings):
        @property
        def solves_or_fails(self) -> bool:
            return True

    finish("lady", error=GOOD)
    finish("guest", error=[49.0, 50, 51, 52, 48])
    paper = make_paper({"unit": "%"}, ORDER | {"unit": "%", "min_difference": 20})
    judged = judge_paper(Results.read(paper, "gpu", tmp_path / "results"))
    assert [found.verdict for found in judged] == ["replicated", "replicated"]
    monkeypatch.setattr(run_grid, "settings_model", lambda _: SolvesOrFails)
    run_grid.load_runs.cache_clear()
    value, order = judge_paper(Results.read(paper, "gpu", tmp_path / "results"))
    assert (value.verdict, order.verdict) == ("compatible", "inconclusive")
    # The worst seed errs in 1.35 %; a share of failed trainings that brings the mean to 1.59 % would be missed five times in a row.
    assert value.p == pytest.approx(((100 - 1.59) / (100 - 1.35)) ** 5)


def test_a_claim_waits_for_what_must_hold_first(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    finish("lady", error=GOOD)
    chance = {"measure": {"run": "guest", "metric": "error"}, "below": 50, "reason": "Guessing errs in half of the cups."}
    unknown = verdict(requires=[chance])
    assert unknown.verdict == "not tested"
    assert "error of guest must lie below 50 first (Guessing errs in half of the cups), which cannot be judged" in unknown.reason
    finish("guest", error=[49.0, 51, 50, 52, 50])
    assert "its mean over 5 seeds is 50.4" in verdict(requires=[chance]).reason
    assert verdict(requires=[chance]).verdict == "not tested"
    finish("guest", error=[20.0, 21, 22, 20, 21])
    assert verdict(requires=[chance]).verdict == "replicated"
    above = {"measure": {"run": "guest", "metric": "error"}, "above": 10, "reason": "No one is that good."}
    assert verdict(requires=[chance, above]).verdict == "replicated"
    assert verdict(requires=[chance], tiers={"gpu": {"requires": [chance | {"below": 5}]}}).verdict == "not tested"


def test_a_claim_waits_for_other_claims_and_for_theirs(finish: Finish, make_paper: Make, read: Read) -> None:
    finish("lady", error=GOOD)
    chain: list[dict[str, Any]] = [{"requires": [{"claim": "claim-1"}]}, {"requires": [{"claim": "claim-2"}]}, {}]
    assert [found.verdict for found in judge_paper(read(make_paper(*chain)))] == ["replicated"] * 3
    chain[2] = {"published": 9}
    found = judge_paper(read(make_paper(*chain)))
    assert [one.verdict for one in found] == ["replicated", "replicated", "exceeded"]
    chain[2] = {"published": 0.2}
    found = judge_paper(read(make_paper(*chain)))
    assert [one.verdict for one in found] == ["not tested", "not tested", "contradicted"]
    assert found[0].reason == "Not tested: the claim 'claim-1' must hold first, and it is not tested."
    assert found[1].reason == "Not tested: the claim 'claim-2' must hold first, and it is contradicted."


def test_holm_over_primary_claims_opens_what_is_only_just_significant(finish: Finish, make_paper: Make, read: Read) -> None:
    finish("lady", error=GOOD)
    finish("edge", error=[1.5, 1.4, 1.45, 1.6, 1.5])
    edge = {"measure": {"run": "edge", "metric": "error"}}
    alone = judge_paper(read(make_paper(edge)))[0]
    assert alone.verdict == "replicated"
    assert alone.p is not None and 0.01 < alone.p < 0.05
    factor = math.floor(0.05 / alone.p) + 1
    family = judge_paper(read(make_paper(*[edge] * factor, {"primary": False, **edge}, {}, {"tiers": {"smoke": {"proxy": "x"}}})))
    assert [found.verdict for found in family] == ["inconclusive"] * factor + ["replicated", "replicated", "not tested"]
    assert family[0].p_holm == pytest.approx(factor * alone.p)
    assert f"{factor + 1} tested primary claims (Holm)" in family[0].reason
    assert family[0].symbol == "?"
    assert family[factor].p_holm is None
    assert family[factor].p_fdr == pytest.approx(alone.p)


def test_contradictions_are_adjusted_as_well(finish: Finish, make_paper: Make, read: Read) -> None:
    finish("edge", error=[1.7, 1.6, 1.65, 1.85, 1.7])
    edge = {"measure": {"run": "edge", "metric": "error"}}
    for primary, column, many in ((True, "p_holm", "Holm"), (False, "p_fdr", "false-discovery rate")):
        alone = judge_paper(read(make_paper(edge | {"primary": primary})))[0]
        assert alone.verdict == "contradicted"
        assert alone.p_against is not None and 0.01 < alone.p_against < 0.05
        assert getattr(alone, column) == pytest.approx(alone.p_against)
        finish("middle", error=[1.6, 1.5, 1.55, 1.9, 1.4])
        middle = {"measure": {"run": "middle", "metric": "error"}, "primary": primary}
        family = judge_paper(read(make_paper(edge | {"primary": primary}, *[middle] * 5)))
        assert family[0].verdict == "inconclusive"
        assert many in family[0].reason


def test_a_claim_judged_by_another_text_than_its_run_began_with_is_post_hoc(finish: Finish, make_paper: Make, read: Read) -> None:
    claim = make_paper().claims[0]
    finish("lady", error=GOOD, changes={"claims": {claim.id: claim.digest("gpu")}})
    assert (judge_paper(read(make_paper()))[0].registration, judge_paper(read(make_paper()))[0].post_hoc) == ("", "")
    reworded = judge_paper(read(make_paper({"id": claim.id, "claim": "In other words.", "reason": "Another."})))[0]
    assert reworded.registration == ""
    for change in ({"margin": 0.4}, {"published": 1.25}, {"seeds": 4}, {"evidence": "author"}):
        later = judge_paper(read(make_paper({"id": claim.id} | change)))[0]
        assert later.registration == "post hoc"
        assert f"lady/seeds-0-4 began on 2026-01-02 with the claim's digest {claim.digest('gpu')}" in later.post_hoc
    added = judge_paper(read(make_paper({"id": "added-later"})))[0]
    assert (added.registration, "did not exist" in added.post_hoc) == ("post hoc", True)


def test_a_run_that_carries_no_digest_is_said_not_to_be_registered(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    finish("lady", error=GOOD)
    assert (verdict().registration, verdict().post_hoc) == ("not registered", "lady/seeds-0-4 carries no digest of the claim.")


def test_a_verdict_on_records_that_nobody_wrote_is_withheld(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    finish("lady", error=GOOD, changes={"tier": "paper"})
    found = verdict()
    assert (found.verdict, found.ours, found.p, found.seeds_finished) == ("withheld", None, None, 0)
    assert found.reason == "Withheld: lady/seeds-0-4: provenance is of tier 'paper', not 'gpu'."


def test_a_gap_between_two_curves_is_subtracted_seed_by_seed(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    for size, gap in ((10, -2.0), (100, 0.0), (1000, 2.0)):
        finish(f"vit-{size}", error=[50 + gap + 0.1, 60 + gap, 40 + gap - 0.1])
        finish(f"cnn-{size}", error=[50.0, 60.0, 40.0])
    points = [
        {"run": f"vit-{size}", "metric": "error", "x": size, "minus": {"run": f"cnn-{size}", "metric": "error"}} for size in (10, 100, 1000)
    ]
    found = verdict(kind="trend", points=points, statistic="crossing", direction="up", range=[20, 500], seeds=3)
    assert found.verdict == "replicated"
    assert found.ours == pytest.approx(100, rel=0.01)
    assert len(found.runs) == 6


def test_a_count_reads_its_items_from_the_artifacts_of_every_chunk(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    def arrays(*good: int) -> dict[str, np.ndarray]:
        scores = np.array([[0.95] * n + [0.5] * (10 - n) for n in good])
        return {"s": scores, "c": np.full_like(scores, 0.5), "u": np.full_like(scores, 0.5), "p": np.where(scores > 0.9, 1e-5, 0.5)}

    finish("cells", arrays=arrays(2, 3), first=0)
    finish("cells", arrays=arrays(4), first=2)
    names = {"scores": "s", "shuffled": "c", "untrained": "u", "p": "p"}
    keys: dict[str, Any] = {"kind": "count", "unit": "", "items": {"run": "cells", "threshold": 0.9, "control": 0.6} | names, "seeds": 3}
    found = verdict(**keys, at_least=2, networks=0.3)
    assert (found.verdict, found.values, found.seeds_finished) == ("replicated", (2, 3, 4), 3)
    assert verdict(**keys, at_least=2).verdict == "inconclusive"  # three of three say little about more than half
    assert verdict(**keys, at_least=3, networks=0.3).verdict == "inconclusive"
    missing = verdict(**keys | {"items": keys["items"] | {"run": "none"}}, at_least=2)
    assert missing.verdict == "not tested"


def test_a_rule_that_cannot_be_applied_says_why(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    finish("lady", error=[0.0, 0.1])
    finish("guest", error=[1.0, 1.0])
    found = verdict(**ORDER | {"scale": "ratio"})
    assert found.verdict == "inconclusive"
    assert "a ratio needs values above 0" in found.reason


def test_a_counted_claim_is_decided_by_one_seed(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    finish("lady", error=[1.29])
    found = verdict(counted=True)
    assert (found.verdict, found.level, found.p) == ("counted as published", None, None)
    assert "planned" not in found.reason


def test_equal_seeds_are_no_certainty_and_are_pointed_out(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    # They decided before, with p = 0: seeds that solve a task in 7 of 10 cases are equal three times in a row in a third of all cases.
    finish("lady", error=[1.3] * 5)
    found = verdict()
    assert found.verdict == "inconclusive"
    assert found.p is not None and found.p > 0.05
    assert "All seeds gave the same value, which is no certainty" in found.reason


def test_a_verdict_is_a_value(finish: Finish, verdict: Callable[..., Verdict]) -> None:
    finish("lady", error=GOOD)
    assert verdict() == replace(verdict())
