"""Canvases with one digit at a random place, with or without clutter; generated on the device, anew for every batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from replications.engine.canvases import add_clutter, place, uniform_integers
from replications.engine.datasets import DataSource
from replications.engine.digits import DIGITS, MNIST, Digits
from replications.papers.unified_attention.settings import Settings

SOURCES = [MNIST, DIGITS]


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """Return the data sources and splits that a run loads.

    Args:
        settings: of the run.

    Returns:
        Pairs of a source and the name of a split.
    """
    source = DIGITS if settings.dataset == "digits" else MNIST
    return [(source, split) for split in source.splits]


@dataclass(frozen=True)
class Canvases:
    """Images with one digit each.

    Attributes:
        images: (n, canvas, canvas) float32 holding integers 0..255, or uint8.
        labels: (n,) int64.
        corners: (n, 2) int64, x and y of the digit's upper left pixel.
    """

    images: Tensor
    labels: Tensor
    corners: Tensor


class CanvasGenerator:
    """Makes canvases from uniform random numbers that the caller draws.

    Args:
        settings: size of the canvas, clutter.
        digits: source of digits and clutter.
    """

    def __init__(self, settings: Settings, digits: Digits) -> None:
        self.settings, self.digits = settings, digits

    @property
    def n_uniforms(self) -> int:
        """Random numbers that one canvas takes: which digit, its row, its column; five for each patch of clutter."""
        return 3 + 5 * self.settings.clutter

    def __call__(self, uniforms: Tensor) -> Canvases:
        """Generate canvases.

        Args:
            uniforms: (n, n_uniforms) in [0, 1).

        Returns:
            The canvases, with float32 images.
        """
        s, n = self.settings, len(uniforms)
        which = uniform_integers(uniforms[:, 0], len(self.digits.labels))
        corners = uniform_integers(uniforms[:, 1:3], s.canvas - s.digit + 1)
        images = torch.zeros(n, s.canvas, s.canvas, device=uniforms.device)
        place(images, self.digits.images[which, None], corners[:, None])
        if s.clutter:
            add_clutter(images, self.digits, uniforms[:, 3:].view(n, s.clutter, 5), s.clutter_side)
        return Canvases(images, self.digits.labels[which], corners)


def fixed_set(settings: Settings, digits: Digits, n: int, generator: torch.Generator) -> Canvases:
    """Return canvases that never change; the same for every model and seed.

    Args:
        settings: of the run.
        digits: of the split.
        n: canvases.
        generator: on the CPU, so that the set does not depend on the device.

    Returns:
        The canvases, with uint8 images.
    """
    generate = CanvasGenerator(settings, digits)
    parts = []
    for start in range(0, n, 1000):
        uniforms = torch.rand(min(1000, n - start), generate.n_uniforms, generator=generator)
        parts.append(generate(uniforms.to(digits.labels.device)))
    return Canvases(
        torch.cat([part.images.to(torch.uint8) for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat([part.corners for part in parts]),
    )
