"""One run of this paper: training, validation, scores, records."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from replications.engine.best_weights import BestWeights
from replications.engine.context import Context
from replications.engine.digits import load_digits
from replications.engine.precision import matmul_precision
from replications.engine.training import train
from replications.errors import InputError
from replications.papers.unified_attention.data import CanvasGenerator, fixed_set
from replications.papers.unified_attention.evaluation import Evaluation
from replications.papers.unified_attention.model import EpisodeNoise, UnifiedAttentionModel
from replications.papers.unified_attention.settings import Settings
from replications.papers.unified_attention.trainer import Trainer


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
    network = UnifiedAttentionModel(settings, [context.generator(seed, "initialise", device="cpu") for seed in context.seeds])
    network = network.to(context.device)
    digits = load_digits(context, settings.dataset, "train").of_classes(settings.n_classes)
    trainer = Trainer(settings, context, network, CanvasGenerator(settings, digits))
    best = BestWeights(n_seeds, stacked=network)
    validation = _evaluation(settings, context, network, "validation")

    def validate(step: int) -> None:
        errors = _percent(validation.wrong(validation.outcome()))
        context.record("error", errors, split="validation", step=step, unit="%")
        best.update(errors, step)

    examples, flops = settings.batch_size * n_seeds, forward_flops(settings)
    train(
        context,
        trainer,
        n_steps=settings.n_steps,
        state=trainer.state | {"best": best},
        examples_per_step=examples,
        # The backward pass has two products for each one of the forward pass.
        flops_per_step=3 * examples * flops,
        evaluate=validate,
        evaluate_every=max(1, settings.n_steps // settings.evaluations),
    )
    _record_updates_to_level(settings, context)
    best.restore()
    _record_scores(
        settings, context, validation if settings.scored_split == "validation" else _evaluation(settings, context, network, "test")
    )
    context.record("parameters", [sum(weight.numel() for weight in network.parameters()) / n_seeds] * n_seeds, split="cost")
    context.record("forward_mflop", [flops / 1e6] * n_seeds, split="cost", unit="MFLOP")


def _evaluation(settings: Settings, context: Context, network: UnifiedAttentionModel, split: str) -> Evaluation:
    """Return the evaluation on canvases of a split, the same for every model and seed."""
    n = settings.n_test if split == "test" else settings.n_validation
    digits = load_digits(context, settings.dataset, split).of_classes(settings.n_classes)
    canvases = fixed_set(settings, digits, n, context.generator(0, f"{split} canvases", device="cpu"))

    def generators() -> list[torch.Generator]:
        return [context.generator(seed, f"{split} episodes", device="cpu") for seed in context.seeds]

    return Evaluation(network, settings, canvases, generators, len(context.seeds))


def _percent(values: torch.Tensor) -> torch.Tensor:
    """Return the share of true values in percent, (seeds,)."""
    return 100 * values.sum(1) / values.shape[1]


def _record_updates_to_level(settings: Settings, context: Context) -> None:
    """Record after how many updates each seed's validation error was below `level` for the first time, or all updates where it never was."""
    updates = dict.fromkeys(context.seeds, settings.n_steps)
    for row in context.rows:
        if row["metric"] == "error" and row["split"] == "validation" and row["value"] < settings.level:
            updates[row["seed"]] = min(updates[row["seed"]], row["step"])
    context.record("updates_to_level", [float(updates[seed]) for seed in context.seeds], split="validation", step=settings.n_steps)


def _record_scores(settings: Settings, context: Context, scored: Evaluation) -> None:
    """Record errors of the weights with the lowest validation error, and where glimpses go."""
    split, step, n_seeds = settings.scored_split, settings.n_steps, len(context.seeds)
    outcome = scored.outcome()
    wrong = scored.wrong(outcome)
    context.record("error", _percent(wrong), split=split, step=step, unit="%")
    context.record("test_examples", [float(wrong.shape[1])] * n_seeds, split=split, step=step)
    context.artifact(f"wrong_error_{split}", np.packbits(wrong.cpu().numpy(), axis=1))
    for name, shares in scored.shares(outcome).items():
        context.record(name, shares, split=split, step=step, unit="%")
    if settings.shown:
        for name, array in scored.shown(settings.shown).items():
            context.artifact(name, array)


@torch.no_grad()
def forward_flops(settings: Settings) -> int:
    """Count the operations of the matrix products that classify one image.

    They are counted while the network runs on tensors without memory. Cropping glimpses and averaging the coarse level only add, and are not
    counted.

    Args:
        settings: sizes of the network.

    Returns:
        FLOPs, two per multiply-add.
    """
    network = UnifiedAttentionModel(settings, [torch.Generator()]).to("meta")
    image = torch.empty(1, 1, settings.canvas, settings.canvas, device="meta")
    noise = EpisodeNoise(torch.empty(1, 1, 2, device="meta"), torch.zeros(1, settings.decisions, 1, dtype=torch.long, device="meta"))
    with FlopCounterMode(display=False) as counter:
        network(image, noise)
    return int(counter.get_total_flops())
