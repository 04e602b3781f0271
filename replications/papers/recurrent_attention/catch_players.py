"""Scripted players of Catch, which see the whole screen: what an agent's catches are compared with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from replications.papers.recurrent_attention.catch import MOVES, Games, caught, move_paddle
from replications.papers.recurrent_attention.catch_settings import CatchSettings

Player = Callable[[Games, int, Tensor], Tensor]
"""Games, number of the frame and leftmost columns of the paddles -> moves, int64, of the shape of the paddles."""


def stand_still(games: Games, t: int, paddle: Tensor) -> Tensor:  # noqa: ARG001 (a player's arguments)
    """Return no move, whatever happens.

    Args:
        games: of shape (...,).
        t: number of the frame.
        paddle: (...,) leftmost columns.

    Returns:
        (...,) moves.
    """
    return torch.full_like(paddle, MOVES.index("stay"))


def chaser(settings: CatchSettings) -> Player:
    """Return a player that moves towards the column in which the ball is now. It knows where the ball is, but not where it will be.

    Args:
        settings: rules.

    Returns:
        The player.
    """

    def chase(games: Games, t: int, paddle: Tensor) -> Tensor:
        ball = games.ball[..., t]
        return 1 + (ball >= paddle + settings.paddle).long() - (ball < paddle).long()

    return chase


def at_random(generator: torch.Generator) -> Player:
    """Return a player whose moves are uniformly random.

    Args:
        generator: of the moves, on the device of the games.

    Returns:
        The player.
    """

    def move(games: Games, t: int, paddle: Tensor) -> Tensor:  # noqa: ARG001 (a player's arguments)
        return torch.randint(len(MOVES), paddle.shape, generator=generator, device=paddle.device)

    return move


def play_scripted(player: Player, games: Games, settings: CatchSettings) -> Tensor:
    """Play games to their end.

    Args:
        player: who moves.
        games: of shape (...,).
        settings: rules.

    Returns:
        (...,) rewards.
    """
    paddle = games.paddle
    for t in range(settings.decisions):
        paddle = move_paddle(paddle, player(games, t, paddle), settings)
    return caught(games, paddle, settings)
