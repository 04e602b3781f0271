"""Differences and ratios of means, seed by seed where seeds pair. Pure functions of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replications.verdicts.estimates import Estimate, estimate, finite


def paired_seeds(samples: Sequence[Mapping[int, float]]) -> list[int]:
    """Return the seeds that all samples share, or none when too few do to compare seed by seed.

    Seeds pair when at least two, and at least half of the largest sample's, are common. The rule looks at seed numbers
    only, never at values, so it cannot favour a result.

    Args:
        samples: per measure, seed -> value.

    Returns:
        Seeds, sorted.
    """
    common = sorted(set.intersection(*(set(sample) for sample in samples)))
    largest = max(len(sample) for sample in samples)
    return common if len(common) >= 2 and 2 * len(common) >= largest else []


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of means.

    Attributes:
        estimate: the sum with its uncertainty.
        seeds: the seeds compared with each other; empty when the samples do not pair.
        values: the sum for each of these seeds.
    """

    estimate: Estimate
    seeds: tuple[int, ...] = ()
    values: tuple[float, ...] = ()


def contrast(samples: Sequence[Mapping[int, float]], weights: Sequence[float]) -> Contrast:
    """Return the weighted sum of the samples' means, seed by seed where the seeds pair, else by Welch-Satterthwaite.

    Args:
        samples: per measure, seed -> value.
        weights: one weight per sample; (1, -1) is the difference of two.

    Returns:
        The sum with its uncertainty; error nan where a sample has one value and the seeds do not pair.

    Raises:
        ValueError: a sample is empty or a value is not finite.
    """
    arrays = [finite(list(sample.values())) for sample in samples]
    seeds = paired_seeds(samples)
    if seeds or len(samples) == 1:
        seeds = seeds or sorted(samples[0])
        values = sum(w * np.array([sample[s] for s in seeds]) for w, sample in zip(weights, samples, strict=True))
        return Contrast(estimate(np.asarray(values)), tuple(seeds), tuple(float(v) for v in np.asarray(values)))
    mean = float(sum(w * a.mean() for w, a in zip(weights, arrays, strict=True)))
    n = min(a.size for a in arrays)
    if n < 2:
        return Contrast(Estimate(mean, math.nan, 0.0, n, math.nan))
    parts = [w**2 * estimate(a).error ** 2 for w, a in zip(weights, arrays, strict=True)]
    error = math.sqrt(sum(parts))
    rest = sum(part**2 / (a.size - 1) for part, a in zip(parts, arrays, strict=True))
    return Contrast(Estimate(mean, error, error**4 / rest if rest else n - 1.0, n, error * math.sqrt(n)))


def log_contrast(samples: Sequence[Mapping[int, float]], weights: Sequence[float]) -> Contrast:
    """Return `contrast` of natural logarithms; weights (1, -1) give the log-ratio.

    Args:
        samples: per measure, seed -> positive value.
        weights: one weight per sample.

    Returns:
        The sum of logarithms, without unit.

    Raises:
        ValueError: a value is not positive.
    """
    if any(value <= 0 for sample in samples for value in sample.values()):
        raise ValueError("a ratio needs values above 0")
    return contrast([{seed: math.log(value) for seed, value in sample.items()} for sample in samples], weights)
