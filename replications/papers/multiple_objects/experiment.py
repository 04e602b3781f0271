"""One run of this paper: training, validation, scores, records."""

from __future__ import annotations

import numpy as np
import torch

from replications.engine.best_weights import BestWeights
from replications.engine.context import Context
from replications.engine.precision import matmul_precision
from replications.engine.training import train
from replications.errors import InputError
from replications.papers.multiple_objects.data import scored_images, training_images
from replications.papers.multiple_objects.evaluation import Evaluation
from replications.papers.multiple_objects.networks import Network, build, forward_flops
from replications.papers.multiple_objects.settings import Settings
from replications.papers.multiple_objects.trainer import Trainer

COST_CANVASES = (54, 110, 220)
"""Sides of the image at which operations are counted: those of the paper, and twice the larger one."""


def run(settings: Settings, context: Context) -> None:
    """Train the networks of all seeds at once and score them.

    Args:
        settings: of the run.
        context: gives seeds and device; receives records, artifacts and checkpoints.

    Raises:
        InputError: there is no seed.
        DataError: the digits are missing or altered.
    """
    if not context.seeds:
        raise InputError(f"{context.chunk}: no seeds. Give at least one, for example --seeds 0-2.")
    with matmul_precision(settings.precision, context.device):
        _train_and_score(settings, context)


def _train_and_score(settings: Settings, context: Context) -> None:
    n_seeds = len(context.seeds)
    network = build(settings, [context.generator(seed, "initialise", device="cpu") for seed in context.seeds]).to(context.device)
    trainer = Trainer(settings, context, network, training_images(settings, context))
    best = BestWeights(n_seeds, stacked=network)
    validation = _evaluation(settings, context, network, "validation")

    def validate(step: int) -> None:
        outcome = validation.outcome()
        errors = _percent(validation.wrong(outcome.logits))
        context.record("error", errors, split="validation", step=step, unit="%")
        if outcome.locations.shape[1]:
            visited = validation.glimpse_shares(outcome)["all_digits_visited"]
            context.record("all_digits_visited", visited, split="validation", step=step, unit="%")
        best.update(errors, step)

    examples = settings.batch_size * settings.training_samples * n_seeds
    train(
        context,
        trainer,
        n_steps=settings.n_steps,
        state=trainer.state | {"best": best},
        examples_per_step=examples,
        # The backward pass has two products for each one of the forward pass.
        flops_per_step=3 * examples * forward_flops(settings, settings.canvas),
        evaluate=validate,
        evaluate_every=max(1, settings.n_steps // settings.evaluations),
    )
    best.restore()
    scored = validation if settings.scored_split == "validation" else _evaluation(settings, context, network, "test")
    _record_scores(settings, context, scored)
    _record_costs(settings, context, network)


def _evaluation(settings: Settings, context: Context, network: Network, split: str) -> Evaluation:
    """Return the evaluation on images of a split, the same for every model and seed of a task."""
    images = scored_images(settings, context, split)

    def generators(purpose: str) -> list[torch.Generator]:
        return [context.generator(seed, f"{split} {purpose}", device="cpu") for seed in context.seeds]

    return Evaluation(network, settings, images, generators, len(context.seeds))


def _percent(values: torch.Tensor) -> torch.Tensor:
    """Return the share of true values in percent, (seeds,)."""
    return 100 * values.sum(1) / values.shape[1]


def _record_scores(settings: Settings, context: Context, scored: Evaluation) -> None:
    """Record errors of the weights with the lowest validation error, with locations at the policy's means and averaged over samples."""
    split, step, n_seeds = settings.scored_split, settings.n_steps, len(context.seeds)
    outcome = scored.outcome()
    wrong = scored.wrong(outcome.logits)
    context.record("error", _percent(wrong), split=split, step=step, unit="%")
    context.record("test_examples", [float(wrong.shape[1])] * n_seeds, split=split, step=step)
    context.artifact(f"wrong_error_{split}", np.packbits(wrong.cpu().numpy(), axis=1))
    if settings.shown:
        for name, array in scored.shown(settings.shown).items():
            context.artifact(name, array)
    if settings.model == "cnn":
        return
    averaged = scored.wrong(scored.averaged_probabilities(settings.samples))
    context.record("error_averaged", _percent(averaged), split=split, step=step, unit="%")
    context.record("error_sampled", _percent(scored.wrong(scored.outcome(sampled=True).logits)), split=split, step=step, unit="%")
    for name, shares in scored.glimpse_shares(outcome).items():
        context.record(name, shares, split=split, step=step, unit="%")
    if settings.model == "dram":
        context.record("context_in_answer", scored.context_in_answer(), split=split, step=step)


def _record_costs(settings: Settings, context: Context, network: Network) -> None:
    """Record parameters, and operations of one image at each of `COST_CANVASES` (axis 'canvas')."""
    n_seeds = len(context.seeds)
    context.record("parameters", [sum(weight.numel() for weight in network.parameters()) / n_seeds] * n_seeds, split="cost")
    for canvas in COST_CANVASES:
        flops = float(forward_flops(settings, canvas))
        context.record("forward_flops", [flops] * n_seeds, split="cost", axis="canvas", at=canvas, unit="FLOP")
