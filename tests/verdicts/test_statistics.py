"""Intervals, tests and trends against textbooks, libraries and slow obvious versions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from replications.verdicts import statistics as s

SLEEP = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
"""Student's sleep data (Biometrika 6, 1908): extra hours of ten patients under two drugs."""

numbers = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 3))
samples = st.lists(numbers, min_size=2, max_size=8).filter(lambda values: np.std(values) > 1e-2)


def seeds(values: list[float], first: int = 0) -> dict[int, float]:
    return {first + i: value for i, value in enumerate(values)}


def test_the_paired_difference_of_students_sleep_data_is_the_published_one() -> None:
    found = s.contrast([seeds(SLEEP2), seeds(SLEEP)], [1, -1]).estimate
    low, high = found.interval(0.95)
    # R: t.test(extra ~ group, data = sleep, paired = TRUE): t = 4.0621, df = 9, p = 0.002833, interval 0.7001142 to 2.4598858
    assert found.mean / found.error == pytest.approx(4.0621, abs=1e-4)
    assert (low, high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    assert 2 * found.p_above(0) == pytest.approx(0.002833, abs=1e-6)


def test_the_unpaired_difference_of_students_sleep_data_is_welchs() -> None:
    found = s.contrast([seeds(SLEEP2), seeds(SLEEP, first=100)], [1, -1])
    # R: t.test(extra ~ group, data = sleep): t = -1.8608, df = 17.776, p = 0.07939
    assert found.seeds == ()
    assert found.estimate.df == pytest.approx(17.776, abs=1e-3)
    assert 2 * found.estimate.p_above(0) == pytest.approx(0.07939, abs=1e-5)


@given(samples)
def test_t_intervals_are_scipys(values: list[float]) -> None:
    n = len(values)
    expected = stats.t.interval(0.9, n - 1, np.mean(values), stats.sem(values))
    assert s.t_interval(values, 0.9) == pytest.approx(expected)


@given(samples)
def test_prediction_intervals_are_wider_than_those_of_the_mean_by_the_square_root_of_n_plus_one(values: list[float]) -> None:
    low, high = s.t_interval(values)
    first, last = s.prediction_interval(values)
    assert last - first == pytest.approx((high - low) * math.sqrt(len(values) + 1))


@given(samples, st.floats(-100, 100), st.floats(0.01, 50))
def test_equivalence_is_statsmodels_and_agrees_with_the_90_percent_interval(values: list[float], target: float, margin: float) -> None:
    p = s.tost(values, target - margin, target + margin)
    assert p == pytest.approx(DescrStatsW(np.array(values)).ttost_mean(target - margin, target + margin)[0])
    low, high = s.t_interval(values, 0.9)
    if abs(p - 0.05) > 1e-9:
        assert (p < 0.05) == (target - margin < low and high < target + margin)


def test_paired_equivalence_is_statsmodels() -> None:
    found = s.contrast([seeds(SLEEP2), seeds(SLEEP)], [1, -1])
    expected = ttost_paired(np.array(SLEEP2), np.array(SLEEP), -3, 3)[0]
    assert s.tost(found.values, -3, 3) == pytest.approx(expected)


@given(samples, st.floats(0.1, 10), st.floats(-10, 10))
def test_intervals_scale_and_shift_with_the_values(values: list[float], scale: float, shift: float) -> None:
    low, high = s.t_interval(values)
    moved = s.t_interval([scale * value + shift for value in values])
    assert moved == pytest.approx((scale * low + shift, scale * high + shift), rel=1e-6, abs=1e-6)


@given(samples, st.floats(0.01, 50), st.floats(1.01, 3))
def test_a_wider_margin_never_makes_equivalence_less_likely(values: list[float], margin: float, factor: float) -> None:
    assert s.tost(values, -margin * factor, margin * factor) <= s.tost(values, -margin, margin) + 1e-12


@given(samples, samples)
def test_swapping_two_samples_mirrors_their_difference(a: list[float], b: list[float]) -> None:
    one = s.contrast([seeds(a), seeds(b)], [1, -1]).estimate
    other = s.contrast([seeds(b), seeds(a)], [1, -1]).estimate
    assert one.interval() == pytest.approx(tuple(-x for x in reversed(other.interval())))
    assert one.p_above(0) == pytest.approx(other.p_below(0))


@given(st.lists(st.floats(0.1, 100), min_size=3, max_size=6), st.floats(0.1, 10))
def test_log_ratios_do_not_depend_on_the_unit(values: list[float], unit: float) -> None:
    other = [value * (1.3 + 0.1 * i) for i, value in enumerate(values)]
    plain = s.log_contrast([seeds(other), seeds(values)], [1, -1]).estimate
    scaled = s.log_contrast([seeds([unit * v for v in other]), seeds([unit * v for v in values])], [1, -1]).estimate
    assert plain.interval() == pytest.approx(scaled.interval(), abs=1e-9)


def test_seeds_pair_only_where_enough_are_common() -> None:
    assert s.paired_seeds([seeds([1] * 5), seeds([1] * 5)]) == [0, 1, 2, 3, 4]
    assert s.paired_seeds([seeds([1] * 5), {0: 1, 2: 1, 4: 1}]) == [0, 2, 4]
    assert s.paired_seeds([seeds([1] * 5), {0: 1, 1: 1, 7: 1}]) == []
    assert s.paired_seeds([seeds([1] * 5), seeds([1] * 5, first=5)]) == []


def test_equal_values_have_no_spread_but_are_no_proof_and_a_diverged_one_is_refused() -> None:
    same = s.estimate([0.1, 0.1, 0.1])
    assert same.interval() == (0.1, 0.1)
    assert (same.p_above(0), same.p_above(0.1), same.p_above(0.2)) == (1 / 8, 1.0, 1.0)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="finite"):
            s.estimate([1.0, bad])
    with pytest.raises(ValueError, match="no values"):
        s.estimate([])
    assert all(math.isnan(x) for x in s.t_interval([1.0]))


def test_holm_is_the_worked_example() -> None:
    # Holm (1979): step-down; p = 0.01, 0.04, 0.03, 0.005 gives 0.03, 0.06, 0.06, 0.02
    assert s.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert s.holm([]).size == 0


@settings(max_examples=8)  # statsmodels collects garbage at every call: half a second each in a large session
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(p: list[float]) -> None:
    assert s.holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_the_false_discovery_rate_is_the_worked_example() -> None:
    # Benjamini and Hochberg (1995): p_(i) m / i, made monotone from the largest; 0.01, 0.04, 0.03, 0.005 gives 0.02, 0.04, 0.04, 0.02
    assert s.false_discovery_rate([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert s.false_discovery_rate([]).size == 0


@given(st.integers(0, 2**32 - 1))
def test_slopes_are_those_of_polyfit_per_seed(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x = np.sort(generator.uniform(1, 100, 5)) + np.arange(5)
    y = generator.uniform(0.5, 2, (3, 5))
    for row, plain, loglog, semilog in zip(y, s.slope(x, y), s.loglog_slope(x, y), s.semilogx_slope(x, y), strict=True):
        assert plain == pytest.approx(np.polyfit(x, row, 1)[0], abs=1e-9)
        assert loglog == pytest.approx(np.polyfit(np.log(x), np.log(row), 1)[0], abs=1e-9)
        assert semilog == pytest.approx(np.polyfit(np.log10(x), row, 1)[0], abs=1e-9)


def test_a_power_law_has_its_exponent_and_a_curve_with_zeros_has_none() -> None:
    x = np.array([1.0, 10, 100, 1000])
    found = s.loglog_slope(x, np.array([3 * x**-0.076, [1, 1, 0, 1]]))
    assert found[0] == pytest.approx(-0.076)
    assert math.isnan(found[1])


def test_crossings_are_found_between_points_and_are_missing_where_there_is_none() -> None:
    x = np.array([1.0, 10, 100, 1000])
    y = np.array([[-2, -1, 1, 3], [0, 1, 2, 3], [1, 2, 3, 4], [2, 1, -1, -2]], dtype=float)
    assert s.crossing(x, y)[[0, 1, 3]] == pytest.approx([10**1.5, 1, 10**1.5])
    assert math.isnan(s.crossing(x, y)[2])
    assert s.crossing(np.array([-1.0, 1.0]), np.array([[-1.0, 3.0]])) == pytest.approx([-0.5])


def test_range_ratio_measures_flatness() -> None:
    assert s.range_ratio(np.zeros(3), np.array([[1.0, 2, 4], [3, 3, 3]])) == pytest.approx([4, 1])


def test_curves_follow_seeds_where_they_pair_and_order_where_they_do_not() -> None:
    found, y = s.curves([{0: 1.0, 1: 2.0}, {1: 20.0, 0: 10.0}])
    assert found == [0, 1]
    assert y.tolist() == [[1, 10], [2, 20]]
    found, y = s.curves([{0: 1.0, 1: 2.0}, {5: 10.0, 6: 20.0, 7: 30.0}])
    assert found == []
    assert y.tolist() == [[1, 10], [2, 20]]


@settings(max_examples=20)
@given(st.floats(0.3, 3), st.floats(0.1, 2))
def test_fewer_seeds_are_needed_for_larger_effects(gap: float, sd: float) -> None:
    near, far = s.seeds_for_order(gap, sd), s.seeds_for_order(2 * gap, sd)
    assert near is None or (far is not None and far <= near)
    assert s.seeds_for_order(gap, sd) == s.seeds_for_order(-gap, sd)
    assert s.seeds_for_order(10 * gap, 10 * sd) == near


def test_the_seeds_needed_reach_the_promised_power() -> None:
    # R: power.t.test(delta = 1, sd = 1, power = 0.8, type = "one.sample", alternative = "one.sided"): n = 7.7, so 8
    assert s.seeds_for_order(1, 1) == 8
    n = s.seeds_for_equivalence(0.5, 1.5, 1.0)
    assert n is not None
    generator = np.random.default_rng(1)
    values = generator.normal(0.5, 1, (4000, n))
    half = stats.t.ppf(0.95, n - 1) * values.std(axis=1, ddof=1) / math.sqrt(n)
    decided = np.mean((values.mean(axis=1) - half > -1.5) & (values.mean(axis=1) + half < 1.5))
    assert 0.77 < decided < 0.87
    assert s.seeds_for_equivalence(1.5, 1.5, 1.0) is None
    assert s.seeds_for_equivalence(0.0, 1.0, 0.0) == 2
    assert s.seeds_for_order(1e6, 1e-6) == 2


def test_wrong_bounds_and_positions_are_refused() -> None:
    with pytest.raises(ValueError, match="lower bound"):
        s.tost([1.0, 2.0], 3, 1)
    with pytest.raises(ValueError, match="above 0"):
        s.semilogx_slope(np.array([0.0, 1.0]), np.ones((1, 2)))
    with pytest.raises(ValueError, match="above 0"):
        s.log_contrast([{0: 1.0, 1: 0.0}], [1])
