"""The tests that bear on a mean, a weighted sum of means or a statistic per seed, chosen by the scale and spread of the values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from replications.verdicts.contrasts import contrast, log_contrast
from replications.verdicts.estimates import Estimate
from replications.verdicts.evidence import Evidence, Test
from replications.verdicts.item_errors import item_error, limits, with_items
from replications.verdicts.shares import Binomial, EqualSeeds, MayFail, SolvedDifference


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
