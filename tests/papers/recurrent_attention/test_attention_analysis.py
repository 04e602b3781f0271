"""Statistics of glimpse locations, on paths whose answers are known."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from replications.engine.digits import load_digits
from replications.papers.recurrent_attention.attention_analysis import glimpse_statistics
from replications.papers.recurrent_attention.data import FixedSet, fixed_set
from replications.papers.recurrent_attention.evaluation import Evaluation
from replications.papers.recurrent_attention.fused import Episode, FusedEpisodes
from replications.papers.recurrent_attention.model import EpisodeNoise, RecurrentAttentionModel
from replications.papers.recurrent_attention.settings import Settings
from tests.contexts import make_context

CPU = torch.device("cpu")
SETTINGS = Settings(dataset="digits", canvas=24, translated=True, glimpses=3, glimpse_side=6, scales=1, glimpse_size=4, hidden_size=4)
PLACES = {
    "at the digit": lambda middle, _: middle,
    "beside the digit": lambda middle, _: 0.5 * middle - 0.2,
    "the same place": lambda middle, _: torch.full_like(middle, 0.3),
    "anywhere": lambda middle, g: torch.rand(middle.shape, generator=g) * 2 - 1,
}


def generators(_: str) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(0)]


class ScriptedEpisodes(FusedEpisodes):
    """Episodes with given locations from the second glimpse on; the first is random."""

    def __init__(self, places: Tensor) -> None:
        super().__init__(RecurrentAttentionModel(SETTINGS, generators("")), CPU)
        self.places = places

    def rollout(self, images: Tensor, noise: EpisodeNoise) -> Episode:
        first = noise.first[:, None]
        locations = torch.cat([first, self.places.expand(1, SETTINGS.glimpses - 1, *self.places.shape)], dim=1)
        unused = images.new_zeros(0)
        return Episode(locations, unused, unused, unused, unused, unused)


@pytest.fixture
def data(tmp_path: Path) -> FixedSet:
    context = make_context(tmp_path, "recurrent_attention", (0,))
    return fixed_set(SETTINGS, load_digits(context, "digits", "test").first(300), torch.Generator().manual_seed(1))


def measured(data: FixedSet, place: str) -> tuple[dict[str, float], Tensor]:
    middle = (data.boxes[:, :2] + data.boxes[:, 2:]).float() / SETTINGS.canvas - 1
    rule: Callable[[Tensor, torch.Generator], Tensor] = PLACES[place]
    places = rule(middle, torch.Generator().manual_seed(2))
    episodes = ScriptedEpisodes(places)
    evaluation = Evaluation(episodes.model, SETTINGS, data, generators, 1)
    evaluation.episodes = episodes
    statistics, _ = glimpse_statistics(evaluation)
    return {name: float(value[0]) for name, value in statistics.items()}, places


def test_looking_at_the_digit_touches_and_follows_it(data: FixedSet) -> None:
    statistics, places = measured(data, "at the digit")
    assert statistics["touch"] == 100
    assert statistics["followed"] == pytest.approx(100, abs=1e-3)
    assert statistics["spread_within"] == pytest.approx(0, abs=1e-5)
    assert statistics["spread_between"] == pytest.approx(12 * np.sqrt(places.numpy().var(0).sum()), rel=1e-5)


def test_a_path_that_moves_with_the_digit_follows_it_even_beside_it(data: FixedSet) -> None:
    statistics, _ = measured(data, "beside the digit")
    assert statistics["followed"] == pytest.approx(100, abs=1e-3)
    assert statistics["touch"] < 100


def test_the_same_place_in_every_image_follows_nothing(data: FixedSet) -> None:
    statistics, _ = measured(data, "the same place")
    assert statistics["followed"] == statistics["spread_between"] == pytest.approx(0, abs=1e-3)
    assert 0 < statistics["touch"] < 100


def test_touch_equals_a_loop_over_images(data: FixedSet) -> None:
    statistics, places = measured(data, "anywhere")
    side, touching = SETTINGS.glimpse_side, 0
    for (x, y), (left, top, right, bottom) in zip(places.tolist(), data.boxes.tolist(), strict=True):
        corner_x, corner_y = (math.floor((v + 1) / 2 * SETTINGS.canvas) - side // 2 for v in (x, y))
        columns, rows = range(corner_x, corner_x + side), range(corner_y, corner_y + side)
        touching += any(left <= column < right for column in columns) and any(top <= row < bottom for row in rows)
    assert statistics["touch"] == pytest.approx(100 * touching / len(places))
    assert statistics["followed"] < 3
