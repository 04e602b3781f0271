"""Digits on canvases: centred, translated or cluttered; generated on the device, anew for every batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from replications.engine.canvases import add_clutter, place, uniform_integers
from replications.engine.datasets import DataSource
from replications.engine.digits import DIGITS, MNIST, Digits
from replications.papers.recurrent_attention.settings import Settings

SOURCES = [MNIST, DIGITS]


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """Return the data sources and splits that a run loads; a cost measurement and the game of Catch load none.

    Args:
        settings: settings of the run.

    Returns:
        Pairs of a source and the name of a split.
    """
    if settings.experiment != "accuracy":
        return []
    source = DIGITS if settings.dataset == "digits" else MNIST
    return [(source, split) for split in source.splits]


class CanvasGenerator:
    """Makes canvases from uniform random numbers that the caller draws.

    Args:
        settings: size of the canvas, translation and clutter.
        digits: source of digits and clutter.
    """

    def __init__(self, settings: Settings, digits: Digits) -> None:
        self.settings, self.digits = settings, digits

    @property
    def n_uniforms(self) -> int:
        """Return how many random numbers one canvas takes: digit, row, column; per patch of clutter a digit, 2 for its source, 2 for its place."""
        return 3 + 5 * self.settings.clutter

    def __call__(self, uniforms: Tensor, digit_indices: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Generate canvases.

        Args:
            uniforms: (n, n_uniforms) in [0, 1).
            digit_indices: (n,) digits to place; default: drawn with replacement.

        Returns:
            canvases (n, canvas, canvas) float32 holding integers 0..255, labels (n,), corners (n, 2): the x and y of each
            digit's upper left pixel.
        """
        s, n = self.settings, len(uniforms)
        if digit_indices is None:
            digit_indices = uniform_integers(uniforms[:, 0], len(self.digits.labels))
        free = s.canvas - s.digit
        corners = (
            uniform_integers(uniforms[:, 1:3], free + 1) if s.translated else torch.full_like(uniforms[:, 1:3], free // 2, dtype=torch.long)
        )
        canvases = torch.zeros(n, s.canvas, s.canvas, device=uniforms.device)
        place(canvases, self.digits.images[digit_indices, None], corners[:, None])
        if s.clutter:
            add_clutter(canvases, self.digits, uniforms[:, 3:].view(n, s.clutter, 5), s.clutter_side)
        return canvases, self.digits.labels[digit_indices], corners


@dataclass(frozen=True)
class FixedSet:
    """A validation or test set whose canvases never change.

    Attributes:
        canvases: (n, canvas, canvas) uint8.
        labels: (n,).
        boxes: (n, 4) left, top, right, bottom of each digit's ink in pixels, right and bottom exclusive.
    """

    canvases: Tensor
    labels: Tensor
    boxes: Tensor


def fixed_set(settings: Settings, digits: Digits, generator: torch.Generator) -> FixedSet:
    """Place every digit `test_copies` times; the same for every model and seed of a task.

    Args:
        settings: of the run.
        digits: of the split.
        generator: on the CPU, so that the set does not depend on the device.

    Returns:
        The canvases with the labels and boxes of their digits.
    """
    generate = CanvasGenerator(settings, digits)
    device = digits.images.device
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for _ in range(settings.test_copies):
        for indices in torch.arange(len(digits.labels), device=device).split(1000):
            uniforms = torch.rand(len(indices), generate.n_uniforms, generator=generator).to(device)
            canvases, labels, corners = generate(uniforms, indices)
            parts.append((canvases.to(torch.uint8), labels, ink_boxes(digits.images[indices]) + corners.repeat(1, 2)))
    canvases, labels, boxes = (torch.cat(column) for column in zip(*parts, strict=True))
    return FixedSet(canvases, labels, boxes)


def ink_boxes(images: Tensor) -> Tensor:
    """Return the smallest box around the non-zero pixels of each image.

    Args:
        images: (n, side, side).

    Returns:
        (n, 4) left, top, right, bottom; the last two exclusive.
    """
    ink = images > 0
    side = images.shape[-1]
    edges = []
    for any_ink in (ink.any(1), ink.any(2)):  # by column, by row
        first = any_ink.int().argmax(1)
        last = side - any_ink.flip(1).int().argmax(1)
        edges.append((first, last))
    (left, right), (top, bottom) = edges
    return torch.stack([left, top, right, bottom], dim=1)
