"""Canvases with several digits, generated on the device, anew for every batch.

Digits of one canvas never overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from replications.engine.canvases import add_clutter, place, uniform_integers
from replications.engine.digits import Digits
from replications.papers.multiple_objects.settings import Settings

TRIES = 16
"""Random placements of all digits of a canvas of which the first without overlap is taken: for two digits on the canvases of this paper,
fewer than one in 100,000 has none and gets the first cells of a grid instead.
"""


@dataclass(frozen=True)
class Canvases:
    """Images with the digits on them, from left to right.

    Attributes:
        images: (n, canvas, canvas) float32 holding integers 0..255, or uint8.
        targets: (n, n_targets) int64, what is to be answered.
        values: (n, n_digits) int64, the digits; the number of classes where there is none.
        corners: (n, n_digits, 2) int64, x and y of the upper left pixel of each digit's square.
    """

    images: Tensor
    targets: Tensor
    values: Tensor
    corners: Tensor


def pair_number(first: Tensor, second: Tensor) -> Tensor:
    """Return the number of an unordered pair of digits: 00, 01, 11, 02, 12, 22, ... are 0, 1, 2, 3, 4, 5, ...

    Args:
        first: int64, of any shape.
        second: int64, of the same shape.

    Returns:
        int64 of that shape.
    """
    smaller, larger = torch.minimum(first, second), torch.maximum(first, second)
    return larger * (larger + 1) // 2 + smaller


class CanvasGenerator:
    """Makes canvases from uniform random numbers that the caller draws.

    Args:
        settings: of the run.
        digits: source of digits and clutter.
    """

    def __init__(self, settings: Settings, digits: Digits) -> None:
        self.settings, self.digits = settings, digits
        per_row = settings.canvas // settings.digit
        cells = torch.arange(settings.n_digits, device=digits.images.device)
        self._cells = torch.stack([cells % per_row, cells // per_row], dim=-1) * settings.digit

    @property
    def n_uniforms(self) -> int:
        """Random numbers that one canvas takes: how many digits, which ones, where (several tries); five for each patch of clutter."""
        s = self.settings
        return 1 + s.n_digits + 2 * TRIES * s.n_digits + 5 * s.clutter

    def __call__(self, uniforms: Tensor) -> Canvases:
        """Generate canvases.

        Args:
            uniforms: (n, n_uniforms) in [0, 1).

        Returns:
            n canvases, with float32 images.
        """
        s, n = self.settings, len(uniforms)
        count, which, places, clutter = uniforms.split([1, s.n_digits, 2 * TRIES * s.n_digits, 5 * s.clutter], dim=1)
        n_shown = s.min_digits + uniform_integers(count, s.n_digits - s.min_digits + 1)
        present = torch.arange(s.n_digits, device=uniforms.device) < n_shown  # (n, n_digits)
        corners = self._places(places.reshape(n, TRIES, s.n_digits, 2))
        indices = uniform_integers(which, len(self.digits.labels))
        # Digits that are absent go to the end, the others are sorted by their left edge; of equal ones the upper is first.
        order = torch.where(present, corners[..., 0] * s.canvas + corners[..., 1], s.canvas**2).argsort(dim=1)
        present, indices = present.gather(1, order), indices.gather(1, order)
        corners = corners.gather(1, order[..., None].expand(-1, -1, 2))
        images = torch.zeros(n, s.canvas, s.canvas, device=uniforms.device)
        place(images, self.digits.images[indices] * present[..., None, None], corners)
        if s.clutter:
            add_clutter(images, self.digits, clutter.reshape(n, s.clutter, 5), s.clutter_side)
        values = torch.where(present, self.digits.labels[indices], s.n_classes)
        return Canvases(images, self._targets(values), values, corners)

    def _places(self, uniforms: Tensor) -> Tensor:
        """Return the corners (n, n_digits, 2) of the first try (n, TRIES, n_digits, 2) without overlap, or of the cells of a grid."""
        s = self.settings
        corners = uniform_integers(uniforms, s.canvas - s.digit + 1)
        apart = (corners[:, :, :, None] - corners[:, :, None, :]).abs().amax(-1) >= s.digit
        fits = (apart | torch.eye(s.n_digits, dtype=torch.bool, device=apart.device)).all(-1).all(-1)  # (n, TRIES)
        first = fits.int().argmax(1)[:, None, None, None].expand(-1, 1, s.n_digits, 2)
        return torch.where(fits.any(1)[:, None, None], corners.gather(1, first)[:, 0], self._cells)

    def _targets(self, values: Tensor) -> Tensor:
        """Return the answers (n, n_targets) to digits (n, n_digits) that stand from left to right."""
        s = self.settings
        if s.task == "pairs":
            return pair_number(values[:, 0], values[:, 1])[:, None]
        if s.task == "sums":
            return values.sum(1, keepdim=True)
        return torch.cat([values, torch.full_like(values[:, :1], s.n_classes)], dim=1)


def fixed_set(settings: Settings, digits: Digits, n: int, generator: torch.Generator) -> Canvases:
    """Return canvases that never change; the same for every model and seed of a task.

    Args:
        settings: of the run.
        digits: of the split.
        n: canvases.
        generator: on the CPU, so that the set does not depend on the device.

    Returns:
        The canvases, with uint8 images.
    """
    generate = CanvasGenerator(settings, digits)
    device = digits.labels.device
    parts = []
    for start in range(0, n, 1000):
        uniforms = torch.rand(min(1000, n - start), generate.n_uniforms, generator=generator)
        parts.append(generate(uniforms.to(device)))
    return Canvases(
        torch.cat([part.images.to(torch.uint8) for part in parts]),
        torch.cat([part.targets for part in parts]),
        torch.cat([part.values for part in parts]),
        torch.cat([part.corners for part in parts]),
    )
