"""Beam search over all sentences and beams at once, for any model that generates one word after the other.

The k best partial sentences are kept, extended by every word, and the k best of the results are kept again. A finished sentence stays
in that set with its score. Scores are summed log-probabilities in fp32, without length normalisation; a beam of 1 is greedy search.

The search is fast because the unfinished beams of all items (images, or source sentences) are one batch; an item leaves the batch when its
result is final (scores never increase, so n finished sentences at the top cannot be overtaken); and every beam proposes only its own k
best words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from replications.errors import InputError

S = TypeVar("S")


class WordModel(Protocol[S]):
    """What a search needs to know of a model; S is its state, with one row for each unfinished sentence."""

    def next_words(self, words: Tensor, state: S, count: int) -> tuple[Tensor, Tensor, S]:
        """Return the most probable next words.

        Args:
            words: last word of each row, int64 (rows,).
            state: of the rows.
            count: words returned for each row.

        Returns:
            Log-probabilities in nats (rows, count), best first, their word numbers (rows, count), and the new state.
        """

    def select_rows(self, state: S, index: Tensor) -> S:
        """Return some rows of a state, in this order and with repetitions.

        Args:
            state: of the rows.
            index: numbers of rows, int64 (m,).

        Returns:
            A state of m rows.
        """


@dataclass(frozen=True)
class Sentences:
    """Result of a search.

    Attributes:
        words: word numbers, best sentence first, (items, n_best, max_length); the end symbol from the end of a sentence on.
        scores: summed log-probabilities in nats, including that of the end, (items, n_best); without it for a sentence cut at max_length.
    """

    words: Tensor
    scores: Tensor


def check_beam(beam_size: int, n_words: int, n_best: int) -> None:
    """Check that a search can fill its beam.

    Args:
        beam_size: sentences per item that a search keeps.
        n_words: number of words that can be generated, the end included.
        n_best: sentences returned per item.

    Raises:
        InputError: the beam is larger than the vocabulary, or n_best larger than the beam.
    """
    if not 1 <= beam_size <= n_words:
        raise InputError(
            f"beam_size {beam_size} is not possible: the vocabulary has {n_words} words that can be generated. Use 1 to {n_words}."
        )
    if not 1 <= n_best <= beam_size:
        raise InputError(f"n_best {n_best} is not possible with a beam of {beam_size}. Use n_best from 1 to {beam_size}.")


@torch.no_grad()
def beam_search(
    model: WordModel[S],
    state: S,
    first: Tensor,
    *,
    beam_size: int,
    max_length: int,
    end: int,
    n_best: int = 1,
) -> Sentences:
    """Find the best sentences of many items in one tensor program.

    Args:
        model: proposes words.
        state: before the first word, one row for each item.
        first: what stands before the first word, int64 (items,).
        beam_size: sentences per item that the search keeps; see `check_beam`.
        max_length: maximum length of a sentence in words.
        end: number of the word that ends a sentence.
        n_best: sentences returned per item.

    Returns:
        Word numbers and scores of the n_best sentences of every item.
    """
    n_items, k, device = len(first), beam_size, first.device
    active = torch.arange(n_items, device=device)  # numbers of the items that are still searched
    state_row = torch.full((n_items, k), -1, dtype=torch.long, device=device)  # state row of every unfinished beam, -1 for none
    state_row[:, 0] = active
    scores = torch.full((n_items, k), -torch.inf, device=device)
    scores[:, 0] = 0
    ended = torch.zeros(n_items, k, dtype=torch.bool, device=device)
    words = torch.full((n_items, k, max_length), end, dtype=torch.long, device=device)
    last = first
    found = Sentences(words[:, :n_best].clone(), scores[:, :n_best].clone())
    for t in range(max_length):
        best, choice, state = model.next_words(last, state, k)
        # Candidates of every item: k words for each of its unfinished beams, and its finished sentences unchanged.
        unfinished = state_row >= 0
        row = state_row.clamp(min=0)
        candidates = best[row] + scores[..., None]
        candidates = candidates.masked_fill(~unfinished[..., None], -torch.inf)
        candidates[..., 0] = torch.where(ended, scores, candidates[..., 0])
        scores, index = candidates.flatten(1).topk(k, dim=1)
        parent = index // candidates.shape[-1]
        parent_ended = ended.gather(1, parent)
        word = choice[row.gather(1, parent), index % candidates.shape[-1]].masked_fill(parent_ended, end)
        words = words.gather(1, parent[..., None].expand(-1, -1, max_length))
        words[..., t] = word
        ended = (parent_ended | (word == end)) & scores.isfinite()
        unfinished = ~ended & scores.isfinite()
        done = ~unfinished[:, :n_best].any(1) if t + 1 < max_length else torch.ones_like(ended[:, 0])
        if done.any():
            found.words[active[done]] = words[done, :n_best]
            found.scores[active[done]] = scores[done, :n_best]
            remaining = ~done
            if not remaining.any():
                break
            active, scores, ended, words = active[remaining], scores[remaining], ended[remaining], words[remaining]
            unfinished, row, parent, word = unfinished[remaining], row[remaining], parent[remaining], word[remaining]
        rows = row.gather(1, parent)[unfinished]
        last = word[unfinished]
        state = model.select_rows(state, rows)
        state_row = torch.full_like(parent, -1)
        state_row[unfinished] = torch.arange(len(rows), device=device)
    return found
