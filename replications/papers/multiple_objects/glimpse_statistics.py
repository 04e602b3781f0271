"""Where glimpses go: on which digit, and whether they return to one."""

from __future__ import annotations

import torch
from torch import Tensor

NOWHERE = -1


def looked_at(locations: Tensor, corners: Tensor, present: Tensor, *, canvas: int, digit: int) -> Tensor:
    """Return which digit the centre of each glimpse lies on.

    Args:
        locations: (seeds, T, n, 2) in [-1, 1].
        corners: (n, n_digits, 2) x and y of each digit's upper left pixel.
        present: (n, n_digits) boolean.
        canvas: side of the image in pixels.
        digit: side of a digit in pixels.

    Returns:
        int64 (seeds, T, n), the number of the digit from left to right, or `NOWHERE`.
    """
    pixels = (locations + 1) * (canvas / 2)
    offsets = pixels[..., None, :] - corners
    on = ((offsets >= 0) & (offsets < digit)).all(-1) & present  # (seeds, T, n, n_digits)
    return torch.where(on.any(-1), on.int().argmax(-1), NOWHERE)


def all_visited(visits: Tensor, present: Tensor) -> Tensor:
    """Return in which episodes every digit was looked at.

    Args:
        visits: (seeds, T, n) from `looked_at`.
        present: (n, n_digits) boolean.

    Returns:
        (seeds, n) boolean.
    """
    digits = torch.arange(present.shape[1], device=present.device)
    visited = (visits[..., None] == digits).any(1)
    return (visited | ~present).all(-1)


def returns(visits: Tensor) -> Tensor:
    """Return in which episodes a digit was looked at again after another digit.

    Glimpses on no digit are passed over: 0, nowhere, 1, 0 returns; 0, nowhere, 0 does not.

    Args:
        visits: (seeds, T, n) from `looked_at`.

    Returns:
        (seeds, n) boolean.
    """
    digits = torch.arange(int(visits.max().clamp_min(0)) + 1, device=visits.device)
    seen = visits[:, 0, :, None] == digits  # (seeds, n, n_digits), looked at so far
    current = visits[:, 0]
    returned = torch.zeros_like(current, dtype=torch.bool)
    for now in visits[:, 1:].unbind(1):
        here = now[..., None] == digits
        moved = (now != NOWHERE) & (current != NOWHERE) & (now != current)
        returned |= moved & (seen & here).any(-1)
        seen = seen | here
        current = torch.where(now == NOWHERE, current, now)
    return returned
