"""Exact tests for shares: seeds that solve a task or do not, and percentages that are k of n test items.

A t-test over seeds takes equal seeds for certainty, and seeds that share one test set for independent. Both are wrong for
shares, and these tests are not: they hold their level at any number of seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

NUISANCE = np.linspace(0.0, 1.0, 201)
"""Grid of the unknown share over which an unconditional test takes its worst case."""


@dataclass(frozen=True)
class Binomial:
    """k successes of n, on a scale of 0 to `top`.

    Attributes:
        k: successes; a fraction where a mean over seeds is k of n items, rounded against the claim that is tested.
        n: trials.
        top: value of the scale where all succeed: 1, or 100 for percentages.
    """

    k: float
    n: int
    top: float = 1.0

    def p_above(self, bound: float) -> float:
        """Return the exact p-value of 'the true share exceeds `bound`': P(X >= k) where it equals the bound.

        Args:
            bound: on the scale of 0 to `top`.

        Returns:
            Between 0 and 1.
        """
        return _at_least(math.floor(self.k + 1e-9), self.n, bound / self.top)

    def p_below(self, bound: float) -> float:
        """Return the exact p-value of 'the true share is smaller than `bound`'.

        Args:
            bound: on the scale of 0 to `top`.

        Returns:
            Between 0 and 1.
        """
        return _at_least(math.floor(self.n - self.k + 1e-9), self.n, 1 - bound / self.top)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the two-sided exact interval (Clopper and Pearson 1934), in units of the scale.

        Args:
            level: coverage, 0..1.

        Returns:
            Lower and upper end, 0 to `top`.
        """
        from scipy import special

        tail = (1 - level) / 2
        few, many = math.floor(self.k + 1e-9), math.ceil(self.k - 1e-9)
        low = float(special.betaincinv(few, self.n - few + 1, tail)) if few > 0 else 0.0
        high = float(special.betaincinv(many + 1, self.n - many, 1 - tail)) if many < self.n else 1.0
        return low * self.top, high * self.top


def _at_least(k: int, n: int, share: float) -> float:
    """Return P(X >= k) of a binomial variable; 1 / 2^n for a share of 0 or less, so that no number of trials is certain."""
    from scipy import special

    if k <= 0 or share >= 1:
        return 1.0 if share >= 0 else 0.5**n
    if share <= 0:
        return 0.5**n
    return float(special.bdtrc(k - 1, n, share))


@dataclass(frozen=True)
class EqualSeeds:
    """n seeds with one and the same value, which show no spread and yet prove little.

    On a scale that ends at `low`, a mean of at most b lets n seeds reach v with probability ((b - low) / (v - low))^n at
    most (Markov's inequality, which seeds that either solve a task or stay at `low` attain). On an open scale only the
    median can be tested: n seeds lie on one side of it with probability 1 / 2^n. The p-value is the larger of both.

    Attributes:
        value: the value of every seed.
        n: seeds.
        low: lower end of the scale, -inf for an open one.
        high: upper end.
    """

    value: float
    n: int
    low: float = -math.inf
    high: float = math.inf

    def p_above(self, bound: float) -> float:
        """Return the p-value of 'the true mean exceeds `bound`', never below 1 / 2^n.

        Args:
            bound: value to compare with, in the unit of the mean.

        Returns:
            Between 1 / 2^n and 1.
        """
        if self.value <= bound:
            return 1.0
        reach = max(bound - self.low, 0.0) / (self.value - self.low) if math.isfinite(self.low) and self.value > self.low else 0.0
        return float(max(0.5, reach) ** self.n)

    def p_below(self, bound: float) -> float:
        """Return the p-value of 'the true mean is smaller than `bound`', never below 1 / 2^n.

        Args:
            bound: value to compare with, in the unit of the mean.

        Returns:
            Between 1 / 2^n and 1.
        """
        return EqualSeeds(-self.value, self.n, -self.high, -self.low).p_above(-bound)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval of the mean that inverts both tests; infinite on an open scale with too few seeds.

        Args:
            level: coverage, 0..1.

        Returns:
            Lower and upper end, in the unit of the mean.
        """
        tail = (1 - level) / 2
        if 0.5**self.n > tail:
            return self.low, self.high
        root = tail ** (1 / self.n)
        low = self.low + (self.value - self.low) * root if math.isfinite(self.low) else self.value
        high = self.high - (self.high - self.value) * root if math.isfinite(self.high) else self.value
        return low, high


@dataclass(frozen=True)
class MayFail:
    """Seeds of which each solves its task or fails, with noise around both: those seen do not exclude one that fails.

    On a scale that ends at `low`, n seeds that all reach v or more have probability ((b - low) / (v - low))^n at most where
    the mean is at most b (Markov's inequality for each seed), whatever the noise. A t-test takes a small spread for
    certainty instead: seeds that solve in 7 of 10 trainings show one side alone in a third of all studies with three.

    Attributes:
        least: smallest value of all seeds.
        most: largest value of all seeds.
        n: seeds.
        low: lower end of the scale.
        high: upper end.
    """

    least: float
    most: float
    n: int
    low: float
    high: float

    def p_above(self, bound: float) -> float:
        """Return the p-value of 'the true mean exceeds `bound`'.

        Args:
            bound: value to compare with, in the unit of the mean.

        Returns:
            Between 0 and 1; 1 where a seed does not exceed the bound.
        """
        return self._reach(bound) ** self.n

    def _reach(self, bound: float) -> float:
        """Return the largest probability that one seed reaches `least` where the mean is at most the bound."""
        if self.least <= bound:
            return 1.0
        return (bound - self.low) / (self.least - self.low) if bound > self.low else 0.0

    def p_below(self, bound: float) -> float:
        """Return the p-value of 'the true mean is smaller than `bound`'.

        Args:
            bound: value to compare with, in the unit of the mean.

        Returns:
            Between 0 and 1; 1 where a seed is not below the bound.
        """
        return self._mirrored().p_above(-bound)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval of the mean that inverts both tests.

        Args:
            level: coverage, 0..1.

        Returns:
            Lower and upper end, in the unit of the mean.
        """
        root = ((1 - level) / 2) ** (1 / self.n)
        return self.low + (self.least - self.low) * root, self.high - (self.high - self.most) * root

    def seeds_to_clear(self, bound: float, alpha: float) -> float:
        """Return how many such seeds tell on which side of a bound the mean lies; infinite where none do.

        Args:
            bound: in the unit of the mean.
            alpha: level of the test.

        Returns:
            At least 1, a whole number.
        """
        reach = min(self._reach(bound), self._mirrored()._reach(-bound))
        return math.inf if reach >= 1 else 1.0 if reach <= 0 else math.ceil(math.log(alpha) / math.log(reach))

    def _mirrored(self) -> MayFail:
        return MayFail(-self.most, -self.least, self.n, -self.high, -self.low)


@dataclass(frozen=True)
class SolvedDifference:
    """The difference of two shares of seeds that solve a task, k1 of n1 against k2 of n2.

    Unconditional exact test: the largest probability, over the unknown second share, of a difference at least as large
    (Barnard 1945; Chan 1998 for a difference other than 0).

    Attributes:
        k1: solved seeds of the first.
        n1: its seeds.
        k2: solved seeds of the second.
        n2: its seeds.
        top: value of a solved seed: 1, or 100 for percentages.
    """

    k1: int
    n1: int
    k2: int
    n2: int
    top: float = 1.0

    def p_above(self, bound: float) -> float:
        """Return the p-value of 'first minus second exceeds `bound`'.

        Args:
            bound: difference, on the scale of -`top` to `top`.

        Returns:
            Between 0 and 1.
        """
        from scipy import special

        d = bound / self.top
        if d < -1:
            return 0.0
        if d >= 1:
            return 1.0
        second = np.clip(max(0.0, -d) + NUISANCE * (min(1.0, 1.0 - d) - max(0.0, -d)), 0, 1)[:, None]
        first = np.clip(second + d, 0, 1)
        x, y = np.arange(self.n1 + 1), np.arange(self.n2 + 1)
        of_first = special.comb(self.n1, x) * first**x * (1 - first) ** (self.n1 - x)
        of_second = special.comb(self.n2, y) * second**y * (1 - second) ** (self.n2 - y)
        extreme = x[:, None] / self.n1 - y / self.n2 >= self.k1 / self.n1 - self.k2 / self.n2 - 1e-12
        return float(np.einsum("gx,gy,xy->g", of_first, of_second, extreme).max())

    def p_below(self, bound: float) -> float:
        """Return the p-value of 'first minus second is smaller than `bound`'.

        Args:
            bound: difference, on the scale of -`top` to `top`.

        Returns:
            Between 0 and 1.
        """
        return SolvedDifference(self.k2, self.n2, self.k1, self.n1, self.top).p_above(-bound)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval of the difference that inverts both tests, to a thousandth of the scale.

        Args:
            level: coverage, 0..1.

        Returns:
            Lower and upper end, -`top` to `top`.
        """
        tail = (1 - level) / 2
        return self._edge(tail), -SolvedDifference(self.k2, self.n2, self.k1, self.n1, self.top)._edge(tail)

    def _edge(self, tail: float) -> float:
        """Return the largest bound that the difference exceeds with a p-value of at most `tail`, by halving."""
        low, high = -self.top, (self.k1 / self.n1 - self.k2 / self.n2) * self.top
        while high - low > 1e-3 * self.top:
            middle = (low + high) / 2
            low, high = (middle, high) if self.p_above(middle) <= tail else (low, middle)
        return low


def item_variance(gradients: Sequence[float], shares: Sequence[float], sizes: Sequence[int]) -> float:
    """Return an upper bound of the variance that the choice of test items gives a function of shares.

    Shares on sets of equal size are taken to be of the same items, whose outcomes may depend on each other in any way:
    each covariance is the least favourable of its Frechet bounds, max(0, p + q - 1) - p q to min(p, q) - p q. For a
    difference that is (p + q - (p - q)^2) / n for shares up to one half. One success and one failure are added to each
    share, so that 0 and 100 % are no certainty.

    Args:
        gradients: derivative of the function by each share.
        shares: 0..1, one per measure.
        sizes: test items of each.

    Returns:
        Variance in squared units of the function.
    """
    p = [(share * n + 1) / (n + 2) for share, n in zip(shares, sizes, strict=True)]
    total = sum(g * g * q * (1 - q) / n for g, q, n in zip(gradients, p, sizes, strict=True))
    for i in range(len(p)):
        for j in range(i):
            if sizes[i] == sizes[j]:
                least, most = max(0.0, p[i] + p[j] - 1) - p[i] * p[j], min(p[i], p[j]) - p[i] * p[j]
                weight = gradients[i] * gradients[j]
                total += 2 * max(weight * least, weight * most) / sizes[i]
    return max(total, 0.0)


def paired_item_variance(gradients: Sequence[float], wrong: Sequence[Mapping[int, np.ndarray]]) -> float:
    """Return the variance that the choice of test items gives a function of shares, from the outcome of every item.

    One item each way is added to the differences, so that agreement on all items is no certainty.

    Args:
        gradients: derivative of the function by each share of right (or of wrong) items.
        wrong: per measure, seed -> boolean array of shape (items,), the same items in the same order.

    Returns:
        Variance in squared units of the function.
    """
    sums = sum(g * np.mean([np.asarray(rows, dtype=float) for rows in of.values()], axis=0) for g, of in zip(gradients, wrong, strict=True))
    items = np.asarray(sums)
    extra = 2 * max(abs(g) for g in gradients) ** 2
    return float((((items - items.mean()) ** 2).sum() + extra) / items.size**2)
