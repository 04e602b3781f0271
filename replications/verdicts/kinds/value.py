"""Claims of a value: ours equals the published one within a margin."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field

from replications.registry.claims import Items, Measure
from replications.verdicts.counted import judge_counted
from replications.verdicts.estimates import ALPHA, prediction_interval
from replications.verdicts.evidence_of_means import mean_evidence
from replications.verdicts.outcome import LEVEL, JudgedClaim, Outcome, Sample, Samples, Word, seeds_that_decide
from replications.verdicts.quantity import Quantity, is_share, number, of_difference, words


class ValueClaim(JudgedClaim):
    """A published value p0 with a margin D: equivalence first, then the better or worse side, then the prediction interval."""

    kind: Literal["value"]
    measure: Measure | None = None
    published: float | None = None
    margin: float | None = Field(None, gt=0, description="Half-width of the range around the published value that counts as equal.")
    better: Literal["lower", "higher"] | None = None
    shared_test_set: bool = Field(
        False, description="The published value was measured on the very items of our test set, so that their choice is no source of error."
    )

    required: ClassVar = (("measure",), ("published",), ("margin",), ("better",))

    def reads(self) -> list[Measure | Items]:
        """Return the one measure."""
        return [self.measure] if self.measure else []

    def bounds(self) -> tuple[object, ...]:
        """Return the published value and its margin."""
        return self.published, self.margin

    @property
    def quantity(self) -> Quantity:
        """The measure, a share as a percentage."""
        metric = self.measure.metric if self.measure else ""
        share = is_share([metric], self.unit)
        return Quantity(words(metric), "%" if share else self.unit, 100.0 if share else 1.0)

    @property
    def criterion(self) -> str:
        """How near to the published value, which is included."""
        shown = self.quantity
        margin = number(shown.shown(self.margin or 0.0), of_difference(shown.unit))
        return f"{shown.name} within {margin} of {shown.text(self.published or 0.0)}"

    def judge(self, samples: Samples) -> Outcome:
        """Judge by two one-sided tests at 0.05 (Schuirmann 1987), which the 90 % interval shows.

        Args:
            samples: what the records say about the measure.

        Returns:
            The word, its p-values and the interval of our mean.

        Raises:
            ValueError: the claim declares no measure.
        """
        if self.measure is None:
            raise ValueError("a value needs a measure")
        return self.judge_values(
            samples.values[self.measure], samples.test_examples.get(self.measure), may_fail=self.measure in samples.may_fail
        )

    def judge_values(self, sample: Sample, examples: int | None = None, *, may_fail: bool = False) -> Outcome:
        """Judge our values.

        The margin is the registered one. The error of the test set is part of the interval instead, unless the published
        value was measured on the same items.

        Args:
            sample: seed -> our value, at least two seeds (one suffices where `counted`).
            examples: size of the test set, where it was recorded; matters for percentages only.
            may_fail: a training may fail altogether, which a small spread of the others does not exclude.

        Returns:
            The word, its p-values and the interval of our mean, in the claim's unit.
        """
        target, margin, better, unit = float(self.published or 0.0), self.margin or 0.0, self.better, self.unit
        shown = self.quantity
        low_edge, high_edge = target - margin, target + margin
        edges = f"{number(shown.shown(target))} ± {shown.text(margin)}"
        values = tuple(sample.values())
        if self.counted:
            return judge_counted(values, low_edge, high_edge, better, criterion=self.criterion, quantity=shown, margin=margin)
        evidence = mean_evidence(sample, unit, None if self.shared_test_set else examples, may_fail=may_fail)
        low, high = evidence.interval(LEVEL)
        inside = evidence.p_within(low_edge, high_edge)
        p_lower, p_higher = evidence.p_below(low_edge), evidence.p_above(high_edge)
        p_better, p_worse = (p_lower, p_higher) if better == "lower" else (p_higher, p_lower)
        with_items = f" and {examples:,} test items" if evidence.item_error else ""
        where = f"The 90 % interval of our mean over {len(values)} seeds{with_items}, {shown.span(low, high)},"
        word: Word = "inconclusive"
        p, needed = min(inside, p_better), None
        if inside <= ALPHA:
            word, p, text = "replicated", inside, f"{where} lies within {edges}."
        elif p_better <= ALPHA:
            word, p, text = "exceeded", p_better, f"{where} lies wholly on the better side of {edges}."
        elif p_worse <= ALPHA:
            word, p, text = "contradicted", inside, f"{where} lies wholly on the worse side of {edges}."
        else:
            needed = evidence.seeds_to_fit(low_edge, high_edge)
            text = f"{where} is not clear of the edges of {edges}; {seeds_that_decide(needed)}."
            first, last = _one_run(values, evidence.item_error)
            if evidence.estimate.sd > 0 and first <= target <= last and (last - first) / 2 < 2 * margin:
                word = "compatible"
                text += (
                    f" One more run of ours would fall between {number(shown.shown(first))} and {shown.text(last)} (95 %), and so might the"
                    " published one."
                )
        return Outcome(word, text, self.criterion, evidence.estimate.mean, low, high, LEVEL, p, margin, values, needed, p_worse)


def _one_run(values: tuple[float, ...], item_error: float) -> tuple[float, float]:
    """Return the range of one more run on another test set of this size (95 %): our mean and that run both have its error."""
    first, last = prediction_interval(values)
    half = math.hypot((last - first) / 2, 1.96 * math.sqrt(2) * item_error)
    return (first + last) / 2 - half, (first + last) / 2 + half


KIND = ValueClaim
