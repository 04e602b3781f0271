"""Exact tests of shares against libraries, worked numbers and slow obvious versions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from replications.verdicts.evidence_of_means import contrast_evidence, mean_evidence
from replications.verdicts.kinds.order import OrderClaim
from replications.verdicts.shares import Binomial, EqualSeeds, MayFail, SolvedDifference, item_variance, paired_item_variance

shares = st.floats(0.01, 0.99)


def seeds(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


@given(st.integers(0, 12), shares)
def test_shares_are_tested_and_bounded_as_scipy_does(k: int, bound: float) -> None:
    expected = stats.binomtest(k, 12, bound, alternative="greater")
    assert Binomial(k, 12).p_above(bound) == pytest.approx(expected.pvalue)
    assert Binomial(k, 12, 100).p_below(100 * bound) == pytest.approx(stats.binomtest(k, 12, bound, alternative="less").pvalue)
    low, high = stats.binomtest(k, 12).proportion_ci(0.9, "exact")
    assert Binomial(k, 12).interval(0.9) == pytest.approx((low, high))


def test_equal_seeds_are_never_certain() -> None:
    # Seeds that solve a task (1) or stay at 0 with mean 0.9 are all solved three times in a row with probability 0.729.
    assert EqualSeeds(1, 3, 0, 1).p_above(0.9) == pytest.approx(0.9**3)
    assert EqualSeeds(100, 5, 0, 100).p_above(0) == pytest.approx(1 / 32)
    assert EqualSeeds(0.3, 5).p_below(0.4) == pytest.approx(1 / 32)
    assert EqualSeeds(0, 3, 0, 1).p_below(0.1) == pytest.approx(0.9**3)
    assert EqualSeeds(1, 3, 0, 1).interval(0.9) == (0, 1)
    low, high = EqualSeeds(1, 6, 0, 1).interval(0.9)
    assert (low, high) == pytest.approx((0.05 ** (1 / 6), 1))
    assert EqualSeeds(2.5, 3).interval(0.9) == (-math.inf, math.inf)


@settings(max_examples=15)
@given(st.integers(0, 4), st.integers(0, 4), st.floats(-0.9, 0.9))
def test_the_difference_of_solved_seeds_is_tested_in_its_worst_case(k1: int, k2: int, bound: float) -> None:
    worst = 0.0
    for second in np.linspace(max(0, -bound), min(1, 1 - bound), 25):
        pairs = itertools.product(range(5), range(5))
        extreme = [(a, b) for a, b in pairs if a - b >= k1 - k2]
        worst = max(worst, sum(stats.binom.pmf(a, 4, second + bound) * stats.binom.pmf(b, 4, second) for a, b in extreme))
    assert SolvedDifference(k1, 4, k2, 4).p_above(bound) == pytest.approx(worst, abs=0.02)
    assert SolvedDifference(k1, 4, k2, 4).p_below(bound) == pytest.approx(SolvedDifference(k2, 4, k1, 4).p_above(-bound))


def test_three_seeds_that_all_solve_a_task_beat_three_that_never_do() -> None:
    assert SolvedDifference(3, 3, 0, 3).p_above(0) == pytest.approx(1 / 64)
    low, high = SolvedDifference(3, 3, 0, 3).interval(0.9)
    assert 0 < low < 1
    assert high == pytest.approx(1, abs=2e-3)


def test_the_bound_over_items_is_the_largest_variance_that_the_shares_allow() -> None:
    p, q, n = 0.08, 0.05, 10_000
    assert item_variance([1, -1], [p, q], [n, n]) == pytest.approx((p + q - (p - q) ** 2) / n, rel=1e-2)
    assert item_variance([1], [p], [n]) == pytest.approx(p * (1 - p) / n, rel=1e-2)
    assert item_variance([1, -1], [1 - p, 1 - q], [n, n]) == pytest.approx(item_variance([1, -1], [p, q], [n, n]))
    assert item_variance([1, -1], [p, q], [n, 2 * n]) == pytest.approx(p * (1 - p) / n + q * (1 - q) / (2 * n), rel=1e-2)
    assert item_variance([1], [0.0], [n]) > 0
    assert item_variance([1, -1], [p, p], [n, n]) == pytest.approx(2 * p / n, rel=1e-2)


def test_items_that_both_get_wrong_do_not_count_in_a_paired_comparison() -> None:
    generator = np.random.default_rng(3)
    hard = generator.random(5000) < 0.1
    one = {seed: hard ^ (generator.random(5000) < 0.002) for seed in range(3)}
    other = {seed: hard ^ (generator.random(5000) < 0.002) for seed in range(3)}
    paired = paired_item_variance([1, -1], [one, other])
    assert paired < 0.05 * item_variance([1, -1], [0.1, 0.1], [5000, 5000])
    difference = np.mean([*one.values()], axis=0) - np.mean([*other.values()], axis=0)
    assert paired == pytest.approx((difference.var() * 5000 + 2) / 5000**2)
    assert paired_item_variance([1, -1], [one, one]) > 0


def test_an_order_of_shares_pairs_the_items_where_both_runs_stored_them() -> None:
    keys = {"id": "x", "claim": "c", "location": "l", "evidence": "paper", "reason": "r", "untested": "t", "kind": "order"}
    claim = OrderClaim.model_validate(
        keys | {"ranking": [{"run": "a", "metric": "error"}, {"run": "b", "metric": "error"}], "better": "lower", "unit": "%"}
    )
    generator = np.random.default_rng(4)
    hard = generator.random(2000) < 0.1
    wrong_a = {seed: hard & (generator.random(2000) < 0.95) for seed in range(3)}
    wrong_b = {seed: hard | (generator.random(2000) < 0.01) for seed in range(3)}
    a, b = (seeds(*[100 * rows.mean() for rows in wrong.values()]) for wrong in (wrong_a, wrong_b))
    assert claim.judge_samples([a, b]).word == "replicated"
    assert claim.judge_samples([a, b], [2000, 2000]).word == "inconclusive"
    found = claim.judge_samples([a, b], [2000, 2000], [wrong_a, wrong_b])
    assert found.word == "replicated"
    assert "test items included" in found.reason


def test_solved_seeds_are_not_judged_by_a_t_test() -> None:
    evidence = mean_evidence(seeds(1, 1, 1, 0, 1), "")
    assert evidence.p_above(0.3) == pytest.approx(stats.binomtest(4, 5, 0.3, alternative="greater").pvalue)
    assert contrast_evidence([seeds(1, 1, 1), seeds(0, 0, 0)], [1, -1], "").p_above(0) == pytest.approx(1 / 64)
    # A network that solved the task in all three seeds beside one that varies: a seed that fails could yet come.
    mixed = contrast_evidence([seeds(100, 100, 100), seeds(50.1, 49.9, 50)], [1, -1], "%")
    assert mixed.p_above(40) == pytest.approx((90 / 100) ** 3, abs=1e-3)
    assert mixed.p_above(0) == pytest.approx(1 / 8)


def test_percentages_without_spread_use_the_items_too() -> None:
    equal = mean_evidence(seeds(*[99.0] * 8), "%", 100)
    assert equal.p_above(95) == pytest.approx(max((0.95 / 0.99) ** 8, stats.binomtest(99, 100, 0.95, alternative="greater").pvalue))


def test_counts_of_zero_and_one_are_no_certainty_either() -> None:
    # Three networks without such a cell, claimed at least one on average: not certain, though 0 and 1 look like shares.
    assert mean_evidence(seeds(0, 0, 0), "").p_below(1) == pytest.approx(1 / 8)
    assert mean_evidence(seeds(0, 1, 0), "").p_below(2) == pytest.approx(1 / 8)


def test_seeds_that_solved_a_task_do_not_exclude_one_that_fails() -> None:
    # Trainings that reach 99 % in 7 of 10 and 50 % otherwise have a mean of 84 %, and three solve in a row with probability 0.343.
    assert MayFail(98.8, 99.2, 3, 0, 100).p_above(90) == pytest.approx((90 / 98.8) ** 3)
    assert MayFail(98.8, 99.2, 3, 0, 100).p_above(99) == 1
    assert MayFail(0.8, 1.2, 3, 0, 100).p_below(10) == pytest.approx((90 / 98.8) ** 3)
    low, high = MayFail(98.8, 99.2, 3, 0, 100).interval(0.9)
    assert (low, high) == pytest.approx((98.8 * 0.05 ** (1 / 3), 100 - 0.8 * 0.05 ** (1 / 3)))
    assert MayFail(98.8, 99.2, 3, 0, 100).seeds_to_clear(90, 0.05) == math.ceil(math.log(0.05) / math.log(90 / 98.8))


def test_a_declared_failure_opens_a_verdict_that_equal_but_for_noise_would_close() -> None:
    solved = seeds(99.1, 98.9, 99.0)
    assert mean_evidence(solved, "%").p_above(90) < 0.001
    declared = mean_evidence(solved, "%", may_fail=True)
    assert declared.p_above(90) == pytest.approx((90 / 98.9) ** 3)
    assert declared.seeds_to_clear(90) == math.ceil(math.log(0.05) / math.log(90 / 98.9))
    # Against a chance level that is far below, five seeds decide.
    pair = contrast_evidence([seeds(99, 99.1, 98.9, 99, 99), seeds(20, 21, 19, 20, 20)], [1, -1], "%", may_fail=[True, True])
    assert pair.p_above(20) < 0.05
