"""Questions about images: their answers can be read off the pixels, and neither image nor question alone says anything."""

from __future__ import annotations

import pytest
import torch

from replications.papers.foundations.patches_and_words import SHAPES, START
from replications.papers.foundations.visual_questions import best_guess, draw_questions


def test_the_answer_is_the_colour_of_the_shape_that_is_asked_about() -> None:
    patches, words, answers = draw_questions(200, torch.Generator().manual_seed(7))
    centred = SHAPES.flatten(1) - SHAPES.flatten(1).mean(dim=1, keepdim=True)
    scores = torch.einsum("npcx,sx->npcs", patches.unflatten(2, (3, -1)), centred)
    for image, (start, asked), answer in zip(scores, words.tolist(), answers.tolist(), strict=True):
        assert start == START
        of_shape = image[..., asked - 3]  # (patches, colours)
        assert int(of_shape.argmax()) % 3 == answer


def test_either_alone_is_right_once_in_three_times() -> None:
    assert best_guess("image") == pytest.approx(100 / 3)
    assert best_guess("question") == pytest.approx(100 / 3)
    _, words, answers = draw_questions(9000, torch.Generator().manual_seed(1))
    counts = torch.zeros(3, 3).index_put_((words[:, 1] - 3, answers), torch.ones(9000), accumulate=True)
    assert (counts - 1000).abs().max() < 4 * 1000**0.5  # every colour is as frequent an answer to every question
