"""Claims of a trend: slope, exponent, crossing or flatness of a curve over several runs or positions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from replications.registry.claims import Items, Measure
from replications.verdicts.contrasts import paired_seeds
from replications.verdicts.counted import judge_counted
from replications.verdicts.crossings import Crossing, find_crossing, is_geometric
from replications.verdicts.curve_items import CurveItems, ShareAt, gradient_at
from replications.verdicts.estimates import ALPHA
from replications.verdicts.evidence_of_means import statistic_evidence
from replications.verdicts.item_errors import PERCENT
from replications.verdicts.outcome import LEVEL, JudgedClaim, Outcome, Sample, Samples, Word, seeds_that_decide
from replications.verdicts.quantity import Quantity, number, words
from replications.verdicts.shares import Binomial
from replications.verdicts.trends import TRENDS, curves


class Point(Measure):
    """A measure at a position on the horizontal axis of a trend; with `minus`, the gap between two measures there."""

    x: float
    minus: Measure | None = Field(None, description="Subtracted seed by seed, for gaps and for the crossing of two curves.")


class TrendClaim(JudgedClaim):
    """A statistic of the curve lies in a range; the interval is taken over seeds."""

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

    def bounds(self) -> tuple[object, ...]:
        """Return the statistic, its range, and what a crossing crosses in which direction."""
        return self.statistic, self.range, self.level, self.direction

    @property
    def quantity(self) -> Quantity:
        """The statistic. Over two points that are only numbered it is a ratio (log-log, 1 and 2) or a difference (0 and 1)."""
        points = self.points or []
        subject = words(points[0].metric) if points else ""
        if self.statistic == "loglog_slope" and [point.x for point in points] == [1.0, 2.0]:
            first, second = points
            if first.metric == second.metric:
                return Quantity(f"{subject} of {second.run} over that of {first.run}", base=2.0)
            share = second.metric.startswith(f"{first.metric}_")
            name = f"{words(second.metric)} as a share of {subject}" if share else f"{words(second.metric)} over {subject}"
            return Quantity(name, "%" if share else "", 100.0 if share else 1.0, base=2.0)
        if self.statistic == "slope" and [point.x for point in points] == [0.0, 1.0]:
            return Quantity(f"{subject} of {points[1].run} less that of {points[0].run}", self.unit)
        return Quantity(
            f"{_STATISTICS[self.statistic or 'slope']} {'the gap in ' if points and points[0].minus else ''}{subject}", self.unit
        )

    @property
    def criterion(self) -> str:
        """The range of the statistic."""
        shown, (low, high) = self.quantity, self._edges
        once = f", once and {self.direction}wards," if self.direction else ""
        if self.statistic == "range_ratio" and low <= 1:  # a largest point is never below a smallest one
            low = -math.inf
        first, last = (number(float(f"{shown.shown(end):.3g}") if shown.base else shown.shown(end)) for end in (low, high))
        unit = f" {shown.unit}" if shown.unit else ""
        if math.isinf(high):
            return f"{shown.name}{once} at least {first}{unit}"
        if math.isinf(low):
            return f"{shown.name}{once} at most {last}{unit}"
        return f"{shown.name}{once} between {first} and {last}{unit}"

    def faults(self) -> list[str]:
        """Return what is wrong between the keys, one sentence each."""
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
        """Judge the curves of the seeds, with a subtracted measure taken off first.

        Args:
            samples: what the records say about the measure at each point.

        Returns:
            The word, its p-values and the statistic of each seed.
        """
        points, tested = [], []
        for i, point in enumerate(self.points or ()):
            sample = samples.values[point]
            points.append(subtract(sample, samples.values[point.minus]) if point.minus else sample)
            for measure, sign in ((point, 1.0), (point.minus, -1.0)):
                if measure and samples.units.get(measure) == PERCENT and measure in samples.test_examples:
                    size, wrong = samples.test_examples[measure], samples.wrong.get(measure, {})
                    tested.append(ShareAt(i, sign, samples.values[measure], size, wrong))
        return self.judge_points(points, CurveItems(tested))

    def judge_points(self, points: Sequence[Sample], items: CurveItems | None = None) -> Outcome:
        """Judge a curve: its statistic for each seed's whole curve, then a t-interval over seeds.

        A crossing and a ratio of largest to smallest have rules of their own, since neither is a mean over seeds.

        Args:
            points: per point of the claim, seed -> value (a subtracted measure already taken off).
            items: the test sets behind points that are percentages; None: their error does not count.

        Returns:
            The word, its p-values and the statistic of each seed.
        """
        x = np.array([point.x for point in self.points or []])
        _, y = curves(points)
        items = items or CurveItems()
        if self.statistic == "crossing":
            return self._judge_crossing(x, y, items)
        statistic = TRENDS[self.statistic or "slope"]
        values = tuple(float(v) for v in statistic(x, y))
        if not all(math.isfinite(value) for value in values):
            undefined = sum(not math.isfinite(value) for value in values)
            text = (
                f"The curve of {undefined} of {len(values)} seeds has values of 0 or less, so that the {self.quantity.name} does not exist."
            )
            return Outcome("inconclusive", text, self.criterion, values=values)
        if self.counted:
            return judge_counted(values, *self._edges, None, criterion=self.criterion, quantity=self.quantity)
        if self.statistic == "range_ratio":
            return self._judge_flatness(y, items)
        gradient = gradient_at(lambda curve: float(statistic(x, curve[None])[0]), y.mean(axis=0))
        return self._judge_mean(values, items.error(gradient))

    @property
    def _edges(self) -> tuple[float, float]:
        return self.range or (-math.inf, math.inf)

    @property
    def _asked(self) -> str:
        """The range as sentences print it."""
        low, high = self._edges
        return f"[{number(self.quantity.shown(low))}, {number(self.quantity.shown(high))}]"

    def _judge_mean(self, values: Sequence[float], item_error: float) -> Outcome:
        """Judge the mean of one statistic per seed by two one-sided tests, as a value is judged."""
        low_edge, high_edge = self._edges
        evidence = statistic_evidence(values, item_error)
        low, high = evidence.interval(LEVEL)
        inside, outside = evidence.p_within(low_edge, high_edge), min(evidence.p_below(low_edge), evidence.p_above(high_edge))
        word, end, needed = _decide(inside, outside), "is not clear of the edges of", None
        if word == "inconclusive":
            needed = evidence.seeds_to_fit(low_edge, high_edge)
        else:
            end = "lies within" if word == "replicated" else "lies wholly outside"
        mean, shown = evidence.estimate.mean, self.quantity
        text = (
            f"The {shown.name} of {len(values)} seeds is {shown.text(mean)} on average; its 90 % interval,"
            f" {shown.span(low, high)}{_with_items(item_error)}, {end} {self._asked}"
            f"{_suffix(word, needed)}."
        )
        return Outcome(word, text, self.criterion, mean, low, high, LEVEL, inside, None, tuple(values), needed, outside)

    def _judge_crossing(self, x: np.ndarray, y: np.ndarray, items: CurveItems) -> Outcome:
        """Judge the crossing: the only one of each seed's curve, in the claimed direction, at a position in the range.

        The claim holds where every seed crosses so, the ends of the mean curve lie on the claimed sides of the level, and
        the interval of the position, on the scale of the axis, lies in the range. It is contradicted where the position
        lies outside, or where the share of trainings that cross so is below one half by an exact test; seeds that
        disagree leave it open.
        """
        order = np.argsort(x, kind="stable")
        logarithmic = is_geometric(np.unique(x))
        axis, curves = (np.log(x[order]) if logarithmic else x[order]), y[:, order] - self.level
        found = [find_crossing(axis, curve) for curve in curves]
        back_to_claim = np.argsort(order, kind="stable")
        errors = [items.error(np.eye(len(x))[i]) for i in order]
        back = math.exp if logarithmic else float
        as_claimed = [crossing.position for crossing in found if crossing.course == self.direction]
        if len(as_claimed) < len(found):
            return self._judge_courses(found, len(as_claimed), curves, errors)
        low_edge, high_edge = self._edges
        values = tuple(back(position) for position in as_claimed)
        if self.counted:
            return judge_counted(values, low_edge, high_edge, None, criterion=self.criterion, quantity=self.quantity)
        edges = [(math.log(edge) if edge > 0 else -math.inf) if logarithmic else edge for edge in (low_edge, high_edge)]
        gradient = gradient_at(lambda curve: find_crossing(axis, curve).position, curves.mean(axis=0))
        item_error = items.error(gradient[back_to_claim])
        evidence = statistic_evidence(as_claimed, item_error)
        first, last = (statistic_evidence(curves[:, i].tolist(), errors[i]) for i in (0, -1))
        up = self.direction == "up"
        ends = max(first.p_below(0.0), last.p_above(0.0)) if up else max(first.p_above(0.0), last.p_below(0.0))
        inside = max(evidence.p_within(*edges), ends)
        outside = min(evidence.p_below(edges[0]), evidence.p_above(edges[1]))
        word = _decide(inside, outside)
        needed = evidence.seeds_to_fit(*edges) if word == "inconclusive" else None
        low, high = (back(end) for end in evidence.interval(LEVEL))
        mean = back(evidence.estimate.mean)
        end = {"replicated": "lies within", "contradicted": "lies wholly outside", "inconclusive": "is not clear of the edges of"}[word]
        if word == "inconclusive" and ends > ALPHA:
            end = "does not decide, since the ends of the curves are not clear of the level, about"
        text = (
            f"Each of {len(found)} seeds' curves crosses once, {self.direction}wards, at {self.quantity.text(mean)} on average;"
            f" the 90 % interval, {self.quantity.span(low, high)}{_with_items(item_error)}, {end}"
            f" {self._asked}{_suffix(word, needed)}."
        )
        return Outcome(word, text, self.criterion, mean, low, high, LEVEL, inside, None, values, needed, outside)

    def _judge_courses(self, found: Sequence[Crossing], k: int, curves: np.ndarray, errors: Sequence[float]) -> Outcome:
        """Judge curves that do not all cross once as claimed.

        Contradicted where an exact test says that most trainings do not, and the mean curve does not either: noise alone
        makes single curves cross several times.

        Args:
            found: course of each seed's curve.
            k: seeds whose curve crosses as claimed.
            curves: in ascending order of the positions, with the level taken off, shape (seeds, points).
            errors: standard error over test items of each point.
        """
        n, courses = len(found), Counter(crossing.course for crossing in found)
        parts = [f"{count} {'crosses' if count == 1 else 'cross'} {_COURSES[course]}" for course, count in sorted(courses.items())]
        text = f"Of {n} seeds' curves {' and '.join(parts)}; claimed is one crossing {self.direction}wards"
        if self.counted:
            word: Word = "differs" if len(courses) == 1 else "inconclusive"
            return Outcome(word, f"Counted, not sampled. {text}.", self.criterion)
        share = Binomial(k, n)
        against = max(share.p_below(0.5), mean_course_p(curves if self.direction == "up" else -curves, errors))
        if against <= ALPHA:
            return Outcome("contradicted", f"{text} (p = {against:.2g}).", self.criterion, p=1.0, p_against=against)
        few = not k and share.p_below(0.5) > ALPHA
        hint = "; 5 seeds that agree could decide" if few else ", and the seeds do not decide whether noise hides it"
        return Outcome("inconclusive", f"{text}{hint}.", self.criterion, p=1.0, p_against=against, seeds_needed=5 if few else None)

    def _judge_flatness(self, y: np.ndarray, items: CurveItems) -> Outcome:
        """Judge the ratio of the largest to the smallest point of the mean curve, in logarithms, by the ratios of all pairs.

        The ratio of each seed's own curve is biased upwards by noise, and so is not averaged. The ratio is below a bound
        where every pair is (intersection-union test), and above it where one pair is, Bonferroni-adjusted over all.
        """
        points, (low_edge, high_edge) = y.shape[1], self._edges
        log = np.log(y)
        pairs = [(i, j) for i in range(points) for j in range(points) if i != j]
        slopes = np.diag(1 / y.mean(axis=0))  # derivative of each logarithm by its point
        evidence = [statistic_evidence((log[:, i] - log[:, j]).tolist(), items.error(slopes[i] - slopes[j])) for i, j in pairs]
        top, bottom = (math.log(edge) if edge > 0 else -math.inf for edge in (high_edge, low_edge))
        # A ratio of largest to smallest is at least 1, so that a lower bound of 1 or less always holds.
        bounded = low_edge > 1
        above_bottom = min(1.0, len(pairs) * min(e.p_above(bottom) for e in evidence)) if bounded else 0.0
        below_bottom = max(e.p_below(bottom) for e in evidence) if bounded else 1.0
        below_top = max(e.p_below(top) for e in evidence) if math.isfinite(top) else 0.0
        above_top = min(1.0, len(pairs) * min(e.p_above(top) for e in evidence)) if math.isfinite(top) else 1.0
        inside, outside = max(below_top, above_bottom), min(above_top, below_bottom)
        word = _decide(inside, outside)
        widest = max(range(len(pairs)), key=lambda k: evidence[k].estimate.mean)
        decisive = evidence[widest]
        needed = decisive.seeds_to_clear(top if math.isfinite(top) else bottom) if word == "inconclusive" else None
        low, high = (math.exp(end) for end in decisive.interval(LEVEL))
        ours = math.exp(decisive.estimate.mean)
        end = {"replicated": "lies within", "contradicted": "lies outside", "inconclusive": "is not clear of the edges of"}[word]
        text = (
            f"The largest point of the mean curve of {len(y)} seeds is {number(ours)} times the smallest; this ratio, with a 90 %"
            f" interval of {self.quantity.span(low, high)}{_with_items(decisive.item_error)}, {end} {self._asked}"
            f" by tests of all {len(pairs) // 2} pairs of points{_suffix(word, needed)}."
        )
        values = tuple(math.exp(value) for value in decisive.contrast.values)
        return Outcome(word, text, self.criterion, ours, low, high, LEVEL, inside, None, values, needed, outside)


_STATISTICS = {
    "slope": "slope of",
    "loglog_slope": "growth exponent (log-log slope) of",
    "semilogx_slope": "growth per tenfold of",
    "crossing": "crossing of",
    "range_ratio": "ratio of largest to smallest",
}
"""A statistic as the beginning of its quantity's name."""

_COURSES = {"up": "once upwards", "down": "once downwards", "several times": "several times", "never": "never"}


def mean_course_p(curves: np.ndarray, errors: Sequence[float] = ()) -> float:
    """Return the p-value of 'the mean curve does not change sign once, upwards'.

    It does not where the first point lies above 0, the last one below, or one above and a later one below. Each is tested
    over seeds, Bonferroni-adjusted for their number.

    Args:
        curves: shape (seeds, points), at least two of each.
        errors: standard error over test items of each point; empty: none.

    Returns:
        The smallest p-value times the number of tests, at most 1.
    """
    tests = [statistic_evidence(column.tolist(), error) for column, error in zip(curves.T, errors or [0.0] * curves.shape[1], strict=True)]
    above, below = [test.p_above(0.0) for test in tests], [test.p_below(0.0) for test in tests]
    falls = [max(above[i], below[j]) for j in range(len(tests)) for i in range(j)]
    return min(1.0, (2 + len(falls)) * min(above[0], below[-1], *falls))


def _decide(inside: float, outside: float) -> Word:
    """Return the word of a range: p-values of lying inside and outside."""
    return "replicated" if inside <= ALPHA else "contradicted" if outside <= ALPHA else "inconclusive"


def _suffix(word: Word, needed: int | None) -> str:
    return f"; {seeds_that_decide(needed)}" if word == "inconclusive" else ""


def _with_items(item_error: float) -> str:
    return " with the error of the test items" if item_error else ""


def subtract(sample: Sample, other: Sample) -> dict[int, float]:
    """Return the gap between two measures at one point of a curve: by seed where seeds pair, else value by value in seed order.

    Args:
        sample: seed -> value.
        other: seed -> value that is taken off.

    Returns:
        Seed -> difference, in the unit of both; where seeds do not pair the keys count from 0.
    """
    seeds = paired_seeds([sample, other])
    if seeds:
        return {seed: sample[seed] - other[seed] for seed in seeds}
    return {i: a - b for i, (a, b) in enumerate(zip(sample.values(), other.values(), strict=False))}


KIND = TrendClaim
