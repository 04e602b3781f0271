"""One update of all seeds: new canvases, episodes, loss, optimiser step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from replications.engine.canvases import uniform_integers
from replications.engine.checkpoints import Stateful
from replications.engine.context import Context
from replications.engine.devices import GraphedStep
from replications.engine.optimisation import RATE_FACTOR, clip_norm_per_seed, gradients_per_seed, schedule_factor, set_learning_rate
from replications.engine.randomness import Generators
from replications.engine.training import Metrics
from replications.papers.unified_attention.data import CanvasGenerator
from replications.papers.unified_attention.model import EpisodeNoise, UnifiedAttentionModel
from replications.papers.unified_attention.objective import loss_and_metrics
from replications.papers.unified_attention.settings import Settings


class Trainer:
    """The training of a run. Shapes are static, and nothing waits for the device.

    Args:
        settings: of the run.
        context: of the run.
        network: to train.
        canvases: generator of the training images.
    """

    def __init__(self, settings: Settings, context: Context, network: UnifiedAttentionModel, canvases: CanvasGenerator) -> None:
        self.settings, self.network, self.canvases = settings, network, canvases
        n_seeds, device = len(context.seeds), context.device
        self.parameters = list(network.parameters())
        self.optimiser = self._optimiser(device)
        self.generators = [context.generator(seed, "train") for seed in context.seeds]
        # Two numbers of every decision say whether it explores and which cell it takes then.
        width = canvases.n_uniforms + 2 + 2 * settings.decisions
        self.uniforms = torch.empty(n_seeds, settings.batch_size, width, device=device)
        self.normal = torch.empty(n_seeds, settings.decisions, settings.batch_size, 2, device=device)
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
        """Return Adam, with the location network as a group of its own; on a GPU rates are tensors, which a graph reads."""
        moving = list(self.network.heads.location_fc.parameters())
        others = [parameter for parameter in self.parameters if all(parameter is not other for other in moving)]
        groups: list[dict[str, Any]] = [
            {"params": others, RATE_FACTOR: 1.0},
            {"params": moving, RATE_FACTOR: self.settings.location_rate},
        ]
        on_gpu = device.type == "cuda"
        for group in groups:
            rate = self.settings.learning_rate * group[RATE_FACTOR]
            group["lr"] = torch.tensor(rate, device=device) if on_gpu else rate
        return torch.optim.Adam(groups, fused=True, capturable=on_gpu)

    def _update(self) -> Metrics:
        images, labels, noise = self._batch()
        s = self.settings
        loss, metrics = loss_and_metrics(self.network(images, noise), labels, s.reinforce_weight)
        # The location network of a model without a move has no gradient and is skipped.
        for parameter, gradient in zip(self.parameters, torch.autograd.grad(loss, self.parameters, allow_unused=True), strict=True):
            # Fused optimisers read gradients as if they lay like their parameters; a slice of a larger gradient does not.
            parameter.grad = None if gradient is None else gradient.contiguous()
        if s.clip_norm is not None:
            clip_norm_per_seed(gradients_per_seed(self.parameters), s.clip_norm)
        self.optimiser.step()
        return metrics

    def _batch(self) -> tuple[Tensor, Tensor, EpisodeNoise]:
        """Return images, labels (seeds, batch) and noise of the episodes; each seed's are drawn from its own generator."""
        s = self.settings
        for seed, generator in enumerate(self.generators):
            self.uniforms[seed].uniform_(generator=generator)
            self.normal[seed].normal_(generator=generator)
        of_canvas, first, whether, which = self.uniforms.split([self.canvases.n_uniforms, 2, s.decisions, s.decisions], dim=-1)
        canvases = self.canvases(of_canvas.flatten(0, 1))
        images, labels = (values.unflatten(0, (len(self.generators), -1)) for values in (canvases.images, canvases.labels))
        cells = uniform_integers(which.transpose(1, 2), s.grid**2)
        explore = whether.transpose(1, 2) < s.epsilon
        return images, labels, EpisodeNoise(first * 2 - 1, cells, explore, self.normal)
