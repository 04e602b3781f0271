"""What the seeds say about a mean or a weighted sum of means: the tests that every rule applies.

Several tests can bear on one quantity (over seeds, over test items, exact). A statement holds only where each of them says
so: the p-value is the largest of theirs, and the interval covers all of theirs. So the level is held wherever one of them
holds it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from replications.verdicts.contrasts import Contrast, contrast, log_contrast
from replications.verdicts.estimates import ALPHA, Estimate
from replications.verdicts.seeds_needed import MOST_SEEDS, seeds_for_equivalence, seeds_for_order
from replications.verdicts.shares import Binomial, EqualSeeds, MayFail, SolvedDifference, item_variance, paired_item_variance

PERCENT = "%"
"""Unit of shares: values from 0 to 100 that are k of n items."""


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


def with_items(estimate: Estimate, item_error: float) -> Estimate:
    """Return an estimate whose error holds that of the test items too.

    Args:
        estimate: mean and spread over seeds.
        item_error: standard error over test items, the same for any number of seeds.

    Returns:
        The mean with both errors; degrees of freedom by Satterthwaite, since the second is known and the first estimated.
    """
    if not item_error or not estimate.error:
        return estimate
    error = math.hypot(estimate.error, item_error)
    return replace(estimate, error=error, df=estimate.df * (error / estimate.error) ** 4)


def limits(unit: str | None, samples: Sequence[Mapping[int, float]]) -> tuple[float, float]:
    """Return the ends of the scale of some values: 0 to 100 in per cent, 0 to 1 for shares without unit, else open.

    Args:
        unit: unit of the values; None for derived quantities, whose scale is open.
        samples: per measure, seed -> value.

    Returns:
        Lower and upper end; infinite where the scale is open.
    """
    values = [value for sample in samples for value in sample.values()]
    if unit == PERCENT and all(0 <= value <= 100 for value in values):
        return 0.0, 100.0
    if unit == "" and all(0 <= value <= 1 for value in values):
        return 0.0, 1.0
    return -math.inf, math.inf


def mean_evidence(sample: Mapping[int, float], unit: str | None = None, examples: int | None = None, *, may_fail: bool = False) -> Evidence:
    """Return the evidence on the mean of one measure.

    Args:
        sample: seed -> value.
        unit: unit of the values, None for derived quantities on an open scale; test items count for per cent alone.
        examples: size of the test set where its sampling error counts; None where it does not.
        may_fail: a training may fail altogether (see `MayFail`).

    Returns:
        The mean, and the tests that its verdict rests on.

    Raises:
        ValueError: there is no value, or one is not finite.
    """
    return contrast_evidence([sample], [1.0], unit, [examples], may_fail=[may_fail])


def statistic_evidence(values: Sequence[float], item_error: float) -> Evidence:
    """Return the evidence on the mean of a statistic that is computed per seed, on an open scale.

    Args:
        values: one per seed.
        item_error: standard error that the choice of test items gives the statistic; 0 where it does not count.

    Returns:
        The mean, and the tests that its verdict rests on.

    Raises:
        ValueError: there is no value, or one is not finite.
    """
    total = contrast([dict(enumerate(values))], [1.0])
    estimate = total.estimate
    if estimate.n < 2 or estimate.error > 0:
        return Evidence(total, (with_items(estimate, item_error),), item_error)
    items = (Estimate(estimate.mean, item_error, 1e9, estimate.n, 0.0),) if item_error else ()
    return Evidence(total, (EqualSeeds(estimate.mean, estimate.n), *items), item_error)


def contrast_evidence(
    samples: Sequence[Mapping[int, float]],
    weights: Sequence[float],
    unit: str | None = None,
    examples: Sequence[int | None] = (),
    wrong: Sequence[Mapping[int, np.ndarray]] = (),
    *,
    ratio: bool = False,
    may_fail: Sequence[bool] = (),
) -> Evidence:
    """Return the evidence on a weighted sum of means, or of their logarithms.

    Args:
        samples: per measure, seed -> value.
        weights: one weight per measure; (1, -1) is the difference of two.
        unit: unit of the values, None for derived quantities on an open scale; test items count for per cent alone.
        examples: size of each test set; empty or None where it does not count.
        wrong: per measure, seed -> which test items were wrong, shape (items,); empty where they are not stored.
        ratio: the sum is of logarithms, so that (1, -1) is a log-ratio.
        may_fail: per measure, whether a training of it may fail altogether (see `MayFail`); counts on a scale with ends alone.

    Returns:
        The sum, and the tests that its verdict rests on.

    Raises:
        ValueError: a sample is empty, a value is not finite, or a logarithm does not exist.
    """
    total = (log_contrast if ratio else contrast)(samples, weights)
    estimate = total.estimate
    _, high = limits(unit, samples)
    of_items = item_error(samples, weights, unit, examples, wrong, ratio=ratio)
    if estimate.n < 2:
        return Evidence(total, (estimate,), of_items)
    tests: list[Test] = []
    solved = [_solved(sample, high) for sample in samples] if math.isfinite(high) and not ratio else []
    if len(samples) == 1 and weights[0] == 1 and solved and solved[0] and estimate.error > 0:
        tests.append(Binomial(*solved[0], high))
    elif list(weights) == [1, -1] and len(solved) == 2 and solved[0] and solved[1]:
        tests.append(SolvedDifference(*solved[0], *solved[1], high))
    elif estimate.error == 0:
        ends = (-math.inf, math.inf) if ratio or math.isinf(high) else _contrast_limits(weights, high)
        tests.append(EqualSeeds(estimate.mean, estimate.n, *ends))
        if of_items:
            tests.append(Estimate(estimate.mean, of_items, 1e9, estimate.n, 0.0))
    else:
        tests.append(with_items(estimate, of_items))
        if math.isfinite(high) and not ratio:
            tests += _at_an_end(samples, weights, estimate, high)
            tests += _failing(samples, weights, estimate, high, may_fail)
    if len(samples) == 1 and weights[0] == 1 and of_items and not ratio:
        size = examples[0] or 0
        tests.append(Binomial(estimate.mean / high * size, size, high))
    return Evidence(total, tuple(tests), of_items)


def _solved(sample: Mapping[int, float], top: float) -> tuple[int, int] | None:
    """Return solved seeds and seeds where every seed solved all or nothing, else None."""
    values = list(sample.values())
    return (sum(value == top for value in values), len(values)) if all(value in (0, top) for value in values) else None


def _contrast_limits(weights: Sequence[float], top: float) -> tuple[float, float]:
    return sum(min(w, 0.0) for w in weights) * top, sum(max(w, 0.0) for w in weights) * top


def _at_an_end(samples: Sequence[Mapping[int, float]], weights: Sequence[float], estimate: Estimate, top: float) -> list[Test]:
    """Return a test for each measure that stands at one end of its scale in all seeds: a seed that fails could yet come.

    The other measures are held at their means. A measure with equal values elsewhere may be computed without sampling
    (a counted n-gram beside trained networks), and is left to the test over seeds.
    """
    tests: list[Test] = []
    for sample, weight in zip(samples, weights, strict=True):
        values = set(sample.values())
        if len(values) == 1 and values <= {0.0, top}:
            rest = estimate.mean - weight * values.pop()
            ends = sorted((rest, rest + weight * top))
            tests.append(EqualSeeds(estimate.mean, len(sample), *ends))
    return tests


def _failing(
    samples: Sequence[Mapping[int, float]], weights: Sequence[float], estimate: Estimate, top: float, may_fail: Sequence[bool]
) -> list[Test]:
    """Return a test for each measure of which a training may fail, with the other measures held at their means."""
    tests: list[Test] = []
    for sample, weight, fails in zip(samples, weights, may_fail, strict=False):
        if fails:
            values = np.array(list(sample.values()))
            rest = estimate.mean - weight * float(values.mean())
            shown, ends = rest + weight * values, sorted((rest, rest + weight * top))
            tests.append(MayFail(float(shown.min()), float(shown.max()), values.size, *ends))
    return tests


def item_error(
    samples: Sequence[Mapping[int, float]],
    weights: Sequence[float],
    unit: str | None,
    examples: Sequence[int | None],
    wrong: Sequence[Mapping[int, np.ndarray]],
    *,
    ratio: bool,
) -> float:
    """Return the standard error that the choice of test items gives a weighted sum of shares, or of their logarithms.

    Args:
        samples: per measure, seed -> value.
        weights: one weight per measure.
        unit: unit of the values; test items count for per cent alone.
        examples: size of each test set.
        wrong: per measure, seed -> which test items were wrong, shape (items,); empty where they are not stored.
        ratio: the sum is of logarithms.

    Returns:
        In the unit of the sum; 0 where the values are no shares or a size is not recorded.
    """
    sizes = [size for size in examples if size]
    if unit != PERCENT or len(sizes) != len(samples) or math.isinf(limits(unit, samples)[1]):
        return 0.0
    shares = [float(np.mean(list(sample.values()))) / 100 for sample in samples]
    gradients = [weight / max(share, 1e-9) if ratio else 100 * weight for weight, share in zip(weights, shares, strict=True)]
    if len(wrong) == len(samples) > 1 and all(wrong) and len({rows.shape for of in wrong for rows in of.values()}) == 1:
        return math.sqrt(paired_item_variance(gradients, wrong))
    return math.sqrt(item_variance(gradients, shares, sizes))
