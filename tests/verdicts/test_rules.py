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
from replications.verdicts.kinds.value import ValueClaim

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


def test_the_error_of_the_test_set_is_part_of_the_interval_and_never_of_the_margin() -> None:
    # 1.29 % error on 1,000 images: standard error 0.36 points, so that a margin of 0.3 cannot be decided by any number of seeds
    ours = seeds(1.3, 1.31, 1.29)
    assert value_test(unit="%").judge_values(ours).word == "replicated"
    found = value_test(unit="%").judge_values(ours, examples=1000)
    assert (found.word, found.margin, found.seeds_needed) == ("inconclusive", 0.3, None)
    assert "3 seeds and 1,000 test items" in found.reason
    # R: binom.test(13, 1000, conf.level = 0.9): 0.77 % to 2.06 %; seeds and items together reach a little lower
    assert found.high == pytest.approx(2.06, abs=0.01)
    assert found.low is not None and 0.6 < found.low < 0.77
    assert value_test(unit="%").judge_values(ours, examples=100_000).word == "replicated"
    assert value_test(unit="%", shared_test_set=True).judge_values(ours, examples=1000).word == "replicated"
    assert value_test(unit="nats").judge_values(ours, examples=1000).word == "replicated"


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
    assert found.criterion == "error lower by a factor of at least 2"
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
    assert value_test(published=251_442, margin=1, counted=True).judge_values(seeds(251_442.0)).word == "counted as published"
    assert value_test(published=10, margin=0.5, counted=True).judge_values(seeds(9.0, 9.0)).word == "differs"
    differing = value_test(published=9, margin=0.5, counted=True).judge_values(seeds(9.0, 9.1))
    assert differing.word == "inconclusive"
    assert "seeds differ" in differing.reason
    assert (
        ranking("a", "b", scale="ratio", min_difference=4, counted=True).judge_samples([seeds(1.0), seeds(4.0)]).word
        == "counted as published"
    )
    assert ranking("a", "b", counted=True).judge_samples([seeds(2.0), seeds(2.0)]).word == "differs"
    assert ranking("a", "b", counted=True).judge_samples([seeds(2.0), seeds(1.0)]).word == "differs"


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


X = (1.0, 10.0, 100.0, 1000.0)


def crossing(curves: Any, direction: str = "up", within: tuple[float, float] = (2.0, 500.0), **keys: Any) -> Any:
    """The outcome of a crossing claim on one curve per seed."""
    points = [dict(enumerate(column)) for column in np.array(curves, dtype=float).T]
    return trend("crossing", within, x=X[: len(points)], direction=direction, **keys).judge_points(points)


UP = [[-3.0, -1.1, 1.0, 3.0], [-3.2, -1.0, 1.2, 3.1], [-2.9, -0.9, 0.8, 2.7]]
FIVE = [*UP, [-3.1, -1.2, 0.9, 2.9], [-2.8, -0.8, 1.1, 3.3]]


def test_a_crossing_has_a_direction() -> None:
    found = crossing(UP)
    assert found.word == "replicated"
    assert found.ours == pytest.approx(10**1.5, rel=0.1)
    wrong = crossing(UP, direction="down")
    assert (wrong.word, wrong.seeds_needed) == ("inconclusive", 5)  # three of three: 1/8 by an exact test
    assert "3 cross once upwards; claimed is one crossing downwards" in wrong.reason
    assert crossing(FIVE, direction="down").word == "contradicted"
    assert crossing((-np.array(FIVE)).tolist()).word == "contradicted"


def test_a_crossing_is_the_only_one() -> None:
    twice = [[-3, 1, -1, -2.1], [-3.1, 1, -1.2, -2], [-3, 1.1, -1, -2.2], [-2.9, 1.2, -1, -1.9], [-3, 0.9, -1.1, -2]]
    assert crossing(twice[:3]).word == "inconclusive"
    assert "3 cross several times" in crossing(twice[:3]).reason
    assert crossing(twice).word == "contradicted"


def test_noise_that_makes_single_curves_cross_several_times_contradicts_nothing() -> None:
    generator = np.random.default_rng(9)
    mean = np.array([-1.0, -0.3, 0.3, 1.0])
    words = Counter(crossing((mean + generator.normal(0, 1, (5, 4))).tolist()).word for _ in range(200))
    assert words["contradicted"] <= 0.03 * 200


def test_absence_of_a_crossing_contradicts_it_when_enough_seeds_agree() -> None:
    never: list[list[float]] = (np.array(FIVE) + 5).tolist()
    assert crossing(never[:4]).word == "inconclusive"
    found = crossing(never)
    assert found.word == "contradicted"
    assert found.p_against == pytest.approx(1 / 32)  # none of five
    mixed = crossing(UP + never[:1])
    assert (mixed.word, mixed.seeds_needed) == ("inconclusive", None)


def test_the_interval_of_a_crossing_is_taken_on_the_scale_of_its_axis() -> None:
    # Positions 10, 10^1.5 and 100 on a geometric grid: their mean is the geometric one, and the interval is not symmetric.
    curves = [[-2, -0.001, 1, 2], [-2, -1, 1, 2], [-2, -1, 0.001, 2]]
    found = crossing(curves)
    assert found.ours == pytest.approx(10**1.5, rel=0.01)
    assert found.low * found.high == pytest.approx(found.ours**2, rel=1e-6)
    linear = trend("crossing", (1.2, 2.8), x=(1, 2, 3), direction="up").judge_points(
        [seeds(-2.0, -2.1), seeds(-1.0, -1.0), seeds(1.0, 1.1)]
    )
    assert linear.ours == pytest.approx((2.5 + 2 + 1 / 2.1) / 2)


def test_a_crossing_whose_curve_is_not_clear_of_the_level_at_its_ends_is_open() -> None:
    near = [[-0.01, 2.0, 3, 4], [-0.02, 2.1, 3, 4], [-0.3, 2.0, 3, 4]]
    found = crossing(near, within=(0.5, 5.0))
    assert found.word == "inconclusive"
    assert "ends of the curves are not clear of the level" in found.reason


def test_a_counted_crossing_that_goes_the_other_way_differs() -> None:
    assert crossing(UP[:1], counted=True).word == "counted as published"
    assert crossing(UP[:1], direction="down", counted=True).word == "differs"


def test_flatness_is_judged_on_the_mean_curve_and_not_on_noisy_ratios() -> None:
    # Each seed's own ratio is near 1.08, but that of the mean curve is 1.00.
    noisy = [[1.00, 1.04, 1.08], [1.08, 1.00, 1.04], [1.04, 1.08, 1.00]]
    points = [dict(enumerate(column)) for column in np.array(noisy).T]
    found = trend("range_ratio", (0, 1.02)).judge_points(points)
    assert found.word == "inconclusive"
    assert found.ours == pytest.approx(1.0, abs=1e-3)
    assert trend("range_ratio", (0, 1.3)).judge_points(points).word == "replicated"
    doubled = [points[0], points[1], {seed: 2 * value for seed, value in points[2].items()}]
    assert trend("range_ratio", (0, 1.3)).judge_points(doubled).word == "contradicted"
    assert trend("range_ratio", (1.3, 3)).judge_points(doubled).word == "replicated"
    assert trend("range_ratio", (1.5, 3)).judge_points(points).word == "contradicted"


def test_counted_trends_need_no_second_seed() -> None:
    assert (
        trend("loglog_slope", (1.9, 2.1), x=(1, 10), counted=True).judge_points([seeds(1.0), seeds(100.0)]).word == "counted as published"
    )


def count_test(**keys: Any) -> CountClaim:
    names = {"scores": "s", "shuffled": "c", "untrained": "u", "p": "p"}
    return CountClaim.model_validate(COMMON | {"kind": "count", "items": {"run": "cells", "threshold": 0.9, "control": 0.6} | names} | keys)


def cells(good: int, n: int = 20, p: float = 1e-4) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    scores, pvalues = np.full(n, 0.5), np.full(n, 0.5)
    scores[:good], pvalues[:good] = 0.95, p
    return scores, np.full(n, 0.5), np.full(n, 0.52), pvalues


def test_a_count_is_tested_exactly_over_seeds() -> None:
    def of(*good: int, **keys: Any) -> Any:
        return count_test(**keys).judge_items({seed: cells(n) for seed, n in enumerate(good)})

    found = of(2, 3, 4, 5, 2, at_least=2)
    assert (found.word, found.ours, found.low, found.high, found.level) == ("replicated", 3.2, 2, 5, None)
    assert found.p == pytest.approx(1 / 32)  # five of five against one half
    assert (of(2, 3, 4, at_least=2).word, of(2, 3, 4, at_least=2).seeds_needed) == ("inconclusive", 5)
    assert of(1, 0, 0, 1, 0, at_least=2).word == "contradicted"
    assert of(1, 0, 0, at_least=2).word == "inconclusive"
    assert of(2, 3, 2, 3, 2, at_least=0.1, at_most=0.15, fraction=True).word == "replicated"


def test_at_least_one_is_not_satisfied_by_exactly_one_seed() -> None:
    # Two of three seeds that meet it would be enough for a claim on a fifth of all networks, one is not.
    for good, word in (((1, 0, 0), "inconclusive"), ((1, 0, 0, 0, 0), "inconclusive"), ((1, 1, 1), "replicated")):
        arrays = {seed: cells(n) for seed, n in enumerate(good)}
        assert count_test(at_least=1, networks=0.2).judge_items(arrays).word == word
    assert count_test(at_least=1).judge_items({seed: cells(int(seed == 0)) for seed in range(8)}).word == "contradicted"


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
    broken = (scores, shuffled, untrained, p)
    found = count_test(at_least=2).judge_items(dict.fromkeys(range(5), broken))
    assert found.word == "contradicted"
    assert "5 items have no finite score" in found.reason
    assert count_test(at_most=1).judge_items(dict.fromkeys(range(5), broken)).word == "contradicted"
