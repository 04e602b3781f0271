"""Loss for compute on a text: by parameters, tokens, FLOPs, and by position in the context."""

from __future__ import annotations

import torch
from torch import Tensor

from replications.engine.context import Context
from replications.engine.text import load_corpus, random_crops
from replications.errors import DataError
from replications.papers.rnn_vs_transformer.fitting import Batch, Fit, make_model, token_loss
from replications.papers.rnn_vs_transformer.model import SequenceModel
from replications.papers.rnn_vs_transformer.settings import Settings


def windows(tokens: Tensor, context_length: int, characters: int, name: str) -> Batch:
    """Held-out text as windows side by side: inputs and targets, (windows, context).

    Raises:
        DataError: the text is shorter than one window.
    """
    n = min(characters, len(tokens) - 1) // context_length
    if n < 1:
        raise DataError(
            f"The held-out part of {name} has {len(tokens):,} characters, fewer than one context of {context_length:,} and its last target."
            " Use a longer text or a shorter context."
        )
    cut = n * context_length
    return tokens[:cut].view(n, context_length), tokens[1 : cut + 1].view(n, context_length)


@torch.no_grad()
def loss_by_position(model: SequenceModel, inputs: Tensor, targets: Tensor, batch: int, *, bf16: bool = False) -> Tensor:
    """Mean cross-entropy at every position of the context over all windows, nats, (seeds, context)."""
    total = torch.zeros(model.n_seeds, inputs.shape[1], dtype=torch.float64, device=inputs.device)
    for part, wanted in zip(inputs.split(batch), targets.split(batch), strict=True):
        every = (model.n_seeds, *part.shape)
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=bf16):
            logits = model(part.expand(every))
        total = total + token_loss(logits, wanted.expand(every)).double().sum(1)
    return total / len(inputs)


def train_language(settings: Settings, context: Context) -> None:
    """Train one network on a corpus; record validation and test loss, loss by position, parameters and compute."""
    text, training = settings.text, settings.training
    corpus = load_corpus(text.corpus, context.load)
    tokens = corpus.tokens("train", context.device)
    held = {
        split: windows(corpus.tokens(split, context.device), text.context, text.evaluation_characters, f"{text.corpus} ({split})")
        for split in ("validation", "test")
    }
    model = make_model(settings, context, len(corpus.vocabulary), text.context)
    fit = Fit(settings, context, model, lambda generator: random_crops(tokens, training.batch, text.context, generator))
    best: dict[int, float] = {}

    def evaluate(step: int) -> None:
        losses = loss_by_position(model, *held["validation"], training.batch, bf16=training.precision == "bf16").mean(1)
        context.record("loss", losses, split="validation", step=step, unit="nats/char")

    fit.run(evaluate, length=text.context)
    for seed in context.seeds:
        rows = [r["value"] for r in context.rows if r["metric"] == "loss" and r["split"] == "validation" and r["seed"] == seed]
        best[seed] = min(rows)
    context.record("best_loss", list(best.values()), split="validation", unit="nats/char")
    by_position = loss_by_position(model, *held["test"], training.batch, bf16=training.precision == "bf16")
    context.artifact("loss_by_position", by_position)
    _record_positions(context, by_position, text.early)
    seen = training.steps * training.batch * text.context
    counted = 3 * model.flops(text.context) / text.context
    for metric, value, unit in (
        ("parameters", model.n_parameters, ""),
        ("tokens", seen, ""),
        ("compute", counted * seen, "FLOP"),
        ("flops_per_token", counted, "FLOP"),
        ("compute_over_6nd", counted / (6 * model.n_parameters), ""),
    ):
        context.record(metric, [float(value)] * len(context.seeds), unit=unit)


def _record_positions(context: Context, losses: Tensor, early: int) -> None:
    """Losses over parts of the context: all, the first `early` positions, each third power of two, the last half."""
    n = losses.shape[1]
    context.record("loss", losses.mean(1), unit="nats/char")
    context.record("loss_early", losses[:, :early].mean(1), unit="nats/char")
    context.record("loss_late", losses[:, n // 2 :].mean(1), unit="nats/char")
    edge = 1
    while edge < n:
        context.record("loss_at", losses[:, edge : 2 * edge].mean(1), step=edge, unit="nats/char")
        edge *= 2
