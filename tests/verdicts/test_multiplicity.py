"""Adjusted p-values against worked examples, statsmodels and scipy."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control
from statsmodels.stats.multitest import multipletests

from replications.verdicts.multiplicity import false_discovery_rate, holm


def test_holm_is_the_worked_example() -> None:
    # Holm (1979): step-down; p = 0.01, 0.04, 0.03, 0.005 gives 0.03, 0.06, 0.06, 0.02
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).size == 0


@settings(max_examples=8)  # statsmodels collects garbage at every call: half a second each in a large session
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(p: list[float]) -> None:
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_the_false_discovery_rate_is_the_worked_example() -> None:
    # Benjamini and Hochberg (1995): p_(i) m / i, made monotone from the largest; 0.01, 0.04, 0.03, 0.005 gives 0.02, 0.04, 0.04, 0.02
    assert false_discovery_rate([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert false_discovery_rate([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_the_false_discovery_rate_is_scipys(p: list[float]) -> None:
    assert false_discovery_rate(p) == pytest.approx(false_discovery_control(p))
