"""Formula-driven images: unlimited, labelled, generated on the device (after Kataoka et al. 2020, FractalDB).

A class is an iterated function system: four contractive affine maps of the plane, whose attractor is a shape with
structure at every scale, so that local texture alone does not identify the class. Classes form groups of similar siblings; an
instance has randomly perturbed coefficients, pose, colours and background, and a small attractor of another class as clutter.

Everything is determined by a seed: images are generated in blocks whose random numbers come from the CPU, so that the first
1,000 images of a stream are the first 1,000 of every longer one, on every device.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

N_MAPS = 4
BLOCK = 1024
"""Images per block of random numbers."""

_PER_IMAGE = N_MAPS * 6 + 17
"""Uniform random numbers per image: jitter of every coefficient, then pose, colours, gradient and clutter."""


def generator(*words: int) -> torch.Generator:
    """Return a random generator for a position in a stream.

    Args:
        words: non-negative integers; different words give independent numbers.

    Returns:
        A seeded generator on the CPU.
    """
    state = np.random.SeedSequence(words).generate_state(2, dtype=np.uint32)
    seeded = torch.Generator()
    seeded.manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)
    return seeded


def systems(n_classes: int, *, siblings: int, spread: float, seed: int = 0) -> Tensor:
    """Return the classes: systems of four maps x -> A x + b.

    A = R(alpha) diag(s1, s2) R(beta) with s1 in [0.4, 0.75], s2 in [0.2, s1], so that every map contracts (Anderson and
    Farrell 2022 use the same factors); b is uniform in [-1, 1].

    Args:
        n_classes: number of systems.
        siblings: classes per common ancestor; 1: all classes are independent.
        spread: distance between siblings, as a share of the range of each factor.
        seed: seed of the set of classes.

    Returns:
        (n_classes, 4, 2, 3), [A | b].
    """
    n_ancestors = -(-n_classes // siblings)
    ancestors = torch.rand(n_ancestors, N_MAPS, 6, generator=generator(seed, 1))
    factors = ancestors.repeat_interleave(siblings, dim=0)[:n_classes]
    if siblings > 1:
        offsets = torch.rand(n_classes, N_MAPS, 6, generator=generator(seed, 2)) - 0.5
        factors = (factors + spread * offsets).clamp(0, 1)
    return _maps(factors)


def _maps(factors: Tensor) -> Tensor:
    """Return maps [A | b] from their factors.

    Args:
        factors: (..., 6) in [0, 1]: two angles, two contractions, a translation.

    Returns:
        (..., 2, 3).
    """
    alpha, beta = factors[..., 0] * 2 * math.pi, factors[..., 1] * 2 * math.pi
    first = 0.4 + 0.35 * factors[..., 2]
    second = 0.2 + (first - 0.2) * factors[..., 3]
    stretch = torch.diag_embed(torch.stack([first, second], dim=-1))
    linear = _rotation(alpha) @ stretch @ _rotation(beta)
    return torch.cat([linear, (factors[..., 4:6] * 2 - 1)[..., None]], dim=-1)


def _rotation(angle: Tensor) -> Tensor:
    """Return rotation matrices.

    Args:
        angle: (...,), in radians.

    Returns:
        (..., 2, 2).
    """
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)


def attractor(maps: Tensor, depth: int) -> Tensor:
    """Return points of the attractors: the image of the first map's fixed point under every composition of `depth` maps.

    A fixed point lies on the attractor, and the maps send the attractor into itself, so no random walk is needed.

    Args:
        maps: (n, 4, 2, 3), [A | b].
        depth: number of composed maps.

    Returns:
        (n, 4**depth, 2).
    """
    linear, shift = maps[..., :2], maps[..., 2]
    # Cramer's rule, because batched solvers round differently on different devices.
    a, b = 1 - linear[:, 0, 0, 0], -linear[:, 0, 0, 1]
    c, d = -linear[:, 0, 1, 0], 1 - linear[:, 0, 1, 1]
    x, y = shift[:, 0, 0], shift[:, 0, 1]
    points = torch.stack([d * x - b * y, a * y - c * x], dim=-1) / (a * d - b * c)[:, None]
    points = points[:, None]
    for _ in range(depth):
        mapped = torch.einsum("nmij,npj->nmpi", linear, points) + shift[:, :, None]
        points = mapped.flatten(1, 2)
    return points


@dataclass(frozen=True)
class FractalWorld:
    """A set of formula-driven classes and the variation of their images.

    Attributes:
        n_classes: number of classes.
        siblings: classes per common ancestor, see `systems`.
        spread: distance between siblings, see `systems`.
        side: pixels per side of an image.
        jitter: relative standard deviation of an instance's coefficients from those of its class.
        depth: an image has 4**depth points.
        clutter: size of the distracting attractor relative to the image; 0: none.
        colours: 0: white on black; up to 0.5 the shape is lighter than its background; 1: any pair of colours.
        seed: seed of the classes; images have their own.
    """

    n_classes: int
    siblings: int
    spread: float
    side: int
    jitter: float
    depth: int
    clutter: float
    colours: float
    seed: int = 0

    def labels(self, n: int) -> Tensor:
        """Return the classes of the first images of any stream: all classes in turn, so that every prefix is balanced.

        Args:
            n: number of images.

        Returns:
            (n,) int64.
        """
        return torch.arange(n) % self.n_classes

    def images(self, n: int, *, stream: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Return the first images of a stream.

        Args:
            n: number of images; a longer stream begins with the same ones.
            stream: number of the stream, for example a seed; streams share classes, not images.
            device: device of the result.

        Returns:
            (n, 3, side, side) uint8 and labels (n,) int64, on `device`.
        """
        images = torch.empty(n, 3, self.side, self.side, dtype=torch.uint8, device=device)
        for start, (block, _) in self._blocks(n, stream, device):
            images[start : start + BLOCK] = block[: n - start]
        return images, self.labels(n).to(device)

    def masks(self, n: int, *, stream: int, device: torch.device | str = "cpu") -> Tensor:
        """Return where the shape is in the first images of a stream: the pixels that it covers by at least half.

        The shape is drawn last, so nothing hides it; clutter is no part of it.

        Args:
            n: number of images.
            stream: number of the stream.
            device: device of the result.

        Returns:
            (n, side, side) bool.
        """
        masks = torch.empty(n, self.side, self.side, dtype=torch.bool, device=device)
        for start, (_, ink) in self._blocks(n, stream, device):
            masks[start : start + BLOCK] = (ink >= 0.5).view(-1, self.side, self.side)[: n - start]
        return masks

    def _blocks(self, n: int, stream: int, device: torch.device | str) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
        """Yield the number of the first image, and images and opacity of the shapes, of every block of a stream up to image n."""
        classes = systems(self.n_classes, siblings=self.siblings, spread=self.spread, seed=self.seed).to(device)
        labels = self.labels(-(-n // BLOCK) * BLOCK).to(device)
        for start in range(0, n, BLOCK):
            source = generator(self.seed, 3, stream, start // BLOCK)
            uniforms = torch.rand(BLOCK, _PER_IMAGE, generator=source).to(device)
            yield start, self._render(classes[labels[start : start + BLOCK]], uniforms)

    def _render(self, maps: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """Return images of jittered systems.

        Args:
            maps: (n, 4, 2, 3), [A | b].
            uniforms: (n, _PER_IMAGE) in [0, 1).

        Returns:
            Images, (n, 3, side, side) uint8, and opacity of their shapes, (n, side**2) in [0, 1].
        """
        n, n_jitter = len(maps), N_MAPS * 6
        # Uniform numbers scaled to unit variance, which are the same on every device.
        noise = (uniforms[:, :n_jitter] - 0.5).view(n, N_MAPS, 2, 3) * math.sqrt(12)
        pose, colours, gradient, spot_position = uniforms[:, n_jitter:].split([4, 9, 2, 2], dim=1)
        points = attractor(maps * (1 + self.jitter * noise), self.depth)
        low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
        points = (points - (low + high) / 2) / (high - low).amax(2, keepdim=True).clamp(min=1e-6)  # within +-0.5
        rotation = _rotation((pose[:, 0] - 0.5) * (math.pi / 6))
        points = torch.einsum("nij,npj->npi", rotation, points)
        size = 0.65 + 0.25 * pose[:, 1:2, None]
        shift = 0.5 + (pose[:, None, 2:4] - 0.5) * 0.2
        ink = self._ink(points * size + shift)
        first, second, third = (colours[:, i : i + 3, None] for i in (0, 3, 6))
        ink_colour, background, spot_colour = 1 - self.colours * first, self.colours * second, 1 - self.colours * third
        steps = torch.linspace(-0.5, 0.5, self.side, device=maps.device)
        slope = (gradient[:, 0:1, None] - 0.5) * steps + (gradient[:, 1:2, None] - 0.5) * steps[:, None]
        canvas = background + 0.6 * slope.reshape(n, 1, -1)
        if self.clutter:
            spot = self._ink(points.roll(1, 0) * self.clutter + 0.15 + 0.7 * spot_position[:, None])
            canvas = canvas + spot[:, None] * (spot_colour - canvas)
        canvas = canvas + ink[:, None] * (ink_colour - canvas)
        pixels: Tensor = (canvas.clamp(0, 1) * 255).round().to(torch.uint8)
        return pixels.view(n, 3, self.side, self.side), ink

    def _ink(self, points: Tensor) -> Tensor:
        """Return the opacity of every pixel.

        Args:
            points: (n, p, 2), in units of the side; points outside the unit square are ignored.

        Returns:
            (n, side**2), in [0, 1].
        """
        inside = ((points >= 0) & (points < 1)).all(-1)
        pixel = (points * self.side).long().clamp(0, self.side - 1)
        counts = torch.zeros(len(points), self.side**2, device=points.device)
        # Counts are integers, so the result does not depend on the order in which a GPU adds them.
        counts.scatter_add_(1, pixel[..., 1] * self.side + pixel[..., 0], inside.float())
        opacity: Tensor = 1 - torch.exp(-counts * (2.0 * self.side**2 / points.shape[1] / 4))
        return opacity
