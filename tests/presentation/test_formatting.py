"""Numbers as text: never more digits than they deserve, never an exponent, a true minus sign."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replications.presentation import formatting


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formatting.fixed(-1.234, 2), "\u22121.23"),
        (formatting.fixed(-0.001, 2), "0.00"),
        (formatting.fixed(1234567.0, 0), "1\u202f234\u202f567"),
        (formatting.fixed(float("nan"), 2), "not finite"),
        (formatting.fixed(-3.1e14, 0), "\u22123.1\u202f\u00d7\u202f10\u00b9\u2074"),
        (formatting.plain(1.50), "1.5"),
        (formatting.plain(2e-7), "2\u202f\u00d7\u202f10\u207b\u2077"),
        (formatting.scaled(999.7, "FLOP"), "1\u202fkFLOP"),
        (formatting.scaled(3.4e12, "FLOP"), "3.4\u202fTFLOP"),
        (formatting.memory(1000 * 2**20), "0.977\u202fGiB"),
        (formatting.duration(3661.0), "61\u202fmin"),
        (formatting.duration(90000.0), "25\u202fh 00\u202fmin"),
        (formatting.energy(7200.0), "2\u202fWh"),
        (str(formatting.digits_for(0.034)), "3"),
        (str(formatting.digits_for(0.0, 123.4)), "0"),
    ],
)
def test_examples(shown: str, expected: str) -> None:
    assert shown == expected


@given(st.floats(min_value=1e-3, max_value=1e20))
def test_no_unit_ever_shows_an_exponent(value: float) -> None:
    for shown in (
        formatting.scaled(value, "x"),
        formatting.memory(min(value, 1e14)),
        formatting.duration(min(value, 1e8)),
        formatting.energy(value),
    ):
        assert not re.search(r"\de[+-]?\d", shown)


@given(st.floats(min_value=1e-5, max_value=1e5))
def test_a_spread_keeps_two_significant_digits(spread: float) -> None:
    digits = formatting.digits_for(spread)
    assert abs(round(spread, digits) - spread) <= 0.05 * spread or digits == 6
