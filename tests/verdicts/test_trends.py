"""Statistics of curves against polyfit and hand-made curves."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replications.verdicts.trends import crossing, curves, loglog_slope, range_ratio, semilogx_slope, slope


@given(st.integers(0, 2**32 - 1))
def test_slopes_are_those_of_polyfit_per_seed(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x = np.sort(generator.uniform(1, 100, 5)) + np.arange(5)
    y = generator.uniform(0.5, 2, (3, 5))
    for row, plain, loglog, semilog in zip(y, slope(x, y), loglog_slope(x, y), semilogx_slope(x, y), strict=True):
        assert plain == pytest.approx(np.polyfit(x, row, 1)[0], abs=1e-9)
        assert loglog == pytest.approx(np.polyfit(np.log(x), np.log(row), 1)[0], abs=1e-9)
        assert semilog == pytest.approx(np.polyfit(np.log10(x), row, 1)[0], abs=1e-9)


def test_a_power_law_has_its_exponent_and_a_curve_with_zeros_has_none() -> None:
    x = np.array([1.0, 10, 100, 1000])
    found = loglog_slope(x, np.array([3 * x**-0.076, [1, 1, 0, 1]]))
    assert found[0] == pytest.approx(-0.076)
    assert math.isnan(found[1])


def test_crossings_are_found_between_points_and_are_missing_where_there_is_none() -> None:
    x = np.array([1.0, 10, 100, 1000])
    y = np.array([[-2, -1, 1, 3], [0, 1, 2, 3], [1, 2, 3, 4], [2, 1, -1, -2]], dtype=float)
    assert crossing(x, y)[[0, 1, 3]] == pytest.approx([10**1.5, 1, 10**1.5])
    assert math.isnan(crossing(x, y)[2])
    assert crossing(np.array([-1.0, 1.0]), np.array([[-1.0, 3.0]])) == pytest.approx([-0.5])


def test_range_ratio_measures_flatness() -> None:
    assert range_ratio(np.zeros(3), np.array([[1.0, 2, 4], [3, 3, 3]])) == pytest.approx([4, 1])


def test_curves_follow_seeds_where_they_pair_and_order_where_they_do_not() -> None:
    found, y = curves([{0: 1.0, 1: 2.0}, {1: 20.0, 0: 10.0}])
    assert found == [0, 1]
    assert y.tolist() == [[1, 10], [2, 20]]
    found, y = curves([{0: 1.0, 1: 2.0}, {5: 10.0, 6: 20.0, 7: 30.0}])
    assert found == []
    assert y.tolist() == [[1, 10], [2, 20]]


def test_a_logarithmic_axis_needs_positions_above_zero() -> None:
    with pytest.raises(ValueError, match="above 0"):
        semilogx_slope(np.array([0.0, 1.0]), np.ones((1, 2)))
