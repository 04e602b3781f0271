"""Small networks and sentences in float64 for the tests of this paper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from replications.papers.align_and_translate.batches import Encoded
from replications.papers.align_and_translate.model import Translator
from replications.papers.align_and_translate.settings import Network

KINDS: dict[str, dict[str, str]] = {
    "search": {},
    "search-forward": {"encoder": "forward"},
    "encdec": {"context": "last", "encoder": "forward"},
}
SOURCE_WORDS, TARGET_WORDS = 11, 13


@contextmanager
def double_precision() -> Iterator[None]:
    """Make new tensors float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def make_translator(kind: str, seed: int = 0, *, target_words: int = TARGET_WORDS) -> Translator:
    """A network of a few units whose weights are all at work, biases included."""
    network = Network.model_validate({"embed_size": 5, "hidden_size": 6, "alignment_size": 4, "maxout_size": 3} | KINDS[kind])
    generator = torch.Generator().manual_seed(seed)
    with double_precision():
        translator = Translator(network, SOURCE_WORDS, target_words, init="scaled", generator=generator)
        for parameter in translator.parameters():
            parameter.data += 0.4 * torch.randn(parameter.shape, generator=generator)
    return translator


def make_pairs() -> Encoded:
    """Four sentence pairs of different lengths, ended by 0."""
    random = np.random.default_rng(0)
    sides = [(3, 7, 5, 6), (4, 2, 6, 5)]
    return Encoded(
        [np.append(random.integers(2, SOURCE_WORDS, n), 0) for n in sides[0]],
        [np.append(random.integers(2, TARGET_WORDS, n), 0) for n in sides[1]],
    )
