"""One run of this paper: training, validation, test, records."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from replications.engine.best_weights import BestWeights
from replications.engine.checkpoints import Stateful
from replications.engine.context import Context
from replications.engine.devices import GraphedStep
from replications.engine.digits import load_digits
from replications.engine.optimisation import RATE_FACTOR, schedule_factor, set_learning_rate
from replications.engine.precision import matmul_precision
from replications.engine.randomness import Generators
from replications.engine.training import Metrics, train
from replications.errors import InputError
from replications.papers.recurrent_attention import cost
from replications.papers.recurrent_attention.attention_analysis import glimpse_paths, glimpse_statistics, soft_attention_weights
from replications.papers.recurrent_attention.catch_training import play_catch
from replications.papers.recurrent_attention.classifiers import Network, SoftAttention, build
from replications.papers.recurrent_attention.data import CanvasGenerator, FixedSet, fixed_set
from replications.papers.recurrent_attention.evaluation import Evaluation
from replications.papers.recurrent_attention.fused import FusedEpisodes
from replications.papers.recurrent_attention.model import EpisodeNoise, RecurrentAttentionModel, fixed_locations
from replications.papers.recurrent_attention.objective import HybridLoss, cross_entropy, rewards
from replications.papers.recurrent_attention.settings import Settings


def run(settings: Settings, context: Context) -> None:
    """Make one run: train all seeds at once and test them, measure cost, or play Catch.

    Args:
        settings: of the run.
        context: of the run.

    Raises:
        InputError: there is no seed.
        DataError: the digits are missing or altered.
    """
    if not context.seeds:
        raise InputError(f"{context.chunk}: no seeds. Give at least one, for example --seeds 0-2.")
    if settings.experiment == "cost":
        cost.record_costs(settings, context)
        return
    if settings.experiment == "catch":
        play_catch(settings.game, context)
        return
    with matmul_precision(settings.precision, context.device):
        _train_and_test(settings, context)


class Trainer:
    """One update of all seeds: new canvases, episodes, loss, optimiser step. Shapes are static, and nothing waits for the device.

    Args:
        settings: of the run.
        context: of the run.
        network: to train.
        canvases: generator of the training images.
    """

    def __init__(self, settings: Settings, context: Context, network: Network, canvases: CanvasGenerator) -> None:
        self.settings, self.network, self.canvases = settings, network, canvases
        n_seeds, device = len(context.seeds), context.device
        self.episodes = FusedEpisodes(network, device) if isinstance(network, RecurrentAttentionModel) else None
        self.loss = HybridLoss(settings, n_seeds).to(device)
        self.parameters = list(network.parameters())
        self.optimiser = _optimiser(settings, network, device)
        self.generators = [context.generator(seed, "train") for seed in context.seeds]
        later = settings.glimpses - 1 if settings.model == "ram" else 0
        self.n_random_locations = 2 * later if settings.policy == "random" else 0
        fixed = fixed_locations(later).to(device).view(1, later, 1, 2)
        n_episodes = settings.batch_size * settings.episodes
        self.fixed = fixed.expand(n_seeds, -1, n_episodes, -1) if settings.policy == "fixed" else None
        width = canvases.n_uniforms + 2 + self.n_random_locations
        self.uniforms = torch.empty(n_seeds, n_episodes, width, device=device)
        self.normal = torch.empty(n_seeds, later, n_episodes, 2, device=device)
        self.update = GraphedStep(self._update, device, self.generators)

    def __call__(self, step: int) -> Metrics:
        """Make one update of the weights.

        Args:
            step: number of the update, from 0.

        Returns:
            Metrics of the update's batch, (seeds,) each.
        """
        factor = schedule_factor(self.settings.schedule, step, self.settings.n_steps)
        set_learning_rate(self.optimiser, self.settings.learning_rate * factor)
        if isinstance(self.network, RecurrentAttentionModel):
            self.network.anneal(step)
        return self.update()

    def _update(self) -> Metrics:
        images, labels, noise = self._batch()
        metrics: dict[str, Tensor]
        if self.episodes is not None:
            loss, metrics = self.loss(self.episodes(images, noise), labels)
        else:
            logits = self.network(images)
            entropy = cross_entropy(logits, labels)
            loss = entropy.sum()
            metrics = {"loss": entropy.detach(), "error": 100 * (1 - rewards(logits, labels).mean(1))}
        # Parameters that a run does not train (the location network of a random policy) have no gradient and are skipped.
        for parameter, gradient in zip(self.parameters, torch.autograd.grad(loss, self.parameters, allow_unused=True), strict=True):
            # Fused optimisers read gradients as if they lay like their parameters; a slice of a larger gradient does not.
            parameter.grad = None if gradient is None else gradient.contiguous()
        self.optimiser.step()
        return metrics

    def _batch(self) -> tuple[Tensor, Tensor, EpisodeNoise]:
        """Return images (seeds, batch, canvas, canvas), labels (seeds, batch) and noise; each seed's are drawn from its own generator.

        An image with several episodes stands in the batch as often, side by side.
        """
        s = self.settings
        for seed, generator in enumerate(self.generators):
            self.uniforms[seed].uniform_(generator=generator)
            if s.policy == "learned" and self.normal.shape[1]:
                self.normal[seed].normal_(generator=generator)
        n_seeds, n_canvas = len(self.generators), self.canvases.n_uniforms
        images, labels, _ = self.canvases(self.uniforms[:, :: s.episodes, :n_canvas].reshape(-1, n_canvas))
        if s.episodes > 1:
            images, labels = images.repeat_interleave(s.episodes, dim=0), labels.repeat_interleave(s.episodes, dim=0)
        locations = self.uniforms[..., n_canvas:] * 2 - 1
        uniform = self.fixed
        if self.n_random_locations:
            uniform = locations[..., 2:].view(n_seeds, s.batch_size * s.episodes, -1, 2).transpose(1, 2)
        noise = EpisodeNoise(locations[..., :2], normal=self.normal if s.policy == "learned" else None, uniform=uniform)
        return images.view(n_seeds, -1, s.canvas, s.canvas), labels.view(n_seeds, -1), noise


def _optimiser(settings: Settings, network: Network, device: torch.device) -> torch.optim.Optimizer:
    """Return the optimiser, with the location network as a parameter group of its own; on a GPU rates are tensors, which a graph reads."""
    on_gpu = device.type == "cuda"
    locating = list(network.location_network.parameters()) if isinstance(network, RecurrentAttentionModel) else []
    of_location_network = {id(parameter) for parameter in locating}
    others = [parameter for parameter in network.parameters() if id(parameter) not in of_location_network]
    groups: list[dict[str, Any]] = [{"params": others, RATE_FACTOR: 1.0}]
    if locating:
        groups.append({"params": locating, RATE_FACTOR: settings.location_rate if settings.optimiser == "adam" else 1.0})
    for group in groups:
        rate = settings.learning_rate * group[RATE_FACTOR]
        group["lr"] = torch.tensor(rate, device=device) if on_gpu else rate
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, fused=True)
    return torch.optim.Adam(groups, fused=True, capturable=on_gpu)


def _train_and_test(settings: Settings, context: Context) -> None:
    digits = {split: load_digits(context, settings.dataset, split) for split in ("train", "validation", "test")}
    digits |= {split: digits[split].first(settings.n_test) for split in ("validation", "test")}
    network = build(settings, [context.generator(seed, "initialise", device="cpu") for seed in context.seeds], context.device)
    trainer = Trainer(settings, context, network, CanvasGenerator(settings, digits["train"]))
    n_seeds = len(context.seeds)
    best = BestWeights(n_seeds, stacked=network)

    def evaluation(split: str) -> Evaluation:
        # Seed 0 for all: every model and seed of a task is tested on the same canvases.
        data: FixedSet = fixed_set(settings, digits[split], context.generator(0, f"{split} canvases", device="cpu"))

        def generators(purpose: str) -> list[torch.Generator]:
            return [context.generator(seed, f"{split} {purpose}", device="cpu") for seed in context.seeds]

        return Evaluation(network, settings, data, generators, n_seeds)

    validation = evaluation("validation")

    def validate(step: int) -> None:
        errors = validation.error()
        context.record("error", errors, split="validation", step=step, unit="%")
        best.update(errors, step)

    state: dict[str, Stateful] = {
        "network": network,
        "optimiser": trainer.optimiser,
        "loss": trainer.loss,
        "best": best,
        "generators": Generators(trainer.generators),
    }
    examples = settings.batch_size * n_seeds
    train(
        context,
        trainer,
        n_steps=settings.n_steps,
        state=state,
        examples_per_step=examples,
        flops_per_step=examples * settings.episodes * cost.training_flops(settings),
        evaluate=validate,
        evaluate_every=max(1, settings.n_steps // settings.evaluations),
    )
    test = evaluation("test")
    _test(settings, context, test)
    _save_attention(context, test)
    best.restore()
    _test(settings, context, test, model="best")


def _test(settings: Settings, context: Context, test: Evaluation, model: str = "") -> None:
    """Record the headline error (one episode, locations at the policy's means), its sampled forms, and where glimpses go.

    Args:
        settings: of the run.
        context: of the run.
        test: evaluation on the test set.
        model: empty for the last checkpoint, 'best' for the one with the lowest validation error.
    """
    step = settings.n_steps
    wrong = test.wrong()
    context.record("error", 100 * wrong.sum(1) / wrong.shape[1], model=model, step=step, unit="%")
    if not model:
        context.record("test_examples", [float(wrong.shape[1])] * len(context.seeds), step=step)
        context.artifact("wrong_error_test", np.packbits(wrong.cpu().numpy(), axis=1))
    if test.episodes is None:
        return
    context.record("error_sampled", test.error(sampled=True), model=model, step=step, unit="%")
    context.record("error_averaged", test.error(samples=settings.samples, sampled=True), model=model, step=step, unit="%")
    statistics, heat = glimpse_statistics(test)
    for name, values in statistics.items():
        context.record(name, values, model=model, step=step, unit="px" if name.startswith("spread") else "%")
    context.record("pixels_read", [float(settings.glimpses * settings.patch_pixels)] * len(context.seeds), model=model, step=step)
    if not model:
        for name, values in heat.items():
            context.artifact(name, values.to(torch.float16))


def _save_attention(context: Context, test: Evaluation) -> None:
    """Store glimpse paths or attention weights on the first test images, where the network has them."""
    if isinstance(test.network, RecurrentAttentionModel):
        arrays = glimpse_paths(test)
    elif isinstance(test.network, SoftAttention):
        arrays = soft_attention_weights(test)
    else:
        return
    for name, array in arrays.items():
        context.artifact(name, array)
