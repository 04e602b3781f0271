"""Speed comparison of this paper, for `replications bench multiple_objects`."""

from __future__ import annotations

import torch

from replications.engine.bench import Comparison
from replications.papers.multiple_objects.fused import FusedEpisodes
from replications.papers.multiple_objects.model import DRAM, EpisodeNoise
from replications.papers.multiple_objects.objective import bound_loss
from replications.papers.multiple_objects.settings import Settings
from replications.papers.multiple_objects.trainer import NO_END

BATCH = 64


def update() -> Comparison:
    """Compare forward and backward pass of 64 episodes, at the sizes of tier gpu and for one seed, with a loop over glimpses (`model.py`).

    Returns:
        The comparison, in glimpses per second.
    """
    settings = Settings()
    generator = torch.Generator().manual_seed(0)
    model = DRAM(settings, [generator])
    images = 255 * torch.rand(1, BATCH, settings.canvas, settings.canvas, generator=generator)
    noise = EpisodeNoise(torch.zeros(1, BATCH, 2), torch.randn(1, settings.n_glimpses, BATCH, 2, generator=generator))
    targets = torch.randint(settings.n_answers, (1, settings.n_targets, BATCH), generator=generator)
    fused = FusedEpisodes(model)

    def train_with(episodes: DRAM | FusedEpisodes) -> None:
        model.zero_grad()
        loss, _ = bound_loss(episodes(images, noise), targets, glimpses=settings.glimpses, weight=1.0, end=NO_END)
        loss.backward()

    return Comparison(
        "update, DRAM, 64 episodes",
        lambda: train_with(fused),
        lambda: train_with(model),
        "glimpses",
        BATCH * settings.n_glimpses,
        "a loop over glimpses",
    )
