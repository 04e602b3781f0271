"""Made-up clips: a digit that moves right, left, down or up. Nothing is downloaded.

A movement to the left is one to the right played backwards, frame for frame, so that the two differ in nothing but the order of their
frames: whoever averages over frames cannot tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from replications.engine.datasets import DataSource
from replications.papers.video_recognition.settings import DIGIT_FRAMES

if TYPE_CHECKING:
    import datasets

DIGITS = (0, 1, 2, 3)
DIRECTIONS = ("right", "left", "down", "up")
STEPS = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])
"""Pixels per frame along x and y, by direction."""
SIDE, DIGIT_SIDE, N_FRAMES = 16, 8, DIGIT_FRAMES
N_CLASSES = len(DIGITS) * len(DIRECTIONS)
SIZES = {"train": 4000, "validation": 800, "test": 1600}
_SHARES = {"train": (0.0, 0.6), "validation": (0.6, 0.75), "test": (0.75, 1.0)}
"""Which of the drawn digits each split moves: no handwritten digit is on two sides."""


def class_name(number: int) -> str:
    """Return the name of a class.

    >>> class_name(6)
    '1 down'

    Args:
        number: of the class, below `N_CLASSES`.

    Returns:
        Digit and direction.
    """
    return f"{DIGITS[number // 4]} {DIRECTIONS[number % 4]}"


def reversed_class(number: int) -> int:
    """Return the class of a clip that is played backwards: the same digit, the opposite direction.

    >>> [reversed_class(number) for number in range(4)]
    [1, 0, 3, 2]

    Args:
        number: of a class.

    Returns:
        Number of the other class.
    """
    return number ^ 1


def _build(split: str) -> datasets.Dataset:
    """Return one split: which digit moves, from where, in which direction, and at which frame a turning digit turns."""
    import datasets
    from sklearn.datasets import load_digits

    images, targets = load_digits(return_X_y=True)
    kept = np.flatnonzero(np.isin(targets, DIGITS))
    low, high = (round(share * len(kept)) for share in _SHARES[split])
    rng = np.random.default_rng([3, list(SIZES).index(split)])
    n = SIZES[split]
    rows = rng.choice(kept[low:high], n)
    direction = rng.integers(len(DIRECTIONS), size=n)
    free = SIDE - DIGIT_SIDE
    along, across = rng.integers(free - N_FRAMES + 2, size=n), rng.integers(free + 1, size=n)
    forward = STEPS[direction].sum(1) > 0
    along = np.where(forward, along, free - along)
    horizontal = direction < 2
    return datasets.Dataset.from_dict(
        {
            "image": images[rows].astype(np.int64).tolist(),
            "digit": targets[rows].tolist(),
            "direction": direction.tolist(),
            "x": np.where(horizontal, along, across).tolist(),
            "y": np.where(horizontal, across, along).tolist(),
            "turn": rng.integers(2, N_FRAMES - 1, size=n).tolist(),
        }
    )


MOVING_DIGITS = DataSource(
    name="moving-digits",
    splits=SIZES,
    fingerprints={"train": "419a7fe8c81958ab", "validation": "273c3d10f7229c42", "test": "b8d885d473c137ac"},
    licence="BSD-3-Clause (the digits of scikit-learn)",
    citation="Alpaydin and Kaynak 1998, Optical recognition of handwritten digits; moved by this suite",
    note="Digits 0 to 3 of scikit-learn, moved here from a fixed seed; the frames are drawn from the stored rows when read.",
    build=_build,
)


@dataclass(frozen=True)
class Movement:
    """Drawn clips.

    Attributes:
        frames: float32 (clips, frames, 16, 16) from 0 to 1.
        labels: class of each clip, int64 (clips,).
        frame_labels: class of each frame, int64 (clips, frames).
        positions: x and y of the digit, int64 (clips, frames, 2).
    """

    frames: np.ndarray
    labels: np.ndarray
    frame_labels: np.ndarray
    positions: np.ndarray


def draw(rows: datasets.Dataset, n: int | None = None, *, turning: bool = False) -> Movement:
    """Draw the clips of stored rows, all at once.

    Args:
        rows: of `MOVING_DIGITS`.
        n: the first so many rows; None: all.
        turning: the digit turns back at the frame in the column `turn`, so that its class changes within the clip.

    Returns:
        The clips.
    """
    columns = {name: np.asarray(rows[name][:n]) for name in rows.column_names}
    time = np.arange(N_FRAMES)
    turn = columns["turn"][:, None] if turning else np.full((len(columns["turn"]), 1), N_FRAMES)
    # Displacement along the direction: up to the turn forward, then back.
    travelled = np.where(time < turn, time, 2 * (turn - 1) - time)
    start = np.stack([columns["x"], columns["y"]], axis=1)
    positions = start[:, None, :] + travelled[:, :, None] * STEPS[columns["direction"]][:, None, :]
    # A digit that turns early runs back over its start; a window that is shifted as a whole keeps it on the canvas.
    below = np.minimum(positions.min(axis=1, keepdims=True), 0)
    above = np.maximum(positions.max(axis=1, keepdims=True) - (SIDE - DIGIT_SIDE), 0)
    positions = positions - below - above
    frames = np.zeros((len(start), N_FRAMES, SIDE, SIDE), dtype=np.float32)
    inner = np.arange(DIGIT_SIDE)
    y = positions[:, :, 1, None, None] + inner[:, None]
    x = positions[:, :, 0, None, None] + inner
    clip = np.arange(len(start))[:, None, None, None]
    frames[clip, time[:, None, None], y, x] = columns["image"].reshape(-1, 1, DIGIT_SIDE, DIGIT_SIDE) / 16
    labels = columns["digit"] * 4 + columns["direction"]
    frame_labels = np.where(time < turn, labels[:, None], labels[:, None] ^ 1)
    return Movement(frames, labels.astype(np.int64), frame_labels.astype(np.int64), positions)


def stills(movement: Movement) -> tuple[np.ndarray, np.ndarray]:
    """Return all frames as still images, with what the CNN is trained to say of them.

    Args:
        movement: drawn clips.

    Returns:
        Images, float32 (n, 16, 16), and digit, x and y, int64 (n, 3).
    """
    digit = np.repeat(movement.labels // 4, N_FRAMES)
    return movement.frames.reshape(-1, SIDE, SIDE), np.column_stack([digit, movement.positions.reshape(-1, 2)])


def captions(labels: np.ndarray) -> list[list[str]]:
    """Return a sentence of each clip.

    >>> captions(np.array([9]))
    [['a', 'two', 'moves', 'to', 'the', 'left']]

    Args:
        labels: classes, (clips,).

    Returns:
        Words of each sentence.
    """
    names = ("zero", "one", "two", "three")
    ways = (["to", "the", "right"], ["to", "the", "left"], ["down"], ["up"])
    ends: tuple[list[str], ...] = ([], [], ["the", "image"], ["the", "image"])
    return [["a", names[label // 4], "moves", *ways[label % 4], *ends[label % 4]] for label in labels.tolist()]
