"""Batches of sentence pairs for several networks, fetched, sorted by length and split as in appendix B.2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from replications.errors import DataError
from replications.papers.align_and_translate.vocabulary import END


class Encoded(NamedTuple):
    """Sentence pairs as numbers, each sentence with its end.

    Attributes:
        source, target: int32 (n_words + 1,) of each sentence.
    """

    source: list[np.ndarray]
    target: list[np.ndarray]


class Batch(NamedTuple):
    """Sentence pairs of every network, padded.

    Attributes:
        source: int64 (networks, batch, n_source).
        source_mask: True where there is a word, (networks, batch, n_source).
        previous: target words after the end symbol that stands for the beginning, int64 (networks, batch, n_target).
        positions: where the words of the target stand, int64 (networks, words): step x batch + sentence.
        targets: these words, int64 (networks, words).
        counts: 1, or 0 where a network has fewer words than another, (networks, words).
    """

    source: Tensor
    source_mask: Tensor
    previous: Tensor
    positions: Tensor
    targets: Tensor
    counts: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on a device.

        Args:
            device: where it is needed.
        """
        return Batch(*(part.to(device, non_blocking=True) for part in self))


def make_batch(pairs: Encoded, rows: Sequence[np.ndarray]) -> Batch:
    """Return a batch of chosen pairs.

    Args:
        pairs: what is chosen from.
        rows: for each network, the numbers of its pairs, (batch,).

    Returns:
        A batch on the CPU.
    """
    shape = len(rows), len(rows[0])
    source = [[pairs.source[row] for row in of_network] for of_network in rows]
    target = [[pairs.target[row] for row in of_network] for of_network in rows]
    n_source = max(len(sentence) for several in source for sentence in several)
    n_target = max(len(sentence) for several in target for sentence in several)
    words = np.full((*shape, n_source), END, dtype=np.int64)
    mask = np.zeros((*shape, n_source), dtype=bool)
    previous = np.full((*shape, n_target), END, dtype=np.int64)
    n_words = max(sum(len(sentence) for sentence in several) for several in target)
    positions, targets = np.zeros((shape[0], n_words), dtype=np.int64), np.zeros((shape[0], n_words), dtype=np.int64)
    counts = np.zeros((shape[0], n_words), dtype=np.float32)
    for network in range(shape[0]):
        filled = 0
        for i, (from_, to) in enumerate(zip(source[network], target[network], strict=True)):
            words[network, i, : len(from_)] = from_
            mask[network, i, : len(from_)] = True
            previous[network, i, 1 : len(to)] = to[:-1]
            place = slice(filled, filled + len(to))
            positions[network, place] = np.arange(len(to)) * shape[1] + i
            targets[network, place] = to
            filled += len(to)
        counts[network, :filled] = 1
    return Batch(*(torch.from_numpy(part) for part in (words, mask, previous, positions, targets, counts)))


class Batches:
    """The training pairs, shuffled once for each network and read in order, over and over.

    Args:
        pairs: training pairs.
        batch_size: pairs per network and update.
        sorted_batches: batches that are fetched together, sorted by length and split.
        generators: one per network, on the CPU; each draws its order.

    Raises:
        DataError: there are fewer pairs than a batch.
    """

    def __init__(self, pairs: Encoded, batch_size: int, sorted_batches: int, generators: Sequence[torch.Generator]) -> None:
        if len(pairs.source) < batch_size:
            raise DataError(
                f"{len(pairs.source):,} training pairs are fewer than one batch of {batch_size}. Lower batch_size, or raise max_words, which"
                " leaves out longer sentences."
            )
        self.pairs, self.batch_size, self.sorted_batches = pairs, batch_size, sorted_batches
        self.orders = [torch.randperm(len(pairs.source), generator=generator).numpy() for generator in generators]
        self._lengths = np.array([len(source) + len(target) for source, target in zip(*pairs, strict=True)])

    def __call__(self, step: int) -> Batch:
        """Return the batch of one update; nothing is kept between calls, so that a resumed training reads on where it stopped.

        Args:
            step: number of the update, from 0.

        Returns:
            A batch on the CPU.
        """
        fetched, part = divmod(step, self.sorted_batches)
        rows = []
        for order in self.orders:
            size = self.batch_size * self.sorted_batches
            block = order[np.arange(fetched * size, (fetched + 1) * size) % len(order)]
            block = block[np.argsort(self._lengths[block], kind="stable")]
            rows.append(block[part * self.batch_size : (part + 1) * self.batch_size])
        return make_batch(self.pairs, rows)
