"""Speed comparison of this paper, for `replications bench multiple_objects`."""

from __future__ import annotations

import torch

from replications.engine.bench import Comparison
from replications.papers.multiple_objects.model import DRAM, EpisodeNoise
from replications.papers.multiple_objects.objective import bound_loss
from replications.papers.multiple_objects.settings import Settings
from replications.papers.multiple_objects.trainer import NO_END

BATCH, SEEDS = 64, 3
SETTINGS = Settings(
    dataset="digits",
    n_classes=3,
    canvas=24,
    glimpse_side=8,
    glimpse_size=48,
    hidden_size=48,
    classifier_size=48,
    context_side=12,
    context_filters=(8, 8, 8),
)
"""Sizes of tier smoke."""


def update() -> Comparison:
    """Compare forward and backward pass of the episodes of three seeds at once with a loop over seeds and glimpses, at the sizes of tier smoke.

    Returns:
        The comparison, in glimpses per second.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in range(SEEDS)]
    together = DRAM(SETTINGS, generators)
    alone = [DRAM(SETTINGS, [generator]) for generator in generators]
    images = 255 * torch.rand(SEEDS, BATCH, SETTINGS.canvas, SETTINGS.canvas, generator=generators[0])
    normal = torch.randn(SEEDS, SETTINGS.n_glimpses, BATCH, 2, generator=generators[0])
    targets = torch.randint(SETTINGS.n_answers, (SEEDS, SETTINGS.n_targets, BATCH), generator=generators[0])

    def train(model: DRAM, seeds: slice) -> None:
        model.zero_grad()
        outcome = model(images[seeds], EpisodeNoise(torch.zeros_like(images[seeds, :, 0, :2]), normal[seeds]))
        loss, _ = bound_loss(outcome, targets[seeds], glimpses=SETTINGS.glimpses, weight=1.0, end=NO_END)
        loss.backward()

    def one_by_one() -> None:
        for seed, model in enumerate(alone):
            train(model, slice(seed, seed + 1))

    glimpses = SEEDS * BATCH * SETTINGS.n_glimpses
    return Comparison(
        "update, DRAM, 3 seeds of 64 episodes",
        lambda: train(together, slice(None)),
        one_by_one,
        "glimpses",
        glimpses,
        "one network after the other",
    )
