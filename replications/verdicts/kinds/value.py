"""Claims of a value: ours equals the published one within a margin."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field

from replications.registry.claims import Items, Measure
from replications.verdicts import statistics
from replications.verdicts.exact import judge_exact
from replications.verdicts.outcome import LEVEL, JudgedClaim, Outcome, Sample, Samples, Word, number, seeds_that_decide, span


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

    def judge(self, samples: Samples) -> Outcome:
        """Judge by two one-sided tests at 0.05 (Schuirmann 1987), which the 90 % t-interval shows."""
        if self.measure is None:
            raise ValueError("a value needs a measure")
        return self.judge_values(samples.values[self.measure], samples.test_examples.get(self.measure))

    def judge_values(self, sample: Sample, examples: int | None = None) -> Outcome:
        """Judge our values.

        Args:
            sample: seed -> our value, at least two seeds (one suffices where `counted`).
            examples: size of the test set, where it was recorded; matters for percentages only.
        """
        target, better, unit = float(self.published or 0.0), self.better, self.unit
        margin, note = self.effective_margin(examples)
        low_edge, high_edge = target - margin, target + margin
        criterion = f"{number(target)} ± {number(margin, unit)}"
        values = tuple(sample.values())
        if self.counted:
            return judge_exact(values, low_edge, high_edge, better, criterion=criterion, unit=unit, margin=margin)
        estimate = statistics.estimate(values)
        low, high = estimate.interval(LEVEL)
        inside = statistics.tost(values, low_edge, high_edge)
        p_lower, p_higher = estimate.p_below(low_edge), estimate.p_above(high_edge)
        p_better, p_worse = (p_lower, p_higher) if better == "lower" else (p_higher, p_lower)
        where = f"The 90 % interval of our mean over {estimate.n} seeds, {span(low, high, unit)},"
        word: Word = "inconclusive"
        p, needed = inside, None
        if inside <= statistics.ALPHA:
            word, text = "replicated", f"{where} lies within {criterion}."
        elif p_better <= statistics.ALPHA:
            word, p, text = "exceeded", p_better, f"{where} lies wholly on the better side of {criterion}."
        elif p_worse <= statistics.ALPHA:
            word, text = "contradicted", f"{where} lies wholly on the worse side of {criterion}."
        else:
            needed = statistics.seeds_for_equivalence(estimate.mean - target, margin, estimate.sd)
            first, last = statistics.prediction_interval(values)
            text = f"{where} is not clear of the edges of {criterion}; {seeds_that_decide(needed)}."
            if first <= target <= last and (last - first) / 2 < 2 * margin:
                word = "compatible"
                text += (
                    f" One more run of ours would fall between {number(first)} and {number(last, unit)} (95 %), and so might the"
                    " published one."
                )
        return Outcome(word, text + note, criterion, estimate.mean, low, high, LEVEL, p, margin, values, needed)

    def effective_margin(self, examples: int | None) -> tuple[float, str]:
        """Return the registered margin, or two standard errors of the test set where those are wider, and a note that says so."""
        margin, target = self.margin or 0.0, self.published or 0.0
        floor = 2 * binomial_error(target, examples) if self.unit == "%" and examples else 0.0
        if floor <= margin:
            return margin, ""
        note = f" The margin {number(margin)} was widened to {number(floor, self.unit)}, two standard errors of a test set of {examples:,}."
        return floor, note


def binomial_error(published: float, examples: int) -> float:
    """Return the standard error of a percentage measured on `examples` test items, in percentage points (binomial)."""
    share = min(max(published / 100, 0.0), 1.0)
    return 100 * math.sqrt(share * (1 - share) / examples)


KIND = ValueClaim
