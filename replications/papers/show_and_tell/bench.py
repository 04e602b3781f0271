"""Speed comparisons of this paper, for `python -m replications bench show_and_tell`."""

from __future__ import annotations

import torch
from torch import Tensor

from replications.engine.bench import Comparison
from replications.papers.show_and_tell.model import Captioner, Images, Noise, State
from replications.papers.show_and_tell.peer import PeerDecoder, peer_search
from replications.papers.show_and_tell.search import beam_search
from replications.papers.show_and_tell.settings import Decoder
from replications.papers.show_and_tell.vocabulary import END

PEER = "one picture at a time (public logic)"
WORDS, FEATURES, LENGTH, MAX_LENGTH = 10_000, 1024, 8, 20
"""The size of MSCOCO's vocabulary; untrained weights, so every sentence is made to end after eight words on both sides."""


class _Timed(Captioner):
    """A captioner whose sentences all end after LENGTH words, counted in the state."""

    def start(self, images: Images, noise: Noise | None = None) -> State:
        state = super().start(images, noise)
        return state | {"clock": torch.zeros_like(state["hidden"][..., :1])}

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        logits, following = super().step(words, state)
        ending = following["clock"][..., 0] >= LENGTH
        logits[..., END] = torch.where(ending, 1e4, -1e4)
        return logits, following | {"clock": following["clock"] + 1}


def greedy() -> Comparison:
    """A beam of 1 over 64 pictures, hidden 512, 10,000 words, float32."""
    return _searching("decode, greedy", beam_size=1, n_images=64, at_least=8)


def beam_3() -> Comparison:
    """A beam of 3 over 64 pictures, hidden 512, 10,000 words, float32."""
    return _searching("decode, beam 3", beam_size=3, n_images=64, at_least=4)


def beam_20() -> Comparison:
    """A beam of 20 over 32 pictures, hidden 512, 10,000 words, float32; the vocabulary product is most of the peer's time already."""
    return _searching("decode, beam 20", beam_size=20, n_images=32, at_least=2.2)


def _searching(name: str, *, beam_size: int, n_images: int, at_least: float) -> Comparison:
    generator = torch.Generator().manual_seed(0)
    ours = _Timed(Decoder(cell="library"), FEATURES, WORDS, generators=[generator]).requires_grad_(False)
    peer = PeerDecoder(ours)
    vectors = torch.randn(n_images, FEATURES, generator=generator)
    images = Images(vectors[None])
    return Comparison(
        name,
        lambda: beam_search(ours, images, beam_size, MAX_LENGTH),
        lambda: peer_search(peer, vectors, beam_size, MAX_LENGTH, LENGTH),
        "pictures",
        n_images,
        PEER,
        at_least,
    )
