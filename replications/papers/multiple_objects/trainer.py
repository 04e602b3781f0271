"""One update of all seeds: new canvases, episodes, loss, optimiser step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from replications.engine.checkpoints import Stateful
from replications.engine.context import Context
from replications.engine.devices import GraphedStep
from replications.engine.optimisation import RATE_FACTOR, clip_norm_per_seed, gradients_per_seed, schedule_factor, set_learning_rate
from replications.engine.randomness import Generators
from replications.engine.training import Metrics
from replications.papers.multiple_objects.convnet import ConvNet
from replications.papers.multiple_objects.data import ImageSource
from replications.papers.multiple_objects.model import EpisodeNoise, Outcome
from replications.papers.multiple_objects.networks import Network
from replications.papers.multiple_objects.objective import bound_loss
from replications.papers.multiple_objects.settings import Settings

NO_END = -1
"""A number that no target has, for tasks without an end symbol."""


class Trainer:
    """The training of a run. Shapes are static, and nothing waits for the device.

    Args:
        settings: of the run.
        context: of the run.
        network: to train.
        canvases: makes the training images.
    """

    def __init__(self, settings: Settings, context: Context, network: Network, canvases: ImageSource) -> None:
        self.settings, self.network, self.canvases = settings, network, canvases
        self.n_seeds, device = len(context.seeds), context.device
        self.end = settings.n_classes if settings.task == "sequence" else NO_END
        self.parameters = list(network.parameters())
        self.optimiser = self._optimiser(device)
        self.generators = [context.generator(seed, "train") for seed in context.seeds]
        n_episodes = settings.batch_size * settings.training_samples
        n_glimpses = 0 if isinstance(network, ConvNet) else settings.n_glimpses
        self.uniforms = torch.empty(self.n_seeds, settings.batch_size, canvases.n_uniforms, device=device)
        self.first = torch.empty(self.n_seeds, n_episodes, 2, device=device)
        self.normal = torch.empty(self.n_seeds, n_glimpses, n_episodes, 2, device=device)
        self.update = GraphedStep(self._update, device, self.generators)

    @property
    def state(self) -> dict[str, Stateful]:
        """Objects that a checkpoint holds, by name."""
        return {"network": self.network, "optimiser": self.optimiser, "generators": Generators(self.generators)}

    def __call__(self, step: int) -> Metrics:
        """Make one update of the weights.

        Args:
            step: number of the update, from 0.

        Returns:
            Metrics of the update's batch, (seeds,) each.
        """
        s = self.settings
        factor = schedule_factor(s.schedule, step, s.n_steps, warmup_share=s.warmup_share)
        set_learning_rate(self.optimiser, s.learning_rate * factor)
        return self.update()

    def _optimiser(self, device: torch.device) -> torch.optim.Optimizer:
        """Return Adam, with the weights that place glimpses as a group of their own; on a GPU rates are tensors, which a graph reads."""
        locating = [] if isinstance(self.network, ConvNet) else self.network.locating_parameters()
        placed = {id(parameter) for parameter in locating}
        groups: list[dict[str, Any]] = [{"params": [p for p in self.parameters if id(p) not in placed], RATE_FACTOR: 1.0}]
        if locating:
            groups.append({"params": locating, RATE_FACTOR: self.settings.location_rate})
        on_gpu = device.type == "cuda"
        for group in groups:
            rate = self.settings.learning_rate * group[RATE_FACTOR]
            group["lr"] = torch.tensor(rate, device=device) if on_gpu else rate
        return torch.optim.Adam(groups, fused=True, capturable=on_gpu)

    def _update(self) -> Metrics:
        images, targets, noise = self._batch()
        s = self.settings
        outcome: Outcome
        if isinstance(self.network, ConvNet):
            outcome = without_glimpses(self.network(images))
            loss, metrics = bound_loss(outcome, targets, glimpses=0, weight=0.0, end=self.end)
        else:
            outcome = self.network(images, noise)
            loss, metrics = bound_loss(outcome, targets, glimpses=s.glimpses, weight=s.reinforce_weight, end=self.end)
        for parameter, gradient in zip(self.parameters, torch.autograd.grad(loss, self.parameters, allow_unused=True), strict=True):
            # Fused optimisers read gradients as if they lay like their parameters; a slice of a larger gradient does not.
            parameter.grad = None if gradient is None else gradient.contiguous()
        if s.clip_norm is not None:
            clip_norm_per_seed(gradients_per_seed(self.parameters), s.clip_norm)
        self.optimiser.step()
        return metrics

    def _batch(self) -> tuple[Tensor, Tensor, EpisodeNoise]:
        """Return images, targets (seeds, S, episodes) and noise of the episodes; each seed's are drawn from its own generator."""
        s = self.settings
        for seed, generator in enumerate(self.generators):
            self.uniforms[seed].uniform_(generator=generator)
            self.first[seed].uniform_(-1, 1, generator=generator)
            if self.normal.numel():
                self.normal[seed].normal_(generator=generator)
        canvases = self.canvases(self.uniforms.flatten(0, 1))
        images = canvases.images.unflatten(0, (self.n_seeds, -1))
        targets = canvases.targets.unflatten(0, (self.n_seeds, -1))
        if s.training_samples > 1:
            images, targets = (values.repeat_interleave(s.training_samples, dim=1) for values in (images, targets))
        return images, targets.transpose(1, 2), EpisodeNoise(self.first, self.normal)


def without_glimpses(logits: Tensor) -> Outcome:
    """Return the outcome of a network that answers one target at once.

    Args:
        logits: (seeds, batch, classes).

    Returns:
        An outcome with no locations.
    """
    none = logits.new_zeros(len(logits), 0, logits.shape[1])
    return Outcome(logits[:, None], none, none, none[..., None].expand(-1, -1, -1, 2))
