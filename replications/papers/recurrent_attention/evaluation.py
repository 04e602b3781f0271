"""Errors, and where a model looks: touching the digit, spread, pixels seen, heat maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from replications.papers.recurrent_attention.classifiers import Network, SoftAttention
from replications.papers.recurrent_attention.data import FixedSet
from replications.papers.recurrent_attention.model import Draws, RecurrentAttention
from replications.papers.recurrent_attention.sensor import centres
from replications.papers.recurrent_attention.settings import Settings

CHUNK = 1000
"""Images per seed evaluated at once."""
HEAT_BINS = 24
N_SHOWN = 24
"""Images whose glimpse paths are kept for figures."""


class BestParameters:
    """For each seed, the parameters of its best validation so far; part of a checkpoint."""

    def __init__(self, network: nn.Module, n_seeds: int, device: torch.device) -> None:
        self.errors = torch.full((n_seeds,), float("inf"), device=device)
        self.values = {name: value.detach().clone() for name, value in network.named_parameters()}

    def update(self, network: nn.Module, errors: Tensor) -> None:
        """Keep the parameters of the seeds whose validation error (S,) is lower than ever."""
        better = errors < self.errors
        self.errors = torch.where(better, errors, self.errors)
        for name, value in network.named_parameters():
            chosen = better.view(-1, *[1] * (value.ndim - 1))
            self.values[name] = torch.where(chosen, value.detach(), self.values[name])

    def put_into(self, network: nn.Module) -> None:
        """Overwrite the network's parameters with the best ones."""
        with torch.no_grad():
            for name, value in network.named_parameters():
                value.copy_(self.values[name])

    def state_dict(self) -> dict[str, Any]:
        """Errors and parameters."""
        return {"errors": self.errors, "values": self.values}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.errors, self.values = state_dict["errors"], dict(state_dict["values"])


class Evaluation:
    """One network on one fixed set.

    Args:
        network: of S seeds.
        settings: of the run.
        data: canvases that never change.
        generators: makes the generators (CPU, one per seed) of a named purpose, afresh at every call, so that an
            evaluation depends neither on when it happens nor on what was evaluated before.
    """

    def __init__(
        self, network: Network, settings: Settings, data: FixedSet, generators: Callable[[str], list[torch.Generator]], n_seeds: int
    ) -> None:
        self.network, self.settings, self.data, self.generators, self.n_seeds = network, settings, data, generators, n_seeds
        self.device = data.canvases.device

    def _chunks(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for part in zip(self.data.canvases.split(CHUNK), self.data.labels.split(CHUNK), self.data.boxes.split(CHUNK), strict=True):
            canvases = part[0].float()
            yield canvases.expand(self.n_seeds, *canvases.shape), part[1], part[2]

    def draws(self, generators: list[torch.Generator], n_images: int, *, sampled: bool) -> Draws:
        """Randomness of `n_images` episodes per seed: a random first location; later ones random, sampled or the policy's means."""
        later = self.settings.glimpses - 1

        def uniform(*shape: int) -> Tensor:
            return torch.stack([torch.rand(*shape, generator=g) for g in generators]).mul_(2).sub_(1).to(self.device)

        first = uniform(n_images, 2)
        if self.settings.policy == "random":
            return Draws(first, elsewhere=uniform(later, n_images, 2))
        if not sampled:
            return Draws(first)
        noise = torch.stack([torch.randn(later, n_images, 2, generator=g) for g in generators])
        return Draws(first, noise=noise.to(self.device))

    @torch.no_grad()
    def error(self, *, samples: int = 1, sampled: bool = False) -> Tensor:
        """Percentage of wrong answers per seed (S,).

        Args:
            samples: M, episodes whose class probabilities are averaged; networks without glimpses need one.
            sampled: draw locations from the policy; else look at its means (the first location is random either way).
        """
        generators = self.generators(f"evaluate {samples} {sampled}")
        wrong = torch.zeros(self.n_seeds, device=self.device)
        for canvases, labels, _ in self._chunks():
            if isinstance(self.network, RecurrentAttention):
                scores: Tensor | float = 0.0
                for _ in range(samples):
                    episode = self.network.look(canvases, self.draws(generators, len(labels), sampled=sampled))
                    scores = scores + self.network.classify(episode.hidden[:, -1]).softmax(-1)
            else:
                scores = self.network(canvases)
            assert isinstance(scores, Tensor)  # noqa: S101 (samples >= 1)
            wrong += (scores.argmax(-1) != labels).sum(1)
        return 100 * wrong / len(self.data.labels)

    @torch.no_grad()
    def glimpses(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Where the policy looks on this set, from one episode per image at the policy's means.

        Returns:
            Measures (S,): `touch`, share of glimpses whose finest patch meets the digit's ink box; `spread_within`, root
            mean square distance of an episode's glimpses from their centre, pixels; `spread_between`, the same of one
            step's glimpses over images, averaged over steps (near zero: every image is looked at alike); `pixels_seen`,
            percentage of the canvas inside some finest patch; where digits are translated, `followed`, percentage of the
            variance of the digit's place that an episode's mean location explains (zero: it looks wherever, or always at
            the same place). All but `pixels_seen` leave out the first, random, glimpse where there are more.
            Heat maps (S, T, bins, bins), rows are y: `heat`, over the canvas; `heat_digit`, relative to the digit's
            centre, over a square of the canvas's size.
        """
        network, s = self.network, self.settings
        assert isinstance(network, RecurrentAttention)  # noqa: S101 (others have no glimpses)
        generators = self.generators("evaluate 1 False")
        touch, seen, places, relative, middles = [], [], [], [], []
        for canvases, labels, boxes in self._chunks():
            locations = network.look(canvases, self.draws(generators, len(labels), sampled=False)).locations
            chosen = locations[:, 1:] if s.glimpses > 1 else locations
            corner = centres(chosen, s.canvas) - s.glimpse_side // 2
            meets = ((corner < boxes[:, 2:]) & (corner + s.glimpse_side > boxes[:, :2])).all(-1)
            touch.append(meets.float().mean(1))
            seen.append(100 * self._covered(locations))
            places.append(locations)
            middle = (boxes[:, :2] + boxes[:, 2:]).float() / s.canvas - 1
            relative.append(locations - middle)
            middles.append(middle)
        located = torch.cat(places, dim=2)
        half = s.canvas / 2
        chosen = located[:, 1:] if s.glimpses > 1 else located
        measures = {
            "touch": 100 * torch.cat(touch, dim=1).mean(1),
            "spread_within": half * _spread(chosen, 1),
            "spread_between": half * _spread(chosen, 2),
            "pixels_seen": torch.cat(seen, dim=1).mean(1),
        }
        if s.translated:
            measures["followed"] = 100 * _explained(torch.cat(middles), chosen.mean(1))
        return measures, {"heat": _heat(located), "heat_digit": _heat(torch.cat(relative, dim=2))}

    def _covered(self, locations: Tensor) -> Tensor:
        """Share of each canvas inside some finest patch: (S, T, B, 2) to (S, B)."""
        s = self.settings
        pixel = torch.arange(s.canvas, device=self.device)
        corner = (centres(locations, s.canvas) - s.glimpse_side // 2)[..., None]
        inside = (pixel >= corner) & (pixel < corner + s.glimpse_side)
        covered = torch.zeros(*locations.shape[:1], locations.shape[2], s.canvas, s.canvas, dtype=torch.bool, device=self.device)
        for step in range(locations.shape[1]):
            covered |= inside[:, step, :, 1, :, None] & inside[:, step, :, 0, None, :]
        return covered.float().mean((2, 3))

    @torch.no_grad()
    def paths(self) -> dict[str, np.ndarray]:
        """The first images of the set, where each seed looks and what it believes after every glimpse, for figures.

        Returns:
            `images` (n, canvas, canvas) uint8, `labels` (n,), `boxes` (n, 4), `paths` (S, n, T, 2), `beliefs`
            (S, n, T, 10) class probabilities. Beliefs before the last glimpse come from a classifier trained on the last only.
        """
        assert isinstance(self.network, RecurrentAttention)  # noqa: S101
        images = self.data.canvases[:N_SHOWN]
        canvases = images.float()
        draws = self.draws(self.generators("paths"), len(images), sampled=False)
        episode = self.network.look(canvases.expand(self.n_seeds, *canvases.shape), draws)
        beliefs = self.network.classify(episode.hidden.flatten(1, 2)).softmax(-1).view(*episode.hidden.shape[:3], -1)
        return {
            "images": images.cpu().numpy(),
            "labels": self.data.labels[:N_SHOWN].cpu().numpy(),
            "boxes": self.data.boxes[:N_SHOWN].cpu().numpy(),
            "paths": episode.locations.transpose(1, 2).cpu().numpy(),
            "beliefs": beliefs.transpose(1, 2).cpu().numpy(),
        }

    @torch.no_grad()
    def attention(self) -> dict[str, np.ndarray]:
        """Soft attention's weights on the first images: `images` (n, ...), `weights` (S, n, T, patches), `positions` (patches, 2)."""
        assert isinstance(self.network, SoftAttention)  # noqa: S101
        images = self.data.canvases[:N_SHOWN]
        canvases = images.float()
        _, weights = self.network.attend(canvases.expand(self.n_seeds, *canvases.shape))
        return {
            "images": images.cpu().numpy(),
            "labels": self.data.labels[:N_SHOWN].cpu().numpy(),
            "weights": weights.transpose(1, 2).cpu().numpy(),
            "positions": self.network.get_buffer("positions").cpu().numpy(),
        }


def _spread(locations: Tensor, axis: int) -> Tensor:
    """Root mean square distance from the mean along one axis of (S, T, B, 2), averaged over the rest: (S,)."""
    distance = (locations - locations.mean(axis, keepdim=True)).square().sum(-1)
    return distance.mean(axis).sqrt().mean(1)


def _explained(places: Tensor, looks: Tensor) -> Tensor:
    """Squared correlation of places (B, 2) and looks (S, B, 2), averaged over x and y: (S,); 0 where nothing varies."""
    places, looks = places - places.mean(0), looks - looks.mean(1, keepdim=True)
    variances = places.square().mean(0) * looks.square().mean(1)
    return ((places * looks).mean(1).square() / variances.clamp(min=1e-12)).mean(1)


def _heat(locations: Tensor) -> Tensor:
    """Share of glimpses by bin of [-1, 1]^2: (S, T, B, 2) to (S, T, bins, bins), rows are y; what lies outside is left out."""
    n_seeds, n_steps, n_images = locations.shape[:3]
    cell = ((locations + 1) * (HEAT_BINS / 2)).floor().long()
    # The right and lower border belong to the last bin.
    cell = torch.where(locations == 1, HEAT_BINS - 1, cell)
    inside = ((cell >= 0) & (cell < HEAT_BINS)).all(-1).float()
    flat = cell.clamp(0, HEAT_BINS - 1)
    index = flat[..., 1] * HEAT_BINS + flat[..., 0]
    counts = torch.zeros(n_seeds, n_steps, HEAT_BINS**2, device=locations.device).scatter_add_(2, index, inside)
    return (counts / n_images).view(n_seeds, n_steps, HEAT_BINS, HEAT_BINS)
