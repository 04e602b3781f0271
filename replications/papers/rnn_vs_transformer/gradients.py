"""Gradients over time (Pascanu et al. 2013): how they grow or vanish, clipping, and the temporal-order task."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.checkpoints import Stateful
from replications.engine.context import Context, Generators
from replications.engine.layers import SeedLinear
from replications.engine.training import train
from replications.papers.rnn_vs_transformer import tasks
from replications.papers.rnn_vs_transformer.fitting import clip_by_seed
from replications.papers.rnn_vs_transformer.learning import TEST_SEED
from replications.papers.rnn_vs_transformer.mixers import Mixer, Recurrent
from replications.papers.rnn_vs_transformer.model import make_mixer, seed_gradients
from replications.papers.rnn_vs_transformer.settings import Settings

LARGEST_LOSS = 100.0
"""What is recorded of a loss that is larger or no number: without clipping a training may diverge, and that is a result."""


def set_radius(layer: Recurrent, radius: float) -> None:
    """Scale every seed's recurrent matrix to a spectral radius, and set its biases to zero."""
    with torch.no_grad():
        for kernel in layer.cells:
            matrix = kernel.get_parameter("weight_hh_l0")
            matrix.mul_(radius / torch.linalg.eigvals(matrix.cpu()).abs().max().item())
            for bias in ("bias_ih_l0", "bias_hh_l0"):
                kernel.get_parameter(bias).zero_()


def gradient_by_distance(layer: Mixer, x: Tensor, out: Tensor) -> Tensor:
    """Norm of d loss_T / d h_t for T - t from 0 to n - 1, the batch's mean, (seeds, n).

    h_t is the carried state of a recurrent layer (for the LSTM h and c together) in total derivative through time, and for any other
    layer what it has of position t: its input there.

    Args:
        x: inputs (seeds, batch, n, width).
        out: direction that reads the loss off the last output, (seeds, batch, width).
    """
    if not isinstance(layer, Recurrent):
        inputs = x.detach().requires_grad_()
        (layer(inputs)[:, :, -1] * out).sum().backward()
        grown: Tensor = inputs.grad if inputs.grad is not None else torch.zeros_like(x)
        norms: Tensor = grown.norm(dim=-1).mean(1).flip(1)
        return norms
    state, kept = layer.start(x), []
    for x_t in x.unbind(2):
        _, after = layer.step(x_t, state)
        state = tuple(part.view_as(part) for part in after)  # nodes of their own: c's gradient is not also counted through h
        for part in state:
            part.retain_grad()
        kept.append(state)
    (state[0] * out).sum().backward()
    found = []
    for parts in kept[::-1]:
        squares = [part.grad.square().sum(-1) for part in parts if part.grad is not None]
        found.append(torch.stack(squares).sum(0).sqrt().mean(1))
    return torch.stack(found, 1)


def geometric_rate(norms: Tensor) -> tuple[Tensor, Tensor]:
    """Factor per step and R squared of a straight line through the log-norms, skipping the first tenth, both (seeds,)."""
    n = norms.shape[1]
    y = norms[:, n // 10 :].clamp_min(1e-37).double().log()
    x = torch.arange(y.shape[1], dtype=y.dtype, device=y.device) - (y.shape[1] - 1) / 2
    centred = y - y.mean(1, keepdim=True)
    slope = (centred * x).sum(1) / x.square().sum()
    left = (centred - slope.unsqueeze(1) * x).square().sum(1)
    return slope.exp(), 1 - left / centred.square().sum(1).clamp_min(1e-30)


def measure_gradients(settings: Settings, context: Context) -> None:
    """Gradients of every layer at initialisation; of the tanh-RNN also for every spectral radius; clipping's effect on direction."""
    length, batch = settings.task.length, settings.training.batch
    inputs = [torch.randn(batch, length, settings.width, generator=context.generator(s, "inputs", device="cpu")) for s in context.seeds]
    x = torch.stack(inputs).to(context.device)
    out = torch.stack([torch.randn(batch, settings.width, generator=context.generator(s, "loss", device="cpu")) for s in context.seeds])
    out = out.to(context.device)
    for name in settings.models:
        generators = [context.generator(seed, f"weights {name}", device="cpu") for seed in context.seeds]
        layer = make_mixer(name, settings.width, generators=generators, head_width=settings.head_width, state=settings.state)
        layer.to(context.device)
        norms = gradient_by_distance(layer, x, out)
        context.artifact(f"gradient.{name}", norms)
        context.record(f"kept.{name}", (norms[:, -1] / norms[:, 0]).clamp_min(1e-37))
        rate, fit = geometric_rate(norms)
        context.record(f"rate.{name}", rate)
        context.record(f"r_squared.{name}", fit)
    growth, singular = [], []
    for radius in settings.task.radii:
        generators = [context.generator(seed, "weights rnn", device="cpu") for seed in context.seeds]
        layer = Recurrent("rnn", settings.width, generators=generators)
        set_radius(layer, radius)
        layer.to(context.device)
        rate, _ = geometric_rate(gradient_by_distance(layer, 0.1 * x, out))
        growth.append(rate)
        singular.append(torch.stack([torch.linalg.matrix_norm(k.get_parameter("weight_hh_l0").detach(), 2) for k in layer.cells]))
    context.artifact("radii", torch.tensor(settings.task.radii))
    context.artifact("rate_by_radius", torch.stack(growth, 1))
    context.artifact("singular_by_radius", torch.stack(singular, 1))
    _record_prediction(settings, context, x)
    _record_cosines(settings, context, x, out)


def _record_prediction(settings: Settings, context: Context, x: Tensor) -> None:
    """Spectral radius times mean slope of the tanh-RNN measured under the name rnn, and its largest singular value."""
    generators = [context.generator(seed, "weights rnn", device="cpu") for seed in context.seeds]
    layer = Recurrent("rnn", settings.width, generators=generators).to(context.device)
    with torch.no_grad():
        slopes = (1 - layer(x).square()).mean((1, 2, 3))
        matrices = [kernel.get_parameter("weight_hh_l0").detach() for kernel in layer.cells]
        radius = torch.tensor([float(torch.linalg.eigvals(matrix.cpu()).abs().max()) for matrix in matrices])
        largest = torch.stack([torch.linalg.matrix_norm(matrix, 2) for matrix in matrices])
    context.record("predicted_rate.rnn", radius * slopes.cpu())
    context.record("spectral_radius.rnn", radius)
    context.record("singular_value.rnn", largest)


def _record_cosines(settings: Settings, context: Context, x: Tensor, out: Tensor) -> None:
    """Cosine between a gradient and itself, clipped by norm or clamped by element, to a tenth of its norm or largest element."""
    cosines: dict[bool, list[float]] = {True: [], False: []}
    for elements, found in cosines.items():
        generators = [context.generator(seed, "weights rnn", device="cpu") for seed in context.seeds]
        layer = Recurrent("rnn", settings.width, generators=generators).to(context.device)
        (layer(x)[:, :, -1] * out).sum().backward()
        for gradients in seed_gradients(layer, len(context.seeds)):
            before = torch.cat([gradient.flatten() for gradient in gradients])
            limit = float(before.abs().max() if elements else before.norm()) / 10
            clip_by_seed([gradients], limit, elements=elements)
            found.append(float(functional.cosine_similarity(before, torch.cat([g.flatten() for g in gradients]), dim=0)))
    context.record("cosine_clamped", cosines[True])
    context.record("cosine_clipped", cosines[False])


class OrderNet(nn.Module):
    """Symbols in, one of four classes out of the last position; no block, no residual: the layer alone carries the marks."""

    def __init__(self, settings: Settings, generators: list[torch.Generator]) -> None:
        super().__init__()
        width = settings.width
        self.embedding = SeedLinear(6, width, generators=generators)
        self.layer = make_mixer(settings.model, width, generators=generators, head_width=settings.head_width, state=settings.state)
        if isinstance(self.layer, Recurrent) and self.layer.cell == "rnn":
            set_radius(self.layer, settings.task.radii[0])
        self.head = SeedLinear(width, 4, generators=generators)

    def embed(self, tokens: Tensor) -> Tensor:
        """Vectors (nets, batch, n, width) of tokens (nets, batch, n)."""
        one_hot = functional.one_hot(tokens, 6).to(self.head.weight.dtype)
        vectors: Tensor = self.embedding(one_hot.flatten(1, 2))
        return vectors.view(*tokens.shape, -1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (nets, batch, 4)."""
        return self.head(self.layer(self.embed(tokens))[:, :, -1])


def train_order(settings: Settings, context: Context) -> None:
    """Temporal order: several networks a seed; the share that learns it, and their gradients before and after.

    A network that diverges stays as it is: its update is skipped where its gradient is no number, and it counts as a failure.
    """
    task, training = settings.task, settings.training
    nets = [(seed, trial) for seed in context.seeds for trial in range(task.trials)]
    model = OrderNet(settings, [context.generator(s, f"weights {settings.model} {t}", device="cpu") for s, t in nets]).to(context.device)
    optimiser: torch.optim.Optimizer
    if training.optimiser == "sgd":
        optimiser = torch.optim.SGD(model.parameters(), lr=training.learning_rate)
    else:
        optimiser = torch.optim.AdamW(model.parameters(), lr=training.learning_rate, weight_decay=0.0)
    data = [context.generator(seed, f"data {trial}") for seed, trial in nets]
    held = tasks.temporal_order(task.test_examples, task.length, context.generator(TEST_SEED, "validation order"))
    test_tokens, test_classes = tasks.temporal_order(task.test_examples, task.length, context.generator(TEST_SEED, "test order"))

    def step(_: int) -> Mapping[str, Tensor]:
        drawn = [tasks.temporal_order(training.batch, task.length, generator) for generator in data]
        tokens, classes = torch.stack([t for t, _ in drawn]), torch.stack([c for _, c in drawn])
        logits = model(tokens)
        loss = functional.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none").view(len(nets), -1).mean(1)
        optimiser.zero_grad()
        loss.sum().backward()
        by_net = seed_gradients(model, len(nets))
        if training.clip is not None:
            clip_by_seed(by_net, training.clip, elements=training.clip_elements)
        for gradients in by_net:
            finite = torch.stack([gradient.isfinite().all() for gradient in gradients]).all()
            for gradient in gradients:
                gradient.copy_(torch.where(finite, gradient, 0))
        optimiser.step()
        return {"loss": _by_seed(loss.detach().nan_to_num(LARGEST_LOSS).clamp_max(LARGEST_LOSS), context)}

    @torch.no_grad()
    def right(tokens: Tensor, classes: Tensor) -> Tensor:
        logits: Tensor = model(tokens.expand(len(nets), -1, -1))
        return (logits.argmax(-1) == classes).float().mean(1)

    def evaluate(done: int) -> None:
        context.record("accuracy", _by_seed(right(*held), context), split="validation", step=done)

    before = _gradients_now(model, test_tokens[: training.batch], len(nets))
    state: dict[str, Stateful] = {"model": model, "optimiser": optimiser, "data": Generators(data)}
    train(
        context,
        step,
        n_steps=training.steps,
        state=state,
        examples_per_step=training.batch * len(nets),
        flops_per_step=3 * model.layer.flops(task.length) * training.batch * len(nets),
        tokens_per_step=training.batch * len(nets) * task.length,
        evaluate=evaluate,
        evaluate_every=max(1, training.steps // training.evaluations),
    )
    accuracy = right(test_tokens, test_classes)
    context.record("accuracy", _by_seed(accuracy, context))
    context.record("success", _by_seed((accuracy >= task.target).float(), context))
    context.artifact("accuracy_by_trial", accuracy.view(len(context.seeds), -1))
    context.artifact("gradient_before", before.view(len(context.seeds), task.trials, -1))
    after = _gradients_now(model, test_tokens[: training.batch], len(nets))
    context.artifact("gradient_after", after.view(len(context.seeds), task.trials, -1))


def _by_seed(values: Tensor, context: Context) -> Tensor:
    """Mean over a seed's trials, (seeds,)."""
    return values.view(len(context.seeds), -1).mean(1)


def _gradients_now(model: OrderNet, tokens: Tensor, nets: int) -> Tensor:
    """Gradient norms by distance of every network on the same sequences, (nets, n), reading along the class weights' sum."""
    with torch.no_grad():
        x = model.embed(tokens.expand(nets, -1, -1))
    out = model.head.weight.detach().mean(2).unsqueeze(1).expand(-1, len(tokens), -1)
    norms = gradient_by_distance(model.layer, x, out).detach().nan_to_num(0.0)
    model.zero_grad(set_to_none=True)
    return norms
