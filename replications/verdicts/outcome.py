"""The outcome of a rule, the samples it is applied to, and the sentences that tell it."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from replications.registry.claims import Claim, Items, Measure
from replications.verdicts.estimates import ALPHA
from replications.verdicts.quantity import Quantity
from replications.verdicts.seeds_needed import MOST_SEEDS

Word = Literal["replicated", "exceeded", "compatible", "inconclusive", "contradicted", "counted as published", "differs"]
Sample = Mapping[int, float]
"""One value per seed."""

ItemArrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Scores, shuffled-label control, untrained control and p-values of one seed's items, each of shape (items,)."""

LEVEL = 1 - 2 * ALPHA
EQUAL = 1e-9
"""Relative difference up to which counted quantities are equal: they differ by rounding at most."""


@dataclass(frozen=True)
class Samples:
    """Recorded values of the measures of one claim.

    Attributes:
        values: per measure, seed -> value; empty where nothing is recorded.
        items: per set of items, seed -> its four arrays.
        test_examples: per measure, the size of its test set where that is recorded.
        missing: per measure or set of items without values, why there are none.
        proxy: what is scaled down in the runs behind them; empty when the claim itself is tested.
        wrong: per measure, seed -> which items of its test set were wrong, boolean of shape (items,), where that is stored.
        units: unit of the recorded values of each measure of a trend, whose own unit is that of its statistic.
        may_fail: measures of runs of which a training either learns its task or fails altogether.
    """

    values: Mapping[Measure, Sample] = field(default_factory=dict)
    items: Mapping[Items, Mapping[int, ItemArrays]] = field(default_factory=dict)
    test_examples: Mapping[Measure, int] = field(default_factory=dict)
    missing: Mapping[Measure | Items, str] = field(default_factory=dict)
    proxy: str = ""
    wrong: Mapping[Measure, Mapping[int, np.ndarray]] = field(default_factory=dict)
    units: Mapping[Measure, str] = field(default_factory=dict)
    may_fail: frozenset[Measure] = frozenset()


@dataclass(frozen=True)
class Outcome:
    """Result of a rule. Its numbers are in the terms of the test; the claim's `quantity` says how they are printed.

    Attributes:
        word: the verdict, before proxies and the adjustment over a paper's claims.
        reason: one sentence with the numbers.
        criterion: what would have to be true, in words; for display alone.
        ours: our mean, difference, ratio, statistic or count.
        low: lower end of its interval at `level`; of the range over seeds when `level` is None.
        high: upper end.
        level: level of the interval; None when nothing was sampled.
        p: p-value of the claim (null: it is false); None where the rule makes no test.
        margin: margin in force.
        values: `ours` per seed; empty where seeds do not pair.
        seeds_needed: seeds that would probably decide; None when decided, when more than 1,000, or when no number would.
        p_against: p-value of 'the claim is contradicted' (null: it is not); None where the rule makes no test.
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
    p_against: float | None = None


class JudgedClaim(Claim, abc.ABC):
    """Base of every kind of claim: a claim with the rule that judges it."""

    @property
    @abc.abstractmethod
    def quantity(self) -> Quantity:
        """What the numbers of a verdict on it are, and how they are printed."""

    @property
    @abc.abstractmethod
    def criterion(self) -> str:
        """What would have to be true of a complete comparison, in the terms of `quantity`; for display alone."""

    @abc.abstractmethod
    def judge(self, samples: Samples) -> Outcome:
        """Apply the rule to a complete comparison (see `Claim.at`).

        Args:
            samples: finite values of every measure, at least two seeds each (one where `counted`).

        Returns:
            The word with its reason and numbers.

        Raises:
            ValueError: the rule cannot be applied to these numbers.
        """


def seeds_that_decide(seeds: int | None) -> str:
    """Return the clause on the seeds that would decide an open verdict.

    Args:
        seeds: number of seeds; None where more than `MOST_SEEDS` would be needed.

    Returns:
        A clause without full stop.
    """
    return f"about {seeds} seeds would decide" if seeds else f"more than {MOST_SEEDS:,} seeds would be needed"
