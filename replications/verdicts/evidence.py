"""What several tests say together about one quantity: a mean, or a weighted sum of means.

They can bear on it over seeds, over test items, or exactly. A statement holds only where each of them says so: the p-value
is the largest of theirs, and the interval covers all of theirs. So the level is held wherever one of them holds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

from replications.verdicts.contrasts import Contrast
from replications.verdicts.estimates import ALPHA, Estimate
from replications.verdicts.seeds_needed import MOST_SEEDS, seeds_for_equivalence, seeds_for_order
from replications.verdicts.shares import EqualSeeds, MayFail


class Test(Protocol):
    """A one-sided test in both directions, and the interval that inverts it."""

    def p_above(self, bound: float) -> float:
        """Return the p-value of 'the true value exceeds `bound`'.

        Args:
            bound: value to compare with, in the unit of the estimate.

        Returns:
            Between 0 and 1; nan where nothing can be said.
        """

    def p_below(self, bound: float) -> float:
        """Return the p-value of 'the true value is smaller than `bound`'.

        Args:
            bound: value to compare with, in the unit of the estimate.

        Returns:
            Between 0 and 1; nan where nothing can be said.
        """

    def interval(self, level: float) -> tuple[float, float]:
        """Return the two-sided interval of this level.

        Args:
            level: coverage, 0..1.

        Returns:
            Lower and upper end, in the unit of the estimate.
        """


@dataclass(frozen=True)
class Evidence:
    """The tests on one quantity.

    Attributes:
        contrast: mean, spread and values over seeds.
        tests: at least one; each must agree.
        item_error: standard error that the choice of test items adds, in the unit of the mean; 0 where it does not count.
    """

    contrast: Contrast
    tests: tuple[Test, ...]
    item_error: float = 0.0

    @property
    def estimate(self) -> Estimate:
        """Mean and spread over seeds alone."""
        return self.contrast.estimate

    def p_above(self, bound: float) -> float:
        """Return the p-value of 'the true value exceeds `bound`'; nan for one seed.

        Args:
            bound: value to compare with, in the unit of the estimate.

        Returns:
            The largest p-value of all tests, 0 to 1.
        """
        return max(test.p_above(bound) for test in self.tests)

    def p_below(self, bound: float) -> float:
        """Return the p-value of 'the true value is smaller than `bound`'; nan for one seed.

        Args:
            bound: value to compare with, in the unit of the estimate.

        Returns:
            The largest p-value of all tests, 0 to 1.
        """
        return max(test.p_below(bound) for test in self.tests)

    def p_within(self, low: float, high: float) -> float:
        """Return the p-value of 'the true value lies between `low` and `high`' (two one-sided tests, Schuirmann 1987).

        Args:
            low: lower bound, in the unit of the estimate; may be infinite.
            high: upper bound, in the unit of the estimate; may be infinite.

        Returns:
            The larger p-value of both sides, 0 to 1; nan for one seed.
        """
        return max(self.p_above(low), self.p_below(high))

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval that covers those of all tests.

        Args:
            level: coverage of each, 0..1.

        Returns:
            Lower and upper end, in the unit of the estimate; (nan, nan) for one seed.
        """
        ends = [test.interval(level) for test in self.tests]
        return min(low for low, _ in ends), max(high for _, high in ends)

    def seeds_to_clear(self, bound: float) -> int | None:
        """Return the seeds that would probably tell on which side of a bound the value lies.

        Args:
            bound: in the unit of the mean.

        Returns:
            At least 2; None when the test set is too small for any number of seeds, or more than 1,000 would be needed.
        """
        gap = abs(self.estimate.mean - bound) - _items_share(self.item_error)
        if gap <= 0:
            return None
        return self._with_failures(self._equal_seeds(bound) if self.estimate.sd == 0 else seeds_for_order(gap, self.estimate.sd), bound)

    def seeds_to_fit(self, low: float, high: float) -> int | None:
        """Return the seeds that would probably tell whether the value lies between two bounds.

        Args:
            low: lower bound, may be -inf.
            high: upper bound, may be inf.

        Returns:
            At least 2; None when the test set is too small for any number of seeds, or more than 1,000 would be needed.
        """
        if math.isinf(low) or math.isinf(high):
            return self.seeds_to_clear(high if math.isinf(low) else low)
        mean = self.estimate.mean
        if self.estimate.sd == 0:
            needed = [self.seeds_to_clear(low), self.seeds_to_clear(high)]
            inside = low < mean < high
            found = [n for n in needed if n is not None]
            return (max(found) if len(found) == 2 else None) if inside else min(found, default=None)
        margin = (high - low) / 2 - _items_share(self.item_error) * (1 if low < mean < high else -1)
        needed_seeds = seeds_for_equivalence(mean - (low + high) / 2, margin, self.estimate.sd) if margin > 0 else None
        return self._with_failures(needed_seeds, *((low, high) if low < mean < high else (low,) if mean < low else (high,)))

    def _with_failures(self, seeds: int | None, *bounds: float) -> int | None:
        """Return the seeds that clear the bounds as well where a training may fail."""
        needed = [test.seeds_to_clear(bound, ALPHA) for test in self.tests if isinstance(test, MayFail) for bound in bounds]
        most = max([seeds or math.inf, *needed])
        return int(most) if most <= MOST_SEEDS else None

    def _equal_seeds(self, bound: float) -> int | None:
        """Return the number of equal seeds that clears the bound."""
        equal = [test for test in self.tests if isinstance(test, EqualSeeds)] or [EqualSeeds(self.estimate.mean, 2)]
        p_one = max(
            replace(test, n=1).p_above(bound) if self.estimate.mean > bound else replace(test, n=1).p_below(bound) for test in equal
        )
        n = math.ceil(math.log(ALPHA) / math.log(p_one)) if p_one < 1 else MOST_SEEDS + 1
        return n if n <= MOST_SEEDS else None


def _items_share(item_error: float) -> float:
    """Return the part of a gap that the test set's error takes, whatever the number of seeds: one-sided 5 %."""
    return 1.645 * item_error
