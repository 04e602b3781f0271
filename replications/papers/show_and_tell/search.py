"""Beam search over all images and beams at once, and a plain search that defines its result.

Section 3.1: "iteratively consider the set of the k best sentences up to time t as candidates to generate sentences of size
t + 1, and keep only the resulting best k of them". A finished sentence stays in that set with its score. Scores are
summed log-probabilities in fp32, without length normalisation; a beam of 1 is greedy search.

`beam_search` is fast because the unfinished beams of all images are one batch; an image leaves the batch when its result is final
(scores never increase, so n finished sentences at the top cannot be overtaken); every beam proposes only its own k best words; and
log-probabilities are computed only for these, from the k largest logits and the log-sum-exp over the vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from replications.errors import InputError
from replications.papers.show_and_tell.fused import CaptionerGroup
from replications.papers.show_and_tell.model import ImageFeatures, State
from replications.papers.show_and_tell.vocabulary import END, START, UNKNOWN


@dataclass(frozen=True)
class Captions:
    """Result of a search.

    Attributes:
        words: word numbers, best sentence first, (images, n_best, max_length); END from the end of a sentence on.
        scores: summed log-probabilities in nats, including that of END, (images, n_best); without END for a sentence cut at max_length.
    """

    words: Tensor
    scores: Tensor


def check_beam(beam_size: int, n_words: int, n_best: int) -> None:
    """Check that a search can fill its beam.

    Args:
        beam_size: sentences per image that a search keeps.
        n_words: size of the vocabulary.
        n_best: sentences returned per image.

    Raises:
        InputError: the beam is larger than the vocabulary, or n_best larger than the beam.
    """
    largest = n_words - 2  # the end and all words; start and unknown are never generated
    if not 1 <= beam_size <= largest:
        raise InputError(
            f"beam_size {beam_size} is not possible: the vocabulary has {largest} words that can be generated. Use 1 to {largest}."
        )
    if not 1 <= n_best <= beam_size:
        raise InputError(f"n_best {n_best} is not possible with a beam of {beam_size}. Use n_best from 1 to {beam_size}.")


def next_words(model: CaptionerGroup, words: Tensor, state: State, count: int) -> tuple[Tensor, Tensor, State]:
    """Compute the most probable next words of R rows.

    Several slots are an ensemble: their probabilities are averaged (section 4.3.1). Start and unknown have a probability but are never
    generated. Works in place, because the logits are the largest array of a search.

    Args:
        model: one slot, or the slots of an ensemble.
        words: last word of each row, (R,).
        state: of the rows.
        count: words returned per row.

    Returns:
        Log-probabilities in nats (R, count), best first, their word numbers (R, count), and the new state.
    """
    logits, state = model.step(words.expand(model.n_slots, -1), state)
    scores = logits[0] if model.n_slots == 1 else logits.log_softmax(-1).logsumexp(0) - math.log(model.n_slots)
    excluded = scores[:, START : UNKNOWN + 1].clone()
    scores[:, START : UNKNOWN + 1] = -torch.inf
    best, choice = scores.topk(count, dim=-1)
    maximum = best[:, :1].clone()
    total = scores.sub_(maximum).exp_().sum(-1, keepdim=True) + (excluded - maximum).exp().sum(-1, keepdim=True)
    return best - maximum - total.log(), choice, state


def _select_rows(state: State, index: Tensor) -> State:
    """Return these rows, (m,), of a state of all slots."""
    return state.map(lambda part: part[:, index])


@torch.no_grad()
def beam_search(model: CaptionerGroup, images: ImageFeatures, beam_size: int, max_length: int, n_best: int = 1) -> Captions:
    """Find the best captions of many images in one tensor program.

    Args:
        model: one slot, or the slots of an ensemble.
        images: features of n images, (S, n, ...), or (1, n, ...) where all slots share them.
        beam_size: sentences per image that the search keeps.
        max_length: maximum length of a sentence in words.
        n_best: sentences returned per image.

    Returns:
        Word numbers and scores of the n_best sentences of every image.

    Raises:
        InputError: the beam is larger than the vocabulary, or n_best larger than the beam.
    """
    check_beam(beam_size, model.n_words, n_best)
    n_images, k, device = images.vector.shape[1], beam_size, images.vector.device
    state = model.start(images)
    active = torch.arange(n_images, device=device)  # numbers of the images that are still searched
    state_row = torch.full((n_images, k), -1, dtype=torch.long, device=device)  # state row of every unfinished beam, -1 for none
    state_row[:, 0] = active
    scores = torch.full((n_images, k), -torch.inf, device=device)
    scores[:, 0] = 0
    ended = torch.zeros(n_images, k, dtype=torch.bool, device=device)
    words = torch.full((n_images, k, max_length), END, dtype=torch.long, device=device)
    last = torch.full((n_images,), START, dtype=torch.long, device=device)
    captions = Captions(words[:, :n_best].clone(), scores[:, :n_best].clone())
    for t in range(max_length):
        best, choice, state = next_words(model, last, state, k)
        # Candidates of every image: k words for each of its unfinished beams, and its finished sentences unchanged.
        unfinished = state_row >= 0
        row = state_row.clamp(min=0)
        candidates = best[row] + scores[..., None]
        candidates = candidates.masked_fill(~unfinished[..., None], -torch.inf)
        candidates[..., 0] = torch.where(ended, scores, candidates[..., 0])
        scores, index = candidates.flatten(1).topk(k, dim=1)
        parent = index // candidates.shape[-1]
        parent_ended = ended.gather(1, parent)
        word = choice[row.gather(1, parent), index % candidates.shape[-1]].masked_fill(parent_ended, END)
        words = words.gather(1, parent[..., None].expand(-1, -1, max_length))
        words[..., t] = word
        ended = (parent_ended | (word == END)) & scores.isfinite()
        unfinished = ~ended & scores.isfinite()
        done = ~unfinished[:, :n_best].any(1) if t + 1 < max_length else torch.ones_like(ended[:, 0])
        if done.any():
            captions.words[active[done]] = words[done, :n_best]
            captions.scores[active[done]] = scores[done, :n_best]
            remaining = ~done
            if not remaining.any():
                break
            active, scores, ended, words = active[remaining], scores[remaining], ended[remaining], words[remaining]
            unfinished, row, parent, word = unfinished[remaining], row[remaining], parent[remaining], word[remaining]
        rows = row.gather(1, parent)[unfinished]
        last = word[unfinished]
        state = _select_rows(state, rows)
        state_row = torch.full_like(parent, -1)
        state_row[unfinished] = torch.arange(len(rows), device=device)
    return captions
