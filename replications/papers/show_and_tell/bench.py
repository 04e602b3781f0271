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
"""The size of MSCOCO's vocabulary; untrained weights, so every sentence is made to end after eight words on both sides."""


class _Timed(NicGroup):
    """Decoders whose sentences all end after LENGTH words; a search reads one word per beam at every step."""

    words_read = 0

    def start(self, images: ImageFeatures, noise: Noise | None = None) -> State:
        self.words_read = 0
        return super().start(images, noise)

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        logits, following = super().step(words, state)
        logits[..., END] = 1e4 if self.words_read >= LENGTH else -1e4
        self.words_read += 1
        return logits, following


def greedy() -> Comparison:
    """Time greedy search (a beam of 1) over 64 images, hidden 512, 10,000 words, float32."""
    return _searching("decode, greedy", beam_size=1, n_images=64, at_least=8)


def beam_3() -> Comparison:
    """Time a beam of 3 over 64 images, hidden 512, 10,000 words, float32."""
    return _searching("decode, beam 3", beam_size=3, n_images=64, at_least=4)


def beam_20() -> Comparison:
    """Time a beam of 20 over 32 images, hidden 512, 10,000 words, float32; here the vocabulary product is most of the baseline's time too."""
    return _searching("decode, beam 20", beam_size=20, n_images=32, at_least=2.2)


def _searching(name: str, *, beam_size: int, n_images: int, at_least: float) -> Comparison:
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
