"""The rule of each kind of claim: numbers in, outcome out. Nothing here reads a file or knows a paper.

Every test is one-sided at 0.05, which is what a 90 % t-interval over seeds shows. A rule gets finite values of every
measure; missing and diverged seeds are dealt with before, in `evidence.verdicts`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from replications.registry.claims import Items, Measure, Term, TierTest
from replications.verdicts import statistics

Word = Literal["replicated", "exceeded", "compatible", "inconclusive", "contradicted"]
Sample = Mapping[int, float]

LEVEL = 1 - 2 * statistics.ALPHA
EQUAL = 1e-9
"""Relative difference up to which counted quantities are equal: they differ by rounding at most."""


@dataclass(frozen=True)
class Outcome:
    """What a rule finds.

    Attributes:
        word: the verdict, before proxies and Holm's adjustment.
        reason: one sentence with the numbers.
        criterion: what would have to be true, in symbols.
        ours: our mean, difference, ratio, statistic or count.
        low: lower end of its interval at `level`; of the range over seeds when `level` is None.
        high: upper end.
        level: level of the interval; None when nothing was sampled.
        p: p-value of the claim (null: it is false); None where the rule makes no test.
        margin: margin in force.
        values: `ours` per seed; empty where seeds do not pair.
        seeds_needed: seeds that would probably decide; None when decided, or when more than 1,000.
    """

    word: Word
    reason: str
    criterion: str
    ours: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    p: float | None = None
    margin: float | None = None
    values: tuple[float, ...] = ()
    seeds_needed: int | None = None


def number(value: float, unit: str = "") -> str:
    """A number as the sentences print it: four significant digits and the unit."""
    text = f"{value:,.0f}" if abs(value) >= 1e4 and abs(value) < 1e9 else f"{value:.4g}"
    return f"{text} {unit}".strip()


def span(low: float, high: float, unit: str = "") -> str:
    """An interval in words, for example '1.2 to 1.4 %'."""
    return f"{number(low)} to {number(high, unit)}"


def _needed(seeds: int | None) -> str:
    return f"about {seeds} seeds would decide" if seeds else f"more than {statistics.MOST_SEEDS:,} seeds would be needed"


def test_set_error(published: float, examples: int) -> float:
    """Standard error of a percentage measured on `examples` test items, in percentage points (binomial)."""
    share = min(max(published / 100, 0.0), 1.0)
    return 100 * math.sqrt(share * (1 - share) / examples)


def effective_margin(test: TierTest, unit: str, examples: int | None) -> tuple[float, str]:
    """The registered margin, or two standard errors of the test set where those are wider, and a note that says so."""
    margin, target = test.margin or 0.0, test.published or 0.0
    floor = 2 * test_set_error(target, examples) if unit == "%" and examples else 0.0
    if floor <= margin:
        return margin, ""
    note = f" The margin {number(margin)} was widened to {number(floor, unit)}, two standard errors of a test set of {examples:,}."
    return floor, note


def judge_value(sample: Sample, test: TierTest, *, unit: str = "", examples: int | None = None) -> Outcome:
    """A published value: equivalence first, then the better or worse side, then the prediction interval.

    Args:
        sample: seed -> our value, at least two seeds (one suffices where `test.exact`).
        test: its published, margin, better.
        examples: size of the test set, where it was recorded; matters for percentages only.
    """
    target, better = float(test.published or 0.0), test.better
    margin, note = effective_margin(test, unit, examples)
    low_edge, high_edge = target - margin, target + margin
    criterion = f"{number(target)} ± {number(margin, unit)}"
    values = tuple(sample.values())
    if test.exact:
        return _exact(values, low_edge, high_edge, better, criterion=criterion, unit=unit, margin=margin)
    known = statistics.estimate(values)
    low, high = known.interval(LEVEL)
    inside, p_lower, p_higher = statistics.tost(values, low_edge, high_edge), known.p_below(low_edge), known.p_above(high_edge)
    p_better, p_worse = (p_lower, p_higher) if better == "lower" else (p_higher, p_lower)
    where = f"The 90 % interval of our mean over {known.n} seeds, {span(low, high, unit)},"
    word: Word = "inconclusive"
    p, needed = inside, None
    if inside <= statistics.ALPHA:
        word, text = "replicated", f"{where} lies within {criterion}."
    elif p_better <= statistics.ALPHA:
        word, p, text = "exceeded", p_better, f"{where} lies wholly on the better side of {criterion}."
    elif p_worse <= statistics.ALPHA:
        word, text = "contradicted", f"{where} lies wholly on the worse side of {criterion}."
    else:
        needed = statistics.seeds_for_equivalence(known.mean - target, margin, known.sd)
        first, last = statistics.prediction_interval(values)
        text = f"{where} is not clear of the edges of {criterion}; {_needed(needed)}."
        if first <= target <= last and (last - first) / 2 < 2 * margin:
            word = "compatible"
            text += (
                f" One more run of ours would fall between {number(first)} and {number(last, unit)} (95 %), and so might the published one."
            )
    return Outcome(word, text + note, criterion, known.mean, low, high, LEVEL, p, margin, values, needed)


def _exact(
    values: Sequence[float], low: float, high: float, better: str | None, *, criterion: str, unit: str, margin: float | None = None
) -> Outcome:
    """Compare a counted quantity directly: it must be the same for every seed."""
    first = values[0]
    if any(not math.isclose(value, first, rel_tol=EQUAL, abs_tol=EQUAL) for value in values):
        first, last = min(values), max(values)
        text = f"Declared exact, but the seeds differ: {span(first, last, unit)}."
        return Outcome("inconclusive", text, criterion, float(np.mean(values)), first, last, margin=margin, values=tuple(values))
    slack = EQUAL * max(1.0, abs(first))
    word: Word = "replicated" if low - slack <= first <= high + slack else "contradicted"
    if word == "contradicted" and ((better == "lower" and first < low) or (better == "higher" and first > high)):
        word = "exceeded"
    side = {"replicated": "meets", "exceeded": "is better than", "contradicted": "misses"}[word]
    text = f"Counted, not sampled: {number(first, unit)} {side} {criterion}."
    return Outcome(word, text, criterion, first, margin=margin, values=tuple(values))


def name_of(measure: Measure, others: Sequence[Measure]) -> str:
    """The shortest name that tells a measure from the others: its run, or run and metric."""
    runs = [other.run for other in others]
    return measure.run if runs.count(measure.run) == 1 else f"{measure.run} {measure.metric}"


@dataclass(frozen=True)
class _Inequality:
    """One statement 'this weighted sum reaches the bound', on the scale of the test (logarithms for ratios)."""

    label: str
    found: statistics.Contrast
    bound: float


def _inequalities(samples: Sequence[Sample], test: TierTest) -> list[_Inequality]:
    combine = statistics.log_contrast if test.scale == "ratio" else statistics.contrast
    bound = (math.log(test.by) if test.by > 0 else 0.0) if test.scale == "ratio" else test.by
    if test.contrast:
        return [_Inequality(_sum_label(test.contrast), combine(samples, [term.weight for term in test.contrast]), bound)]
    ranking = test.ranking or []
    sign = -1.0 if test.better == "lower" else 1.0
    return [
        _Inequality(
            f"{name_of(ranking[i], ranking)} against {name_of(ranking[i + 1], ranking)}",
            combine([samples[i], samples[i + 1]], [sign, -sign]),
            bound,
        )
        for i in range(len(ranking) - 1)
    ]


def _sum_label(terms: Sequence[Term]) -> str:
    parts = []
    for term in terms:
        size = "" if abs(term.weight) == 1 else f"{number(abs(term.weight))} x "
        parts.append(f"{'-' if term.weight < 0 else '+'} {size}{name_of(term, terms)}")
    return " ".join(parts).removeprefix("+ ")


def judge_order(samples: Sequence[Sample], test: TierTest, *, unit: str = "") -> Outcome:
    """An order or contrast: every inequality must hold (intersection-union test, so no adjustment between them).

    A claim is contradicted when one inequality fails for certain; with k of them each is tested at 0.05 / k, because
    any could. The outcome shows the inequality that decides: the least certain one, or the failing one.

    Args:
        samples: per measure of `ranking` or `contrast`, seed -> value.
    """
    ratio = test.scale == "ratio"
    back: Callable[[float], float] = math.exp if ratio else float
    statements = _inequalities(samples, test)
    bound = statements[0].bound
    noun, suffix = ("ratio", "") if ratio else ("difference" if test.ranking else "sum", unit)
    criterion = f"{noun} {'≥' if test.by or not test.ranking else '>'} {number(back(bound), suffix)}"
    if test.exact:
        return _exact_order(statements, back, criterion, suffix)
    held = [statement.found.estimate.p_above(bound) for statement in statements]
    failed = [statement.found.estimate.p_below(bound) for statement in statements]
    word: Word = "inconclusive"
    shown = int(np.argmax(held))
    if max(held) <= statistics.ALPHA:
        word = "replicated"
    elif min(failed) * len(statements) <= statistics.ALPHA:
        word, shown = "contradicted", int(np.argmin(failed))
    statement = statements[shown]
    known = statement.found.estimate
    low, high = known.interval(LEVEL)
    needed = statistics.seeds_for_order(known.mean - bound, known.sd) if word == "inconclusive" else None
    how = f"paired over {len(statement.found.seeds)} seeds" if statement.found.seeds else f"unpaired, at least {known.n} seeds each"
    least = " (the least certain of the order's steps)" if len(statements) > 1 and word != "contradicted" else ""
    verb = {"replicated": "reaches", "contradicted": "stays below", "inconclusive": "is not clear of"}[word]
    text = (
        f"{statement.label}{least}: the {noun} is {number(back(known.mean), suffix)}, and its 90 % interval,"
        f" {span(back(low), back(high), suffix)} ({how}), {verb} {number(back(bound), suffix)}"
        f"{f'; {_needed(needed)}' if word == 'inconclusive' else ''}."
    )
    values = tuple(back(value) for value in statement.found.values)
    return Outcome(word, text, criterion, back(known.mean), back(low), back(high), LEVEL, max(held), back(bound), values, needed)


def _exact_order(statements: Sequence[_Inequality], back: Callable[[float], float], criterion: str, unit: str) -> Outcome:
    """Counted quantities: every inequality is compared directly; the tightest is shown. A strict one refuses a tie."""
    outcomes = []
    for statement in statements:
        bound = back(statement.bound)
        values = [back(value) for value in statement.found.values] or [back(statement.found.estimate.mean)]
        found = _exact(values, bound, math.inf, None, criterion=criterion, unit=unit, margin=bound)
        if found.word == "replicated" and ">" in criterion and math.isclose(values[0], bound, rel_tol=EQUAL, abs_tol=EQUAL):
            found = replace(found, word="contradicted", reason=f"Counted, not sampled: {number(values[0], unit)} is a tie.")
        outcomes.append(replace(found, reason=f"{statement.label}: {found.reason}"))
    ranks = {"contradicted": 0, "inconclusive": 1, "replicated": 2}
    return min(outcomes, key=lambda outcome: (ranks[outcome.word], outcome.ours or 0.0))


def subtract(sample: Sample, other: Sample) -> dict[int, float]:
    """Gap between two measures at one point of a curve: by seed where seeds pair, else value by value in seed order."""
    seeds = statistics.paired_seeds([sample, other])
    if seeds:
        return {seed: sample[seed] - other[seed] for seed in seeds}
    return {i: a - b for i, (a, b) in enumerate(zip(sample.values(), other.values(), strict=False))}


def judge_trend(points: Sequence[Sample], test: TierTest, *, unit: str = "") -> Outcome:
    """A slope, exponent, crossing or ratio in a range: the statistic of each seed's whole curve, then a t-interval over seeds.

    Args:
        points: per point of `test.points`, seed -> value (a subtracted measure already taken off).
    """
    low_edge, high_edge = test.within or (-math.inf, math.inf)
    x = np.array([point.x for point in test.points or []])
    name = test.statistic or "slope"
    _, y = statistics.curves(points)
    values = tuple(float(v) for v in statistics.TRENDS[name](x, y - test.level if name == "crossing" else y))
    label = name.replace("_", " ").replace("loglog", "log-log").replace("semilogx", "per-decade")
    criterion = f"{label} in [{number(low_edge)}, {number(high_edge)}]"
    if not all(math.isfinite(value) for value in values):
        bad = sum(not math.isfinite(value) for value in values)
        why = "never crosses" if name == "crossing" else "has values of 0 or less"
        text = f"The curve of {bad} of {len(values)} seeds {why}, so that the {label} does not exist for every seed."
        return Outcome("inconclusive", text, criterion, values=values)
    if test.exact:
        return _exact(values, low_edge, high_edge, None, criterion=criterion, unit=unit)
    known = statistics.estimate(values)
    low, high = known.interval(LEVEL)
    inside = statistics.tost(values, low_edge, high_edge)
    text = f"The {label} of {known.n} seeds' curves is {number(known.mean, unit)} on average; its 90 % interval, {span(low, high, unit)},"
    word: Word = "inconclusive"
    needed = None
    if inside <= statistics.ALPHA:
        word, end = "replicated", "lies within"
    elif min(known.p_below(low_edge), known.p_above(high_edge)) <= statistics.ALPHA:
        word, end = "contradicted", "lies wholly outside"
    else:
        end = "is not clear of the edges of"
        needed = _seeds_for_range(known, low_edge, high_edge)
    text += f" {end} [{number(low_edge)}, {number(high_edge)}]{f'; {_needed(needed)}' if word == 'inconclusive' else ''}."
    return Outcome(word, text, criterion, known.mean, low, high, LEVEL, inside, None, values, needed)


def _seeds_for_range(known: statistics.Estimate, low: float, high: float) -> int | None:
    if math.isinf(low) or math.isinf(high):
        return statistics.seeds_for_order(min(abs(known.mean - low), abs(known.mean - high)), known.sd)
    return statistics.seeds_for_equivalence(known.mean - (low + high) / 2, (high - low) / 2, known.sd)


ItemArrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Scores, shuffled-label control, untrained control and p-values of one seed's items, each of shape (items,)."""


def passing(arrays: ItemArrays, items: Items) -> tuple[np.ndarray, np.ndarray]:
    """Which items of one seed pass, and which cannot be judged because a number is not finite (those do not pass)."""
    scores, shuffled, untrained, p = (np.asarray(array, dtype=float) for array in arrays)
    unknown = ~np.isfinite(scores) | ~np.isfinite(shuffled) | ~np.isfinite(untrained) | ~np.isfinite(p)
    adjusted = statistics.holm(np.where(unknown, 1.0, p))
    clear = (scores >= items.threshold) & (shuffled < items.control) & (untrained < items.control)
    return clear & (adjusted <= statistics.ALPHA) & ~unknown, unknown


def judge_count(seeds: Mapping[int, ItemArrays], test: TierTest, *, unit: str = "") -> Outcome:
    """At least or at most so many items pass their score, in every seed.

    Items that cannot be judged count against the claim: as failing under `at_least`, as passing under `at_most`.

    The p-value of an `at_least` claim is the largest over seeds of the k-th smallest Holm-adjusted p-value among the
    items that reach the score (Benjamini and Heller 2008: at least k of the nulls are false); `at_most` has none.
    """
    items = test.items
    if items is None:
        raise ValueError("a count needs items")
    counts, holds, unknowns, ps = [], [], 0, []
    for arrays in seeds.values():
        passed, unknown = passing(arrays, items)
        unit_size = passed.size if test.fraction else 1
        few, many = int(passed.sum()), int(passed.sum() + unknown.sum())
        enough = test.at_least is None or few >= test.at_least * unit_size - EQUAL
        counts.append(few / unit_size)
        holds.append(enough and (test.at_most is None or many <= test.at_most * unit_size + EQUAL))
        unknowns += int(unknown.sum())
        ps.append(_count_p(arrays, items, math.ceil((test.at_least or 0) * unit_size - EQUAL)))
    bounds = [f"≥ {number(test.at_least)}"] if test.at_least is not None else []
    bounds += [f"≤ {number(test.at_most)}"] if test.at_most is not None else []
    noun = unit or ("share of items" if test.fraction else "items")
    criterion = f"{noun} {' and '.join(bounds)} in every seed"
    word: Word = "replicated" if all(holds) else "inconclusive" if any(holds) else "contradicted"
    met = f"{sum(holds)} of {len(holds)} seeds meet {' and '.join(bounds)}"
    text = f"{span(min(counts), max(counts), noun)} pass, and {met}."
    if unknowns:
        text += f" {unknowns:,} items have no finite score; they count against the claim."
    p = max(ps) if test.at_most is None else None
    return Outcome(word, text, criterion, float(np.mean(counts)), min(counts), max(counts), None, p, test.at_least, tuple(counts))


def _count_p(arrays: ItemArrays, items: Items, k: int) -> float:
    """p-value of 'at least k items of this seed truly pass'; 1 when fewer than k reach the score and both controls."""
    scores, shuffled, untrained, p = (np.asarray(array, dtype=float) for array in arrays)
    known = np.isfinite(scores) & np.isfinite(shuffled) & np.isfinite(untrained) & np.isfinite(p)
    clear = known & (scores >= items.threshold) & (shuffled < items.control) & (untrained < items.control)
    adjusted = np.sort(statistics.holm(np.where(known, p, 1.0))[clear])
    return float(adjusted[k - 1]) if 0 < k <= adjusted.size else float(k > 0)
