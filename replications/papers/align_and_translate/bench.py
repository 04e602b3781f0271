"""Speed comparisons of this paper, for `replications bench align_and_translate`."""

from __future__ import annotations

import numpy as np
import torch

from replications.engine.bench import Comparison
from replications.papers.align_and_translate.baseline import PerStepTranslator
from replications.papers.align_and_translate.batches import Encoded, make_batch
from replications.papers.align_and_translate.fused import TranslatorGroup
from replications.papers.align_and_translate.model import Translator
from replications.papers.align_and_translate.settings import Network
from replications.papers.align_and_translate.translation import translate

BASELINE = "one word at a time (public logic)"
WORDS, PAIRS, LENGTH = 5000, 40, 25
"""Vocabulary, batch and words of a sentence as of the Bible at tier cpu."""

_NETWORK = Network(embed_size=96, hidden_size=192, alignment_size=96, maxout_size=96)


def _networks() -> tuple[TranslatorGroup, PerStepTranslator, Encoded]:
    """Return both sides with equal weights, and sentences of 15 to 35 words."""
    translator = Translator(_NETWORK, WORDS, WORDS, init="scaled", generator=torch.Generator().manual_seed(0))
    random = np.random.default_rng(0)
    sides = ([np.append(random.integers(2, WORDS, LENGTH + shift), 0) for shift in random.integers(-10, 11, PAIRS)] for _ in range(2))
    return TranslatorGroup([translator]), PerStepTranslator(translator), Encoded(*sides)


def update() -> Comparison:
    """Compare forward and backward pass of a training batch: 40 pairs of about 25 words, 192 units, 5,000 words, float32.

    Returns:
        The comparison, in target words per second.
    """
    group, baseline, pairs = _networks()
    batch = make_batch(pairs, [np.arange(PAIRS)])
    targets = torch.full(batch.previous.shape[1:], -1)
    for i, sentence in enumerate(pairs.target):
        targets[i, : len(sentence)] = torch.from_numpy(sentence)

    def ours() -> None:
        group.zero_grad()
        group.losses(batch).mean().backward()

    def theirs() -> None:
        baseline.zero_grad()
        baseline.loss(batch.source[0], batch.source_mask[0], batch.previous[0], targets).backward()

    words = sum(len(sentence) for sentence in pairs.target)
    return Comparison("update, RNNsearch", ours, theirs, "words", words, BASELINE, at_least=2)


def greedy() -> Comparison:
    """Compare greedy translation of 40 sentences, which the baseline translates one at a time.

    Returns:
        The comparison, in sentences per second.
    """
    group, baseline, pairs = _networks()
    with torch.no_grad():  # untrained networks never end a sentence by themselves: both sides write until the limit
        group.weights["output/b_word"][..., 0] = -1e4
        baseline.translator.output.b_word[0] = -1e4
    limit = 2 * max(len(sentence) for sentence in pairs.source) + 10  # that of the search, whose sentences share a batch

    def theirs() -> None:
        for sentence in pairs.source:
            baseline.greedy(torch.from_numpy(sentence), limit)

    return Comparison(
        "translate, greedy", lambda: translate(group, pairs.source, beam_size=1), theirs, "sentences", PAIRS, BASELINE, at_least=2
    )
