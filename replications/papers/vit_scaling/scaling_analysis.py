"""Scaling curves: crossings, Pareto frontiers, power laws, and the ratio of compute at equal accuracy.

`compute_ratio` is tested on the paper's own Table 6.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replications.verdicts import trends
from replications.verdicts.estimates import Estimate, estimate, t_interval

Points = Sequence[tuple[float, float]]
"""(compute in FLOP, accuracy in per cent) of the trainings of a family."""


def frontier(points: Points) -> list[tuple[float, float]]:
    """Return the Pareto frontier: points that no cheaper or equally cheap point equals or exceeds in accuracy.

    Args:
        points: in any order.

    Returns:
        Points by increasing compute and accuracy.

    >>> frontier([(1, 50), (2, 60), (3, 55), (4, 70)])
    [(1, 50), (2, 60), (4, 70)]
    """
    edge: list[tuple[float, float]] = []
    for compute, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not edge or accuracy > edge[-1][1]:
            edge.append((compute, accuracy))
    return edge


def compute_at(curve: Points, accuracy: float) -> float | None:
    """Return the compute at which a frontier reaches an accuracy, by linear interpolation in log compute.

    Args:
        curve: a frontier, by increasing compute.
        accuracy: in per cent.

    Returns:
        Compute in the unit of the curve; None outside its range of accuracy.
    """
    for (c0, a0), (c1, a1) in itertools.pairwise(curve):
        if a0 <= accuracy <= a1:
            share = (accuracy - a0) / (a1 - a0)
            return math.exp(math.log(c0) + share * (math.log(c1) - math.log(c0)))
    return None


@dataclass(frozen=True)
class Ratio:
    """Ratio of the compute of two families at equal accuracy, over the range of accuracy that both reach.

    Attributes:
        low: smallest ratio.
        mean: geometric mean.
        high: largest ratio.
    """

    low: float
    mean: float
    high: float


def compute_ratio(cheaper: Points, dearer: Points) -> Ratio | None:
    """Return the compute of `dearer` over that of `cheaper` at equal accuracy, over all accuracies that both frontiers reach.

    The logarithm of the ratio is piecewise linear in accuracy, so its extremes are at the points of either frontier;
    the mean is that of the logarithm over the shared range.

    Args:
        cheaper: trainings of the family in the denominator.
        dearer: trainings of the family in the numerator.

    Returns:
        The ratio; None if the ranges of accuracy do not overlap.
    """
    cheaper_frontier, dearer_frontier = frontier(cheaper), frontier(dearer)
    low, high = max(cheaper_frontier[0][1], dearer_frontier[0][1]), min(cheaper_frontier[-1][1], dearer_frontier[-1][1])
    if not low < high:
        return None
    accuracies = sorted({low, high, *(a for _, a in [*cheaper_frontier, *dearer_frontier] if low < a < high)})
    logs = np.array([math.log(_compute_within(dearer_frontier, a) / _compute_within(cheaper_frontier, a)) for a in accuracies])
    widths = np.diff(accuracies)
    mean = float(((logs[:-1] + logs[1:]) / 2 * widths).sum() / widths.sum())
    return Ratio(float(np.exp(logs.min())), math.exp(mean), float(np.exp(logs.max())))


def _compute_within(curve: Points, accuracy: float) -> float:
    """Return the compute at which a frontier reaches an accuracy within its range.

    Args:
        curve: a frontier, by increasing compute.
        accuracy: in per cent.
    """
    compute = compute_at(curve, accuracy)
    if compute is None:
        raise ValueError(f"accuracy {accuracy} is outside the range of the frontier")
    return compute


def gain(point: tuple[float, float], reference: Points) -> float | None:
    """Return the accuracy of a point minus that of a reference frontier at equal compute, by linear interpolation in log compute.

    Args:
        point: (compute, accuracy in per cent).
        reference: trainings of the family that the point is compared with.

    Returns:
        Percentage points; None if the compute is outside the range of the frontier.
    """
    curve = frontier(reference)
    compute, accuracy = point
    if not curve[0][0] <= compute <= curve[-1][0]:
        return None
    x, y = np.log([c for c, _ in curve]), [a for _, a in curve]
    return float(accuracy - np.interp(math.log(compute), x, y))


@dataclass(frozen=True)
class PowerLaw:
    """The power law error = scale * compute ** -exponent.

    Attributes:
        scale: error at a compute of 1.
        exponent: positive if error falls with compute.
    """

    scale: float
    exponent: float

    def __call__(self, compute: float) -> float:
        """Return the error at a compute.

        Args:
            compute: positive.

        Returns:
            Error in the unit of the fit.
        """
        return float(self.scale * compute**-self.exponent)


def power_law(compute: Sequence[float], error: Sequence[float]) -> PowerLaw:
    """Return the power law fitted to log error over log compute by least squares.

    Args:
        compute: one number per training.
        error: in per cent, one per training.

    Returns:
        The fit.

    Raises:
        ValueError: a number is not positive, or all computes are equal.
    """
    x, y = np.asarray(compute, dtype=float), np.asarray(error, dtype=float)
    if (x <= 0).any() or (y <= 0).any() or np.ptp(x) == 0:
        raise ValueError("a power law needs positive numbers and at least two different values of compute")
    slope = float(trends.loglog_slope(x, y[None])[0])
    return PowerLaw(float(np.exp(np.log(y).mean() - slope * np.log(x).mean())), -slope)


@dataclass(frozen=True)
class Crossing:
    """Sign changes of a gap as N grows.

    Attributes:
        positions: N of the first sign change, one per seed; nan for a curve without one.
        interval: 90 % t-interval of N over the seeds with a sign change, computed on log N; nan for fewer than two.
        changes: number of sign changes, one per seed.
        slope: estimate of the growth of the gap per tenfold N.
    """

    positions: tuple[float, ...]
    interval: tuple[float, float]
    changes: tuple[int, ...]
    slope: Estimate


def crossing(n_images: Sequence[float], gaps: np.ndarray) -> Crossing:
    """Return the crossings of a gap with zero.

    Args:
        n_images: N, one per size.
        gaps: ViT minus ResNet in percentage points, (seeds, sizes).

    Returns:
        Position, number and slope of the crossings.
    """
    x, y = np.asarray(n_images, dtype=float), np.asarray(gaps, dtype=float)
    order = np.argsort(x)
    x, y = x[order], y[:, order]
    positions = trends.crossing(x, y)
    finite = positions[np.isfinite(positions)]
    low, high = t_interval(np.log(finite), level=0.90) if finite.size > 1 else (math.nan, math.nan)
    changes = [int((np.diff(np.sign(row[row != 0])) != 0).sum()) for row in y]
    slopes = trends.semilogx_slope(x, y)
    return Crossing(tuple(map(float, positions)), (math.exp(low), math.exp(high)), tuple(changes), estimate(slopes))
