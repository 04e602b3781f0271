"""Counted operations against an independent counter, and how they grow."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from replications.papers.recurrent_attention.classifiers import build
from replications.papers.recurrent_attention.cost import forward_flops
from replications.papers.recurrent_attention.fused import FusedEpisodes
from replications.papers.recurrent_attention.model import EpisodeNoise, RecurrentAttentionModel
from replications.papers.recurrent_attention.settings import Settings

CPU = torch.device("cpu")
SIZES = [
    Settings(model="ram"),
    Settings(model="ram", canvas=60, glimpse_side=12, scales=3, glimpses=8),
    Settings(model="ram", canvas=60, glimpse_side=12, scales=3, glimpses=3, locator_size=32),
    Settings(model="ram", glimpses=1, policy="random"),
    Settings(model="fc", canvas=60, fc_size=64),
    Settings(model="conv", canvas=60),
    Settings(model="conv", canvas=100, fc_size=86),
    Settings(model="cnn", canvas=60),
    Settings(model="soft", canvas=60, glimpse_side=12, glimpses=3),
]


@pytest.mark.parametrize("settings", SIZES, ids=lambda s: f"{s.model}-{s.canvas}-{s.glimpses}")
def test_counted_operations_equal_those_of_torch(settings: Settings) -> None:
    network = build(settings, [torch.Generator().manual_seed(0)], CPU)
    n_images = 3
    canvases = torch.zeros(1, n_images, settings.canvas, settings.canvas)
    later = torch.zeros(1, settings.glimpses - 1, n_images, 2)
    counter = FlopCounterMode(display=False)
    if isinstance(network, RecurrentAttentionModel):
        noise = EpisodeNoise(torch.zeros(1, n_images, 2), uniform=later if settings.policy == "random" else None)
        # The retina's integral image is two triangular products here; the retina is left out of the count.
        retina = 2 * 2 * settings.canvas**3 * n_images
        episodes = FusedEpisodes(network, CPU)
        with counter, torch.no_grad():
            network.action_network(episodes.rollout(canvases, noise).hidden[:, -1])
    else:
        # Soft attention embeds its positions once for the whole batch.
        shared = network.get_buffer("positions").shape[0] * 2 * (2 * 128 + 128 * 256) if settings.model == "soft" else 0
        retina = shared
        with counter, torch.no_grad():
            network(canvases)
    assert counter.get_total_flops() == forward_flops(settings) * n_images + retina


def test_glimpses_cost_the_same_at_every_size_and_the_convolution_grows_with_the_pixels() -> None:
    sides = (60, 120, 240, 480)
    glimpses = {forward_flops(Settings(canvas=side, glimpse_side=12, scales=3)) for side in sides}
    assert len(glimpses) == 1
    per_pixel = [forward_flops(Settings(canvas=side, model="conv")) / side**2 for side in sides]
    assert max(per_pixel) / min(per_pixel) < 1.25


def test_parameters_of_the_baselines_match_those_derived_from_the_paper() -> None:
    def count(**given: object) -> int:
        network = build(Settings.model_validate(given), [torch.Generator().manual_seed(0)], CPU)
        return sum(parameter.numel() for parameter in network.parameters())

    assert count(model="conv", canvas=60) == 251_442
    assert count(model="fc", canvas=60, fc_size=64) == 235_274
    assert count(model="conv", canvas=100, fc_size=86) == 250_132
