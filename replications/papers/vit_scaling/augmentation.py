"""Augmentation of whole batches on the device: one set of random numbers and one resampling per image.

'light' shifts and flips; 'strong' also rotates, scales, shears, changes colours and mixes images (MixUp). For small images
it replaces the RandAugment and MixUp of Beyer et al. (2022).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

MEAN, DEVIATION = 0.5, 0.25
"""Pixels x in 0..255 become (x / 255 - 0.5) / 0.25, for every data set."""

N_UNIFORMS = {"none": 0, "light": 3, "strong": 10}
"""Number of random numbers per image, by the setting `augmentation`."""


def normalise(images: Tensor) -> Tensor:
    """Return normalised images, with about zero mean and unit standard deviation.

    Args:
        images: any shape, uint8 or float, 0..255.

    Returns:
        Same shape, float32.
    """
    return (images.float() / 255 - MEAN) / DEVIATION


def augment(images: Tensor, rule: str, uniforms: Tensor) -> Tensor:
    """Return normalised, augmented images.

    Args:
        images: (n, 3, side, side) uint8.
        rule: 'none', 'light' or 'strong'.
        uniforms: (n, N_UNIFORMS[rule]) in [0, 1).

    Returns:
        (n, 3, side, side) float32.
    """
    normalised = normalise(images)
    if rule == "none":
        return normalised
    flip = torch.where(uniforms[:, 0] < 0.5, -1.0, 1.0)
    shift = (uniforms[:, 1:3] - 0.5) * 0.5  # up to an eighth of the side: grid coordinates span 2
    if rule == "light":
        side = images.shape[-1]
        shift = (shift * side / 2).round() * 2 / side  # whole pixels, so that shifting does not blur
        return _resample(normalised, _affine(flip, shift), "nearest")
    angle = (uniforms[:, 3] - 0.5) * (math.pi / 4)
    scale_x, scale_y = (1 + 0.4 * (uniforms[:, i] - 0.5) for i in (4, 5))
    shear = 0.6 * (uniforms[:, 6] - 0.5)
    matrix = _affine(flip, shift, angle=angle, scale_x=scale_x, scale_y=scale_y, shear=shear)
    warped = _resample(normalised, matrix, "bilinear")
    contrast, brightness, saturation = (uniforms[:, i, None, None, None] for i in (7, 8, 9))
    grey = warped.mean(1, keepdim=True)
    coloured = grey + (0.5 + saturation) * (warped - grey)
    return coloured * (0.6 + 0.8 * contrast) + (brightness - 0.5)


def _resample(images: Tensor, matrix: Tensor, mode: str) -> Tensor:
    """Return images sampled at transformed coordinates.

    Args:
        images: (n, 3, side, side).
        matrix: (n, 2, 3), from output to input coordinates.
        mode: 'nearest' or 'bilinear'.
    """
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode=mode, align_corners=False)


def _affine(
    flip: Tensor,
    shift: Tensor,
    *,
    angle: Tensor | None = None,
    scale_x: Tensor | None = None,
    scale_y: Tensor | None = None,
    shear: Tensor | None = None,
) -> Tensor:
    """Return matrices (n, 2, 3) from output to input coordinates, which span [-1, 1].

    Args:
        flip: -1 mirrors the image, 1 does not, (n,).
        shift: translation, (n, 2).
        angle: rotation in radians, (n,).
        scale_x: horizontal scale, (n,).
        scale_y: vertical scale, (n,).
        shear: horizontal shear, (n,).
    """
    zero, one = torch.zeros_like(flip), torch.ones_like(flip)
    cosine, sine = (one, zero) if angle is None else (angle.cos(), angle.sin())
    a, b = one if scale_x is None else scale_x, one if scale_y is None else scale_y
    shear_or_zero = zero if shear is None else shear
    rows = [
        torch.stack([flip * a * cosine, flip * (a * shear_or_zero * cosine - b * sine), shift[:, 0]], -1),
        torch.stack([a * sine, a * shear_or_zero * sine + b * cosine, shift[:, 1]], -1),
    ]
    return torch.stack(rows, 1)


def partners(n: int, device: torch.device | None = None) -> Tensor:
    """Return the index of the image with which each image is mixed.

    Each image is mixed with its neighbour, so that any part of a batch that consists of whole pairs can be mixed by itself.

    Args:
        n: number of images.
        device: device of the result.

    Returns:
        (n,) int64.
    """
    return (torch.arange(n, device=device) ^ 1).clamp(max=n - 1)


def mix(images: Tensor, share: Tensor) -> Tensor:
    """Return MixUp's images share * x + (1 - share) * x' (Zhang et al. 2018); `mixed_loss` mixes the targets.

    Args:
        images: (n, ...) float.
        share: () in [0, 1].

    Returns:
        Same shape as `images`.
    """
    return share * images + (1 - share) * images[partners(len(images), images.device)]


def beta(alpha: float, generator: torch.Generator, device: torch.device) -> Tensor:
    """Return a sample from Beta(alpha, alpha).

    Joehnk's method with a fixed number of uniform numbers, so that CUDA graphs can capture it.

    Args:
        alpha: both parameters of the distribution, positive.
        generator: random numbers, on `device`.
        device: device of the result.

    Returns:
        Scalar tensor in [0, 1].
    """
    u, v = torch.rand(2, 32, generator=generator, device=device).clamp(min=1e-7).log() / alpha
    accepted = torch.logaddexp(u, v) <= 0
    # The first accepted pair; at alpha 0.2 all 32 are rejected with a probability below 1e-9.
    first_accepted = accepted.int().argmax(dim=0, keepdim=True)
    return (
        (u - torch.logaddexp(u, v)).index_select(0, first_accepted).squeeze(0).exp()
    )  # indexing with a scalar tensor would synchronise with the host


def mixed_loss(logits: Tensor, labels: Tensor, share: Tensor | None, smoothing: float) -> Tensor:
    """Return the mean cross-entropy, with MixUp's two targets if images were mixed.

    Args:
        logits: (n, classes).
        labels: (n,) int64.
        share: (), the share given to `mix`; None: images were not mixed.
        smoothing: label smoothing, share of the target spread over all classes.

    Returns:
        Scalar, in nats.
    """
    logits = logits.float()
    loss = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    if share is None:
        return loss
    other = labels[partners(len(labels), labels.device)]
    return share * loss + (1 - share) * functional.cross_entropy(logits, other, label_smoothing=smoothing)
