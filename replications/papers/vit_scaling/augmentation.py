"""Augmentation of whole batches on the device: one set of random numbers per picture, one resampling.

'light' shifts and flips; 'strong' also rotates, scales, shears, changes colours and mixes pictures (MixUp), standing in
for RandAugment and MixUp of Beyer et al. (2022) where pictures are small.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

MEAN, DEVIATION = 0.5, 0.25
"""Pictures 0..255 become (x / 255 - 0.5) / 0.25, whatever the data set."""

N_UNIFORMS = {"none": 0, "light": 3, "strong": 10}
"""Random numbers a picture takes."""


def normalise(images: Tensor) -> Tensor:
    """uint8 or float pictures of 0..255 to float32 of about zero mean and unit deviation."""
    return (images.float() / 255 - MEAN) / DEVIATION


def augment(images: Tensor, rule: str, uniforms: Tensor) -> Tensor:
    """Normalised, augmented pictures.

    Args:
        images: (n, 3, side, side) uint8.
        rule: 'none', 'light' or 'strong'.
        uniforms: (n, N_UNIFORMS[rule]) in [0, 1).

    Returns:
        (n, 3, side, side) float32.
    """
    pictures = normalise(images)
    if rule == "none":
        return pictures
    flip = torch.where(uniforms[:, 0] < 0.5, -1.0, 1.0)
    shift = (uniforms[:, 1:3] - 0.5) * 0.5  # up to an eighth of the side: grid coordinates span 2
    if rule == "light":
        # Whole pixels, so that shifting does not blur.
        side = images.shape[-1]
        shift = (shift * side / 2).round() * 2 / side
        matrix = _affine(flip, shift)
        return functional.grid_sample(
            pictures, functional.affine_grid(matrix, list(images.shape), align_corners=False), mode="nearest", align_corners=False
        )
    turn = (uniforms[:, 3] - 0.5) * (math.pi / 4)
    scale_x, scale_y = (1 + 0.4 * (uniforms[:, i] - 0.5) for i in (4, 5))
    shear = 0.6 * (uniforms[:, 6] - 0.5)
    matrix = _affine(flip, shift, turn=turn, scale_x=scale_x, scale_y=scale_y, shear=shear)
    pictures = functional.grid_sample(
        pictures, functional.affine_grid(matrix, list(images.shape), align_corners=False), mode="bilinear", align_corners=False
    )
    contrast, brightness, saturation = (uniforms[:, i, None, None, None] for i in (7, 8, 9))
    grey = pictures.mean(1, keepdim=True)
    pictures = grey + (0.5 + saturation) * (pictures - grey)
    return pictures * (0.6 + 0.8 * contrast) + (brightness - 0.5)


def _affine(
    flip: Tensor,
    shift: Tensor,
    *,
    turn: Tensor | None = None,
    scale_x: Tensor | None = None,
    scale_y: Tensor | None = None,
    shear: Tensor | None = None,
) -> Tensor:
    """Matrices (n, 2, 3) from output to input coordinates."""
    zero, one = torch.zeros_like(flip), torch.ones_like(flip)
    cosine, sine = (one, zero) if turn is None else (turn.cos(), turn.sin())
    a, b = one if scale_x is None else scale_x, one if scale_y is None else scale_y
    slant = zero if shear is None else shear
    rows = [
        torch.stack([flip * a * cosine, flip * (a * slant * cosine - b * sine), shift[:, 0]], -1),
        torch.stack([a * sine, a * slant * sine + b * cosine, shift[:, 1]], -1),
    ]
    return torch.stack(rows, 1)


def partners(n: int, device: torch.device | None = None) -> Tensor:
    """With whom each of n pictures is mixed: its neighbour, so that a part of a batch with whole pairs can be mixed alone."""
    return (torch.arange(n, device=device) ^ 1).clamp(max=n - 1)


def mix(pictures: Tensor, share: Tensor) -> Tensor:
    """MixUp (Zhang et al. 2018): share * x + (1 - share) * x', targets likewise (see `mixed_loss`)."""
    return share * pictures + (1 - share) * pictures[partners(len(pictures), pictures.device)]


def beta(alpha: float, generator: torch.Generator, device: torch.device) -> Tensor:
    """One draw from Beta(alpha, alpha) by Joehnk's method on a fixed number of uniforms, so that graphs can capture it."""
    u, v = torch.rand(2, 32, generator=generator, device=device).clamp(min=1e-7).log() / alpha
    accepted = torch.logaddexp(u, v) <= 0
    # The first accepted pair; 32 tries fail with a probability below 1e-9 at alpha 0.2.
    at = accepted.int().argmax(dim=0, keepdim=True)
    return (u - torch.logaddexp(u, v)).index_select(0, at).squeeze(0).exp()  # indexing with a scalar would wait for its value


def mixed_loss(logits: Tensor, labels: Tensor, share: Tensor | None, smoothing: float) -> Tensor:
    """Cross-entropy, with MixUp's two targets where `share` is given."""
    logits = logits.float()
    loss = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    if share is None:
        return loss
    return share * loss + (1 - share) * functional.cross_entropy(
        logits, labels[partners(len(labels), labels.device)], label_smoothing=smoothing
    )
