"""Claims of a trend: slope, exponent, crossing or flatness of a curve over several runs or positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from replications.registry.claims import Items, Measure
from replications.verdicts import statistics
from replications.verdicts.exact import judge_exact
from replications.verdicts.outcome import LEVEL, JudgedClaim, Outcome, Sample, Samples, Word, number, seeds_that_decide, span


class Point(Measure):
    """A measure at a position on the horizontal axis of a trend; with `minus`, the gap between two measures there."""

    x: float
    minus: Measure | None = Field(None, description="Subtracted seed by seed, for gaps and for the crossing of two curves.")


class TrendClaim(JudgedClaim):
    """A statistic of each seed's whole curve lies in a range; the interval is taken over seeds."""

    kind: Literal["trend"]
    points: list[Point] | None = Field(None, min_length=2)
    statistic: Literal["slope", "loglog_slope", "semilogx_slope", "crossing", "range_ratio"] | None = None
    level: float = Field(0.0, description="Value at which `crossing` looks for a curve; with `minus` mostly 0.")
    direction: Literal["up", "down"] | None = Field(
        None, description="Of a crossing: with growing x the curve (or gap) changes from below `level` to above it, or the reverse."
    )
    range: tuple[float, float] | None = Field(
        None, description="Range of the statistic; .inf and -.inf are allowed. Of a crossing: narrower than the positions of the points."
    )

    required: ClassVar = (("points",), ("statistic",), ("range",))

    def reads(self) -> list[Measure | Items]:
        """Return the measures of all points, then those that are subtracted."""
        return [*(self.points or []), *(point.minus for point in self.points or [] if point.minus)]

    def faults(self) -> list[str]:
        """Return what is wrong between the keys."""
        x = [point.x for point in self.points or []]
        crossing = self.statistic == "crossing"
        logarithmic = self.statistic in ("loglog_slope", "semilogx_slope")
        checks = {
            "'range' needs the lower bound first": self.range and not self.range[0] < self.range[1],
            f"'{self.statistic}' needs every x above 0": logarithmic and x and min(x) <= 0,
            "'points' need at least two different x": x and len(set(x)) < 2,
            "a crossing needs 'direction': up (from below to above with growing x) or down": crossing and not self.direction,
            "'direction' is for crossings": self.direction and not crossing,
            "'range' of a crossing must leave out some of the positions of 'points', or every crossing would lie in it": (
                crossing and x and self.range and self.range[0] <= min(x) and self.range[1] >= max(x)
            ),
            "'range' of a crossing lies outside the positions of 'points'": (
                crossing and x and self.range and (self.range[0] >= max(x) or self.range[1] <= min(x))
            ),
        }
        return [text for text, wrong in checks.items() if wrong]

    def judge(self, samples: Samples) -> Outcome:
        """Judge the statistic of each seed's curve, with a subtracted measure taken off first."""
        curves = []
        for point in self.points or ():
            sample = samples.values[point]
            curves.append(subtract(sample, samples.values[point.minus]) if point.minus else sample)
        return self.judge_points(curves)

    def judge_points(self, points: Sequence[Sample]) -> Outcome:
        """Judge a curve: the statistic of each seed's whole curve, then a t-interval over seeds.

        Args:
            points: per point of the claim, seed -> value (a subtracted measure already taken off).
        """
        low_edge, high_edge = self.range or (-math.inf, math.inf)
        x = np.array([point.x for point in self.points or []])
        name, unit = self.statistic or "slope", self.unit
        _, y = statistics.curves(points)
        values = tuple(float(v) for v in statistics.TRENDS[name](x, y - self.level if name == "crossing" else y))
        label = name.replace("_", " ").replace("loglog", "log-log").replace("semilogx", "per-decade")
        criterion = f"{label} in [{number(low_edge)}, {number(high_edge)}]"
        if not all(math.isfinite(value) for value in values):
            undefined = sum(not math.isfinite(value) for value in values)
            why = "never crosses" if name == "crossing" else "has values of 0 or less"
            text = f"The curve of {undefined} of {len(values)} seeds {why}, so that the {label} does not exist for every seed."
            return Outcome("inconclusive", text, criterion, values=values)
        if self.counted:
            return judge_exact(values, low_edge, high_edge, None, criterion=criterion, unit=unit)
        estimate = statistics.estimate(values)
        low, high = estimate.interval(LEVEL)
        inside = statistics.tost(values, low_edge, high_edge)
        mean = number(estimate.mean, unit)
        text = f"The {label} of {estimate.n} seeds' curves is {mean} on average; its 90 % interval, {span(low, high, unit)},"
        word: Word = "inconclusive"
        needed = None
        if inside <= statistics.ALPHA:
            word, end = "replicated", "lies within"
        elif min(estimate.p_below(low_edge), estimate.p_above(high_edge)) <= statistics.ALPHA:
            word, end = "contradicted", "lies wholly outside"
        else:
            end = "is not clear of the edges of"
            needed = _seeds_for_range(estimate, low_edge, high_edge)
        suffix = f"; {seeds_that_decide(needed)}" if word == "inconclusive" else ""
        text += f" {end} [{number(low_edge)}, {number(high_edge)}]{suffix}."
        return Outcome(word, text, criterion, estimate.mean, low, high, LEVEL, inside, None, values, needed)


def subtract(sample: Sample, other: Sample) -> dict[int, float]:
    """Return the gap between two measures at one point of a curve: by seed where seeds pair, else value by value in seed order."""
    seeds = statistics.paired_seeds([sample, other])
    if seeds:
        return {seed: sample[seed] - other[seed] for seed in seeds}
    return {i: a - b for i, (a, b) in enumerate(zip(sample.values(), other.values(), strict=False))}


def _seeds_for_range(estimate: statistics.Estimate, low: float, high: float) -> int | None:
    if math.isinf(low) or math.isinf(high):
        return statistics.seeds_for_order(min(abs(estimate.mean - low), abs(estimate.mean - high)), estimate.sd)
    return statistics.seeds_for_equivalence(estimate.mean - (low + high) / 2, (high - low) / 2, estimate.sd)


KIND = TrendClaim
