"""Character language models: loss by parameters, tokens, FLOPs and position in the context."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from replications.engine.context import Context
from replications.engine.corpora import CORPORA
from replications.engine.precision import uses_bf16
from replications.engine.text import load_corpus
from replications.engine.text_batches import random_crops
from replications.errors import DataError
from replications.papers.rnn_vs_transformer.accounting import network_flops
from replications.papers.rnn_vs_transformer.model import SequenceModel
from replications.papers.rnn_vs_transformer.settings import Settings
from replications.papers.rnn_vs_transformer.trainer import Batch, Trainer, make_model, token_loss


def windows(tokens: Tensor, context_length: int, characters: int, name: str) -> Batch:
    """Return held-out text, cut into adjacent windows.

    Args:
        tokens: int64 (characters,).
        context_length: characters per window.
        characters: largest number of characters used.
        name: name of the text, for the error message.

    Returns:
        Inputs and targets, (windows, context_length) each.

    Raises:
        DataError: the text is shorter than one window.
    """
    n = min(characters, len(tokens) - 1) // context_length
    if n < 1:
        raise DataError(
            f"The held-out part of {name} has {len(tokens):,} characters, fewer than one context of {context_length:,} and its last target."
            " Use a longer text or a shorter context."
        )
    used = n * context_length
    return tokens[:used].view(n, context_length), tokens[1 : used + 1].view(n, context_length)


@torch.no_grad()
def loss_by_position(model: SequenceModel, inputs: Tensor, targets: Tensor, batch: int, *, bf16: bool = False) -> Tensor:
    """Return the mean cross-entropy over all windows at every position of the context.

    Args:
        model: the networks of all seeds.
        inputs: int64 (windows, context).
        targets: int64 (windows, context).
        batch: windows per forward pass.
        bf16: compute matrix products in bf16.

    Returns:
        Nats per character, float64 (seeds, context).
    """
    total = torch.zeros(model.n_seeds, inputs.shape[1], dtype=torch.float64, device=inputs.device)
    for input_batch, target_batch in zip(inputs.split(batch), targets.split(batch), strict=True):
        shape = (model.n_seeds, *input_batch.shape)
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=bf16):
            logits = model(input_batch.expand(shape))
        total = total + token_loss(logits, target_batch.expand(shape)).double().sum(1)
    return total / len(inputs)


@torch.no_grad()
def mean_random_loss(
    model: SequenceModel,
    tokens: Tensor,
    batches: int,
    batch: int,
    context_length: int,
    places: Sequence[torch.Generator],
    *,
    bf16: bool = False,
) -> Tensor:
    """Return the mean cross-entropy over random batches of a text (`estimate_loss` of nanoGPT's train.py).

    Args:
        model: the networks of all seeds.
        tokens: int64 (characters,).
        batches: number of batches.
        batch: crops of a batch.
        context_length: characters of a crop.
        places: one generator per seed, which draws where its crops begin.
        bf16: compute matrix products in bf16.

    Returns:
        Nats, float64 (seeds,).
    """
    crops = [random_crops(tokens, batches * batch, context_length, generator) for generator in places]
    inputs, targets = (torch.stack(part) for part in zip(*crops, strict=True))
    total = torch.zeros(model.n_seeds, dtype=torch.float64, device=tokens.device)
    for part, wanted in zip(inputs.split(batch, dim=1), targets.split(batch, dim=1), strict=True):
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=bf16):
            logits = model(part)
        total += token_loss(logits, wanted).double().mean((1, 2))
    return total / batches


def train_language(settings: Settings, context: Context) -> None:
    """Train one network per seed on a corpus; record validation and test loss, loss by position, parameters and compute.

    Args:
        settings: settings of the run.
        context: receives the records.
    """
    text, training = settings.text, settings.training
    corpus = load_corpus(text.corpus, CORPORA, context.load)
    tokens = corpus.tokens("train", context.device)
    held_out = {
        split: windows(corpus.tokens(split, context.device), text.context, text.evaluation_characters, f"{text.corpus} ({split})")
        for split in ("validation", "test")
    }
    model = make_model(settings, context, len(corpus.vocabulary), text.context)
    trainer = Trainer(settings, context, model, lambda generator: random_crops(tokens, training.batch_size, text.context, generator))
    best: dict[int, float] = {}
    bf16 = uses_bf16(training.precision, context.device, cell=settings.network.mixer)

    def evaluate(step: int) -> None:
        losses = loss_by_position(model, *held_out["validation"], training.batch_size, bf16=bf16).mean(1)
        context.record("loss", losses, split="validation", step=step, unit="nats/char")

    trainer.run(evaluate, length=text.context)
    for seed in context.seeds:
        rows = [r["value"] for r in context.rows if r["metric"] == "loss" and r["split"] == "validation" and r["seed"] == seed]
        best[seed] = min(rows)
    context.record("best_loss", list(best.values()), split="validation", unit="nats/char")
    if text.random_batches:
        # nanoGPT has no test part: its validation text is all that is held out, scored at random places.
        every = torch.cat([corpus.tokens(split, context.device) for split in ("validation", "test")])
        places = [context.generator(seed, "scored") for seed in context.seeds]
        score = mean_random_loss(model, every, text.random_batches, training.batch_size, text.context, places, bf16=bf16)
        context.record("random_loss", score, unit="nats/char")
    by_position = loss_by_position(model, *held_out["test"], training.batch_size, bf16=bf16)
    context.artifact("loss_by_position", by_position)
    _record_positions(context, by_position, text.early)
    seen = training.n_steps * training.batch_size * text.context
    counted = 3 * network_flops(model, text.context) / text.context
    for metric, value, unit in (
        ("parameters", model.n_parameters, ""),
        ("tokens", seen, ""),
        ("compute", counted * seen, "FLOP"),
        ("flops_per_token", counted, "FLOP"),
        ("compute_over_6nd", counted / (6 * model.n_parameters), ""),
    ):
        context.record(metric, [float(value)] * len(context.seeds), unit=unit)


def _record_positions(context: Context, losses: Tensor, early: int) -> None:
    """Record the loss over the whole context, its first positions, its second half, and each octave of positions.

    Args:
        context: receives the records.
        losses: nats per character, (seeds, context).
        early: number of positions that count as early.
    """
    n = losses.shape[1]
    context.record("loss", losses.mean(1), unit="nats/char")
    context.record("loss_early", losses[:, :early].mean(1), unit="nats/char")
    context.record("loss_late", losses[:, n // 2 :].mean(1), unit="nats/char")
    edge = 1
    while edge < n:
        context.record("loss_at", losses[:, edge : 2 * edge].mean(1), axis="position", at=edge, unit="nats/char")
        edge *= 2
