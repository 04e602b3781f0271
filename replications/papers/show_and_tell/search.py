"""Beam search over all images and beams at once, and a plain search that defines its result.

Section 3.1: "iteratively consider the set of the k best sentences up to time t as candidates to generate sentences of size
t + 1, and keep only the resulting best k of them". A finished sentence stays in that set with its score. Scores are
summed log-probabilities in fp32, without a length correction; a beam of 1 is greedy.

`beam_search` is fast because the live beams of all images are one product; images leave as soon as their answer is certain (a
score only ever falls, so n finished sentences on top cannot be overtaken); every beam proposes only its own k best
words; and log-probabilities are never formed for the whole vocabulary, only its log-sum-exp and the k best logits.
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
        words: (images, n_best, max_length) word numbers, best first; END from the end of a sentence on.
        scores: (images, n_best) summed log-probabilities, the end included; a sentence cut at max_length has none for it.
    """

    words: Tensor
    scores: Tensor


def check_beam(beam_size: int, n_words: int, n_best: int) -> None:
    """Check that a search can fill its beam.

    Args:
        beam_size: sentences kept per image.
        n_words: size of the vocabulary.
        n_best: sentences returned per image.

    Raises:
        InputError: the beam is larger than the vocabulary, or n_best larger than the beam.
    """
    writable = n_words - 2
    if not 1 <= beam_size <= writable:
        raise InputError(
            f"A beam of {beam_size} is not possible: the vocabulary has {writable} words that can be written. Use 1 to {writable}."
        )
    if not 1 <= n_best <= beam_size:
        raise InputError(f"The {n_best} best sentences of a beam of {beam_size} were asked for. Use n_best from 1 to {beam_size}.")


def next_words(model: CaptionerGroup, words: Tensor, state: State, count: int) -> tuple[Tensor, Tensor, State]:
    """Return the likeliest next words of R rows.

    Several slots are an ensemble: the mean of their probabilities (section 4.3.1). Start and unknown keep their probability but
    are never written. In place, because the vocabulary's row is the largest array of a search.

    Args:
        model: one slot, or the slots of an ensemble.
        words: last word of each row, (R,).
        state: of the rows.
        count: words returned per row.

    Returns:
        Log-probabilities (R, count), best first, their word numbers (R, count), and the new state.
    """
    logits, state = model.step(words.expand(model.n_slots, -1), state)
    scores = logits[0] if model.n_slots == 1 else logits.log_softmax(-1).logsumexp(0) - math.log(model.n_slots)
    barred = scores[:, START : UNKNOWN + 1].clone()
    scores[:, START : UNKNOWN + 1] = -torch.inf
    best, choice = scores.topk(count, dim=-1)
    top = best[:, :1].clone()
    total = scores.sub_(top).exp_().sum(-1, keepdim=True) + (barred - top).exp().sum(-1, keepdim=True)
    return best - top - total.log(), choice, state


def _rows(state: State, index: Tensor) -> State:
    """Return the rows of a state of all slots that `index` numbers."""
    return state.map(lambda part: part[:, index])


@torch.no_grad()
def beam_search(model: CaptionerGroup, images: ImageFeatures, beam_size: int, max_length: int, n_best: int = 1) -> Captions:
    """Find the best captions of many images in one tensor program.

    Args:
        model: one slot, or the slots of an ensemble.
        images: features of n images, the same for every slot or one set a slot.
        beam_size: sentences kept per image.
        max_length: longest sentence in words.
        n_best: sentences returned per image.

    Raises:
        InputError: a beam larger than the vocabulary, or n_best larger than the beam.
    """
    check_beam(beam_size, model.n_words, n_best)
    n_images, k, device = images.vector.shape[1], beam_size, images.vector.device
    state = model.start(images)
    alive = torch.arange(n_images, device=device)  # images still searched, by their number
    row_of = torch.full((n_images, k), -1, dtype=torch.long, device=device)  # state row of every live beam, -1 for none
    row_of[:, 0] = alive
    scores = torch.full((n_images, k), -torch.inf, device=device)
    scores[:, 0] = 0
    ended = torch.zeros(n_images, k, dtype=torch.bool, device=device)
    words = torch.full((n_images, k, max_length), END, dtype=torch.long, device=device)
    last = torch.full((n_images,), START, dtype=torch.long, device=device)
    captions = Captions(words[:, :n_best].clone(), scores[:, :n_best].clone())
    for t in range(max_length):
        best, choice, state = next_words(model, last, state, k)
        # Candidates of every image: k words for each of its k beams, and its finished sentences as they are.
        live = row_of >= 0
        place = row_of.clamp(min=0)
        proposed = best[place] + scores[..., None]
        proposed = proposed.masked_fill(~live[..., None], -torch.inf)
        proposed[..., 0] = torch.where(ended, scores, proposed[..., 0])
        scores, picked = proposed.flatten(1).topk(k, dim=1)
        parent = picked // proposed.shape[-1]
        was_ended = ended.gather(1, parent)
        word = choice[place.gather(1, parent), picked % proposed.shape[-1]].masked_fill(was_ended, END)
        words = words.gather(1, parent[..., None].expand(-1, -1, max_length))
        words[..., t] = word
        ended = (was_ended | (word == END)) & scores.isfinite()
        going = ~ended & scores.isfinite()
        done = ~going[:, :n_best].any(1) if t + 1 < max_length else torch.ones_like(ended[:, 0])
        if done.any():
            captions.words[alive[done]] = words[done, :n_best]
            captions.scores[alive[done]] = scores[done, :n_best]
            keep = ~done
            if not keep.any():
                break
            alive, scores, ended, going, words = alive[keep], scores[keep], ended[keep], going[keep], words[keep]
            place, parent, word = place[keep], parent[keep], word[keep]
        rows = place.gather(1, parent)[going]
        last = word[going]
        state = _rows(state, rows)
        row_of = torch.full_like(parent, -1)
        row_of[going] = torch.arange(len(rows), device=device)
    return captions


@torch.no_grad()
def slow_beam_search(model: CaptionerGroup, images: ImageFeatures, beam_size: int, max_length: int, n_best: int = 1) -> Captions:
    """Return what `beam_search` must return, searched image by image with lists, every word of the vocabulary a candidate.

    Args:
        model: one slot, or the slots of an ensemble.
        images: features of n images, (S, n, ...).
        beam_size: sentences kept per image.
        max_length: longest sentence in words.
        n_best: sentences returned per image.
    """
    check_beam(beam_size, model.n_words, n_best)
    n_images = images.vector.shape[1]
    words = torch.full((n_images, n_best, max_length), END, dtype=torch.long)
    scores = torch.zeros(n_images, n_best)
    for image in range(n_images):
        only = images.rows(torch.tensor([image], device=images.vector.device))
        beams: list[tuple[float, list[int], State | None]] = [(0.0, [], model.start(only))]
        for _ in range(max_length):
            candidates: list[tuple[float, list[int], State | None]] = []
            for score, sentence, state in beams:
                if state is None:
                    candidates.append((score, sentence, None))
                    continue
                last = torch.tensor([sentence[-1] if sentence else START], device=images.vector.device)
                logits, following = model.step(last.expand(model.n_slots, -1), state)
                probabilities = logits[:, 0].double().softmax(-1).mean(0)
                for word, value in enumerate(probabilities.log().tolist()):
                    if word not in (START, UNKNOWN):
                        candidates.append((score + value, [*sentence, word], None if word == END else following))
            beams = sorted(candidates, key=lambda beam: -beam[0])[:beam_size]
            if all(state is None for _, _, state in beams[:n_best]):
                break
        for rank, (score, sentence, _) in enumerate(beams[:n_best]):
            scores[image, rank] = score
            written = [word for word in sentence if word != END]
            words[image, rank, : len(written)] = torch.tensor(written, dtype=torch.long)
    return Captions(words, scores)
