"""Claims of a count: at least or at most so many items pass a score that was declared before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from replications.registry.claims import Items, Measure
from replications.verdicts import statistics
from replications.verdicts.outcome import EQUAL, ItemArrays, JudgedClaim, Outcome, Samples, Word, number, span


class CountClaim(JudgedClaim):
    """At least or at most so many items pass their score, in every seed."""

    kind: Literal["count"]
    items: Items | None = None
    at_least: float | None = None
    at_most: float | None = None
    fraction: bool = Field(False, description="`at_least` and `at_most` are shares of all items, not numbers of items.")
    networks: float = Field(
        0.5, ge=0.2, lt=1, description="Share of all trained networks that must meet the bound; tested exactly over seeds."
    )

    required: ClassVar = (("items",), ("at_least", "at_most"))

    def reads(self) -> list[Measure | Items]:
        """Return the one set of items."""
        return [self.items] if self.items else []

    def judge(self, samples: Samples) -> Outcome:
        """Judge the items of every seed against their controls."""
        if self.items is None:
            raise ValueError("a count needs items")
        return self.judge_items(samples.items[self.items])

    def judge_items(self, seeds: Mapping[int, ItemArrays]) -> Outcome:
        """Judge the items of each seed.

        Items that cannot be judged count against the claim: as failing under `at_least`, as passing under `at_most`.

        The p-value of an `at_least` claim is the largest over seeds of the k-th smallest Holm-adjusted p-value among the
        items that reach the score (Benjamini and Heller 2008: at least k of the nulls are false); `at_most` has none.

        Args:
            seeds: seed -> scores, shuffled-label control, untrained control and p-values, each of shape (items,).
        """
        items = self.items
        if items is None:
            raise ValueError("a count needs items")
        counts, holds, unknowns, ps = [], [], 0, []
        for arrays in seeds.values():
            passed, unknown = passing(arrays, items)
            scale = passed.size if self.fraction else 1
            few, many = int(passed.sum()), int(passed.sum() + unknown.sum())
            enough = self.at_least is None or few >= self.at_least * scale - EQUAL
            counts.append(few / scale)
            holds.append(enough and (self.at_most is None or many <= self.at_most * scale + EQUAL))
            unknowns += int(unknown.sum())
            ps.append(_count_p(arrays, items, math.ceil((self.at_least or 0) * scale - EQUAL)))
        bounds = [f"≥ {number(self.at_least)}"] if self.at_least is not None else []
        bounds += [f"≤ {number(self.at_most)}"] if self.at_most is not None else []
        noun = self.unit or ("share of items" if self.fraction else "items")
        criterion = f"{noun} {' and '.join(bounds)} in every seed"
        word: Word = "replicated" if all(holds) else "inconclusive" if any(holds) else "contradicted"
        met = f"{sum(holds)} of {len(holds)} seeds meet {' and '.join(bounds)}"
        text = f"{span(min(counts), max(counts), noun)} pass, and {met}."
        if unknowns:
            text += f" {unknowns:,} items have no finite score; they count against the claim."
        p = max(ps) if self.at_most is None else None
        return Outcome(word, text, criterion, float(np.mean(counts)), min(counts), max(counts), None, p, self.at_least, tuple(counts))


def passing(arrays: ItemArrays, items: Items) -> tuple[np.ndarray, np.ndarray]:
    """Return which items of one seed pass, and which cannot be judged because a number is not finite (those do not pass).

    Args:
        arrays: scores, shuffled-label control, untrained control and p-values, each of shape (items,).
        items: threshold and bound of the controls.

    Returns:
        Two boolean arrays of shape (items,).
    """
    scores, shuffled, untrained, p = (np.asarray(array, dtype=float) for array in arrays)
    unknown = ~np.isfinite(scores) | ~np.isfinite(shuffled) | ~np.isfinite(untrained) | ~np.isfinite(p)
    adjusted = statistics.holm(np.where(unknown, 1.0, p))
    clear = (scores >= items.threshold) & (shuffled < items.control) & (untrained < items.control)
    return clear & (adjusted <= statistics.ALPHA) & ~unknown, unknown


def _count_p(arrays: ItemArrays, items: Items, k: int) -> float:
    """Return the p-value of 'at least k items of this seed truly pass'; 1 when fewer than k reach the score and both controls."""
    scores, shuffled, untrained, p = (np.asarray(array, dtype=float) for array in arrays)
    finite = np.isfinite(scores) & np.isfinite(shuffled) & np.isfinite(untrained) & np.isfinite(p)
    clear = finite & (scores >= items.threshold) & (shuffled < items.control) & (untrained < items.control)
    adjusted = np.sort(statistics.holm(np.where(finite, p, 1.0))[clear])
    return float(adjusted[k - 1]) if 0 < k <= adjusted.size else float(k > 0)


KIND = CountClaim
