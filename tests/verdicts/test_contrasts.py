"""Differences and ratios of means against textbooks, libraries and slow obvious versions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.weightstats import ttost_paired

from replications.verdicts.contrasts import contrast, log_contrast, paired_seeds
from replications.verdicts.evidence_of_means import contrast_evidence

SLEEP = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
"""Student's sleep data (Biometrika 6, 1908): extra hours of ten patients under two drugs."""

numbers = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 3))
samples = st.lists(numbers, min_size=2, max_size=8).filter(lambda values: np.std(values) > 1e-2)


def seeds(values: list[float], first: int = 0) -> dict[int, float]:
    return {first + i: value for i, value in enumerate(values)}


def test_the_paired_difference_of_students_sleep_data_is_the_published_one() -> None:
    found = contrast([seeds(SLEEP2), seeds(SLEEP)], [1, -1]).estimate
    low, high = found.interval(0.95)
    # R: t.test(extra ~ group, data = sleep, paired = TRUE): t = 4.0621, df = 9, p = 0.002833, interval 0.7001142 to 2.4598858
    assert found.mean / found.error == pytest.approx(4.0621, abs=1e-4)
    assert (low, high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    assert 2 * found.p_above(0) == pytest.approx(0.002833, abs=1e-6)


def test_the_unpaired_difference_of_students_sleep_data_is_welchs() -> None:
    found = contrast([seeds(SLEEP2), seeds(SLEEP, first=100)], [1, -1])
    # R: t.test(extra ~ group, data = sleep): t = -1.8608, df = 17.776, p = 0.07939
    assert found.seeds == ()
    assert found.estimate.df == pytest.approx(17.776, abs=1e-3)
    assert 2 * found.estimate.p_above(0) == pytest.approx(0.07939, abs=1e-5)


def test_paired_equivalence_is_statsmodels() -> None:
    found = contrast_evidence([seeds(SLEEP2), seeds(SLEEP)], [1, -1])
    expected = ttost_paired(np.array(SLEEP2), np.array(SLEEP), -3, 3)[0]
    assert found.p_within(-3, 3) == pytest.approx(expected)


@given(samples, samples)
def test_swapping_two_samples_mirrors_their_difference(a: list[float], b: list[float]) -> None:
    one = contrast([seeds(a), seeds(b)], [1, -1]).estimate
    other = contrast([seeds(b), seeds(a)], [1, -1]).estimate
    assert one.interval() == pytest.approx(tuple(-x for x in reversed(other.interval())))
    assert one.p_above(0) == pytest.approx(other.p_below(0))


@given(st.lists(st.floats(0.1, 100), min_size=3, max_size=6), st.floats(0.1, 10))
def test_log_ratios_do_not_depend_on_the_unit(values: list[float], unit: float) -> None:
    other = [value * (1.3 + 0.1 * i) for i, value in enumerate(values)]
    plain = log_contrast([seeds(other), seeds(values)], [1, -1]).estimate
    scaled = log_contrast([seeds([unit * v for v in other]), seeds([unit * v for v in values])], [1, -1]).estimate
    assert plain.interval() == pytest.approx(scaled.interval(), abs=1e-9)


def test_seeds_pair_only_where_enough_are_common() -> None:
    assert paired_seeds([seeds([1] * 5), seeds([1] * 5)]) == [0, 1, 2, 3, 4]
    assert paired_seeds([seeds([1] * 5), {0: 1, 2: 1, 4: 1}]) == [0, 2, 4]
    assert paired_seeds([seeds([1] * 5), {0: 1, 1: 1, 7: 1}]) == []
    assert paired_seeds([seeds([1] * 5), seeds([1] * 5, first=5)]) == []


def test_a_ratio_needs_values_above_zero() -> None:
    with pytest.raises(ValueError, match="above 0"):
        log_contrast([{0: 1.0, 1: 0.0}], [1])
