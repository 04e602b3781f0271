"""Tests of agents that play Catch: games won, and whether the gaze follows the ball."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from replications.engine.context import Context
from replications.papers.recurrent_attention.catch import MOVES, N_START, Games, new_games
from replications.papers.recurrent_attention.catch_model import CatchAgent, GameNoise, Play
from replications.papers.recurrent_attention.catch_players import Player, at_random, chaser, play_scripted, stand_still
from replications.papers.recurrent_attention.catch_settings import CatchSettings
from replications.papers.recurrent_attention.cost import linear_flops

CHUNK = 2000
"""Games per seed played at once."""

N_SHOWN = 24
"""Test games that are stored for figures and exhibits."""

COUNTED_BOARDS = (24, 48, 96, 192)
"""Sides of the screens for which operations are counted."""


class FixedGames:
    """Games and first locations that are the same for every agent and seed, so that differences between agents are paired.

    Args:
        settings: rules, and number of games.
        context: of the run.
        split: 'validation' or 'test'; other games.
    """

    def __init__(self, settings: CatchSettings, context: Context, split: str) -> None:
        self.settings, self.context, self.split = settings, context, split
        generator = context.generator(0, f"{split} games", device="cpu")
        self.games = new_games(torch.rand(settings.n_test, N_START, generator=generator).to(context.device), settings)
        self.first = (2 * torch.rand(settings.n_test, 2, generator=generator) - 1).to(context.device)

    @torch.no_grad()
    def play(self, agent: CatchAgent, *, sampled: bool = False) -> Play:
        """Let agents play all games.

        Args:
            agent: one per seed.
            sampled: draw moves and locations from the policy; else take the most probable move and the mean location.

        Returns:
            What happened, (seeds, ..., n_test, ...).
        """
        n_seeds = len(self.context.seeds)
        generators = [self.context.generator(seed, f"{self.split} {sampled}", device="cpu") for seed in self.context.seeds]
        plays = []
        for ball, paddle, first in zip(self.games.ball.split(CHUNK), self.games.paddle.split(CHUNK), self.first.split(CHUNK), strict=True):
            games = Games(ball.expand(n_seeds, *ball.shape), paddle.expand(n_seeds, -1))
            plays.append(agent(games, self._noise(first.expand(n_seeds, -1, -1), generators, sampled=sampled)))
        # The games of (seeds, T, batch, ...) are axis 2, those of (seeds, batch) axis 1.
        return Play(*(torch.cat(parts, 2 if parts[0].ndim > 2 else 1) for parts in zip(*plays, strict=True)))

    def _noise(self, first: Tensor, generators: list[torch.Generator], *, sampled: bool) -> GameNoise:
        n, decisions, device = first.shape[1], self.settings.decisions, first.device
        location: Tensor | None = None
        if self.settings.gaze == "random":
            location = torch.stack([2 * torch.rand(decisions - 1, n, 2, generator=g) - 1 for g in generators]).to(device)
        elif sampled:
            location = torch.stack([torch.randn(decisions - 1, n, 2, generator=g) for g in generators]).to(device)
        move = torch.stack([torch.rand(decisions, n, generator=g) for g in generators]).to(device) if sampled else None
        return GameNoise(first, move, location)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return Pearson's correlation along the last axis; 0 where one of the two does not vary.

    Args:
        a: (..., n).
        b: broadcastable to (..., n).

    Returns:
        (...,) double, in [-1, 1].
    """
    a, b = (values.double() - values.double().mean(-1, keepdim=True) for values in (a, b))
    spread = (a.square().sum(-1) * b.square().sum(-1)).sqrt()
    return torch.where(spread > 1e-9, (a * b).sum(-1) / spread.clamp(min=1e-9), 0.0)


def gaze_statistics(play: Play, games: Games) -> tuple[Tensor, Tensor]:
    """Return how the column that the agent looks at goes with the column of the ball.

    Args:
        play: games of shape (seeds, n).
        games: the same, of shape (n,).

    Returns:
        Correlation over all frames of the last third of the games, (seeds,), and in each frame, (seeds, T).
    """
    gaze = play.locations[..., 0]  # (seeds, T, n)
    ball = games.ball[:, : gaze.shape[1]].T  # (T, n)
    late = -(-2 * len(ball) // 3)
    return correlation(gaze[:, late:].flatten(1), ball[late:].flatten()), correlation(gaze, ball)


def record_play(context: Context, fixed: FixedGames, agent: CatchAgent, *, step: int, model: str = "") -> None:
    """Record the test of agents: catches with most probable moves and mean locations, catches with sampled ones, and where they look.

    Args:
        context: of the run.
        fixed: the test games.
        agent: one per seed.
        step: updates made.
        model: empty for the trained agents.
    """
    play = fixed.play(agent)
    late, by_frame = gaze_statistics(play, fixed.games)
    context.record("catches", 100 * play.reward.double().mean(1), model=model, step=step, unit="%")
    context.record("gaze_correlation", late, model=model, step=step)
    if model:
        return
    context.record("catches_sampled", 100 * fixed.play(agent, sampled=True).reward.double().mean(1), step=step, unit="%")
    context.record("test_examples", [float(play.reward.shape[1])] * len(context.seeds), step=step)
    context.artifact("wrong_catches_test", np.packbits(play.reward.cpu().numpy() == 0, axis=1))
    context.artifact("gaze_by_frame", by_frame)
    context.artifact("balls", fixed.games.ball[:N_SHOWN].to(torch.int16))
    context.artifact("paddles", play.paddles[:, :, :N_SHOWN].transpose(1, 2).to(torch.int16))
    context.artifact("gazes", play.locations[:, :, :N_SHOWN].transpose(1, 2).to(torch.float32))


def record_scripted_players(context: Context, fixed: FixedGames) -> None:
    """Record what players catch that see the whole screen but do not learn, as models 'still', 'random-moves' and 'chaser'.

    Args:
        context: of the run.
        fixed: the test games.
    """
    games, settings = fixed.games, fixed.settings

    def catches(player: Player) -> float:
        return 100 * float(play_scripted(player, games, settings).double().mean())

    for model, player in (("still", stand_still), ("chaser", chaser(settings))):
        context.record("catches", [catches(player)] * len(context.seeds), model=model, unit="%")
    random = [catches(at_random(context.generator(seed, "random moves"))) for seed in context.seeds]
    context.record("catches", random, model="random-moves", unit="%")


def frame_flops(settings: CatchSettings) -> int:
    """Count the operations of the matrix products with which an agent takes in one frame and decides.

    The retina counts as the product that it is in writing, rows times columns of the lit pixels for each scale; that `glimpses` adds each
    pixel to its cell takes fewer.

    Args:
        settings: sizes.

    Returns:
        FLOPs, two per multiply-add.
    """
    s = settings
    width, hidden = s.glimpse_size, s.hidden_size
    retina = s.scales * 2 * (1 + s.paddle) * s.glimpse_side**2
    glimpse = linear_flops(s.patch_pixels, width, 2 * width) + linear_flops(2, width, 2 * width)
    units = 4 * hidden if s.core == "lstm" else hidden
    core = linear_flops(2 * width, units) + linear_flops(hidden, units)
    location = linear_flops(hidden, s.locator_size, 2) if s.locator_size else linear_flops(hidden, 2)
    return retina + glimpse + core + linear_flops(hidden, len(MOVES)) + location + linear_flops(hidden, 1)


def record_costs(settings: CatchSettings, context: Context) -> None:
    """Record the operations per frame on screens of several sizes (axis 'board'), with the agent's retina unchanged.

    Args:
        settings: of the run.
        context: of the run.
    """
    for board in COUNTED_BOARDS:
        flops = frame_flops(settings.model_copy(update={"board": board}))
        context.record("frame_flops", [flops] * len(context.seeds), split="cost", axis="board", at=board, unit="FLOP")
