"""BLEU of a corpus with one reference a sentence (Papineni et al. 2002)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

LONGEST = 4
"""Words of the longest sequences counted."""


def bleu_4(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """Return BLEU-4: the geometric mean of clipped n-gram precisions up to four words, times the penalty for short candidates.

    Args:
        candidates: words of each sentence.
        references: words of the reference of each.

    Returns:
        0 to 100; 0 where one of the precisions is 0.
    """
    found, possible = [0] * LONGEST, [0] * LONGEST
    for candidate, reference in zip(candidates, references, strict=True):
        for n in range(1, LONGEST + 1):
            counts = Counter(zip(*(candidate[i:] for i in range(n)), strict=False))
            allowed = Counter(zip(*(reference[i:] for i in range(n)), strict=False))
            found[n - 1] += sum((counts & allowed).values())
            possible[n - 1] += sum(counts.values())
    if not all(found):
        return 0.0
    length, target = sum(map(len, candidates)), sum(map(len, references))
    brevity = min(0.0, 1 - target / length)
    return 100 * math.exp(brevity + sum(math.log(f / p) for f, p in zip(found, possible, strict=True)) / LONGEST)
