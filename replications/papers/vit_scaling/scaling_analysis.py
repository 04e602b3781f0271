"""Scaling curves: crossings, frontiers, power laws, and the compute that one family needs more than another.

Pure functions of numbers. `compute_ratio` is tested on the paper's own Table 6.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replications.verdicts import statistics

Points = Sequence[tuple[float, float]]
"""(compute, accuracy in per cent) of the trainings of a family."""


def frontier(points: Points) -> list[tuple[float, float]]:
    """Return the Pareto frontier: points that no cheaper or equally cheap one beats, by growing compute and accuracy.

    Args:
        points: in any order.

    >>> frontier([(1, 50), (2, 60), (3, 55), (4, 70)])
    [(1, 50), (2, 60), (4, 70)]
    """
    edge: list[tuple[float, float]] = []
    for compute, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not edge or accuracy > edge[-1][1]:
            edge.append((compute, accuracy))
    return edge


def compute_at(curve: Points, accuracy: float) -> float | None:
    """Return the compute at which a frontier reaches an accuracy, by straight lines over log compute; None outside its range.

    Args:
        curve: a frontier, by growing compute.
        accuracy: in per cent.
    """
    for (c0, a0), (c1, a1) in itertools.pairwise(curve):
        if a0 <= accuracy <= a1:
            share = (accuracy - a0) / (a1 - a0)
            return math.exp(math.log(c0) + share * (math.log(c1) - math.log(c0)))
    return None


@dataclass(frozen=True)
class Ratio:
    """Compute of one family over that of another at equal accuracy: smallest, geometric mean and largest over the shared range."""

    low: float
    mean: float
    high: float


def compute_ratio(cheaper: Points, dearer: Points) -> Ratio | None:
    """Return the compute of `dearer` over that of `cheaper` at equal accuracy, over all accuracies that both frontiers reach.

    The logarithm of the ratio is piecewise linear in accuracy, so its extremes lie at the points of either frontier;
    the mean is that of its logarithm over the shared range.

    Args:
        cheaper: trainings of the family in the denominator.
        dearer: trainings of the family in the numerator.

    Returns:
        None when the ranges do not overlap.
    """
    one, other = frontier(cheaper), frontier(dearer)
    low, high = max(one[0][1], other[0][1]), min(one[-1][1], other[-1][1])
    if not low < high:
        return None
    at = sorted({low, high, *(a for _, a in [*one, *other] if low < a < high)})
    logs = np.array([math.log(_compute_within(other, a) / _compute_within(one, a)) for a in at])
    widths = np.diff(at)
    mean = float(((logs[:-1] + logs[1:]) / 2 * widths).sum() / widths.sum())
    return Ratio(float(np.exp(logs.min())), math.exp(mean), float(np.exp(logs.max())))


def _compute_within(curve: Points, accuracy: float) -> float:
    compute = compute_at(curve, accuracy)
    if compute is None:
        raise ValueError(f"accuracy {accuracy} lies outside the frontier")
    return compute


def gain(point: tuple[float, float], reference: Points) -> float | None:
    """Return the accuracy of a point above a reference frontier at equal compute, by straight lines over log compute.

    Args:
        point: (compute, accuracy in per cent).
        reference: trainings of the family that is compared with.

    Returns:
        Percentage points; None where the frontier does not reach that compute.
    """
    curve = frontier(reference)
    compute, accuracy = point
    if not curve[0][0] <= compute <= curve[-1][0]:
        return None
    x, y = np.log([c for c, _ in curve]), [a for _, a in curve]
    return float(accuracy - np.interp(math.log(compute), x, y))


@dataclass(frozen=True)
class PowerLaw:
    """error = scale * compute ** -exponent."""

    scale: float
    exponent: float

    def __call__(self, compute: float) -> float:
        """Return the error at a compute."""
        return float(self.scale * compute**-self.exponent)


def power_law(compute: Sequence[float], error: Sequence[float]) -> PowerLaw:
    """Fit log error over log compute by least squares.

    Args:
        compute: one number per training.
        error: in per cent, one per training.

    Raises:
        ValueError: a number is not above 0, or all computes are equal.
    """
    x, y = np.asarray(compute, dtype=float), np.asarray(error, dtype=float)
    if (x <= 0).any() or (y <= 0).any() or np.ptp(x) == 0:
        raise ValueError("a power law needs positive numbers and two different computes")
    slope = float(statistics.loglog_slope(x, y[None])[0])
    return PowerLaw(float(np.exp(np.log(y).mean() - slope * np.log(x).mean())), -slope)


@dataclass(frozen=True)
class Crossing:
    """Change of sign of a gap as N grows.

    Attributes:
        positions: N of the first change, one per seed; nan where a seed's curve has none.
        interval: 90 % t-interval of log N, back in N, over the seeds that cross; nan below two.
        changes: sign changes of each seed's curve.
        slope: estimate of the gap's growth per tenfold N.
    """

    positions: tuple[float, ...]
    interval: tuple[float, float]
    changes: tuple[int, ...]
    slope: statistics.Estimate

    @property
    def exactly_one(self) -> bool:
        """True when every seed's curve changes sign exactly once."""
        return all(n == 1 for n in self.changes)


def crossing(n_images: Sequence[float], gaps: np.ndarray) -> Crossing:
    """Return the crossings of a gap with zero.

    Args:
        n_images: N, one per size.
        gaps: ViT minus ResNet, (seeds, sizes).
    """
    x, y = np.asarray(n_images, dtype=float), np.asarray(gaps, dtype=float)
    order = np.argsort(x)
    x, y = x[order], y[:, order]
    positions = statistics.crossing(x, y)
    finite = positions[np.isfinite(positions)]
    low, high = statistics.t_interval(np.log(finite), level=0.90) if finite.size > 1 else (math.nan, math.nan)
    changes = [int((np.diff(np.sign(row[row != 0])) != 0).sum()) for row in y]
    slopes = statistics.semilogx_slope(x, y)
    return Crossing(tuple(map(float, positions)), (math.exp(low), math.exp(high)), tuple(changes), statistics.estimate(slopes))
