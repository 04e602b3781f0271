"""Exact statements about whole networks: parallel form against steps, numbers carried from one position to the next, and RWKV-4's sums."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from replications.engine.context import Context
from replications.engine.layers import SeedLinear, seeded_uniform
from replications.papers.rnn_vs_transformer.model import SequenceModel
from replications.papers.rnn_vs_transformer.rwkv import LOWEST, wkv_by_sums, wkv_step
from replications.papers.rnn_vs_transformer.settings import Network, Settings

VOCABULARY, BATCH = 64, 4


def measure_forms(settings: Settings, context: Context) -> None:
    """Record the difference between a network's two forms, its state by context length, and that between RWKV-4's sums and recurrence.

    Args:
        settings: settings of the run; networks have `layers` blocks, sequences `task.length` positions, contexts the lengths of `sweep`.
        context: receives the records.
    """
    for network in settings.models:
        errors = [form_error(settings, context, network, seed) for seed in context.seeds]
        context.record("form_error", errors, model=network.name)
        for n, numbers in carried_numbers(settings, context, network).items():
            per_block = numbers / (settings.width * settings.layers)
            context.record("state_over_width", [per_block] * len(errors), model=network.name, axis="length", at=n)
    context.record("sums_error", [sums_error(settings, context, seed) for seed in context.seeds], model="rwkv4")


def _network(settings: Settings, context: Context, network: Network, seed: int) -> SequenceModel:
    """Return a network whose matrices are all drawn anew, because those of RWKV-4 start with an output of zero."""
    generator = context.generator(seed, f"forms {network.name}", device="cpu")
    model = SequenceModel(
        network,
        VOCABULARY,
        settings.width,
        settings.layers,
        generators=[generator],
        head_width=settings.head_width,
        n_positions=max([settings.task.length, *settings.sweep.values]),
    )
    with torch.no_grad():
        for linear in (module for module in model.modules() if isinstance(module, SeedLinear)):
            n_in, n_out = linear.weight.shape[1:]
            linear.weight.copy_(seeded_uniform((n_in, n_out), math.sqrt(3 / n_in), [generator]))
    return model.to(context.device)


@torch.no_grad()
def form_error(settings: Settings, context: Context, network: Network, seed: int) -> float:
    """Return the largest difference between a network's logits for all positions at once and step by step, in float32.

    Args:
        settings: settings of the run.
        context: provides device and generators.
        network: the network.
        seed: the seed.

    Returns:
        Relative to the largest logit.
    """
    model, n = _network(settings, context, network, seed), settings.task.length
    drawn = torch.randint(VOCABULARY, (1, BATCH, n), generator=context.generator(seed, "forms tokens", device="cpu"))
    tokens = drawn.to(context.device)
    states, stepped = model.start(tokens), []
    for t in range(n):
        logits, states = model.step(tokens[:, :, t], states, t)
        stepped.append(logits)
    by_steps = torch.stack(stepped, 2)
    return float((model(tokens) - by_steps).abs().max() / by_steps.abs().max())


@torch.no_grad()
def carried_numbers(settings: Settings, context: Context, network: Network) -> dict[int, int]:
    """Return how many numbers a network carries from one position to the next, counted in the states of its steps.

    An exponent that several sums share counts as a number.

    Args:
        settings: settings of the run.
        context: provides device and generators.
        network: the network.

    Returns:
        Length of the context -> numbers per sequence.
    """
    model = _network(settings, context, network, context.seeds[0])
    token = torch.zeros(1, 1, dtype=torch.int64, device=context.device)
    states, counts = model.start(token), {}
    for t in range(max(settings.sweep.values)):
        _, states = model.step(token, states, t)
        if t + 1 in settings.sweep.values:
            counts[t + 1] = sum(part.numel() for state in states for part in state)
    return counts


def sums_error(settings: Settings, context: Context, seed: int) -> float:
    """Return the largest difference between RWKV-4's wkv by its sums and by the recurrence, over positions 1 to `task.length`, in float64.

    Args:
        settings: settings of the run.
        context: provides generators.
        seed: the seed.

    Returns:
        Relative to the largest value.
    """
    generator, width = context.generator(seed, "forms sums", device="cpu"), settings.width

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, width, generator=generator, dtype=torch.float64)

    k, v, u, decay = draw(1, BATCH, settings.task.length), draw(1, BATCH, settings.task.length), draw(1, 1), draw(1, 1).exp()
    zero = torch.zeros(1, BATCH, width, dtype=torch.float64)
    state: tuple[Tensor, ...] = (zero, zero, torch.full_like(zero, LOWEST))
    stepped = []
    for t in range(settings.task.length):
        wkv, state = wkv_step(k[:, :, t], v[:, :, t], decay, u, state)
        stepped.append(wkv)
    by_sums = wkv_by_sums(k, v, decay, u)
    return float((torch.stack(stepped, 2) - by_sums).abs().max() / by_sums.abs().max())
