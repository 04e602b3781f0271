"""Claims of an order: A is better than B by at least so much, or a weighted sum of measures reaches a bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from replications.registry.claims import Items, Measure
from replications.verdicts import statistics
from replications.verdicts.exact import judge_exact
from replications.verdicts.outcome import LEVEL, JudgedClaim, Outcome, Sample, Samples, Word, number, seeds_that_decide, span


class Term(Measure):
    """A measure with its weight in a contrast."""

    weight: float


@dataclass(frozen=True)
class _Inequality:
    """One statement 'this weighted sum reaches the bound', on the scale of the test (logarithms for ratios)."""

    label: str
    contrast: statistics.Contrast
    bound: float


class OrderClaim(JudgedClaim):
    """A ranking from best to worst, or a contrast: every inequality must hold by at least `min_difference`."""

    kind: Literal["order"]
    ranking: list[Measure] | None = Field(None, min_length=2, description="From best to worst.")
    contrast: list[Term] | None = Field(
        None, min_length=1, description="Weighted sum that must reach `min_difference`; instead of `ranking`."
    )
    better: Literal["lower", "higher"] | None = None
    min_difference: float = Field(
        0.0,
        description="Smallest difference that counts; negative: not worse by more. On the scale `ratio` the ratio to be reached,"
        " below 1: not worse by more; 0: any ratio above 1.",
    )
    scale: Literal["difference", "ratio"] = "difference"

    required: ClassVar = (("ranking", "contrast"),)

    def reads(self) -> list[Measure | Items]:
        """Return the ranked measures or the terms of the contrast."""
        return [*(self.ranking or self.contrast or [])]

    def replaced_by(self, update: dict[str, Any]) -> set[str]:
        """Return the alternative that gives way: a tier may give a contrast instead of a ranking, and the reverse."""
        alternatives = {"ranking", "contrast"}
        return alternatives - set(update) if alternatives & set(update) else set()

    def faults(self) -> list[str]:
        """Return what is wrong between the keys."""
        checks = {
            "give 'ranking' or 'contrast', not both": self.ranking and self.contrast,
            "a ranking needs 'better'": self.ranking and not self.better,
            f"'min_difference' is {self.min_difference:g}, but a ratio is positive; write 0.9 for 'not worse by more than 10 %'": (
                self.scale == "ratio" and self.min_difference < 0
            ),
        }
        return [text for text, wrong in checks.items() if wrong]

    def judge(self, samples: Samples) -> Outcome:
        """Judge by one-sided tests of each inequality, paired by seed where seeds pair."""
        return self.judge_samples([samples.values[measure] for measure in self.reads() if isinstance(measure, Measure)])

    def judge_samples(self, samples: Sequence[Sample]) -> Outcome:
        """Judge the order: every inequality must hold (intersection-union test, so no adjustment between them).

        A claim is contradicted when one inequality fails for certain; with k of them each is tested at 0.05 / k, because
        any could. The outcome shows the inequality that decides: the least certain one, or the failing one.

        Args:
            samples: per measure of `ranking` or `contrast`, seed -> value.
        """
        ratio = self.scale == "ratio"
        back: Callable[[float], float] = math.exp if ratio else float
        statements = self._inequalities(samples)
        bound = statements[0].bound
        strict = bool(self.ranking) and not self.min_difference
        noun, unit = ("ratio", "") if ratio else ("difference" if self.ranking else "sum", self.unit)
        criterion = f"{noun} {'>' if strict else '≥'} {number(back(bound), unit)}"
        if self.counted:
            return _judge_exact_order(statements, back, criterion, unit, strict=strict)
        holds = [statement.contrast.estimate.p_above(bound) for statement in statements]
        fails = [statement.contrast.estimate.p_below(bound) for statement in statements]
        word: Word = "inconclusive"
        decisive = int(np.argmax(holds))
        if max(holds) <= statistics.ALPHA:
            word = "replicated"
        elif min(fails) * len(statements) <= statistics.ALPHA:
            word, decisive = "contradicted", int(np.argmin(fails))
        statement = statements[decisive]
        estimate = statement.contrast.estimate
        low, high = estimate.interval(LEVEL)
        needed = statistics.seeds_for_order(estimate.mean - bound, estimate.sd) if word == "inconclusive" else None
        paired = statement.contrast.seeds
        how = f"paired over {len(paired)} seeds" if paired else f"unpaired, at least {estimate.n} seeds each"
        least = " (the least certain of the order's steps)" if len(statements) > 1 and word != "contradicted" else ""
        verb = {"replicated": "reaches", "contradicted": "stays below", "inconclusive": "is not clear of"}[word]
        text = (
            f"{statement.label}{least}: the {noun} is {number(back(estimate.mean), unit)}, and its 90 % interval,"
            f" {span(back(low), back(high), unit)} ({how}), {verb} {number(back(bound), unit)}"
            f"{f'; {seeds_that_decide(needed)}' if word == 'inconclusive' else ''}."
        )
        values = tuple(back(value) for value in statement.contrast.values)
        return Outcome(word, text, criterion, back(estimate.mean), back(low), back(high), LEVEL, max(holds), back(bound), values, needed)

    def _inequalities(self, samples: Sequence[Sample]) -> list[_Inequality]:
        combine = statistics.log_contrast if self.scale == "ratio" else statistics.contrast
        least = self.min_difference
        bound = (math.log(least) if least > 0 else 0.0) if self.scale == "ratio" else least
        if self.contrast:
            return [_Inequality(_sum_label(self.contrast), combine(samples, [term.weight for term in self.contrast]), bound)]
        ranking = self.ranking or []
        sign = -1.0 if self.better == "lower" else 1.0
        return [
            _Inequality(
                f"{name_of(ranking[i], ranking)} against {name_of(ranking[i + 1], ranking)}",
                combine([samples[i], samples[i + 1]], [sign, -sign]),
                bound,
            )
            for i in range(len(ranking) - 1)
        ]


def _judge_exact_order(
    statements: Sequence[_Inequality], back: Callable[[float], float], criterion: str, unit: str, *, strict: bool
) -> Outcome:
    """Compare counted quantities directly and show the tightest inequality; a strict one refuses a tie."""
    outcomes = []
    for statement in statements:
        bound = back(statement.bound)
        values = [back(value) for value in statement.contrast.values] or [back(statement.contrast.estimate.mean)]
        outcome = judge_exact(values, bound, math.inf, None, criterion=criterion, unit=unit, margin=bound, strict=strict)
        outcomes.append(replace(outcome, reason=f"{statement.label}: {outcome.reason}"))
    ranks = {"contradicted": 0, "inconclusive": 1, "replicated": 2}
    return min(outcomes, key=lambda outcome: (ranks[outcome.word], outcome.ours or 0.0))


def name_of(measure: Measure, others: Sequence[Measure]) -> str:
    """Return the shortest name that tells a measure from the others: its run, and what else differs between those of one run."""
    same_run = [other for other in others if other.run == measure.run]
    parts = [measure.run]
    for key in ("model", "metric", "split", "at"):
        value = getattr(measure, key)
        if value not in (None, "") and any(getattr(other, key) != value for other in same_run):
            parts.append(f"{measure.axis} {value:g}" if key == "at" else str(value))
    return " ".join(parts)


def _sum_label(terms: Sequence[Term]) -> str:
    parts = []
    for term in terms:
        size = "" if abs(term.weight) == 1 else f"{number(abs(term.weight))} x "
        parts.append(f"{'-' if term.weight < 0 else '+'} {size}{name_of(term, terms)}")
    return " ".join(parts).removeprefix("+ ")


KIND = OrderClaim
