"""Numbers as text: never more digits than they deserve, never an exponent, a true minus sign."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report import numbers


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (numbers.fixed(-1.234, 2), "\u22121.23"),
        (numbers.fixed(-0.001, 2), "0.00"),
        (numbers.fixed(1234567.0, 0), "1\u202f234\u202f567"),
        (numbers.fixed(float("nan"), 2), "not finite"),
        (numbers.fixed(-3.1e14, 0), "\u22123.1\u202f\u00d7\u202f10\u00b9\u2074"),
        (numbers.plain(1.50), "1.5"),
        (numbers.plain(2e-7), "2\u202f\u00d7\u202f10\u207b\u2077"),
        (numbers.scaled(999.7, "FLOP"), "1\u202fkFLOP"),
        (numbers.scaled(3.4e12, "FLOP"), "3.4\u202fTFLOP"),
        (numbers.memory(1000 * 2**20), "0.977\u202fGiB"),
        (numbers.duration(3661.0), "61\u202fmin"),
        (numbers.duration(90000.0), "25\u202fh 00\u202fmin"),
        (numbers.energy(7200.0), "2\u202fWh"),
        (str(numbers.digits_for(0.034)), "3"),
        (str(numbers.digits_for(0.0, 123.4)), "0"),
    ],
)
def test_examples(shown: str, expected: str) -> None:
    assert shown == expected


@given(st.floats(min_value=1e-3, max_value=1e20))
def test_no_unit_ever_shows_an_exponent(value: float) -> None:
    for shown in (numbers.scaled(value, "x"), numbers.memory(min(value, 1e14)), numbers.duration(min(value, 1e8)), numbers.energy(value)):
        assert not re.search(r"\de[+-]?\d", shown)


@given(st.floats(min_value=1e-5, max_value=1e5))
def test_a_spread_keeps_two_significant_digits(spread: float) -> None:
    digits = numbers.digits_for(spread)
    assert abs(round(spread, digits) - spread) <= 0.05 * spread or digits == 6
