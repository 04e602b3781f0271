"""Corpus BLEU with one reference, on tokens (Papineni et al. 2002).

The definition is that of Moses' multi-bleu.perl and of sacreBLEU without smoothing and tokenisation: n-grams of one to four words, counts
clipped by the reference and summed over the corpus before precisions are taken, geometric mean, brevity penalty of the corpus.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replications.errors import InputError

ORDERS = 4

SIGNATURE = "BLEU|nrefs:1|case:mixed|eff:no|tok:none|smooth:none"
"""How the score is made, in sacreBLEU's notation; `tok:none` means that the tokens are the caller's."""


@dataclass(frozen=True)
class Bleu:
    """A corpus score.

    Attributes:
        score: 0 to 100.
        precisions: of n-grams of one to four words, 0 to 100.
        brevity_penalty: 1 where the hypotheses are at least as long as the references.
        lengths: words of the hypotheses and of the references.
    """

    score: float
    precisions: tuple[float, ...]
    brevity_penalty: float
    lengths: tuple[int, int]


def sentence_counts(hypothesis: Sequence[str], reference: Sequence[str]) -> np.ndarray:
    """Return what one sentence adds to the counts of a corpus.

    Args:
        hypothesis: tokens of a translation.
        reference: tokens of its reference.

    Returns:
        int64 (2 + 2 x 4,): both lengths, the clipped matches of each order, and the n-grams of each order.
    """
    counts = np.zeros(2 + 2 * ORDERS, dtype=np.int64)
    counts[:2] = len(hypothesis), len(reference)
    for order in range(1, ORDERS + 1):
        own, theirs = (Counter(zip(*(tokens[i:] for i in range(order)), strict=False)) for tokens in (hypothesis, reference))
        counts[1 + order] = sum((own & theirs).values())
        counts[1 + ORDERS + order] = max(0, len(hypothesis) - order + 1)
    return counts


def bleu_of_counts(counts: np.ndarray) -> Bleu:
    """Return the score of summed counts.

    Args:
        counts: sum of `sentence_counts` over the sentences of a corpus.

    Returns:
        The score; 0 where an order has no match.
    """
    hypothesis, reference = int(counts[0]), int(counts[1])
    matches, totals = counts[2 : 2 + ORDERS], counts[2 + ORDERS :]
    precisions = tuple(100 * float(match) / total if total else 0.0 for match, total in zip(matches, totals, strict=True))
    penalty = 1.0 if hypothesis >= reference else math.exp(1 - reference / hypothesis) if hypothesis else 0.0
    score = penalty * math.exp(sum(map(math.log, precisions)) / ORDERS) if all(precisions) else 0.0
    return Bleu(score, precisions, penalty, (hypothesis, reference))


def corpus_bleu(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> Bleu:
    """Score translations.

    Args:
        hypotheses: tokens of each translation.
        references: tokens of each reference, as many.

    Returns:
        Score, precisions and brevity penalty of the corpus.

    Raises:
        InputError: there is no sentence, or the numbers differ.
    """
    if not references or len(hypotheses) != len(references):
        raise InputError(f"BLEU needs one reference for each translation: {len(hypotheses)} translations, {len(references)} references.")
    return bleu_of_counts(np.sum([sentence_counts(a, b) for a, b in zip(hypotheses, references, strict=True)], axis=0))
