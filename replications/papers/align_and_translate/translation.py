"""Translating sentences by beam search, with one network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from replications.engine.beam_search import beam_search, check_beam
from replications.papers.align_and_translate.batches import Encoded as EncodedPairs
from replications.papers.align_and_translate.batches import make_batch
from replications.papers.align_and_translate.fused import Encoded, TranslatorGroup
from replications.papers.align_and_translate.vocabulary import END, UNKNOWN

SENTENCES_AT_ONCE = 64


class Rows(NamedTuple):
    """State of a search.

    Attributes:
        s: state of the decoder, (1, rows, n).
        sentence: source sentence of each row, int64 (rows,).
        encoded: of all sentences; rows share it, so that it is not copied with them.
    """

    s: Tensor
    sentence: Tensor
    encoded: Encoded


class Proposer:
    """Proposes next words to the search.

    Args:
        network: a group of one network.
        unknown: whether the unknown word may be generated.
    """

    def __init__(self, network: TranslatorGroup, *, unknown: bool) -> None:
        self.network, self.unknown = network, unknown

    def next_words(self, words: Tensor, state: Rows, count: int) -> tuple[Tensor, Tensor, Rows]:
        """Return the most probable next words; see `WordModel`.

        Args:
            words: last word of each row, int64 (rows,).
            state: of the rows.
            count: words returned for each row.

        Returns:
            Log-probabilities (rows, count), word numbers (rows, count), and the new state.
        """
        of_rows = Encoded(*(part[:, state.sentence] for part in state.encoded))
        logits, s = self.network.step(words.unsqueeze(0), state.s, of_rows)
        total = logits[0].logsumexp(-1, keepdim=True)
        if not self.unknown:
            logits[0, :, UNKNOWN] = -torch.inf
        best, choice = logits[0].topk(count, dim=-1)
        return best - total, choice, Rows(s, state.sentence, state.encoded)

    def select_rows(self, state: Rows, index: Tensor) -> Rows:
        """Return some rows of a state.

        Args:
            state: of the rows.
            index: numbers of rows, int64 (m,).
        """
        return Rows(state.s[:, index], state.sentence[index], state.encoded)


@torch.no_grad()
def translate(network: TranslatorGroup, sentences: Sequence[np.ndarray], *, beam_size: int, unknown: bool = True) -> list[list[int]]:
    """Translate sentences.

    Args:
        network: a group of one network.
        sentences: word numbers of each, with the end.
        beam_size: beam of the search; 1 is greedy.
        unknown: whether the unknown word may be generated; if not, its probability is not spread over the others.

    Returns:
        Word numbers of each translation, in the order of the sentences, without the end. A translation is at most twice as long as its
        source, and ten words.
    """
    check_beam(beam_size, network.n_words - (not unknown), 1)
    device = network.weights["E"].device
    order = np.argsort([len(sentence) for sentence in sentences], kind="stable")
    translations: list[list[int]] = [[] for _ in sentences]
    pairs = EncodedPairs(list(sentences), [np.array([END], dtype=np.int32)] * len(sentences))
    for start in range(0, len(order), SENTENCES_AT_ONCE):
        rows = order[start : start + SENTENCES_AT_ONCE]
        batch = make_batch(pairs, [rows]).to(device)
        encoded = network.encode(batch.source, batch.source_mask)
        state = Rows(encoded.start, torch.arange(len(rows), device=device), encoded)
        found = beam_search(
            Proposer(network, unknown=unknown),
            state,
            torch.full((len(rows),), END, device=device),
            beam_size=beam_size,
            max_length=2 * batch.source.shape[2] + 10,
            end=END,
        )
        for row, words in zip(rows, found.words[:, 0].tolist(), strict=True):
            translations[row] = words[: words.index(END)] if END in words else words
    return translations
