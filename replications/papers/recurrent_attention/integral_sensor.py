"""A fast form of `model.GlimpseSensor`: all glimpses of a batch from integral images.

The sum over any rectangle is a difference of four entries of the integral image, so a patch of any scale costs the same; clamping
the indices of these entries to the image makes pixels beyond the border zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

from replications.papers.recurrent_attention.model import pixel_centres


def integral_image(images: Tensor) -> Tensor:
    """Return the sums over all rectangles that start in the upper left corner.

    Args:
        images: (..., side, side) floating point holding integers 0..255; float32 sums below 2**24 are exact (side <= 256).

    Returns:
        (n, (side + 1)**2), leading axes merged; entry (y, x) is the sum over rows < y and columns < x.
    """
    side = images.shape[-1]
    flat = images.reshape(-1, side, side)
    padded = flat.new_zeros(flat.shape[0], side + 1, side + 1)
    if images.device.type == "cpu":
        # Two triangular products are several times faster than cumsum here. On a GPU TF32 would round them.
        ones = torch.ones(side, side, dtype=flat.dtype).triu_()
        padded[:, 1:, 1:] = ones.T @ (flat.view(-1, side) @ ones).view_as(flat)
    else:
        padded[:, 1:, 1:] = flat.cumsum(1).cumsum(2)
    return padded.view(flat.shape[0], -1)


class IntegralGlimpseSensor:
    """The retina rho(x, l) for images of a fixed size.

    Args:
        canvas: side of the images in pixels.
        glimpse_side: g, side of the finest patch in pixels.
        scales: k, number of patches.
        device: of the index tables.
    """

    def __init__(self, canvas: int, glimpse_side: int, scales: int, device: torch.device) -> None:
        self.canvas = canvas
        factor = torch.tensor([2**k for k in range(scales)], device=device)
        # Row i of scale k starts at centre - g 2^k / 2 + i 2^k; one entry more than pixels, because patches are differences.
        self.edges = torch.arange(glimpse_side + 1, device=device) * factor[:, None] - (glimpse_side * factor // 2)[:, None]
        cell_weights = (1.0 / (255.0 * factor.double() ** 2))[:, None, None]
        self.cell_weights = {dtype: cell_weights.to(dtype) for dtype in (torch.float32, torch.float64)}

    def __call__(self, integral: Tensor, locations: Tensor) -> Tensor:
        """Extract one glimpse per image.

        Args:
            integral: (n, (canvas + 1)**2) float32 or float64, from `integral_image`.
            locations: (n, 2) as (x, y), -1..1 inside the image, anything outside.

        Returns:
            (n, scales * g * g) mean brightness 0..1 of each cell, finest scale first, row by row.
        """
        centre = pixel_centres(locations, self.canvas)
        index = (centre[:, :, None, None] + self.edges).clamp_(0, self.canvas)
        columns, rows = index[:, 0], index[:, 1]
        flat = torch.add(columns[:, :, None, :], rows[:, :, :, None], alpha=self.canvas + 1)
        corners = integral.gather(1, flat.view(len(flat), -1)).view_as(flat)
        strips = corners[:, :, 1:] - corners[:, :, :-1]
        patches = strips[..., 1:] - strips[..., :-1]
        return patches.mul_(self.cell_weights[patches.dtype]).view(len(flat), -1)
