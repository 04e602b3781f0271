"""What the choice of test items adds to the error of a statistic of a curve whose points are percentages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replications.verdicts.item_errors import PERCENT, item_error
from replications.verdicts.outcome import Sample


@dataclass(frozen=True)
class ShareAt:
    """A percentage behind one point of a curve.

    Attributes:
        point: index of the point, in the order of the claim.
        sign: 1, or -1 where the measure is subtracted.
        sample: seed -> value in per cent.
        examples: size of its test set.
        wrong: seed -> which test items were wrong, boolean of shape (items,); empty where not stored.
    """

    point: int
    sign: float
    sample: Sample
    examples: int
    wrong: Mapping[int, np.ndarray]


@dataclass(frozen=True)
class CurveItems:
    """The percentages behind a curve; none where its points are no shares or no size of a test set is recorded.

    Attributes:
        measures: each with its point.
    """

    measures: Sequence[ShareAt] = ()

    def error(self, gradient: np.ndarray) -> float:
        """Return the standard error over test items of a function of the points.

        Sets of equal size are taken to be of the same items (see `shares.item_variance`).

        Args:
            gradient: derivative of the function by each point, shape (points,), in the order of the claim.

        Returns:
            In the unit of the function; infinite where a derivative does not exist.
        """
        if not self.measures:
            return 0.0
        if not np.isfinite(gradient).all():
            return math.inf
        return item_error(
            [measure.sample for measure in self.measures],
            [measure.sign * float(gradient[measure.point]) for measure in self.measures],
            PERCENT,
            [measure.examples for measure in self.measures],
            [measure.wrong for measure in self.measures],
            ratio=False,
        )


def gradient_at(statistic: Callable[[np.ndarray], float], curve: np.ndarray) -> np.ndarray:
    """Return the derivative of a statistic by each point of a curve, by central differences.

    Args:
        statistic: of a curve of shape (points,).
        curve: where the derivative is taken, shape (points,).

    Returns:
        Shape (points,); nan where the statistic does not exist beside the curve.
    """
    steps = np.diag(1e-5 * np.maximum(1.0, np.abs(curve)))
    return np.array([(statistic(curve + step) - statistic(curve - step)) / (2 * step.max()) for step in steps])
