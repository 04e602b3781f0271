"""Canvases on which digits and patches cut from digits stand at random places, from uniform numbers that the caller draws."""

from __future__ import annotations

import torch
from torch import Tensor

from replications.engine.digits import Digits


def uniform_integers(uniforms: Tensor, n: int) -> Tensor:
    """Return uniform integers 0..n-1 from uniform numbers in [0, 1).

    Args:
        uniforms: of any shape.
        n: number of values, at least 1.

    Returns:
        int64 of that shape.
    """
    # A float32 just below 1 times n can round up to n.
    return (uniforms * n).long().clamp_(max=n - 1)


def square(side: int, stride: int, device: torch.device) -> Tensor:
    """Return the flat indices of a square in the upper left corner of an image.

    Args:
        side: of the square in pixels.
        stride: row length of the image.
        device: of the indices.

    Returns:
        (side**2,) int64, row by row.
    """
    steps = torch.arange(side, device=device)
    return (steps[:, None] * stride + steps).view(-1)


def place(images: Tensor, squares: Tensor, corners: Tensor) -> None:
    """Overwrite, in place, squares of each image; those of one image must not overlap.

    Args:
        images: (n, canvas, canvas) floating point.
        squares: (n, squares, side, side) of any type.
        corners: (n, squares, 2) int64, x and y of each square's upper left pixel; it lies on the canvas.
    """
    n, canvas = len(images), images.shape[-1]
    target = square(squares.shape[-1], canvas, images.device) + (corners[..., 1] * canvas + corners[..., 0])[..., None]
    images.view(n, -1).scatter_(1, target.view(n, -1), squares.reshape(n, -1).to(images.dtype))


def add_clutter(images: Tensor, digits: Digits, uniforms: Tensor, side: int) -> None:
    """Add, in place, patches of random digits at random places; sums are clipped at 255.

    Args:
        images: (n, canvas, canvas) floating point holding integers 0..255.
        digits: from which patches are cut.
        uniforms: (n, patches, 5) in [0, 1): of each patch the digit, two for where it is cut, two for where it is added.
        side: of a patch in pixels, at most that of a digit.
    """
    n, canvas, digit = len(images), images.shape[-1], digits.images.shape[-1]
    source = uniform_integers(uniforms[..., 0], len(digits.labels)) * digit**2
    cut = uniform_integers(uniforms[..., 1:3], digit - side + 1)
    put = uniform_integers(uniforms[..., 3:5], canvas - side + 1)
    start = source + cut[..., 1] * digit + cut[..., 0]
    patches = digits.images.reshape(-1)[start[..., None] + square(side, digit, images.device)].to(images.dtype)
    target = (put[..., 1] * canvas + put[..., 0])[..., None] + square(side, canvas, images.device)
    # The sums are integers, so the order in which a GPU adds overlapping patches does not matter.
    images.view(n, -1).scatter_add_(1, target.view(n, -1), patches.view(n, -1)).clamp_(max=255)
