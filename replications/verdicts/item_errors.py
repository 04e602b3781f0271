"""The error that the choice of test items gives a weighted sum of shares, and the scale on which values are shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from replications.verdicts.estimates import Estimate
from replications.verdicts.shares import item_variance, paired_item_variance

PERCENT = "%"
"""Unit of shares: values from 0 to 100 that are k of n items."""


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
