"""Speed comparisons of this paper, for `replications bench recurrent_attention`."""

from __future__ import annotations

import numpy as np
import torch

from replications.engine.bench import Comparison
from replications.papers.recurrent_attention.catch import MOVES, N_START, caught, glimpses, move_paddle, new_games
from replications.papers.recurrent_attention.catch_loop import play_one_by_one
from replications.papers.recurrent_attention.catch_settings import CatchSettings
from replications.papers.recurrent_attention.fused import FusedEpisodes
from replications.papers.recurrent_attention.library_baseline import BaselineRAM
from replications.papers.recurrent_attention.model import EpisodeNoise, RecurrentAttentionModel
from replications.papers.recurrent_attention.objective import HybridLoss
from replications.papers.recurrent_attention.settings import Settings

BASELINE = "public PyTorch RAM (logic)"
BATCH, GLIMPSES, SIGMA = 128, 6, 0.05
LOCATOR = 128
"""Hidden units of the location network, as in the baseline."""

GAMES = 1024
"""Games of Catch played in a call, by ours at once, by the baseline one after the other."""


def training_28() -> Comparison:
    """Compare a training step on 28x28 images, 6 glimpses of 8x8x1, batch 128, float32.

    Returns:
        The comparison, in images per second.
    """
    return _training("train, 28x28, 8x8x1", canvas=28, side=8, scales=1, at_least=2.2)


def training_60() -> Comparison:
    """Compare a training step on 60x60 images, 6 glimpses of 12x12x3, batch 128, float32.

    Returns:
        The comparison, in images per second.
    """
    return _training("train, 60x60, 12x12x3", canvas=60, side=12, scales=3, at_least=4.5)


def catch_games() -> Comparison:
    """Compare games of Catch on the published screen, with random moves and a 6x6x3 glimpse of every frame, without an agent.

    Returns:
        The comparison, in games per second.
    """
    settings = CatchSettings()
    generator, loop_generator = torch.Generator().manual_seed(0), np.random.default_rng(0)

    def ours() -> None:
        games = new_games(torch.rand(GAMES, N_START, generator=generator), settings)
        moves = torch.randint(len(MOVES), (settings.decisions, GAMES), generator=generator)
        locations = 2 * torch.rand(settings.decisions, GAMES, 2, generator=generator) - 1
        paddle = games.paddle
        for t in range(settings.decisions):
            glimpses(games.ball[:, t], t, paddle, locations[t], settings)
            paddle = move_paddle(paddle, moves[t], settings)
        caught(games, paddle, settings)

    def one_by_one() -> None:
        play_one_by_one(GAMES, settings, loop_generator)

    return Comparison("games of Catch, 24x24, 6x6x3", ours, one_by_one, "games", GAMES, "one by one in Python", 100)


def _training(name: str, *, canvas: int, side: int, scales: int, at_least: float) -> Comparison:
    settings = Settings(canvas=canvas, glimpse_side=side, scales=scales, glimpses=GLIMPSES, sigma=SIGMA, locator_size=LOCATOR)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (BATCH, 1, canvas, canvas), generator=generator).float()
    labels = torch.randint(0, 10, (BATCH,), generator=generator)
    scaled = pixels / 255

    model = RecurrentAttentionModel(settings, [generator])
    episodes = FusedEpisodes(model, torch.device("cpu"))
    objective = HybridLoss(settings, n_seeds=1)
    parameters = list(model.parameters())
    our_adam = torch.optim.Adam(parameters, lr=3e-4, fused=True)
    first, noise = torch.empty(1, BATCH, 2), torch.empty(1, GLIMPSES - 1, BATCH, 2)

    def our_step() -> None:
        episode_noise = EpisodeNoise(first.uniform_(-1, 1, generator=generator), noise.normal_(generator=generator))
        loss, _ = objective(episodes(pixels.view(1, BATCH, canvas, canvas), episode_noise), labels[None])
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient.contiguous()
        our_adam.step()

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        baseline = BaselineRAM(side, scales, GLIMPSES, SIGMA)
    baseline_adam = torch.optim.Adam(baseline.parameters(), lr=3e-4)

    def baseline_step() -> None:
        baseline_adam.zero_grad()
        baseline.loss(scaled, labels).backward()
        baseline_adam.step()

    return Comparison(name, our_step, baseline_step, "images", BATCH, BASELINE, at_least)
