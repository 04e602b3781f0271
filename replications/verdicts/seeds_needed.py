"""How many seeds would decide an open question, by the power of t-tests."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import special

from replications.verdicts.estimates import ALPHA

MOST_SEEDS = 1000
"""Beyond this many seeds a question counts as undecidable."""


def _power(gap: float, sd: float, n: int) -> float:
    """Return the power of the one-sided one-sample t-test at ALPHA for a true distance `gap` from the bound."""
    critical = special.stdtrit(n - 1, 1 - ALPHA)
    return float(1 - special.nctdtr(n - 1, gap * math.sqrt(n) / sd, critical))


def _smallest(enough: Callable[[int], bool]) -> int | None:
    """Return the smallest number of seeds for which `enough` holds, by doubling and halving; None beyond MOST_SEEDS."""
    high = 2
    while not enough(high):
        if high >= MOST_SEEDS:
            return None
        high = min(2 * high, MOST_SEEDS)
    low = max(2, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


def seeds_for_order(gap: float, sd: float, power: float = 0.8) -> int | None:
    """Return the seeds needed to tell, with this power, on which side of a bound a mean lies that is `gap` away from it.

    Args:
        gap: distance of the mean from the bound, either sign, in the unit of `sd`.
        sd: standard deviation over seeds; of the differences where they pair.
        power: probability of a decision, 0..1.

    Returns:
        At least 2; None when more than MOST_SEEDS would be needed.
    """
    distance = abs(gap)
    if sd == 0:
        return 2 if distance else None
    # Effects that large are certain with two seeds; the non-central t has no accurate tail there.
    return _smallest(lambda n: distance * math.sqrt(n) / sd > 37 or _power(distance, sd, n) >= power)


def seeds_for_equivalence(offset: float, margin: float, sd: float, power: float = 0.8) -> int | None:
    """Return the seeds needed to decide, with this power, whether a mean `offset` from the target lies within +/- `margin` of it.

    Inside, both one-sided tests must succeed: their joint power is at least the sum of both minus 1, which is used here.
    Outside, one must.

    Args:
        offset: distance of the mean from the target, either sign.
        margin: half-width of the range.
        sd: standard deviation over seeds.
        power: probability of a decision, 0..1.

    Returns:
        At least 2; None when more than MOST_SEEDS would be needed, so always when the offset equals the margin.
    """
    gaps = margin - abs(offset), margin + abs(offset)
    if gaps[0] <= 0:
        return seeds_for_order(gaps[0], sd, power)
    if sd == 0:
        return 2

    def enough(n: int) -> bool:
        lost = [0.0 if gap * math.sqrt(n) / sd > 37 else 1 - _power(gap, sd, n) for gap in gaps]
        return 1 - sum(lost) >= power

    return _smallest(enough)
