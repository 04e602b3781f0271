"""Speed comparisons of this paper, for `replications bench show_and_tell`."""

from __future__ import annotations

import torch
from torch import Tensor

from replications.engine.bench import Comparison
from replications.papers.show_and_tell.baseline import BaselineDecoder, baseline_search
from replications.papers.show_and_tell.fused import NicGroup, Noise
from replications.papers.show_and_tell.model import ImageFeatures, State
from replications.papers.show_and_tell.search import beam_search
from replications.papers.show_and_tell.settings import Decoder
from replications.papers.show_and_tell.vocabulary import END

BASELINE = "one image at a time (public logic)"
WORDS, FEATURES, LENGTH, MAX_LENGTH = 10_000, 1024, 8, 20
"""WORDS is the size of MSCOCO's vocabulary. Weights are untrained, so both searches force sentences to end after LENGTH words."""


class _Timed(NicGroup):
    """Decoders whose sentences all end after LENGTH words."""

    n_steps = 0

    def start(self, images: ImageFeatures, noise: Noise | None = None) -> State:
        self.n_steps = 0
        return super().start(images, noise)

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        logits, next_state = super().step(words, state)
        logits[..., END] = 1e4 if self.n_steps >= LENGTH else -1e4
        self.n_steps += 1
        return logits, next_state


def greedy() -> Comparison:
    """Compare greedy search (a beam of 1) over 64 images, hidden 512, 10,000 words, float32.

    Returns:
        The comparison, in images per second.
    """
    return _search_comparison("decode, greedy", beam_size=1, n_images=64, at_least=8)


def beam_3() -> Comparison:
    """Compare a beam of 3 over 64 images, hidden 512, 10,000 words, float32.

    Returns:
        The comparison, in images per second.
    """
    return _search_comparison("decode, beam 3", beam_size=3, n_images=64, at_least=4)


def beam_20() -> Comparison:
    """Compare a beam of 20 over 32 images, hidden 512, 10,000 words, float32, where the output layer dominates the baseline's time as well.

    Returns:
        The comparison, in images per second.
    """
    return _search_comparison("decode, beam 20", beam_size=20, n_images=32, at_least=2.2)


def _search_comparison(name: str, *, beam_size: int, n_images: int, at_least: float) -> Comparison:
    generator = torch.Generator().manual_seed(0)
    ours = _Timed(Decoder(cell="library"), FEATURES, WORDS, dropout=0.0, generators=[generator]).requires_grad_(False)
    baseline = BaselineDecoder(ours)
    vectors = torch.randn(n_images, FEATURES, generator=generator)
    images = ImageFeatures(vectors[None])
    return Comparison(
        name,
        lambda: beam_search(ours, images, beam_size, MAX_LENGTH),
        lambda: baseline_search(baseline, vectors, beam_size, MAX_LENGTH, LENGTH),
        "images",
        n_images,
        BASELINE,
        at_least,
    )
