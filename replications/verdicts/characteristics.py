"""Operating characteristics: how often each rule decides, rightly or wrongly, by simulation through the rules themselves."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from replications.verdicts.scenarios import Scenario
from replications.verdicts.words import CONTRADICTED, POSITIVE

DRAWS = 1000
"""Simulated studies per scenario: a rate of 5 % has a standard error of 0.7 points."""

FAMILY_DRAWS = 300
"""Simulated papers, each with all its claims."""


@dataclass(frozen=True)
class Rates:
    """Rates of the words in one scenario.

    Attributes:
        rule: kind of claim, or the rule above kinds.
        situation: what is true.
        seeds: seeds per run.
        draws: simulated studies.
        holds: share of studies with a positive word; of papers with at least one.
        contradicted: share with a contradiction.
        open: share with neither, not tested included.
        error: words that would be an error here, joined by ' or '; empty where none would.
        limit: largest rate of each error that the rule promises; None where none would be an error.
    """

    rule: str
    situation: str
    seeds: int
    draws: int
    holds: float
    contradicted: float
    open: float
    error: str
    limit: float | None

    @property
    def errors(self) -> float:
        """Return the rate of errors, of the more frequent one where both would be."""
        return max((float(getattr(self, word)) for word in self.error.split(" or ") if word), default=0.0)


def simulate(scenario: Scenario, draws: int | None = None) -> Rates:
    """Return the rates of the words in one scenario. The seed follows from its name, so that they are the same everywhere.

    Args:
        scenario: what is drawn and judged.
        draws: simulated studies; default: `DRAWS`, of whole papers `FAMILY_DRAWS`.

    Returns:
        Shares of the simulated studies, 0 to 1, rounded to four digits.
    """
    count = draws or (FAMILY_DRAWS if scenario.rule == "family" else DRAWS)
    generator = np.random.default_rng(zlib.crc32(scenario.name.encode()))
    words = [scenario.draw(generator) for _ in range(count)]
    holds = sum(any(word in POSITIVE for word in study) for study in words)
    contradicted = sum(any(word in CONTRADICTED for word in study) for study in words)
    decided = sum(any(word in (*POSITIVE, *CONTRADICTED) for word in study) for study in words)
    error = " or ".join(scenario.wrong)
    return Rates(
        rule=scenario.rule,
        situation=scenario.situation,
        seeds=scenario.seeds,
        draws=count,
        holds=round(holds / count, 4),
        contradicted=round(contradicted / count, 4),
        open=round(1 - decided / count, 4),
        error=error,
        limit=scenario.limit if error else None,
    )
