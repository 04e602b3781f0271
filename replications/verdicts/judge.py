"""A claim and the records of a tier into a verdict. Nobody types one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from replications.errors import InputError, ReplicationError
from replications.registry.claims import Claim, Items, Measure, TierTest
from replications.results.reader import NotMeasured, Results
from replications.results.store import chunks
from replications.results.version_control import registrations
from replications.verdicts import rules, statistics
from replications.verdicts.rules import Outcome


@dataclass(frozen=True)
class Mark:
    """How a verdict is drawn, so that no reader depends on colour: a symbol for text, a shape for figures."""

    symbol: str
    shape: str
    meaning: str


MARKS = {
    "replicated": Mark(
        "✓", "circle", "Our interval lies inside the margin around the published value, or the stated order or trend holds."
    ),
    "exceeded": Mark("▲", "triangle", "Our interval lies wholly on the better side of the margin."),
    "compatible": Mark(
        "≈", "diamond", "Weak: our seeds spread too widely for the margin, but one of them could have given the published value."
    ),
    "inconclusive": Mark("?", "square", "The seeds do not decide."),
    "contradicted": Mark("✗", "cross", "Our interval lies wholly on the wrong side."),
    "not tested": Mark("·", "dash", "No run of this tier tests it, or its runs are not finished."),
    "supported (proxy)": Mark(
        "(✓)", "open circle", "Holds on a scaled-down stand-in, which says nothing certain about the published size."
    ),
    "contradicted (proxy)": Mark("(✗)", "open cross", "Does not hold on a scaled-down stand-in."),
}
"""Every word a verdict can be."""

POSITIVE = ("replicated", "exceeded", "supported (proxy)")

_PROXY_WORDS = {
    "replicated": "supported (proxy)",
    "exceeded": "supported (proxy)",
    "contradicted": "contradicted (proxy)",
    "compatible": "inconclusive",
    "inconclusive": "inconclusive",
}


@dataclass(frozen=True)
class Verdict:
    """What the records of one tier say about one claim.

    Attributes:
        id: `<paper>.<claim>`.
        claim: the statement.
        evidence: how the published value was checked.
        published: published value of a `value` claim, in `unit`.
        published_text: the published finding in words.
        criterion: what would have to be true, in symbols.
        ours: our mean, difference, ratio, statistic or mean count.
        low: lower end of its interval at `level`; of the range over seeds when `level` is None.
        p: p-value of the claim (null: it is false); of the better side for `exceeded`.
        p_holm: the same, adjusted over the paper's tested primary claims; None for others.
        margin: margin in force.
        seeds_finished: seeds of the measure that has fewest.
        reason: the sentence a reader gets.
        seeds_needed: seeds that would probably decide an open verdict.
        values: `ours` per seed, empty where seeds do not pair.
        proxy: what was scaled down; empty when the claim itself is tested.
        runs: the runs that it reads.
        registered_commit: commit that last touched the claim's entry; empty outside a repository.
        margin_after_run: whether that was after the first of its runs began; None when unknown.
    """

    id: str
    paper: str
    tier: str
    claim: str
    kind: str
    primary: bool
    evidence: str
    location: str
    published: float | None
    published_text: str
    unit: str
    criterion: str
    ours: float | None
    low: float | None
    high: float | None
    level: float | None
    p: float | None
    p_holm: float | None
    margin: float | None
    seeds_planned: int
    seeds_finished: int
    seeds_needed: int | None
    verdict: str
    symbol: str
    shape: str
    reason: str
    values: tuple[float, ...]
    proxy: str
    runs: tuple[str, ...]
    registered_commit: str
    registered_date: str
    margin_after_run: bool | None


def judge(claim: Claim, results: Results) -> Verdict:
    """The verdict on one claim, before the adjustment over a paper's primary claims."""
    if results.tier not in claim.tiers:
        return _assemble(claim, results, None, "not tested", _why_not(claim, results.tier), finished=0)
    test = claim.at(results.tier)
    measures = claim.measures(results.tier)
    found = {measure: _values(measure, results) for measure in measures}
    missing = [_why_missing(measure, results) for measure in measures if not len(found[measure])]
    finished = min(len(sample) for sample in found.values())
    if missing:
        return _assemble(claim, results, None, "not tested", f"Not tested: {'; '.join(dict.fromkeys(missing))}.", finished)
    bad = [f"seed {seed} of {m.run}" for m, sample in found.items() for seed in sample.index if not math.isfinite(sample[seed])]
    if bad:
        reason = f"No finite value for {', '.join(dict.fromkeys(bad))}. Leaving a diverged seed out would flatter the rest."
        return _assemble(claim, results, None, "inconclusive", reason, finished)
    if finished < 2 and not test.exact:
        return _assemble(claim, results, None, "inconclusive", "One seed is finished, and one never decides.", finished)
    try:
        outcome = _apply(
            claim, test, results, {m: {int(seed): float(sample[seed]) for seed in sample.index} for m, sample in found.items()}
        )
    except ValueError as error:
        return _assemble(claim, results, None, "inconclusive", f"The rule cannot be applied: {error}.", finished)
    word: str = outcome.word
    reason = outcome.reason
    if claim.kind == "value" and claim.evidence == "recalled":
        word, reason = "inconclusive", f"The published value is only recalled, not checked, and decides nothing. {reason}"
    if test.proxy:
        word = _PROXY_WORDS[word]
    if len(outcome.values) > 1 and len(set(outcome.values)) == 1 and not test.exact:
        reason += " All seeds gave the same value, so the interval is a point."
    planned = test.seeds or claim.seeds
    if finished < planned and not test.exact:
        reason += f" Only {finished} of {planned} planned seeds are finished."
    return _assemble(claim, results, outcome, word, reason, finished)


def judge_paper(results: Results) -> list[Verdict]:
    """The verdicts on all claims of a paper, in the order written, Holm-adjusted over its tested primary claims."""
    verdicts = [judge(claim, results) for claim in results.paper.claims]
    family = [i for i, v in enumerate(verdicts) if v.primary and v.verdict != "not tested" and v.p is not None]
    for i, adjusted in zip(family, statistics.holm([verdicts[i].p or 0.0 for i in family]), strict=True):
        verdicts[i] = _adjust(verdicts[i], float(adjusted), len(family))
    return verdicts


def _adjust(verdict: Verdict, p: float, family: int) -> Verdict:
    adjusted = dataclasses.replace(verdict, p_holm=p)
    if verdict.verdict not in POSITIVE or p <= statistics.ALPHA:
        return adjusted
    reason = f"{verdict.reason} Adjusted for the paper's {family} tested primary claims (Holm), p = {p:.3f} exceeds 0.05, so it stays open."
    mark = MARKS["inconclusive"]
    return dataclasses.replace(adjusted, verdict="inconclusive", symbol=mark.symbol, shape=mark.shape, reason=reason)


def _apply(claim: Claim, test: TierTest, results: Results, found: dict[Measure | Items, dict[int, float]]) -> Outcome:
    """The rule of the claim's kind on finite values."""
    if claim.kind == "value" and test.measure:
        return rules.judge_value(found[test.measure], test, unit=claim.unit, examples=_test_examples(test.measure, results))
    if claim.kind == "order":
        measures: Sequence[Measure] = test.ranking or test.contrast or ()
        return rules.judge_order([found[measure] for measure in measures], test, unit=claim.unit)
    if claim.kind == "trend":
        points = []
        for point in test.points or ():
            taken = rules.subtract(found[point], found[point.minus]) if point.minus else found[point]
            points.append(taken)
        return rules.judge_trend(points, test, unit=claim.unit)
    items = test.items
    if items is None:
        raise ReplicationError(f"{results.paper.name}.{claim.id}: kind '{claim.kind}' has no rule.")
    names = (items.scores, items.shuffled, items.untrained, items.p)
    seeds = {seed: tuple(arrays) for seed, arrays in results.by_seed(items.run, *names).items()}
    return rules.judge_count(seeds, test, unit=claim.unit)  # type: ignore[arg-type]


def _values(measure: Measure | Items, results: Results) -> pd.Series[float]:
    """One value per seed; for items a placeholder per seed that has every array."""
    if isinstance(measure, Measure):
        try:
            return results.values(measure)
        except InputError:  # `_why_missing` tells what is recorded instead
            return pd.Series(dtype=float)
    try:
        seeds = results.by_seed(measure.run, measure.scores, measure.shuffled, measure.untrained, measure.p)
    except NotMeasured:
        seeds = {}
    return pd.Series(dict.fromkeys(seeds, 0.0), dtype=float)


def _why_not(claim: Claim, tier: str) -> str:
    if claim.untested:
        return f"Not tested: {claim.untested}"
    return f"Not tested at tier {tier}; it is judged at {' and '.join(claim.tiers)}."


def _why_missing(measure: Measure | Items, results: Results) -> str:
    if isinstance(measure, Items) or not results.finished(measure.run):
        return f"run {measure.run} has no results at tier {results.tier}"
    try:
        results.values(measure)
    except InputError as error:
        return str(error)
    return f"run {measure.run} recorded no {measure.metric} at step {measure.step}"


def _test_examples(measure: Measure, results: Results) -> int | None:
    """Size of the test set where the run recorded it, the smallest over seeds."""
    if not results.recorded(measure.run, "test_examples", measure.split):
        return None
    sizes = results.final(measure.run, "test_examples", measure.split)
    return int(sizes.min()) if len(sizes) and sizes.min() >= 1 else None


def _assemble(claim: Claim, results: Results, outcome: Outcome | None, word: str, reason: str, finished: int) -> Verdict:
    test = claim.at(results.tier) if results.tier in claim.tiers else None
    runs = tuple(dict.fromkeys(measure.run for measure in claim.measures(results.tier))) if test else ()
    found = outcome or Outcome("inconclusive", reason, "")
    open_value = claim.kind == "value" and claim.evidence == "recalled"
    registered = registrations(results.paper.name).get(claim.id, {})
    return Verdict(
        id=f"{results.paper.name}.{claim.id}",
        paper=results.paper.name,
        tier=results.tier,
        claim=claim.claim,
        kind=claim.kind,
        primary=claim.primary,
        evidence=claim.evidence,
        location=claim.location,
        published=test.published if test else claim.published,
        published_text=claim.published_text,
        unit=claim.unit,
        criterion=found.criterion,
        ours=found.ours,
        low=found.low,
        high=found.high,
        level=found.level,
        p=None if open_value else found.p,
        p_holm=None,
        margin=found.margin if outcome else (test or claim).margin,
        seeds_planned=(test.seeds if test else None) or claim.seeds,
        seeds_finished=finished,
        seeds_needed=None if open_value else found.seeds_needed,
        verdict=word,
        symbol=MARKS[word].symbol,
        shape=MARKS[word].shape,
        reason=reason,
        values=found.values,
        proxy=(test.proxy if test else None) or "",
        runs=runs,
        registered_commit=registered.get("commit", ""),
        registered_date=registered.get("date", ""),
        margin_after_run=_after(registered.get("date"), runs, results),
    )


def _after(registered: str | None, runs: tuple[str, ...], results: Results) -> bool | None:
    """Whether the claim's entry was last touched after the first of its runs began (UTC, ISO 8601: text order is time order)."""
    started = [chunk.provenance["started"] for run in runs for chunk in chunks(results.folder, results.paper.name, run)]
    return registered > min(started) if registered and started else None
