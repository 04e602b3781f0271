"""Claims of an order: A is better than B by at least so much, or a weighted sum of measures reaches a bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from replications.registry.claims import Items, Measure
from replications.verdicts.counted import judge_counted
from replications.verdicts.estimates import ALPHA
from replications.verdicts.evidence import Evidence
from replications.verdicts.evidence_of_means import contrast_evidence
from replications.verdicts.outcome import LEVEL, JudgedClaim, Outcome, Sample, Samples, Word, seeds_that_decide
from replications.verdicts.quantity import Quantity, is_share, number, of_difference, words


class Term(Measure):
    """A measure with its weight in a contrast."""

    weight: float


@dataclass(frozen=True)
class _Inequality:
    """One statement 'this weighted sum reaches the bound', on the scale of the test (logarithms for ratios)."""

    label: str
    evidence: Evidence
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

    def bounds(self) -> tuple[object, ...]:
        """Return the least difference or ratio, and which of the two it is."""
        return self.min_difference, self.scale

    @property
    def quantity(self) -> Quantity:
        """The difference, ratio or sum that must reach the bound; where every weight is negative, what must stay below it."""
        measures = [measure for measure in self.reads() if isinstance(measure, Measure)]
        metrics = list(dict.fromkeys(measure.metric for measure in measures))
        subject = " and ".join(words(metric) for metric in metrics)
        if self.scale == "ratio":
            return Quantity(f"ratio of {subject}" if self._pair else f"ratio {_product_label(self.contrast or [])}")
        share = is_share(metrics, self.unit)
        unit, factor = ("%", 100.0) if share else (self.unit, 1.0)
        if self._pair:
            return Quantity(subject if len(metrics) == 1 else " less ".join(self._compared), of_difference(unit), factor)
        terms = self.contrast or []
        if terms and all(term.weight < 0 for term in terms):
            terms, factor = [term.model_copy(update={"weight": -term.weight}) for term in terms], -factor
        if len(terms) == 1 and terms[0].weight == 1:
            return Quantity(subject, unit, factor)
        if math.isclose(sum(term.weight for term in terms), 1.0) and all(term.weight > 0 for term in terms):
            return Quantity(subject if subject.startswith("mean ") else f"mean {subject}", unit, factor)
        if self._balanced:
            return Quantity(f"weighted difference in {subject}", of_difference(unit), factor)
        return Quantity(f"weighted total of {subject}", unit, factor)

    @property
    def criterion(self) -> str:
        """Which side of the bound the quantity must be on, as a sentence's end says it: 'error at least 10 points lower'."""
        shown, least = self.quantity, self.min_difference
        if self.scale == "ratio" and not self._pair:
            return f"{shown.name} {f'at least {number(least)}' if least else 'above 1'}"
        if not self._pair:
            if shown.shown(least) < 0:
                return f"{shown.name} at most {number(-shown.shown(least), shown.unit)} below 0"
            return f"{shown.name} at {'most' if shown.factor < 0 else 'least'} {shown.text(least)}"
        better, worse = ("lower", "higher") if self._lower else ("higher", "lower")
        if not least:
            how = better if self.ranking else f"not {worse}"
        elif self.scale == "ratio":
            how = (
                f"{better} by a factor of at least {number(least)}" if least >= 1 else f"{worse} by a factor of at most {number(1 / least)}"
            )
        else:
            how = f"at least {shown.text(least)} {better}" if least > 0 else f"at most {shown.text(-least)} {worse}"
        first, second = reversed(self._compared) if self._lower else self._compared
        return f"{first} {how}" if first == second else f"{first} {how} than {second}"

    @property
    def _pair(self) -> bool:
        """Whether each inequality compares one measure with another: a ranking, or a contrast of two with opposite weights of 1."""
        return bool(self.ranking) or sorted(term.weight for term in self.contrast or []) == [-1.0, 1.0]

    @property
    def _balanced(self) -> bool:
        """Whether what is added is also taken off, so that the whole is a difference."""
        return bool(self.ranking) or math.isclose(sum(term.weight for term in self.contrast or []), 0.0, abs_tol=1e-9)

    @property
    def _compared(self) -> tuple[str, str]:
        """The metric that the difference is taken of, and the one that is taken off."""
        if self.contrast:
            plus, minus = sorted(self.contrast, key=lambda term: -term.weight)
            return words(plus.metric), words(minus.metric)
        first, last = (self.ranking or [])[0], (self.ranking or [])[-1]
        names = words(first.metric), words(last.metric)
        return (names[1], names[0]) if self._lower else names

    @property
    def _lower(self) -> bool:
        return bool(self.ranking) and self.better == "lower"

    def replaced_by(self, update: dict[str, Any]) -> set[str]:
        """Return the alternative that gives way: a tier may give a contrast instead of a ranking, and the reverse.

        Args:
            update: the keys that a tier gives, with their values.

        Returns:
            'ranking' or 'contrast', or nothing.
        """
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
        """Judge by one-sided tests of each inequality, paired by seed where seeds pair and by test item where items are stored.

        Args:
            samples: what the records say about the measures of the ranking or contrast.

        Returns:
            The word, its p-values and the deciding difference.
        """
        measures = [measure for measure in self.reads() if isinstance(measure, Measure)]
        return self.judge_samples(
            [samples.values[measure] for measure in measures],
            [samples.test_examples.get(measure) for measure in measures],
            [samples.wrong.get(measure, {}) for measure in measures],
            [measure in samples.may_fail for measure in measures],
        )

    def judge_samples(
        self,
        samples: Sequence[Sample],
        examples: Sequence[int | None] = (),
        wrong: Sequence[Mapping[int, np.ndarray]] = (),
        may_fail: Sequence[bool] = (),
    ) -> Outcome:
        """Judge the order: every inequality must hold (intersection-union test, so no adjustment between them).

        A claim is contradicted when one inequality fails for certain; with k of them each is tested at 0.05 / k, because
        any could. The outcome shows the inequality that decides: the least certain one, or the failing one.

        Args:
            samples: per measure of `ranking` or `contrast`, seed -> value.
            examples: size of each measure's test set, None where it is not recorded; matters for percentages only.
            wrong: per measure, seed -> which test items were wrong, boolean of shape (items,); empty where not stored.
            may_fail: per measure, whether a training of it may fail altogether; empty: none may.

        Returns:
            The word, its p-values and the deciding difference, in the claim's unit.
        """
        back: Callable[[float], float] = math.exp if self.scale == "ratio" else float
        shown, criterion = self.quantity, self.criterion
        statements = self._inequalities(samples, examples, wrong, may_fail or [False] * len(samples))
        bound = statements[0].bound
        strict = bool(self.ranking) and not self.min_difference
        if self.counted:
            return _judge_counted_order(statements, back, criterion, shown, strict=strict)
        holds = [statement.evidence.p_above(bound) for statement in statements]
        fails = [statement.evidence.p_below(bound) for statement in statements]
        against = min(1.0, min(fails) * len(statements))
        word: Word = "inconclusive"
        decisive = int(np.argmax(holds))
        if max(holds) <= ALPHA:
            word = "replicated"
        elif against <= ALPHA:
            word, decisive = "contradicted", int(np.argmin(fails))
        statement = statements[decisive]
        evidence, contrast = statement.evidence, statement.evidence.contrast
        mean = evidence.estimate.mean
        low, high = evidence.interval(LEVEL)
        needed = evidence.seeds_to_clear(bound) if word == "inconclusive" else None
        how = f"paired over {len(contrast.seeds)} seeds" if contrast.seeds else f"unpaired, at least {evidence.estimate.n} seeds each"
        how += ", test items included" if evidence.item_error else ""
        least = " (the least certain of the order's steps)" if len(statements) > 1 and word != "contradicted" else ""
        side = {"replicated": "meets", "contradicted": "misses", "inconclusive": "is not clear of"}[word]
        noun = "ratio" if self.scale == "ratio" else "difference" if self._balanced else "value"
        text = (
            f"{statement.label}{least}: the {noun} is {shown.text(back(mean))}, and its 90 % interval,"
            f" {shown.span(back(low), back(high))} ({how}), {side} the bound of {shown.text(back(bound))}"
            f"{f'; {seeds_that_decide(needed)}' if word == 'inconclusive' else ''}."
        )
        values = tuple(back(value) for value in contrast.values)
        return Outcome(word, text, criterion, back(mean), back(low), back(high), LEVEL, max(holds), back(bound), values, needed, against)

    @property
    def _label(self) -> str:
        """The runs of the contrast as it is printed."""
        terms = self.contrast or []
        if self.scale == "ratio":
            return _product_label(terms)
        if all(term.weight < 0 for term in terms):
            terms = [term.model_copy(update={"weight": -term.weight}) for term in terms]
        return _sum_label(terms)

    def _inequalities(
        self,
        samples: Sequence[Sample],
        examples: Sequence[int | None],
        wrong: Sequence[Mapping[int, np.ndarray]],
        may_fail: Sequence[bool],
    ) -> list[_Inequality]:
        ratio = self.scale == "ratio"
        least = self.min_difference
        bound = (math.log(least) if least > 0 else 0.0) if ratio else least
        if self.contrast:
            weights = [term.weight for term in self.contrast]
            evidence = contrast_evidence(samples, weights, self.unit, examples, wrong, ratio=ratio, may_fail=may_fail)
            return [_Inequality(self._label, evidence, bound)]
        ranking = self.ranking or []
        lower = self.better == "lower"
        statements = []
        for i in range(len(ranking) - 1):
            label = f"{name_of(ranking[i], ranking)} against {name_of(ranking[i + 1], ranking)}"
            first, second = (i + 1, i) if lower else (i, i + 1)
            sizes = [examples[first], examples[second]] if examples else []
            items = [wrong[first], wrong[second]] if wrong else []
            fails = [may_fail[first], may_fail[second]]
            step = contrast_evidence([samples[first], samples[second]], [1.0, -1.0], self.unit, sizes, items, ratio=ratio, may_fail=fails)
            statements.append(_Inequality(label, step, bound))
        return statements


def _judge_counted_order(
    statements: Sequence[_Inequality], back: Callable[[float], float], criterion: str, quantity: Quantity, *, strict: bool
) -> Outcome:
    """Compare counted quantities directly and show the tightest inequality; a strict one refuses a tie."""
    outcomes = []
    for statement in statements:
        bound, contrast = back(statement.bound), statement.evidence.contrast
        values = [back(value) for value in contrast.values] or [back(contrast.estimate.mean)]
        outcome = judge_counted(values, bound, math.inf, None, criterion=criterion, quantity=quantity, margin=bound, strict=strict)
        outcomes.append(replace(outcome, reason=f"{statement.label}: {outcome.reason}"))
    ranks = {"differs": 0, "inconclusive": 1, "counted as published": 2}
    return min(outcomes, key=lambda outcome: (ranks[outcome.word], outcome.ours or 0.0))


def name_of(measure: Measure, others: Sequence[Measure]) -> str:
    """Return the shortest name that tells a measure from the others: its run, and what else differs between those of one run.

    Args:
        measure: the measure to name.
        others: measures that it must differ from; may contain it.

    Returns:
        A name for sentences.
    """
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


def _product_label(terms: Sequence[Term]) -> str:
    parts = [f"{'/' if term.weight < 0 else 'x'} {name_of(term, terms)}" for term in terms]
    return " ".join(parts).removeprefix("x ")


KIND = OrderClaim
