"""The retina: k square patches of side g, 2g, 4g, ... around a location, each resized to g x g (section 3.1, figure 1A).

All glimpses of a batch come from one integral image: the sum over any rectangle is four of its entries, so a patch of any
scale costs the same, and clamping the entries' indices to the image makes everything beyond the border zero.
"""

from __future__ import annotations

import torch
from torch import Tensor


def integral_image(canvases: Tensor) -> Tensor:
    """Sums over all rectangles that start in the top left corner.

    Args:
        canvases: (..., side, side) float32 holding integers 0..255; sums below 2**24 are then exact (side <= 256).

    Returns:
        (n, (side + 1)**2), leading axes merged; entry (y, x) is the sum over rows < y and columns < x.
    """
    side = canvases.shape[-1]
    flat = canvases.reshape(-1, side, side)
    padded = flat.new_zeros(flat.shape[0], side + 1, side + 1)
    if canvases.device.type == "cpu":
        # Two triangular products are several times faster than cumsum here. On a GPU TF32 would round them.
        ones = torch.ones(side, side, dtype=flat.dtype).triu_()
        padded[:, 1:, 1:] = ones.T @ (flat.view(-1, side) @ ones).view_as(flat)
    else:
        padded[:, 1:, 1:] = flat.cumsum(1).cumsum(2)
    return padded.view(flat.shape[0], -1)


def centres(locations: Tensor, side: int) -> Tensor:
    """Pixel coordinates (x, y) of locations: -1 is the left or upper border, 1 the right or lower; int64, may lie outside."""
    return ((locations + 1) * (0.5 * side)).floor().long()


class Sensor:
    """Extracts glimpses of a fixed shape from images of a fixed size.

    Args:
        canvas: side of the images in pixels.
        side: g, side of the finest patch and of every patch once resized.
        scales: k.
        device: where the index tables live.
    """

    def __init__(self, canvas: int, side: int, scales: int, device: torch.device) -> None:
        self.canvas, self.side, self.scales = canvas, side, scales
        factor = torch.tensor([2**k for k in range(scales)], device=device)
        # Row i of scale k starts at centre - g 2^k / 2 + i 2^k; one entry more than pixels, because patches are differences.
        self.edges = torch.arange(side + 1, device=device) * factor[:, None] - (side * factor // 2)[:, None]
        self.scale = (1.0 / (255.0 * factor.double() ** 2)).float()[:, None, None]

    def __call__(self, integral: Tensor, locations: Tensor) -> Tensor:
        """Look once.

        Args:
            integral: (n, (canvas + 1)**2), from `integral_image`.
            locations: (n, 2) as (x, y), -1..1 inside the image, anything outside.

        Returns:
            (n, scales * side * side): mean brightness 0..1 of each cell, finest scale first, rows before columns.
        """
        where = centres(locations, self.canvas)
        index = (where[:, :, None, None] + self.edges).clamp_(0, self.canvas)
        columns, rows = index[:, 0], index[:, 1]
        flat = torch.add(columns[:, :, None, :], rows[:, :, :, None], alpha=self.canvas + 1)
        corners = integral.gather(1, flat.view(len(flat), -1)).view_as(flat)
        strips = corners[:, :, 1:] - corners[:, :, :-1]
        patches = strips[..., 1:] - strips[..., :-1]
        return patches.mul_(self.scale).view(len(flat), -1)
