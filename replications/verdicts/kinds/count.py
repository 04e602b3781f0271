"""Claims of a count: at least or at most so many items pass a score that was declared before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from replications.registry.claims import Items, Measure
from replications.verdicts.estimates import ALPHA
from replications.verdicts.multiplicity import holm
from replications.verdicts.outcome import EQUAL, ItemArrays, JudgedClaim, Outcome, Samples, Word
from replications.verdicts.quantity import Quantity, number
from replications.verdicts.shares import Binomial


class CountClaim(JudgedClaim):
    """At least or at most so many items pass their score, in most trained networks."""

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

    def bounds(self) -> tuple[object, ...]:
        """Return the number or share of items and of networks, and what an item must score."""
        scores = (self.items.threshold, self.items.control) if self.items else ()
        return self.at_least, self.at_most, self.fraction, self.networks, *scores

    @property
    def quantity(self) -> Quantity:
        """The mean number of items that pass in one network, or their share in per cent."""
        return Quantity("items that pass", "%" if self.fraction else self.unit, 100.0 if self.fraction else 1.0)

    @property
    def criterion(self) -> str:
        """How many items, in how many networks."""
        return f"{self._bounds} in more than {number(100 * self.networks, '%')} of networks"

    @property
    def _bounds(self) -> str:
        bounds = [f"at least {self.quantity.text(self.at_least)}"] if self.at_least is not None else []
        bounds += [f"at most {self.quantity.text(self.at_most)}"] if self.at_most is not None else []
        return f"{self.quantity.name}: {' and '.join(bounds)}"

    def judge(self, samples: Samples) -> Outcome:
        """Judge the items of every seed against their controls.

        Args:
            samples: what the records say; of a count the item arrays of each seed.

        Returns:
            The word, its p-values and the counts per seed.

        Raises:
            ValueError: the claim declares no items.
        """
        if self.items is None:
            raise ValueError("a count needs items")
        return self.judge_items(samples.items[self.items])

    def judge_items(self, seeds: Mapping[int, ItemArrays]) -> Outcome:
        """Judge the items of each seed.

        A seed meets the bounds or does not. The claim holds where more than `networks` of all trained networks meet them by
        an exact binomial test over seeds, and is contradicted where fewer do. Within a seed an item passes only with its
        Holm-adjusted p-value, so that a network without such items meets `at_least` with probability 0.05 at most.

        Items that cannot be judged count against the claim: as failing under `at_least`, as passing under `at_most`.

        Args:
            seeds: seed -> scores, shuffled-label control, untrained control and p-values, each of shape (items,).

        Returns:
            The word, its p-values and the counts per seed.

        Raises:
            ValueError: the claim declares no items.
        """
        items = self.items
        if items is None:
            raise ValueError("a count needs items")
        counts, holds, unknowns = [], [], 0
        for arrays in seeds.values():
            passed, unknown = passing(arrays, items)
            scale = passed.size if self.fraction else 1
            few, many = int(passed.sum()), int(passed.sum() + unknown.sum())
            enough = self.at_least is None or few >= self.at_least * scale - EQUAL
            counts.append(few / scale)
            holds.append(enough and (self.at_most is None or many <= self.at_most * scale + EQUAL))
            unknowns += int(unknown.sum())
        n, met = len(holds), Binomial(sum(holds), len(holds))
        p, against = met.p_above(self.networks), met.p_below(self.networks)
        word: Word = "replicated" if p <= ALPHA else "contradicted" if against <= ALPHA else "inconclusive"
        items_of = " of the items" if self.fraction else "" if self.unit else " items"
        text = f"{self.quantity.span(min(counts), max(counts))}{items_of} pass, and {sum(holds)} of {n} seeds meet the criterion ({self._bounds})"
        text += f" (exact p = {min(p, against):.2g} for {'more' if p < against else 'fewer'} than {number(100 * self.networks, '%')} of networks)"
        needed = None
        if word == "inconclusive":
            needed = _seeds_that_agree(self.networks if p < against else 1 - self.networks)
            text += f"; {needed} seeds that agree would decide"
        if unknowns:
            text += f". {unknowns:,} items have no finite score; they count against the claim"
        ours, low, high = float(np.mean(counts)), min(counts), max(counts)
        return Outcome(word, f"{text}.", self.criterion, ours, low, high, None, p, self.at_least, tuple(counts), needed, against)


def _seeds_that_agree(share: float) -> int:
    """Return the number of seeds that, all on one side, reject this share of networks on that side."""
    return math.ceil(math.log(ALPHA) / math.log(share))


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
    adjusted = holm(np.where(unknown, 1.0, p))
    clear = (scores >= items.threshold) & (shuffled < items.control) & (untrained < items.control)
    return clear & (adjusted <= ALPHA) & ~unknown, unknown


KIND = CountClaim
