"""The comparison of counted quantities, which are equal for every seed and need no interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from replications.verdicts.outcome import EQUAL, Outcome, Word, number, span


def judge_exact(
    values: Sequence[float],
    low: float,
    high: float,
    better: str | None,
    *,
    criterion: str,
    unit: str,
    margin: float | None = None,
    strict: bool = False,
) -> Outcome:
    """Compare a counted quantity with a range.

    Args:
        values: one per seed; they must be equal.
        low: lower end of the range, included unless `strict`.
        high: upper end, included.
        better: 'lower' or 'higher' where one side of the range is better than it; None: both sides miss it.
        criterion: what would have to be true, for display.
        unit: unit of the values.
        margin: margin in force, for display.
        strict: a value equal to `low` misses the range.
    """
    first = values[0]
    if any(not math.isclose(value, first, rel_tol=EQUAL, abs_tol=EQUAL) for value in values):
        least, most = min(values), max(values)
        text = f"Declared exact, but the seeds differ: {span(least, most, unit)}."
        return Outcome("inconclusive", text, criterion, float(np.mean(values)), least, most, margin=margin, values=tuple(values))
    slack = EQUAL * max(1.0, abs(first))
    if strict and math.isclose(first, low, rel_tol=EQUAL, abs_tol=EQUAL):
        text = f"Counted, not sampled: {number(first, unit)} is a tie."
        return Outcome("contradicted", text, criterion, first, margin=margin, values=tuple(values))
    word: Word = "replicated" if low - slack <= first <= high + slack else "contradicted"
    if word == "contradicted" and ((better == "lower" and first < low) or (better == "higher" and first > high)):
        word = "exceeded"
    side = {"replicated": "meets", "exceeded": "is better than", "contradicted": "misses"}[word]
    text = f"Counted, not sampled: {number(first, unit)} {side} {criterion}."
    return Outcome(word, text, criterion, first, margin=margin, values=tuple(values))
