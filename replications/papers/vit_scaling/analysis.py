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
"""(compute, accuracy in per cent) of the members of a family."""


def frontier(points: Points) -> list[tuple[float, float]]:
    """The Pareto frontier: points that no cheaper or equally cheap one beats, by growing compute and accuracy.

    >>> frontier([(1, 50), (2, 60), (3, 55), (4, 70)])
    [(1, 50), (2, 60), (4, 70)]
    """
    kept: list[tuple[float, float]] = []
    for compute, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or accuracy > kept[-1][1]:
            kept.append((compute, accuracy))
    return kept


def compute_at(curve: Points, accuracy: float) -> float | None:
    """Compute at which a frontier reaches an accuracy, by straight lines over log compute; None outside its range."""
    for (c0, a0), (c1, a1) in itertools.pairwise(curve):
        if a0 <= accuracy <= a1:
            share = (accuracy - a0) / (a1 - a0)
            return math.exp(math.log(c0) + share * (math.log(c1) - math.log(c0)))
    return None


@dataclass(frozen=True)
class Ratio:
    """How much more compute one family needs for the same accuracy: smallest, geometric mean and largest over the shared range."""

    low: float
    mean: float
    high: float


def compute_ratio(cheaper: Points, dearer: Points) -> Ratio | None:
    """Compute of `dearer` over that of `cheaper` at equal accuracy, over all accuracies that both frontiers reach.

    The logarithm of the ratio is piecewise linear in accuracy, so its extremes lie at the points of either frontier;
    the mean is that of its logarithm over the shared range.

    Returns:
        None when the ranges do not overlap.
    """
    one, other = frontier(cheaper), frontier(dearer)
    low, high = max(one[0][1], other[0][1]), min(one[-1][1], other[-1][1])
    if not low < high:
        return None
    at = sorted({low, high, *(a for _, a in [*one, *other] if low < a < high)})
    logs = np.array([math.log(_known(other, a) / _known(one, a)) for a in at])
    widths = np.diff(at)
    mean = float(((logs[:-1] + logs[1:]) / 2 * widths).sum() / widths.sum())
    return Ratio(float(np.exp(logs.min())), math.exp(mean), float(np.exp(logs.max())))


def _known(curve: Points, accuracy: float) -> float:
    found = compute_at(curve, accuracy)
    if found is None:
        raise ValueError(f"accuracy {accuracy} lies outside the frontier")
    return found


def gain(point: tuple[float, float], reference: Points) -> float | None:
    """Accuracy of a point above a reference frontier at equal compute, by straight lines over log compute.

    Returns:
        Points of accuracy; None where the frontier does not reach that compute.
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
        """Error at a compute."""
        return float(self.scale * compute**-self.exponent)


def power_law(compute: Sequence[float], error: Sequence[float]) -> PowerLaw:
    """Least squares of log error over log compute. Raises ValueError unless all numbers are above 0 and two computes differ."""
    x, y = np.asarray(compute, dtype=float), np.asarray(error, dtype=float)
    if (x <= 0).any() or (y <= 0).any() or np.ptp(x) == 0:
        raise ValueError("a power law needs positive numbers and two different computes")
    slope = float(statistics.loglog_slope(x, y[None])[0])
    return PowerLaw(float(np.exp(np.log(y).mean() - slope * np.log(x).mean())), -slope)


@dataclass(frozen=True)
class Crossing:
    """Where a gap changes sign as N grows.

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
        """Whether every seed's curve changes sign once."""
        return all(n == 1 for n in self.changes)


def crossing(n_images: Sequence[float], gaps: np.ndarray) -> Crossing:
    """Analyse gaps (ViT minus ResNet) of shape (seeds, sizes) at the sizes given."""
    x, y = np.asarray(n_images, dtype=float), np.asarray(gaps, dtype=float)
    order = np.argsort(x)
    x, y = x[order], y[:, order]
    positions = statistics.crossing(x, y)
    found = positions[np.isfinite(positions)]
    low, high = statistics.t_interval(np.log(found), level=0.90) if found.size > 1 else (math.nan, math.nan)
    changes = [int((np.diff(np.sign(row[row != 0])) != 0).sum()) for row in y]
    slopes = statistics.semilogx_slope(x, y)
    return Crossing(tuple(map(float, positions)), (math.exp(low), math.exp(high)), tuple(changes), statistics.estimate(slopes))
