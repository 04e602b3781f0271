"""The game of Catch (Mnih et al. 2014, section 4.2), many games at once, and what the retina sees of it.

A ball of one pixel falls by one row a frame and bounces off the sides; a paddle at the bottom moves by one pixel a frame. A game is won if
the paddle is under the ball when it reaches the bottom. Games are rows of tensors: nothing loops over them, and nothing waits for the device.

The ball moves whatever the player does, so its path is known from the start. The retina counts the lit pixels of each of its cells
from the coordinates of the few that are lit; no frame is drawn, and the cost of a glimpse does not depend on the size of the screen.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from replications.papers.recurrent_attention.catch_settings import CatchSettings
from replications.papers.recurrent_attention.model import pixel_centres

MOVES = ("left", "stay", "right")
"""What a player can do in a frame; move m shifts the paddle by m - 1 pixels."""

N_START = 3
"""Random numbers that a game starts from: column of the ball, speed of the ball, place of the paddle."""


class Games(NamedTuple):
    """Games at their first frame.

    Attributes:
        ball: (..., board) int64, column of the ball in each frame; in frame t it is in row t.
        paddle: (...,) int64, leftmost column of the paddle in the first frame.
    """

    ball: Tensor
    paddle: Tensor


def new_games(uniforms: Tensor, settings: CatchSettings) -> Games:
    """Start games: ball anywhere in the top row, paddle anywhere in the bottom row.

    Args:
        uniforms: (..., 3) in [0, 1), see `N_START`.
        settings: rules.

    Returns:
        The games, of shape (...,).
    """
    board, top = settings.board, settings.max_speed
    start, speed, place = uniforms.unbind(-1)
    start = (start * board).floor()
    speed = (speed * (2 * top + 1)).floor() - top if settings.speed == "integer" else (2 * speed - 1) * top
    paddle = (place * (board - settings.paddle + 1)).long()
    return Games(ball_columns(start, speed, board), paddle)


def ball_columns(start: Tensor, speed: Tensor, board: int) -> Tensor:
    """Return the path of a ball that bounces off the sides.

    The ball turns round at the centres of the outermost columns, and lights the column that it is nearest to. A path with bounces is a
    straight one, folded at both walls: it repeats after twice the width.

    Args:
        start: (...,) place in the first frame, in [0, board - 1].
        speed: (...,) columns per frame.
        board: number of columns, and of frames.

    Returns:
        (..., board) int64 column in each frame.
    """
    straight = start[..., None] + speed[..., None] * torch.arange(board, device=start.device)
    period = 2 * (board - 1)
    phase = straight.remainder(period)
    return torch.minimum(phase, period - phase).round().long()


def move_paddle(paddle: Tensor, move: Tensor, settings: CatchSettings) -> Tensor:
    """Move paddles by one pixel or not at all; they stop at the sides.

    Args:
        paddle: (...,) int64, leftmost columns.
        move: (...,) int64, index in `MOVES`.
        settings: rules.

    Returns:
        (...,) int64, leftmost columns.
    """
    return (paddle + move - 1).clamp(0, settings.board - settings.paddle)


def caught(games: Games, paddle: Tensor, settings: CatchSettings) -> Tensor:
    """Return the rewards at the end of games.

    Args:
        games: of shape (...,).
        paddle: (...,) leftmost columns in the last frame.
        settings: rules.

    Returns:
        (...,) float, 1 where the paddle overlaps the ball, else 0.
    """
    column = games.ball[..., -1]
    return ((column >= paddle) & (column < paddle + settings.paddle)).float()


def glimpses(ball: Tensor, row: Tensor | int, paddle: Tensor, location: Tensor, settings: CatchSettings) -> Tensor:
    """Read frames through the retina: patches of side g, 2g, 4g, ... around a location, each reduced to g x g cells.

    A cell holds the number of its lit pixels. It is the mean of the classifier's retina times the area of the cell: a constant per scale,
    without which the one pixel of the ball would hardly show in the coarse cells.

    Args:
        ball: (...,) int64, column of the ball.
        row: row of the ball, one for all or (...,).
        paddle: (...,) int64, leftmost column of the paddle, which is in the bottom row.
        location: (..., 2) as (x, y) in [-1, 1].
        settings: rules and retina.

    Returns:
        (..., scales * g * g), finest scale first, row by row.
    """
    side, n_scales, n_values = settings.glimpse_side, settings.scales, settings.patch_pixels
    device, dtype = ball.device, location.dtype
    # Scales and pixels are the first axes and games the last, so that every operation is one sweep over all games; whole numbers are
    # floats, which processors divide many at once.
    columns = torch.stack([ball, *(paddle + offset for offset in range(settings.paddle))]).to(dtype)  # (pixels, ...)
    rows = torch.full_like(columns, settings.board - 1)
    rows[0] = row
    centre_x, centre_y = pixel_centres(location, settings.board).to(dtype).unbind(-1)
    scale = torch.arange(n_scales, device=device).view(n_scales, *(1,) * columns.ndim)
    cell = 2.0**scale  # side of a cell in pixels
    half = (side * cell / 2).floor()
    x = ((columns - (centre_x - half)) / cell).floor()  # (scales, pixels, ...), which column of cells each lit pixel is in
    y = ((rows - (centre_y - half)) / cell).floor()
    inside = (x >= 0) & (x < side) & (y >= 0) & (y < side)
    first_value = torch.arange(0, ball.numel() * n_values, n_values, device=device).view(ball.shape)  # of each game
    value = ((scale * side + y) * side + x) * inside  # pixels outside the patch add nothing to the first value
    counts = location.new_zeros(ball.numel() * n_values)
    counts.scatter_add_(0, (first_value + value.long()).flatten(), inside.flatten().to(dtype))
    return counts.view(*ball.shape, n_values)


def frame(ball: Tensor, row: int, paddle: Tensor, settings: CatchSettings) -> Tensor:
    """Draw one frame of games.

    Args:
        ball: (n,) int64, column of the ball.
        row: row of the ball.
        paddle: (n,) int64, leftmost column of the paddle.
        settings: rules.

    Returns:
        (n, board, board) float, 1 where a pixel is lit, else 0.
    """
    screen = torch.zeros(len(ball), settings.board, settings.board, device=ball.device)
    game = torch.arange(len(ball), device=ball.device)
    screen[game, row, ball] = 1
    for offset in range(settings.paddle):
        screen[game, -1, paddle + offset] = 1
    return screen
