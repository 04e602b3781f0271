"""The baseline of Catch's speed comparison: games in plain Python, one after the other, as public implementations play them.

Each frame is drawn as an array, patches are cropped from it scale by scale and reduced, and the next frame follows.
"""

from __future__ import annotations

import numpy as np

from replications.papers.recurrent_attention.catch_settings import CatchSettings


def play_one_by_one(n_games: int, settings: CatchSettings, generator: np.random.Generator) -> float:
    """Play games with random moves, a random gaze, and a glimpse of every frame but the last.

    Args:
        n_games: number of games.
        settings: rules and retina.
        generator: of everything random.

    Returns:
        Share of games won.
    """
    return sum(_play(settings, generator) for _ in range(n_games)) / n_games


def _play(settings: CatchSettings, generator: np.random.Generator) -> bool:
    board, wall = settings.board, settings.board - 1
    ball, speed = float(generator.integers(board)), generator.uniform(-settings.max_speed, settings.max_speed)
    paddle = int(generator.integers(board - settings.paddle + 1))
    for row in range(wall):
        screen = np.zeros((board, board), dtype=np.float32)
        screen[row, round(ball)] = 1
        screen[wall, paddle : paddle + settings.paddle] = 1
        _glimpse(screen, generator.integers(board, size=2), settings)
        paddle = min(max(paddle + int(generator.integers(-1, 2)), 0), board - settings.paddle)
        ball += speed
        if ball < 0:
            ball, speed = -ball, -speed
        elif ball > wall:
            ball, speed = 2 * wall - ball, -speed
    return paddle <= round(ball) < paddle + settings.paddle


def _glimpse(screen: np.ndarray, centre: np.ndarray, settings: CatchSettings) -> np.ndarray:
    """Crop a patch for each scale, around (column, row), from the padded screen, and sum each over its cells."""
    side = settings.glimpse_side
    patches = []
    for scale in range(settings.scales):
        cell = 2**scale
        size = side * cell
        padded = np.pad(screen, size)
        top, left = (int(pixel) + size - size // 2 for pixel in (centre[1], centre[0]))
        patch = padded[top : top + size, left : left + size]
        patches.append(patch.reshape(side, cell, side, cell).sum((1, 3)))
    return np.stack(patches)
