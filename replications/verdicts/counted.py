"""The comparison of counted quantities, which are equal for every seed and need no interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from replications.verdicts.outcome import EQUAL, Outcome, Word
from replications.verdicts.quantity import Quantity


def judge_counted(
    values: Sequence[float],
    low: float,
    high: float,
    better: str | None,
    *,
    criterion: str,
    quantity: Quantity,
    margin: float | None = None,
    strict: bool = False,
) -> Outcome:
    """Return whether a counted quantity lies in a range: `counted as published` or `differs`, words of their own.

    Args:
        values: one per seed; they must be equal.
        low: lower end of the range, included unless `strict`.
        high: upper end, included.
        better: 'lower' or 'higher' where one side of the range is better than it; the sentence says so, the word does not.
        criterion: what would have to be true, for display.
        quantity: how the values are printed.
        margin: margin in force, for display.
        strict: a value equal to `low` misses the range.

    Returns:
        The outcome; `inconclusive` where the seeds differ, since then nothing was merely counted.
    """
    first = values[0]
    if any(not math.isclose(value, first, rel_tol=EQUAL, abs_tol=EQUAL) for value in values):
        least, most = min(values), max(values)
        text = f"Declared as counted, but the seeds differ: {quantity.span(least, most)}."
        return Outcome("inconclusive", text, criterion, float(np.mean(values)), least, most, margin=margin, values=tuple(values))
    slack = EQUAL * max(1.0, abs(first))
    tie = strict and math.isclose(first, low, rel_tol=EQUAL, abs_tol=EQUAL)
    meets = low - slack <= first <= high + slack and not tie
    is_better = not meets and ((better == "lower" and first < low) or (better == "higher" and first > high))
    side = "meets" if meets else "is a tie and misses" if tie else "is better than" if is_better else "misses"
    text = f"Counted, not sampled: {quantity.text(first)} {side} the criterion ({criterion})."
    word: Word = "counted as published" if meets else "differs"
    return Outcome(word, text, criterion, first, margin=margin, values=tuple(values))
