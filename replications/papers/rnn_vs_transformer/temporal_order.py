"""Temporal order (Pascanu et al. 2013, section 4.1): training with and without clipping, and gradients before and after."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.checkpoints import Stateful
from replications.engine.context import Context
from replications.engine.layers import SeedLinear
from replications.engine.optimisation import clip_norm_per_seed, clip_value
from replications.engine.randomness import Generators
from replications.engine.training import train
from replications.papers.rnn_vs_transformer import tasks
from replications.papers.rnn_vs_transformer.accounting import flops
from replications.papers.rnn_vs_transformer.gradients import gradient_by_distance, set_radius
from replications.papers.rnn_vs_transformer.mixers import Recurrent
from replications.papers.rnn_vs_transformer.model import make_mixer, seed_gradients
from replications.papers.rnn_vs_transformer.settings import Settings
from replications.papers.rnn_vs_transformer.synthetic import TEST_SEED

LARGEST_LOSS = 100.0
"""Recorded in place of a larger or undefined loss: without clipping a training may diverge, which is a result, not an error."""


class OrderNet(nn.Module):
    """A network that reads symbols and predicts one of four classes at the last position.

    It has neither blocks nor residual connections, so only the layer can carry the marks to the end.

    Args:
        settings: settings of the run.
        generators: one per network, on the CPU; they draw the initial weights.
    """

    def __init__(self, settings: Settings, generators: list[torch.Generator]) -> None:
        super().__init__()
        width = settings.width
        self.embedding = SeedLinear(6, width, generators=generators)
        self.layer = make_mixer(settings.network, width, generators=generators, head_width=settings.head_width, d_state=settings.d_state)
        if isinstance(self.layer, Recurrent) and self.layer.cell == "rnn":
            set_radius(self.layer, settings.task.radii[0])
        self.head = SeedLinear(width, 4, generators=generators)

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the embeddings of tokens.

        Args:
            tokens: int64 (nets, batch, n).

        Returns:
            (nets, batch, n, width).
        """
        one_hot = functional.one_hot(tokens, 6).to(self.head.weight.dtype)
        vectors: Tensor = self.embedding(one_hot.flatten(1, 2))
        return vectors.view(*tokens.shape, -1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the four classes.

        Args:
            tokens: int64 (nets, batch, n).

        Returns:
            (nets, batch, 4).
        """
        return self.head(self.layer(self.embed(tokens))[:, :, -1])


def train_order(settings: Settings, context: Context) -> None:
    """Train several networks per seed on temporal order; record the share that learns it, and gradient norms before and after training.

    A network that diverges is not reset: its update is skipped if its gradient is not finite, and it counts as a failure.

    Args:
        settings: settings of the run.
        context: receives the records.
    """
    task, training = settings.task, settings.training
    nets = [(seed, trial) for seed in context.seeds for trial in range(task.trials)]
    model = OrderNet(settings, [context.generator(s, f"weights {settings.network.name} {t}", device="cpu") for s, t in nets]).to(
        context.device
    )
    optimiser: torch.optim.Optimizer
    if training.optimiser == "sgd":
        optimiser = torch.optim.SGD(model.parameters(), lr=training.learning_rate)
    else:
        optimiser = torch.optim.AdamW(model.parameters(), lr=training.learning_rate, weight_decay=0.0)
    data = [context.generator(seed, f"data {trial}") for seed, trial in nets]
    validation = tasks.temporal_order(task.test_examples, task.length, context.generator(TEST_SEED, "validation order"))
    test_tokens, test_classes = tasks.temporal_order(task.test_examples, task.length, context.generator(TEST_SEED, "test order"))

    def step(_: int) -> Mapping[str, Tensor]:
        batches = [tasks.temporal_order(training.batch_size, task.length, generator) for generator in data]
        tokens, classes = torch.stack([t for t, _ in batches]), torch.stack([c for _, c in batches])
        logits = model(tokens)
        loss = functional.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none").view(len(nets), -1).mean(1)
        optimiser.zero_grad()
        loss.sum().backward()
        by_net = seed_gradients(model, len(nets))
        if training.clip_norm is not None:
            clip_norm_per_seed(by_net, training.clip_norm)
        if training.clip_value is not None:
            clip_value(model.parameters(), training.clip_value)
        for gradients in by_net:
            finite = torch.stack([gradient.isfinite().all() for gradient in gradients]).all()
            for gradient in gradients:
                gradient.copy_(torch.where(finite, gradient, 0))
        optimiser.step()
        return {"loss": _by_seed(loss.detach().nan_to_num(LARGEST_LOSS).clamp_max(LARGEST_LOSS), context)}

    @torch.no_grad()
    def accuracy_of(tokens: Tensor, classes: Tensor) -> Tensor:
        logits: Tensor = model(tokens.expand(len(nets), -1, -1))
        return (logits.argmax(-1) == classes).float().mean(1)

    def evaluate(done: int) -> None:
        context.record("accuracy", _by_seed(accuracy_of(*validation), context), split="validation", step=done)

    before = _gradient_norms(model, test_tokens[: training.batch_size], len(nets))
    state: dict[str, Stateful] = {"model": model, "optimiser": optimiser, "data": Generators(data)}
    train(
        context,
        step,
        n_steps=training.n_steps,
        state=state,
        examples_per_step=training.batch_size * len(nets),
        flops_per_step=3 * flops(model.layer, task.length) * training.batch_size * len(nets),
        tokens_per_step=training.batch_size * len(nets) * task.length,
        evaluate=evaluate,
        evaluate_every=max(1, training.n_steps // training.evaluations),
    )
    accuracy = accuracy_of(test_tokens, test_classes)
    context.record("accuracy", _by_seed(accuracy, context))
    context.record("success", _by_seed((accuracy >= task.target).float(), context))
    context.artifact("accuracy_by_trial", accuracy.view(len(context.seeds), -1))
    context.artifact("gradient_before", before.view(len(context.seeds), task.trials, -1))
    after = _gradient_norms(model, test_tokens[: training.batch_size], len(nets))
    context.artifact("gradient_after", after.view(len(context.seeds), task.trials, -1))


def _by_seed(values: Tensor, context: Context) -> Tensor:
    """Return the mean over the trials of each seed.

    Args:
        values: (nets,).
        context: gives the seeds.

    Returns:
        (seeds,).
    """
    return values.view(len(context.seeds), -1).mean(1)


def _gradient_norms(model: OrderNet, tokens: Tensor, nets: int) -> Tensor:
    """Return gradient norms by distance of every network on the same sequences, along the mean of the class weights.

    Args:
        model: the networks.
        tokens: int64 (batch, n).
        nets: number of networks.

    Returns:
        (nets, n).
    """
    with torch.no_grad():
        x = model.embed(tokens.expand(nets, -1, -1))
    out = model.head.weight.detach().mean(2).unsqueeze(1).expand(-1, len(tokens), -1)
    norms = gradient_by_distance(model.layer, x, out).detach().nan_to_num(0.0)
    model.zero_grad(set_to_none=True)
    return norms
