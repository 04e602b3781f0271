"""Intervals and tests of one mean against scipy, statsmodels and their own properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from replications.verdicts.estimates import estimate, prediction_interval, t_interval

numbers = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 3))
samples = st.lists(numbers, min_size=2, max_size=8).filter(lambda values: np.std(values) > 1e-2)


@given(samples)
def test_t_intervals_are_scipys(values: list[float]) -> None:
    n = len(values)
    expected = stats.t.interval(0.9, n - 1, np.mean(values), stats.sem(values))
    assert t_interval(values, 0.9) == pytest.approx(expected)


@given(samples)
def test_prediction_intervals_are_wider_than_those_of_the_mean_by_the_square_root_of_n_plus_one(values: list[float]) -> None:
    low, high = t_interval(values)
    first, last = prediction_interval(values)
    assert last - first == pytest.approx((high - low) * math.sqrt(len(values) + 1))


@given(samples, st.floats(-100, 100), st.floats(0.01, 50))
def test_a_90_percent_interval_within_bounds_is_an_equivalence_test_at_5_percent(values: list[float], target: float, margin: float) -> None:
    p = DescrStatsW(np.array(values)).ttost_mean(target - margin, target + margin)[0]
    low, high = t_interval(values, 0.9)
    if abs(p - 0.05) > 1e-9:
        assert (p < 0.05) == (target - margin < low and high < target + margin)


@given(samples, st.floats(0.1, 10), st.floats(-10, 10))
def test_intervals_scale_and_shift_with_the_values(values: list[float], scale: float, shift: float) -> None:
    low, high = t_interval(values)
    moved = t_interval([scale * value + shift for value in values])
    assert moved == pytest.approx((scale * low + shift, scale * high + shift), rel=1e-6, abs=1e-6)


def test_equal_values_have_no_spread_but_are_no_proof_and_a_diverged_one_is_refused() -> None:
    same = estimate([0.1, 0.1, 0.1])
    assert same.interval() == (0.1, 0.1)
    assert (same.p_above(0), same.p_above(0.1), same.p_above(0.2)) == (1 / 8, 1.0, 1.0)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="finite"):
            estimate([1.0, bad])
    with pytest.raises(ValueError, match="no values"):
        estimate([])
    assert all(math.isnan(x) for x in t_interval([1.0]))
