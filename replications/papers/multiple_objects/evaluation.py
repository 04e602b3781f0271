"""Scores of trained networks, and the glimpses that are stored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from replications.papers.multiple_objects.canvases import Canvases
from replications.papers.multiple_objects.convnet import ConvNet
from replications.papers.multiple_objects.glimpse_statistics import all_visited, looked_at, returns
from replications.papers.multiple_objects.model import DRAM, EpisodeNoise, Outcome
from replications.papers.multiple_objects.networks import Network
from replications.papers.multiple_objects.objective import counted_targets
from replications.papers.multiple_objects.settings import Settings
from replications.papers.multiple_objects.trainer import NO_END, without_glimpses

AT_ONCE = 500
"""Canvases per seed evaluated at once."""


class Evaluation:
    """One network on one fixed set of canvases.

    Args:
        network: of several seeds.
        settings: of the run.
        canvases: the images.
        generators: returns new generators (CPU, one per seed) for a named purpose, so that an evaluation does not depend on earlier ones.
        n_seeds: number of seeds.
    """

    def __init__(
        self,
        network: Network,
        settings: Settings,
        canvases: Canvases,
        generators: Callable[[str], list[torch.Generator]],
        n_seeds: int,
    ) -> None:
        self.network, self.settings, self.canvases, self.generators, self.n_seeds = network, settings, canvases, generators, n_seeds
        self.device = canvases.images.device

    @torch.no_grad()
    def outcome(self, *, sampled: bool = False, generators: list[torch.Generator] | None = None, n: int | None = None) -> Outcome:
        """Run one episode per canvas.

        Args:
            sampled: draw locations from the policy; else take its means. RAM's first location is random in both cases.
            generators: one per seed, on the CPU; None: new ones.
            n: canvases, the first ones; None: all.

        Returns:
            The outcome for all canvases, without gradients.
        """
        generators = self.generators("evaluate") if generators is None else generators
        parts = [self._part(images.float(), generators, sampled=sampled) for images in self.canvases.images[:n].split(AT_ONCE)]
        return Outcome(
            *(torch.cat([getattr(part, name) for part in parts], dim=2) for name in ("logits", "log_probability", "baselines", "locations"))
        )

    def _part(self, images: Tensor, generators: list[torch.Generator], *, sampled: bool) -> Outcome:
        images = images.expand(self.n_seeds, *images.shape)
        if isinstance(self.network, ConvNet):
            return without_glimpses(self.network(images))
        n = images.shape[1]
        first = torch.stack([torch.rand(n, 2, generator=g) for g in generators]).mul_(2).sub_(1).to(self.device)
        shape = (self.settings.n_glimpses, n, 2)
        normal = torch.stack([torch.randn(*shape, generator=g) for g in generators]).to(self.device) if sampled else None
        outcome: Outcome = self.network(images, EpisodeNoise(first, normal))
        return outcome

    def wrong(self, logits: Tensor) -> Tensor:
        """Return on which canvases any target up to the end symbol is answered wrongly.

        Args:
            logits: (seeds, S, n, classes), or probabilities.

        Returns:
            (seeds, n) boolean.
        """
        targets = self.canvases.targets.T.expand(len(logits), -1, -1)
        correct = logits.argmax(-1) == targets
        end = self.settings.n_classes if self.settings.task == "sequence" else NO_END
        return (~correct & (counted_targets(correct, targets, end) == 1)).any(1)

    def averaged_probabilities(self, samples: int) -> Tensor:
        """Return class probabilities, averaged over sampled episodes (Monte Carlo averaging).

        Args:
            samples: episodes per canvas.

        Returns:
            (seeds, S, n, classes).
        """
        generators = self.generators("sampled")
        total = self.outcome(sampled=True, generators=generators).logits.softmax(-1)
        for _ in range(samples - 1):
            total = total + self.outcome(sampled=True, generators=generators).logits.softmax(-1)
        return total / samples

    def visits(self, outcome: Outcome) -> tuple[Tensor, Tensor]:
        """Return the digit under each glimpse, (seeds, T, n), and which digits are present, (n, n_digits).

        Args:
            outcome: of all canvases.
        """
        s, present = self.settings, self.canvases.values < self.settings.n_classes
        return looked_at(outcome.locations, self.canvases.corners, present, canvas=s.canvas, digit=s.digit), present

    def glimpse_shares(self, outcome: Outcome) -> dict[str, Tensor]:
        """Return where glimpses go, in percent.

        Args:
            outcome: of all canvases.

        Returns:
            `glimpses_on_digits`: of all glimpses; `first_on_digit`: of first glimpses; `all_digits_visited` and `returns`: of the canvases;
            (seeds,) each.
        """
        visits, present = self.visits(outcome)
        shares = {
            "glimpses_on_digits": (visits >= 0).flatten(1),
            "first_on_digit": visits[:, 0] >= 0,
            "all_digits_visited": all_visited(visits, present),
            "returns": returns(visits),
        }
        return {name: 100 * values.double().mean(1) for name, values in shares.items()}

    @torch.no_grad()
    def context_in_answer(self, n: int = 100) -> Tensor:
        """Return how much the logits change when the context is taken away and the glimpses stay where they are.

        Args:
            n: canvases, the first ones.

        Returns:
            Largest difference of a logit, (seeds,).

        Raises:
            TypeError: the network has no context.
        """
        network = self.network
        if not isinstance(network, DRAM) or network.context_network is None:
            raise TypeError(f"a network of model '{self.settings.model}' has no context network")
        images = self.canvases.images[:n].float()
        images = images.expand(self.n_seeds, *images.shape)
        outcome: Outcome = network(images, EpisodeNoise(images.new_zeros(self.n_seeds, images.shape[1], 2)))
        state = network.initial_state(images)
        state = state._replace(upper=torch.zeros_like(state.upper))
        logits = []
        for t, location in enumerate(outcome.locations.unbind(1), start=1):
            state = network.recur(network.glimpse_sensor(images, location), location, state)
            if t % self.settings.glimpses == 0:
                logits.append(network.heads.classify(state.lower))
        return (torch.stack(logits, dim=1) - outcome.logits).abs().amax((1, 2, 3))

    def shown(self, n: int) -> dict[str, np.ndarray]:
        """Return canvases with the glimpses and the answers of every seed.

        Args:
            n: canvases, the first ones.

        Returns:
            images (n, canvas, canvas) uint8, values (n, n_digits), corners (n, n_digits, 2), targets (n, S), locations (seeds, T, n, 2),
            and probabilities (seeds, S, n, classes).
        """
        outcome = self.outcome(n=n)
        canvases = {name: getattr(self.canvases, name)[:n].cpu().numpy() for name in ("images", "values", "corners", "targets")}
        return {f"shown_{name}": array for name, array in canvases.items()} | {
            "shown_locations": outcome.locations.cpu().numpy().astype(np.float32),
            "shown_probabilities": outcome.logits.softmax(-1).cpu().numpy().astype(np.float16),
        }
