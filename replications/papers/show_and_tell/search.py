"""Beam search over all images and beams at once (`engine.beam_search`).

Section 3.1: "iteratively consider the set of the k best sentences up to time t as candidates to generate sentences of size
t + 1, and keep only the resulting best k of them". Log-probabilities are computed only for the k best words of each beam, from the k
largest logits and the log-sum-exp over the vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from replications.engine import beam_search as search
from replications.engine.beam_search import Sentences
from replications.papers.show_and_tell.fused import CaptionerGroup
from replications.papers.show_and_tell.model import ImageFeatures, State
from replications.papers.show_and_tell.vocabulary import END, START, UNKNOWN

Captions = Sentences
"""Result of a search: captions of images."""


def check_beam(beam_size: int, n_words: int, n_best: int) -> None:
    """Check that a search can fill its beam.

    Args:
        beam_size: sentences per image that a search keeps.
        n_words: size of the vocabulary.
        n_best: sentences returned per image.

    Raises:
        InputError: the beam is larger than the vocabulary, or n_best larger than the beam.
    """
    search.check_beam(beam_size, n_words - 2, n_best)  # the end and all words; start and unknown are never generated


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


@dataclass(frozen=True)
class _NextWords:
    """A captioner as the search sees it."""

    captioner: CaptionerGroup

    def next_words(self, words: Tensor, state: State, count: int) -> tuple[Tensor, Tensor, State]:
        """Return the most probable next words of R rows; see `next_words`."""
        return next_words(self.captioner, words, state, count)

    def select_rows(self, state: State, index: Tensor) -> State:
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
    first = torch.full((images.vector.shape[1],), START, dtype=torch.long, device=images.vector.device)
    return search.beam_search(
        _NextWords(model), model.start(images), first, beam_size=beam_size, max_length=max_length, end=END, n_best=n_best
    )
