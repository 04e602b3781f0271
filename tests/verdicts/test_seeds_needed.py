"""The seeds needed against a published power calculation, statsmodels and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from replications.verdicts.estimates import ALPHA
from replications.verdicts.seeds_needed import seeds_for_equivalence, seeds_for_order


@settings(max_examples=20)
@given(st.floats(0.3, 3), st.floats(0.1, 2))
def test_fewer_seeds_are_needed_for_larger_effects(gap: float, sd: float) -> None:
    near, far = seeds_for_order(gap, sd), seeds_for_order(2 * gap, sd)
    assert near is None or (far is not None and far <= near)
    assert seeds_for_order(gap, sd) == seeds_for_order(-gap, sd)
    assert seeds_for_order(10 * gap, 10 * sd) == near


def test_the_seeds_needed_reach_the_promised_power() -> None:
    # R: power.t.test(delta = 1, sd = 1, power = 0.8, type = "one.sample", alternative = "one.sided"): n = 7.7, so 8
    assert seeds_for_order(1, 1) == 8
    n = seeds_for_equivalence(0.5, 1.5, 1.0)
    assert n is not None
    generator = np.random.default_rng(1)
    values = generator.normal(0.5, 1, (4000, n))
    half = stats.t.ppf(0.95, n - 1) * values.std(axis=1, ddof=1) / math.sqrt(n)
    decided = np.mean((values.mean(axis=1) - half > -1.5) & (values.mean(axis=1) + half < 1.5))
    assert 0.77 < decided < 0.87
    assert seeds_for_equivalence(1.5, 1.5, 1.0) is None
    assert seeds_for_equivalence(0.0, 1.0, 0.0) == 2
    assert seeds_for_order(1e6, 1e-6) == 2


@pytest.mark.parametrize("gap", [0.2, 0.5, 1.0, 3.0])
def test_the_seeds_needed_are_those_of_statsmodels(gap: float) -> None:
    needed = TTestPower().solve_power(gap, power=0.8, alpha=ALPHA, alternative="larger")
    assert seeds_for_order(gap, 1.0) == max(2, math.ceil(needed))
