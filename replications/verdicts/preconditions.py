"""Preconditions on measures: what a model must reach before a claim about it is tested."""

from __future__ import annotations

import math
from collections.abc import Sequence

from replications.registry.claims import Precondition
from replications.verdicts.estimates import ALPHA, estimate
from replications.verdicts.outcome import Samples
from replications.verdicts.quantity import number


def unmet_preconditions(preconditions: Sequence[Precondition], samples: Samples) -> list[str]:
    """Return the preconditions on measures that do not hold, one clause each with the reason; empty where all do.

    A mean must lie above or below its number by a one-sided t-test at 0.05 over seeds. One that cannot be judged does not
    hold. Preconditions on other claims are settled once all claims of the paper are judged.

    Args:
        preconditions: of a claim at one tier.
        samples: what the records say about their measures.

    Returns:
        Clauses without full stop.
    """
    return [clause for needed in preconditions if needed.measure and (clause := _unmet(needed, samples))]


def _unmet(needed: Precondition, samples: Samples) -> str:
    measure = needed.measure
    if measure is None:
        return ""
    sample = samples.values.get(measure, {})
    bound = needed.above if needed.above is not None else needed.below or 0.0
    side = "above" if needed.above is not None else "below"
    name = f"{measure.metric} of {measure.run}{f' ({measure.model})' if measure.model else ''}"
    claim = f"{name} must lie {side} {number(bound)} first ({needed.reason.rstrip('.')})"
    if len(sample) < 2 or not all(math.isfinite(value) for value in sample.values()):
        why = samples.missing.get(measure, "a seed diverged" if len(sample) > 1 else f"{len(sample)} seeds are finished")
        return f"{claim}, which cannot be judged: {why}"
    mean = estimate(list(sample.values()))
    p = mean.p_above(bound) if side == "above" else mean.p_below(bound)
    if p <= ALPHA:
        return ""
    return f"{claim}, and its mean over {mean.n} seeds is {number(mean.mean)} (p = {p:.2g})"
