"""Batches: every caption once an epoch, little padding, common shapes for all slots, no memory."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from replications.papers.show_and_tell.trainer import Batches
from replications.papers.show_and_tell.vocabulary import END, START

CPU = torch.device("cpu")


def _captions(count: int = 700) -> list[list[int]]:
    """Lengths like those of people's captions: mean about 11, a long tail."""
    generator = random.Random(2)
    return [[generator.randint(3, 60) for _ in range(max(2, round(generator.lognormvariate(2.35, 0.35))))] for _ in range(count)]


@pytest.mark.parametrize("size", [16, 32, 128])
def test_padding_is_at_most_a_tenth(size: int) -> None:
    captions = _captions(6000)
    assert Batches(captions, range(6000), size, [(0, 0)]).padding() <= 0.10


def test_every_caption_comes_once_an_epoch_in_every_slot() -> None:
    captions = _captions()
    batches = Batches(captions, range(700), 32, [(0, 0), (5, 1)])
    for epoch in range(2):
        seen = [np.concatenate([batches.rows(epoch * batches.per_epoch + i)[slot] for i in range(batches.per_epoch)]) for slot in range(2)]
        assert all(sorted(rows) == list(range(700)) for rows in seen)
        assert not np.array_equal(seen[0], seen[1])


def test_a_batch_holds_its_captions_and_nothing_else() -> None:
    captions = _captions()
    batches = Batches(captions, [row // 5 for row in range(700)], 24, [(0, 0), (1, 0)])
    for step in (0, 7, 31, 40):
        batch, rows = batches(step, CPU), batches.rows(step)
        for slot in range(2):
            for place, row in enumerate(rows[slot]):
                caption = captions[row]
                assert batch.images[slot, place] == row // 5
                assert batch.inputs[slot, place, 0] == START
                assert batch.inputs[slot, place, 1 : len(caption) + 1].tolist() == caption[: batch.inputs.shape[2] - 1]
                assert batch.targets[slot, place, : len(caption) + 1].tolist() == [*caption, END]
                assert (batch.targets[slot, place, len(caption) + 1 :] == -1).all()


def test_a_slots_batches_depend_on_neither_its_company_nor_what_was_asked_before() -> None:
    captions = _captions()
    together, alone = Batches(captions, range(700), 32, [(0, 0), (3, 0)]), Batches(captions, range(700), 32, [(3, 0)])
    together(0, CPU)
    for step in (50, 3, 21):
        assert torch.equal(together(step, CPU).inputs[1], alone(step, CPU).inputs[0])
