"""What the numbers of a verdict are, and how they are printed: one quantity, one unit and its natural sign for published, ours and bound.

A rule judges in the terms of its test: a sum that must reach a bound from below, a share from 0 to 1, the logarithm of a ratio. A reader
gets the quantity itself: "error at most 90 %" and not "sum >= -90". What is printed follows from the claim alone, by the rules here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SHARE_WORDS = frozenset({"accuracy", "beyond", "known", "open", "success", "wins"})
"""Words in the names of metrics that are recorded as shares from 0 to 1, without a unit."""


@dataclass(frozen=True)
class Quantity:
    """A quantity as it is printed.

    Attributes:
        name: what it is, as the subject of a criterion.
        unit: of what is printed; empty for none.
        factor: by which a judged number is multiplied; negative where the rule judges the opposite.
        base: the judged number is a logarithm to this base; 0 where it is none.
    """

    name: str = ""
    unit: str = ""
    factor: float = 1.0
    base: float = 0.0

    def shown(self, judged: float) -> float:
        """Return a judged number as it is printed.

        Args:
            judged: in the terms of the rule.

        Returns:
            The number in `unit`; never a negative zero.
        """
        return self.factor * (self.base**judged if self.base else judged) + 0.0

    def judged(self, shown: float) -> float:
        """Return a printed number in the terms of the rule.

        >>> Quantity(factor=100.0, base=2.0).judged(25.0)
        -2.0

        Args:
            shown: in `unit`.

        Returns:
            The number that `shown` was made of.
        """
        return math.log(shown / self.factor, self.base) if self.base else shown / self.factor

    def interval(self, low: float, high: float) -> tuple[float, float]:
        """Return the two ends of a judged interval as they are printed, the smaller one first.

        Args:
            low: lower end in the terms of the rule.
            high: upper end.

        Returns:
            Both ends in `unit`.
        """
        ends = self.shown(low), self.shown(high)
        return min(ends), max(ends)

    def text(self, judged: float) -> str:
        """Return a judged number as the sentences print it, with its unit.

        Args:
            judged: in the terms of the rule.

        Returns:
            For example '1.29 %'.
        """
        return number(self.shown(judged), self.unit)

    def span(self, low: float, high: float) -> str:
        """Return a judged interval in words, with its unit.

        Args:
            low: lower end in the terms of the rule.
            high: upper end.

        Returns:
            For example '1.2 to 1.4 %'.
        """
        return span(*self.interval(low, high), self.unit)


_ACRONYMS = {word.lower(): word for word in ("BLEU", "CHAIR", "CIDEr", "FLOPs", "GRU", "LSTM")}


def is_share(metrics: Sequence[str], unit: str) -> bool:
    """Return True where values without a unit are shares from 0 to 1, as every metric's name says.

    Args:
        metrics: names of metrics.
        unit: that the claim declares.

    Returns:
        False where the claim has a unit, or reads no metric.
    """
    return not unit and bool(metrics) and all(SHARE_WORDS & set(metric.split("_")) for metric in metrics)


def of_difference(unit: str) -> str:
    """Return the unit of a difference of two values: percentage points of percentages.

    Args:
        unit: of the two values.

    Returns:
        Their unit otherwise.
    """
    return "points" if unit == "%" else unit


def words(metric: str) -> str:
    """Return a metric's name in words.

    >>> words("bleu_4"), words("lstm_wins")
    ('BLEU 4', 'LSTM wins')

    Args:
        metric: as it is recorded.

    Returns:
        The name with blanks.
    """
    return " ".join(_ACRONYMS.get(word, word) for word in metric.split("_"))


def number(value: float, unit: str = "") -> str:
    """Return a number as the sentences print it: four significant digits and the unit.

    Args:
        value: the number.
        unit: printed behind it; empty for none.

    Returns:
        For example '1.29 %', '1 point'.
    """
    text = f"{value:,.0f}" if abs(value) >= 1e4 and abs(value) < 1e9 else f"{value:.4g}"
    return f"{text} {'point' if unit == 'points' and text in ('1', '-1') else unit}".strip()


def span(low: float, high: float, unit: str = "") -> str:
    """Return an interval in words, for example '1.2 to 1.4 %'.

    Args:
        low: lower end.
        high: upper end.
        unit: printed behind it; empty for none.

    Returns:
        Both ends and the unit.
    """
    return f"{number(low)} to {number(high, unit)}"
