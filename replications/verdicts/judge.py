"""A claim and the samples of its measures into a verdict. Nobody types one.

Pure functions: nothing here reads a file or asks git. `presentation.judging` gathers what they need.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replications.registry.claims import Claim, Items, Measure
from replications.registry.papers import Paper
from replications.verdicts import statistics
from replications.verdicts.outcome import JudgedClaim, Outcome, Sample, Samples
from replications.verdicts.words import POSITIVE, PROXY_WORDS, WORDS


@dataclass(frozen=True)
class Basis:
    """What a verdict rests on besides the numbers: whether its records can be trusted, and what was registered when.

    Attributes:
        integrity: faults of the chunks that the claim reads, one sentence each; any of them withholds the verdict.
        remarks: what a reader should know of the chunks and does not withhold it, one sentence each (uncommitted code, several commits).
        registration: 'post hoc' when a run began with another text of the claim, 'not registered' when it stored none; else empty.
        post_hoc: the reason for either; empty when every run carries today's text.
        tuning: how the settings of the tier were chosen, or that this is not recorded; empty where nothing is to be said.
    """

    integrity: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    registration: str = ""
    post_hoc: str = ""
    tuning: str = ""


@dataclass(frozen=True)
class Verdict:
    """The verdict on one claim from the records of one tier, with the numbers behind it.

    Attributes:
        id: `<paper>.<claim>`.
        claim: the statement.
        evidence: how the published value was checked.
        published: published value of a `value` claim, in `unit`.
        published_text: the published finding in words.
        criterion: what would have to be true, in symbols.
        ours: our mean, difference, ratio, statistic or mean count.
        low: lower end of its interval at `level`; of the range over seeds when `level` is None.
        high: upper end.
        level: level of the interval; None when nothing was sampled.
        p: p-value of the claim (null: it is false); of the better side for `exceeded`.
        p_holm: the same, adjusted over the paper's tested primary claims; None for others.
        margin: margin in force.
        seeds_planned: seeds that were registered for the tier.
        seeds_finished: seeds of the measure that has fewest.
        seeds_needed: seeds that would probably decide an open verdict.
        verdict: one of `words.WORDS`.
        reason: the sentence a reader gets.
        values: `ours` per seed, empty where seeds do not pair.
        proxy: what was scaled down; empty when the claim itself is tested.
        runs: the runs that it reads.
        integrity: why the verdict is withheld, one sentence per fault; empty when the records are what the runs wrote.
        remarks: what is to be said of the records besides, one sentence each.
        registration: 'post hoc', 'not registered' or empty, see `Basis`.
        post_hoc: the reason for it.
        tuning: how the tier's settings were chosen, or that this is not recorded.
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
    reason: str
    values: tuple[float, ...]
    proxy: str
    runs: tuple[str, ...]
    integrity: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    registration: str = ""
    post_hoc: str = ""
    tuning: str = ""

    @property
    def symbol(self) -> str:
        """Symbol of the verdict's word."""
        return WORDS[self.verdict].symbol

    @property
    def shape(self) -> str:
        """Shape of the verdict's word."""
        return WORDS[self.verdict].shape


@dataclass(frozen=True)
class _Case:
    """One claim at one tier, with what is assembled into its verdict whatever the rule finds."""

    paper: str
    tier: str
    claim: Claim
    basis: Basis
    proxy: str

    def verdict(self, word: str, reason: str, *, outcome: Outcome | None = None, finished: int = 0) -> Verdict:
        tested = self.tier in self.claim.tiers
        test = self.claim.at(self.tier) if tested else self.claim
        undecided = decides_nothing(self.claim)
        numbers = outcome or Outcome("inconclusive", reason, "", margin=getattr(test, "margin", None))
        return Verdict(
            id=f"{self.paper}.{self.claim.id}",
            paper=self.paper,
            tier=self.tier,
            claim=self.claim.claim,
            kind=self.claim.kind,
            primary=self.claim.primary,
            evidence=self.claim.evidence,
            location=self.claim.location,
            published=getattr(test, "published", None),
            published_text=self.claim.published_text,
            unit=self.claim.unit,
            criterion=numbers.criterion,
            ours=numbers.ours,
            low=numbers.low,
            high=numbers.high,
            level=numbers.level,
            p=None if undecided else numbers.p,
            p_holm=None,
            margin=numbers.margin,
            seeds_planned=self.claim.planned_seeds(self.tier),
            seeds_finished=finished,
            seeds_needed=None if undecided else numbers.seeds_needed,
            verdict=word,
            reason=reason,
            values=numbers.values,
            proxy=self.proxy,
            runs=tuple(dict.fromkeys(measure.run for measure in test.reads())) if tested else (),
            integrity=self.basis.integrity if tested else (),
            remarks=self.basis.remarks if tested else (),
            registration=self.basis.registration if tested else "",
            post_hoc=self.basis.post_hoc if tested else "",
            tuning=self.basis.tuning if tested else "",
        )


def decides_nothing(claim: Claim) -> bool:
    """Return True for a published value that is only recalled: it cannot be confirmed or refuted."""
    return claim.kind == "value" and claim.evidence == "recalled"


def judge(paper: str, tier: str, claim: Claim, samples: Samples, basis: Basis | None = None) -> Verdict:
    """Return the verdict on one claim, before the adjustment over a paper's primary claims.

    Args:
        paper: name of the paper.
        tier: tier whose records the samples are from.
        claim: the claim, as it is declared.
        samples: what the records say about its measures.
        basis: what the chunks that it reads say besides; default: nothing.
    """
    case = _Case(paper, tier, claim, basis or Basis(), samples.proxy or claim.proxy(tier))
    if tier not in claim.tiers:
        return case.verdict("not tested", _why_not(claim, tier))
    test = claim.at(tier)
    if not isinstance(test, JudgedClaim):
        raise TypeError(f"{paper}.{claim.id}: kind '{claim.kind}' has no rule")
    measures = test.reads()
    finished = min(len(_seeds(samples, measure)) for measure in measures)
    if case.basis.integrity:
        return case.verdict("withheld", f"Withheld: {' '.join(case.basis.integrity)}", finished=finished)
    missing = [samples.missing.get(measure, "no values") for measure in measures if not _seeds(samples, measure)]
    if missing:
        return case.verdict("not tested", f"Not tested: {'; '.join(dict.fromkeys(missing))}.", finished=finished)
    diverged = [
        f"seed {seed} of {measure.run}"
        for measure, sample in samples.values.items()
        for seed, value in sample.items()
        if not math.isfinite(value)
    ]
    if diverged:
        reason = f"No finite value for {', '.join(dict.fromkeys(diverged))}. Leaving a diverged seed out would flatter the rest."
        return case.verdict("inconclusive", reason, finished=finished)
    if finished < 2 and not test.counted:
        return case.verdict("inconclusive", "One seed is finished, and one never decides.", finished=finished)
    try:
        outcome = test.judge(samples)
    except ValueError as error:
        return case.verdict("inconclusive", f"The rule cannot be applied: {error}.", finished=finished)
    word: str = outcome.word
    reason = outcome.reason
    if decides_nothing(claim):
        word, reason = "inconclusive", f"The published value is only recalled, not checked, and decides nothing. {reason}"
    if case.proxy:
        word = PROXY_WORDS[word]
    if len(outcome.values) > 1 and len(set(outcome.values)) == 1 and not test.counted:
        reason += " All seeds gave the same value, so the interval is a point."
    planned = claim.planned_seeds(tier)
    if finished < planned and not test.counted:
        reason += f" Only {finished} of {planned} planned seeds are finished."
    return case.verdict(word, reason, outcome=outcome, finished=finished)


def _seeds(samples: Samples, measure: Measure | Items) -> Sample | Mapping[int, object]:
    """Return what is known per seed of one measure or one set of items."""
    return samples.values.get(measure, {}) if isinstance(measure, Measure) else samples.items.get(measure, {})


def _why_not(claim: Claim, tier: str) -> str:
    if claim.untested:
        return f"Not tested: {claim.untested}"
    return f"Not tested at tier {tier}; it is judged at {' and '.join(claim.tiers)}."


def judge_claims(paper: Paper, tier: str, samples: Mapping[str, Samples], bases: Mapping[str, Basis] | None = None) -> list[Verdict]:
    """Return the verdicts on all claims of a paper, in the order written, Holm-adjusted over its tested primary claims.

    Args:
        paper: the paper.
        tier: tier whose records the samples are from.
        samples: what the records say, by claim id.
        bases: what the chunks say besides, by claim id.
    """
    known = bases or {}
    verdicts = [judge(paper.name, tier, claim, samples.get(claim.id, Samples()), known.get(claim.id)) for claim in paper.claims]
    return adjust(verdicts)


def adjust(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts, Holm-adjusted over the tested primary claims among them: a positive one above 0.05 stays open."""
    adjusted = list(verdicts)
    family = [i for i, v in enumerate(adjusted) if v.primary and v.verdict != "not tested" and v.p is not None]
    p_values = statistics.holm([adjusted[i].p or 0.0 for i in family])
    for i, p in zip(family, p_values, strict=True):
        adjusted[i] = _adjust(adjusted[i], float(p), len(family))
    return adjusted


def _adjust(verdict: Verdict, p: float, family: int) -> Verdict:
    adjusted = dataclasses.replace(verdict, p_holm=p)
    if verdict.verdict not in POSITIVE or p <= statistics.ALPHA:
        return adjusted
    reason = f"{verdict.reason} Adjusted for the paper's {family} tested primary claims (Holm), p = {p:.3f} exceeds 0.05, so it stays open."
    return dataclasses.replace(adjusted, verdict="inconclusive", reason=reason)
