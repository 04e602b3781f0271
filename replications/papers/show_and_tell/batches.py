"""Training batches of captions of like length, drawn for every seed from its own order but with common shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from replications.papers.show_and_tell.vocabulary import END, START


@dataclass(frozen=True)
class Batch:
    """One update's captions, for every slot (a seed, or a member of its ensemble).

    Attributes:
        images: (slots, batch) rows of the feature table.
        inputs: (slots, batch, length) word numbers from the start symbol on.
        targets: (slots, batch, length) the next word; -1 where there is none.
    """

    images: Tensor
    inputs: Tensor
    targets: Tensor


class Batches:
    """All training captions, cut anew every epoch.

    Captions are sorted by length, ties in a random order of each slot's own, and cut into equal batches, so that batch
    number i holds the same lengths for every slot: the shapes agree while the captions differ, and padding is rare.

    Args:
        captions: word numbers of each caption, without start and end.
        images: the picture of each caption.
        batch_size: captions per batch and slot; actual batches differ by at most one.
        orders: for every slot, what its order is drawn from.
    """

    def __init__(self, captions: Sequence[Sequence[int]], images: Sequence[int], batch_size: int, orders: Sequence[Sequence[int]]) -> None:
        self.images = np.asarray(images)
        self.lengths = np.array([len(caption) for caption in captions]) + 1
        self.words = np.full((len(captions), int(self.lengths.max()) + 1), END)
        self.words[:, 0] = START
        for row, caption in enumerate(captions):
            self.words[row, 1 : 1 + len(caption)] = caption
        self.batch_size, self.orders = min(batch_size, len(captions)), orders
        self.per_epoch = max(1, round(len(captions) / self.batch_size))
        self._epoch = -1
        self._cut: list[list[np.ndarray]] = []
        self._turns: np.ndarray = np.arange(0)

    def _prepare(self, epoch: int) -> None:
        if epoch == self._epoch:
            return
        self._cut = []
        for order in self.orders:
            ties = np.random.default_rng([*order, epoch]).permutation(len(self.lengths))
            by_length = ties[np.argsort(self.lengths[ties], kind="stable")]
            self._cut.append(np.array_split(by_length, self.per_epoch))
        self._turns = np.random.default_rng([20150415, epoch]).permutation(self.per_epoch)
        self._epoch = epoch

    def rows(self, step: int) -> list[np.ndarray]:
        """Which captions each slot sees at an update."""
        self._prepare(step // self.per_epoch)
        turn = self._turns[step % self.per_epoch]
        return [cut[turn] for cut in self._cut]

    def __call__(self, step: int, device: torch.device) -> Batch:
        """The batch of update `step`, which depends on nothing but the step."""
        rows = np.stack(self.rows(step))
        length = int(self.lengths[rows].max())
        words = self.words[rows]
        beyond = np.arange(length) >= self.lengths[rows][..., None]
        targets = np.where(beyond, -1, words[..., 1 : length + 1])
        parts = (self.images[rows], words[..., :length], targets)
        images, inputs, wanted = (torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in parts)
        return Batch(images, inputs, wanted)

    def padding(self) -> float:
        """Share of an epoch's word positions that are padding."""
        self._prepare(0)
        area = sum(len(rows) * int(self.lengths[rows].max()) for rows in self._cut[0])
        return 1 - float(self.lengths.sum()) / area
