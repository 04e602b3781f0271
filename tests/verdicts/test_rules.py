"""The rules decide as design.md, section 6, says, and about as often as its simulation says."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from replications.verdicts.kinds.count import CountClaim, passing
from replications.verdicts.kinds.order import OrderClaim
from replications.verdicts.kinds.trend import TrendClaim
from replications.verdicts.kinds.value import ValueClaim, binomial_error

values = st.lists(st.floats(0.5, 3).map(lambda x: round(x, 3)), min_size=3, max_size=6).filter(lambda v: np.std(v) > 0.01)


COMMON: dict[str, Any] = {
    "id": "tested",
    "claim": "It is so.",
    "location": "Table 1",
    "evidence": "paper",
    "reason": "Because.",
    "untested": "Made in a test.",
}


def seeds(*given: float) -> dict[int, float]:
    return dict(enumerate(given))


def value_test(**keys: Any) -> ValueClaim:
    base: dict[str, Any] = COMMON | {
        "kind": "value",
        "measure": {"run": "a", "metric": "error"},
        "published": 1.29,
        "margin": 0.3,
        "better": "lower",
    }
    return ValueClaim.model_validate(base | keys)


def ranking(*runs: str, **keys: Any) -> OrderClaim:
    return OrderClaim.model_validate(
        COMMON | {"kind": "order", "ranking": [{"run": run, "metric": "error"} for run in runs], "better": "lower"} | keys
    )


def trend(statistic: str, within: tuple[float, float], x: tuple[float, ...] = (1, 10, 100), **keys: Any) -> TrendClaim:
    points = [{"run": f"n{i}", "metric": "loss", "x": at} for i, at in enumerate(x)]
    return TrendClaim.model_validate(COMMON | {"kind": "trend", "points": points, "statistic": statistic, "range": within} | keys)


@pytest.mark.parametrize(
    ("ours", "word"),
    [
        ((1.30, 1.25, 1.35, 1.31, 1.20), "replicated"),
        ((0.50, 0.60, 0.55), "exceeded"),
        ((2.50, 2.60, 2.55), "contradicted"),
        ((1.60, 1.50, 1.55, 1.30), "compatible"),
        ((1.00, 3.00, 2.00), "inconclusive"),
    ],
)
def test_a_value_gets_each_verdict(ours: tuple[float, ...], word: str) -> None:
    found = value_test(unit="%").judge_values(seeds(*ours))
    assert found.word == word
    assert (found.seeds_needed is not None) == (word in {"compatible", "inconclusive"})
    assert found.ours == pytest.approx(np.mean(ours))
    assert "1.29" in found.reason
    assert "0.3 %" in found.reason


@given(values)
def test_mirroring_the_scale_mirrors_the_verdict(ours: list[float]) -> None:
    one = value_test().judge_values(seeds(*ours))
    other = value_test(published=-1.29, better="higher").judge_values(seeds(*[-v for v in ours]))
    assert one.word == other.word
    assert one.p == pytest.approx(other.p, abs=1e-9)


@given(values, st.floats(0.01, 100))
def test_the_unit_does_not_change_the_verdict(ours: list[float], unit: float) -> None:
    one = value_test().judge_values(seeds(*ours))
    assume(one.p is None or abs(one.p - 0.05) > 1e-6)
    other = value_test(published=1.29 * unit, margin=0.3 * unit).judge_values(seeds(*[unit * v for v in ours]))
    assert one.word == other.word


@given(values, st.floats(1.0, 4))
def test_what_is_replicated_stays_so_under_a_wider_margin(ours: list[float], factor: float) -> None:
    if value_test().judge_values(seeds(*ours)).word == "replicated":
        assert value_test(margin=0.3 * factor).judge_values(seeds(*ours)).word == "replicated"


def test_a_margin_below_the_error_of_the_test_set_is_widened_and_the_reason_says_so() -> None:
    # 1.29 % error on 10,000 images: standard error 0.11 points (design.md, section 6)
    assert binomial_error(1.29, 10_000) == pytest.approx(0.11, abs=0.005)
    found = value_test(margin=0.05, unit="%").judge_values(seeds(1.3, 1.31, 1.29), examples=10_000)
    assert found.margin == pytest.approx(0.2257, abs=1e-4)
    assert "two standard errors of a test set of 10,000" in found.reason
    assert value_test(margin=0.05, unit="nats").judge_values(seeds(1.3, 1.31), examples=10_000).margin == 0.05
    assert value_test(margin=0.3, unit="%").judge_values(seeds(1.3, 1.31), examples=10_000).margin == 0.3


def simulate(test: ValueClaim, draws: np.ndarray, published: np.ndarray) -> Counter[str]:
    """Verdict counts; rules are unit-free, so the published value moves to 0 and the seeds with it."""
    return Counter(test.judge_values(seeds(*row)).word for row in draws - published[:, None])


@pytest.mark.parametrize(("offset", "right"), [(0.0, "replicated"), (6.0, "contradicted"), (-6.0, "exceeded")])
def test_a_margin_of_three_seed_deviations_decides_rightly_in_about_93_to_97_percent(offset: float, right: str) -> None:
    # n = 5, and the published value is itself one run: design.md, section 6. 600 draws: standard error 1 point.
    generator = np.random.default_rng(6)
    draws, published = generator.normal(offset, 1, (600, 5)), generator.normal(0, 1, 600)
    counts = simulate(value_test(published=0.0, margin=3.0), draws, published)
    assert 0.91 <= counts[right] / 600 <= 0.99
    wrong = {"replicated", "exceeded", "contradicted"} - {right}
    assert sum(counts[word] for word in wrong) <= 0.01 * 600


def test_a_margin_of_one_seed_deviation_is_undecidable_with_three_seeds() -> None:
    generator = np.random.default_rng(7)
    counts = simulate(value_test(published=0.0, margin=1.0), generator.normal(0, 1, (400, 3)), generator.normal(0, 1, 400))
    assert counts["replicated"] / 400 < 0.15


def test_a_mean_on_the_edge_of_the_margin_is_falsely_replicated_in_five_percent() -> None:
    generator = np.random.default_rng(8)
    counts = simulate(value_test(published=0.0, margin=3.0), generator.normal(3, 1, (800, 5)), np.zeros(800))
    assert 0.025 <= counts["replicated"] / 800 <= 0.08
    assert counts["contradicted"] / 800 <= 0.08


def test_an_order_holds_only_if_every_step_does() -> None:
    a, b, c = seeds(1.0, 1.1, 0.9), seeds(2.0, 2.2, 1.9), seeds(3.1, 3.0, 3.2)
    assert ranking("a", "b", "c", min_difference=0.5).judge_samples([a, b, c]).word == "replicated"
    found = ranking("a", "c", "b", min_difference=0.5).judge_samples([a, c, b])
    assert found.word == "contradicted"
    assert "c against b" in found.reason
    assert ranking("a", "b", better="higher").judge_samples([a, b]).word == "contradicted"
    unclear = ranking("a", "b", "c").judge_samples([a, b, seeds(2.1, 2.1, 2.2)])
    assert unclear.word == "inconclusive"
    assert unclear.seeds_needed
    assert "least certain" in unclear.reason


def test_an_order_pairs_seeds_and_falls_back_to_welch() -> None:
    wide = seeds(1.0, 2.0, 3.0)
    paired = ranking("a", "b").judge_samples([wide, seeds(1.2, 2.2, 3.3)])
    assert paired.word == "replicated"
    assert paired.values == pytest.approx((0.2, 0.2, 0.3))
    unpaired = ranking("a", "b").judge_samples([wide, {10: 1.2, 11: 2.2, 12: 3.3}])
    assert unpaired.word == "inconclusive"
    assert unpaired.values == ()
    assert "unpaired" in unpaired.reason


def test_a_ratio_must_reach_its_factor() -> None:
    few, many = seeds(4.0, 4.1, 3.9), seeds(14.0, 14.5, 14.2)
    found = ranking("few", "many", scale="ratio", min_difference=2).judge_samples([few, many])
    assert found.word == "replicated"
    assert found.ours == pytest.approx(3.56, abs=0.02)
    assert found.criterion == "ratio ≥ 2"
    assert ranking("few", "many", scale="ratio", min_difference=5).judge_samples([few, many]).word == "contradicted"
    assert ranking("few", "many", scale="ratio").judge_samples([few, many]).word == "replicated"


@given(values, values)
def test_reversing_a_ranking_and_its_direction_changes_nothing(a: list[float], b: list[float]) -> None:
    one = ranking("a", "b").judge_samples([seeds(*a), seeds(*b)])
    other = ranking("b", "a", better="higher").judge_samples([seeds(*b), seeds(*a)])
    assert one.word == other.word
    assert one.ours == pytest.approx(other.ours, abs=1e-9)


def test_a_contrast_is_a_weighted_sum_and_may_have_one_term() -> None:
    def terms(*weights: float, **keys: Any) -> OrderClaim:
        contrast = [{"run": f"r{i}", "metric": "error", "weight": w} for i, w in enumerate(weights)]
        return OrderClaim.model_validate(COMMON | {"kind": "order", "contrast": contrast} | keys)

    gain = terms(1, -2, 1, min_difference=-0.5).judge_samples([seeds(5.0, 5.2), seeds(3.0, 3.1), seeds(1.0, 1.1)])
    assert gain.ours == pytest.approx(0.05)
    assert gain.word == "replicated"
    assert terms(1, min_difference=99).judge_samples([seeds(99.5, 99.7, 99.6)]).word == "replicated"
    assert terms(-1, min_difference=-80).judge_samples([seeds(79.0, 78.0, 78.5)]).word == "replicated"
    ratio_of_ratios = terms(1, -1, -1, 1, scale="ratio", min_difference=1.2).judge_samples(
        [seeds(8.0, 8.4), seeds(4.0, 4.2), seeds(3.0, 3.3), seeds(2.0, 2.2)]
    )
    assert ratio_of_ratios.ours == pytest.approx(4 / 3)
    assert ratio_of_ratios.word == "replicated"


def test_counted_quantities_are_compared_directly() -> None:
    assert value_test(published=251_442, margin=1, counted=True).judge_values(seeds(251_442.0)).word == "replicated"
    assert value_test(published=10, margin=0.5, counted=True).judge_values(seeds(9.0, 9.0)).word == "exceeded"
    differing = value_test(published=9, margin=0.5, counted=True).judge_values(seeds(9.0, 9.1))
    assert differing.word == "inconclusive"
    assert "seeds differ" in differing.reason
    assert ranking("a", "b", scale="ratio", min_difference=4, counted=True).judge_samples([seeds(1.0), seeds(4.0)]).word == "replicated"
    assert ranking("a", "b", counted=True).judge_samples([seeds(2.0), seeds(2.0)]).word == "contradicted"
    assert ranking("a", "b", counted=True).judge_samples([seeds(2.0), seeds(1.0)]).word == "contradicted"


def test_a_trend_is_judged_on_the_curve_of_each_seed() -> None:
    x = np.array([1.0, 10, 100])
    points = [dict(enumerate(level * at**-0.5 for level in (1.0, 3.0, 9.0))) for at in x]
    noisy = [{seed: value * (1 + 0.01 * seed) for seed, value in point.items()} for point in points]
    found = trend("loglog_slope", (-0.6, -0.4)).judge_points(noisy)
    assert found.word == "replicated"
    assert found.ours == pytest.approx(-0.5)
    assert trend("loglog_slope", (0.0, math.inf)).judge_points(points).word == "contradicted"
    assert trend("range_ratio", (1.0, 1.1)).judge_points(points).word == "contradicted"
    spread = [dict(enumerate(row)) for row in ((1.0, 1.0, 1.0), (0.5, 1.0, 2.0), (0.2, 1.0, 4.0))]
    unclear = trend("semilogx_slope", (-0.1, 0.1)).judge_points(spread)
    assert unclear.word == "inconclusive"
    assert unclear.seeds_needed is None or unclear.seeds_needed > 3


def test_a_trend_without_a_crossing_in_some_seed_decides_nothing() -> None:
    found = trend("crossing", (1, 9), x=(1, 10), direction="up").judge_points([seeds(-1.0, 1.0), seeds(1.0, 2.0)])
    assert found.word == "inconclusive"
    assert "never crosses" in found.reason
    both = trend("crossing", (1, 9), x=(1, 10), direction="up").judge_points([seeds(-1.0, -1.1, -0.9), seeds(1.0, 1.0, 1.1)])
    assert both.word == "replicated"
    assert both.ours == pytest.approx(math.sqrt(10), rel=0.05)


def test_counted_trends_need_no_second_seed() -> None:
    assert trend("loglog_slope", (1.9, 2.1), x=(1, 10), counted=True).judge_points([seeds(1.0), seeds(100.0)]).word == "replicated"


def count_test(**keys: Any) -> CountClaim:
    names = {"scores": "s", "shuffled": "c", "untrained": "u", "p": "p"}
    return CountClaim.model_validate(COMMON | {"kind": "count", "items": {"run": "cells", "threshold": 0.9, "control": 0.6} | names} | keys)


def cells(good: int, n: int = 20, p: float = 1e-4) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    scores, pvalues = np.full(n, 0.5), np.full(n, 0.5)
    scores[:good], pvalues[:good] = 0.95, p
    return scores, np.full(n, 0.5), np.full(n, 0.52), pvalues


def test_a_count_must_hold_in_every_seed() -> None:
    assert count_test(at_least=2).judge_items({0: cells(2), 1: cells(3)}).word == "replicated"
    assert count_test(at_least=2).judge_items({0: cells(1), 1: cells(3)}).word == "inconclusive"
    assert count_test(at_least=2).judge_items({0: cells(1), 1: cells(0)}).word == "contradicted"
    assert count_test(at_least=0.1, at_most=0.15, fraction=True).judge_items({0: cells(2), 1: cells(3)}).word == "replicated"
    found = count_test(at_least=2).judge_items({0: cells(2), 1: cells(5)})
    assert (found.ours, found.low, found.high, found.level) == (3.5, 2, 5, None)
    # Two of twenty at p = 1e-4: the second smallest Holm-adjusted p-value is 20e-4 (step-down keeps it monotone).
    assert found.p == pytest.approx(20e-4)


def test_an_item_passes_only_if_score_controls_and_adjusted_p_all_do() -> None:
    items = count_test(at_least=1).items
    assert items is not None
    scores, shuffled, untrained, p = cells(4)
    shuffled[0], untrained[1], p[2] = 0.7, 0.7, 0.01
    passed, _ = passing((scores, shuffled, untrained, p), items)
    assert passed.tolist() == [False, False, False, True] + [False] * 16


def test_items_without_a_finite_score_count_against_the_claim() -> None:
    scores, shuffled, untrained, p = cells(2)
    scores[0] = math.nan
    arrays = {0: (scores, shuffled, untrained, p), 1: cells(2)}
    assert count_test(at_least=2).judge_items(arrays).word == "inconclusive"
    at_most = count_test(at_most=1).judge_items({0: (scores, shuffled, untrained, p)} | {1: cells(3)})
    assert at_most.word == "contradicted"
    assert "1 items have no finite score" in at_most.reason
