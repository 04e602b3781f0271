"""A claim and the samples of its measures into a verdict. Nobody types one.

Pure functions: nothing here reads a file or asks git. `presentation.judging` gathers what they need.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from replications.registry.claims import Claim, Items, Measure
from replications.registry.papers import Paper
from replications.verdicts.families import adjust, withdraw_unmet
from replications.verdicts.outcome import JudgedClaim, Outcome, Sample, Samples
from replications.verdicts.preconditions import unmet_preconditions
from replications.verdicts.quantity import Quantity
from replications.verdicts.verdict import Basis, Verdict
from replications.verdicts.words import AGREES, PROXY_WORDS


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
        quantity = test.quantity if isinstance(test, JudgedClaim) else Quantity(unit=test.unit)
        unbounded = any(end is not None and not math.isfinite(end) for end in (numbers.low, numbers.high))
        low = high = None
        if numbers.low is not None and numbers.high is not None and not unbounded:
            low, high = quantity.interval(numbers.low, numbers.high)

        def printed(judged: float | None) -> float | None:
            return None if judged is None else quantity.shown(judged)

        return Verdict(
            id=f"{self.paper}.{self.claim.id}",
            paper=self.paper,
            tier=self.tier,
            claim=self.claim.statement(self.tier),
            kind=self.claim.kind,
            primary=self.claim.primary,
            evidence=self.claim.evidence,
            location=self.claim.location,
            published=printed(getattr(test, "published", None)),
            published_text=self.claim.published_text,
            unit=quantity.unit,
            metric=quantity.name,
            quantity=quantity,
            criterion=numbers.criterion,
            ours=printed(numbers.ours),
            low=low,
            high=high,
            level=None if unbounded else numbers.level,
            p=None if undecided else numbers.p,
            stands_for=self.claim.claim if self.claim.statement(self.tier) != self.claim.claim else "",
            p_against=None if undecided else numbers.p_against,
            p_holm=None,
            margin=printed(numbers.margin),
            seeds_planned=self.claim.planned_seeds(self.tier),
            seeds_finished=finished,
            seeds_needed=None if undecided else numbers.seeds_needed,
            verdict=word,
            reason=reason,
            values=tuple(quantity.shown(value) for value in numbers.values),
            proxy=self.proxy,
            runs=tuple(dict.fromkeys(measure.run for measure in test.reads())) if tested else (),
            integrity=self.basis.integrity if tested else (),
            remarks=self.basis.remarks if tested else (),
            registration=self.basis.registration if tested else "",
            post_hoc=self.basis.post_hoc if tested else "",
            tuning=self.basis.tuning if tested else "",
        )


def decides_nothing(claim: Claim) -> bool:
    """Return True for a claim whose published value or threshold is only recalled: it cannot be confirmed or refuted.

    Args:
        claim: the claim, as it is declared.

    Returns:
        False for a claim that can be decided.
    """
    return claim.evidence == "recalled"


def judge(paper: str, tier: str, claim: Claim, samples: Samples, basis: Basis | None = None) -> Verdict:
    """Return the verdict on one claim, before the adjustment over a paper's claims and without regard to claims that it requires.

    Args:
        paper: name of the paper.
        tier: tier whose records the samples are from.
        claim: the claim, as it is declared.
        samples: what the records say about its measures.
        basis: what the chunks that it reads say besides; default: nothing.

    Returns:
        The verdict, without adjusted p-values.

    Raises:
        TypeError: the claim's kind has no rule.
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
        for measure in measures
        for seed, value in (samples.values.get(measure, {}) if isinstance(measure, Measure) else {}).items()
        if not math.isfinite(value)
    ]
    if diverged:
        reason = f"No finite value for {', '.join(dict.fromkeys(diverged))}. Leaving a diverged seed out would flatter the rest."
        return case.verdict("inconclusive", reason, finished=finished)
    unmet = unmet_preconditions(test.requires, samples)
    if unmet:
        return case.verdict("not tested", f"Not tested: {'; '.join(unmet)}.", finished=finished)
    if finished < 2 and not test.counted:
        return case.verdict("inconclusive", "One seed is finished, and one never decides.", finished=finished)
    try:
        outcome = test.judge(samples)
    except ValueError as error:
        return case.verdict("inconclusive", f"The rule cannot be applied: {error}.", finished=finished)
    word, reason = _limit(case, test, outcome, finished)
    return case.verdict(word, reason, outcome=outcome, finished=finished)


def not_judged(paper: str, tier: str, claim: Claim, reason: str) -> Verdict:
    """Return the verdict 'not tested' on a claim whose records could not be read.

    Args:
        paper: name of the paper.
        tier: tier that it would have been judged at.
        claim: the claim, as it is declared.
        reason: why it could not be judged, as a sentence.

    Returns:
        The verdict, with the published value and without numbers of ours.
    """
    return _Case(paper, tier, claim, Basis(), claim.proxy(tier)).verdict("not tested", reason)


def _limit(case: _Case, test: Claim, outcome: Outcome, finished: int) -> tuple[str, str]:
    """Return the word and reason of an outcome, limited by what its evidence, its seeds and its runs can bear."""
    claim, word, reason = case.claim, str(outcome.word), outcome.reason
    if len(outcome.values) > 1 and len(set(outcome.values)) == 1 and not test.counted:
        reason += (
            " All seeds gave the same value, which is no certainty: an exact bound by their number is used. What is computed without"
            " sampling is declared 'counted: true'."
        )
    if decides_nothing(claim):
        word = "compatible" if word in AGREES else "inconclusive"
        reason = f"What was published is only recalled, not checked, and decides nothing. {reason}"
    planned = claim.planned_seeds(case.tier)
    if finished < planned and not test.counted:
        missing = f"{planned - finished} of {planned} planned seeds {'is' if planned - finished == 1 else 'are'} not finished"
        if claim.tiers[case.tier].first_look:  # type: ignore[index]
            reason += f" A first look, announced in the plan: {missing}."
        else:
            word, reason = "inconclusive", f"{reason} It stays open, since {missing}: to stop early would be to choose seeds."
    return PROXY_WORDS[word] if case.proxy else word, reason


def _seeds(samples: Samples, measure: Measure | Items) -> Sample | Mapping[int, object]:
    """Return what is known per seed of one measure or one set of items."""
    return samples.values.get(measure, {}) if isinstance(measure, Measure) else samples.items.get(measure, {})


def _why_not(claim: Claim, tier: str) -> str:
    if claim.untested:
        return f"Not tested: {claim.untested}"
    return f"Not tested at tier {tier}; it is judged at {' and '.join(claim.tiers)}."


def judge_claims(paper: Paper, tier: str, samples: Mapping[str, Samples], bases: Mapping[str, Basis] | None = None) -> list[Verdict]:
    """Return the verdicts on all claims of a paper, in the order written, adjusted for their number in both directions.

    Args:
        paper: the paper.
        tier: tier whose records the samples are from.
        samples: what the records say, by claim id.
        bases: what the chunks say besides, by claim id.

    Returns:
        One verdict per claim.
    """
    known = bases or {}
    verdicts = [judge(paper.name, tier, claim, samples.get(claim.id, Samples()), known.get(claim.id)) for claim in paper.claims]
    required = {
        f"{paper.name}.{claim.id}": [f"{paper.name}.{needed.claim}" for needed in claim.at(tier).requires if needed.claim]
        for claim in paper.claims
        if tier in claim.tiers
    }
    return withdraw_unmet(adjust(verdicts), required)
