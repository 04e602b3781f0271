"""Test errors of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from replications.papers.recurrent_attention.classifiers import Network
from replications.papers.recurrent_attention.data import FixedSet
from replications.papers.recurrent_attention.fused import FusedEpisodes
from replications.papers.recurrent_attention.model import EpisodeNoise, RecurrentAttentionModel, fixed_locations
from replications.papers.recurrent_attention.settings import Settings

CHUNK = 1000
"""Images per seed evaluated at once."""


class Evaluation:
    """One network on one fixed data set.

    Args:
        network: of several seeds.
        settings: of the run.
        data: the images.
        generators: returns new generators (CPU, one per seed) for a named purpose at every call, so that an evaluation does not
            depend on earlier ones.
        n_seeds: number of seeds.
    """

    def __init__(
        self, network: Network, settings: Settings, data: FixedSet, generators: Callable[[str], list[torch.Generator]], n_seeds: int
    ) -> None:
        self.network, self.settings, self.data, self.generators, self.n_seeds = network, settings, data, generators, n_seeds
        self.device = data.canvases.device
        self.episodes = FusedEpisodes(network, self.device) if isinstance(network, RecurrentAttentionModel) else None

    def chunks(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield images (seeds, n, canvas, canvas), labels (n,) and ink boxes (n, 4) of at most `CHUNK` images at a time."""
        for part in zip(self.data.canvases.split(CHUNK), self.data.labels.split(CHUNK), self.data.boxes.split(CHUNK), strict=True):
            canvases = part[0].float()
            yield canvases.expand(self.n_seeds, *canvases.shape), part[1], part[2]

    def noise(self, generators: list[torch.Generator], n_images: int, *, sampled: bool) -> EpisodeNoise:
        """Return the random numbers of episodes.

        Args:
            generators: one per seed, on the CPU.
            n_images: episodes per seed.
            sampled: draw later locations of a learned policy; else they are the policy's means.

        Returns:
            Random numbers of all steps, with a leading seed axis, on the device.
        """
        later = self.settings.glimpses - 1

        def uniform(*shape: int) -> Tensor:
            return torch.stack([torch.rand(*shape, generator=g) for g in generators]).mul_(2).sub_(1).to(self.device)

        first = uniform(n_images, 2)
        if self.settings.policy == "random":
            return EpisodeNoise(first, uniform=uniform(later, n_images, 2))
        if self.settings.policy == "fixed":
            path = fixed_locations(later).to(self.device).view(1, later, 1, 2)
            return EpisodeNoise(first, uniform=path.expand(self.n_seeds, -1, n_images, -1))
        if not sampled:
            return EpisodeNoise(first)
        normal = torch.stack([torch.randn(later, n_images, 2, generator=g) for g in generators])
        return EpisodeNoise(first, normal=normal.to(self.device))

    def error(self, *, samples: int = 1, sampled: bool = False) -> Tensor:
        """Return the percentage of wrong answers.

        Args:
            samples: number of episodes per image, as of `wrong`.
            sampled: draw locations from the policy, as of `wrong`.

        Returns:
            One percentage per seed, (seeds,).
        """
        return 100 * self.wrong(samples=samples, sampled=sampled).sum(1) / len(self.data.labels)

    @torch.no_grad()
    def wrong(self, *, samples: int = 1, sampled: bool = False) -> Tensor:
        """Return which images are classified wrongly.

        Args:
            samples: number of episodes per image whose class probabilities are averaged; 1 for networks without glimpses.
            sampled: draw locations from the policy; else take its means. The first location is random in both cases.

        Returns:
            (seeds, images), boolean.
        """
        generators = self.generators(f"evaluate {samples} {sampled}")
        wrong = []
        for canvases, labels, _ in self.chunks():
            if self.episodes is not None:
                scores: Tensor | float = 0.0
                for _ in range(samples):
                    episode = self.episodes.rollout(canvases, self.noise(generators, len(labels), sampled=sampled))
                    scores = scores + self.episodes.model.action_network(episode.hidden[:, -1]).softmax(-1)
            else:
                scores = self.network(canvases)
            assert isinstance(scores, Tensor)  # noqa: S101 (samples >= 1)
            wrong.append(scores.argmax(-1) != labels)
        return torch.cat(wrong, 1)
