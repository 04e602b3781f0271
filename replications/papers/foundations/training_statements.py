"""Exact statements on training: the loss of all positions at once, clipping, and what skips and cells carry through many layers."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from replications.papers.foundations.attention_statements import TOKENS, WIDTH
from replications.papers.foundations.model import MemoryCell, Projections, memory_step, rnn_states, self_attention
from replications.papers.foundations.recurrent_statements import HIDDEN, INPUTS, LENGTH, apart, normal

WORDS = 10
CLIP_NORM = 1.0
OPEN = 1000.0
"""Weight of a constant input at which a sigmoid is 1 to the last digit."""
DEPTHS = (1, 10, 20, 30, 40, 50)


def masked_loss_is_stepwise_losses(generator: torch.Generator) -> float:
    """The loss of all positions under a causal mask is the mean of one loss per prefix, and so is its gradient.

    Args:
        generator: source of the case.

    Returns:
        Largest difference of the two losses, and of their gradients in every weight.
    """
    weights = [
        normal(WORDS, WIDTH, generator=generator),
        *normal(3, WIDTH, WIDTH, generator=generator),
        normal(WIDTH, WORDS, generator=generator),
    ]
    text = torch.randint(WORDS, (TOKENS + 1,), generator=generator)

    def scores(words: Tensor, mask: Tensor | None, table: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor, w_out: Tensor) -> Tensor:
        return torch.log_softmax(self_attention(table[words], Projections(w_q, w_k, w_v), mask) @ w_out, dim=-1)

    def together(*parameters: Tensor) -> Tensor:
        logarithms = scores(text[:-1], torch.ones(TOKENS, TOKENS).tril().bool(), *parameters)
        return -logarithms[torch.arange(TOKENS), text[1:]].mean()

    def one_by_one(*parameters: Tensor) -> Tensor:
        losses = [-scores(text[: t + 1], None, *parameters)[-1, text[t + 1]] for t in range(TOKENS)]
        return torch.stack(losses).mean()

    def value_and_gradients(loss: Callable[..., Tensor]) -> list[Tensor]:
        parameters = [weight.clone().requires_grad_() for weight in weights]
        value = loss(*parameters)
        return [value.detach(), *torch.autograd.grad(value, parameters)]

    return max(apart(a, b) for a, b in zip(value_and_gradients(together), value_and_gradients(one_by_one), strict=True))


def gradient_by_step(singular_value: float, scale: float, generator: torch.Generator) -> Tensor:
    """Return what each step adds to the gradient of the recurrent weights of a tanh network whose loss is at the last step.

    Args:
        singular_value: all singular values of the recurrent matrix.
        scale: deviation of the first state and of what the inputs add; small, so that tanh is nearly linear.
        generator: source of the case.

    Returns:
        Shape (steps, hidden, hidden); the sum over steps is the gradient.
    """
    orthogonal = torch.linalg.qr(normal(HIDDEN, HIDDEN, generator=generator))[0]
    w_xh, w_hh = scale * normal(HIDDEN, INPUTS, generator=generator), singular_value * orthogonal
    copies = [w_hh.clone().requires_grad_() for _ in range(LENGTH)]
    states = rnn_states(normal(LENGTH, INPUTS, generator=generator), w_xh, copies, scale * normal(HIDDEN, generator=generator))
    return torch.stack(torch.autograd.grad(states[-1].sum(), copies))


def _clipped(gradient: Tensor) -> Tensor:
    """Return a gradient after torch has clipped it to the norm `CLIP_NORM`."""
    weight = torch.nn.Parameter(torch.zeros_like(gradient))
    weight.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_([weight], CLIP_NORM)
    return weight.grad


def clipping_keeps_vanished_gradients(generator: torch.Generator) -> float:
    """Where gradients vanish their norm stays below the bound, and clipping returns them bit by bit.

    Args:
        generator: source of the case: a tanh network whose singular values are all one half, with small inputs.

    Returns:
        Largest difference that clipping makes to the gradient of all steps, or to that of the first step.
    """
    parts = gradient_by_step(0.5, 0.01, generator)
    return max(apart(_clipped(gradient), gradient) for gradient in (parts.sum(dim=0), parts[0]))


def clipping_keeps_shares(generator: torch.Generator) -> float:
    """Where gradients explode clipping divides the parts of all steps by one number: what was a thousandth remains a thousandth.

    Args:
        generator: source of the case: a tanh network whose singular values are all three, with smaller inputs.

    Returns:
        Largest difference between the clipped gradient of all steps and the sum of their parts over one number, their common norm.
    """
    parts = gradient_by_step(3.0, 1e-4, generator)
    norm = math.sqrt(sum(float(entry) ** 2 for entry in parts.sum(dim=0).flatten()))
    # torch adds 1e-6 to the norm before it divides.
    shares = torch.stack([part * CLIP_NORM / (norm + 1e-6) for part in parts]) if norm > CLIP_NORM else parts
    return apart(_clipped(parts.sum(dim=0)), shares.sum(dim=0))


def _constant_input(weights: Tensor, gates: dict[int, float]) -> Tensor:
    """Return input weights with one more column, for an input that is always 1: a bias for each of these gates."""
    column = torch.zeros(*weights.shape[:2], 1, dtype=torch.float64)
    for gate, value in gates.items():
        column[gate] = value
    return torch.cat([weights, column], dim=2)


def open_cell_is_residual_network(generator: torch.Generator) -> float:
    """With forget and output gates open the cell of an LSTM is a residual network over time: c = c + F(c), and J = prod(I + F').

    Args:
        generator: source of the case.

    Returns:
        Largest difference of the contents after all steps, and of their Jacobians.
    """
    w, u = normal(4, HIDDEN, INPUTS, generator=generator), normal(4, HIDDEN, HIDDEN, generator=generator) / HIDDEN
    w[1:3], u[1:3] = 0, 0  # forget and output gates read nothing but the constant
    cell = MemoryCell(_constant_input(w, {1: OPEN, 2: OPEN}), u)
    inputs, start = normal(LENGTH, INPUTS, generator=generator), normal(HIDDEN, generator=generator)

    def content(c: Tensor) -> Tensor:
        h = torch.tanh(c)
        for x in inputs:
            h, c, _ = memory_step(cell, torch.cat([x, torch.ones(1, dtype=torch.float64)]), h, c)
        return c

    stream, product = start, torch.eye(HIDDEN, dtype=torch.float64)
    for x in inputs:
        h = torch.tanh(stream)
        i, g = torch.sigmoid(w[0] @ x + u[0] @ h), torch.tanh(w[3] @ x + u[3] @ h)
        slope = ((i * (1 - i) * g).unsqueeze(1) * u[0] + (i * (1 - g.square())).unsqueeze(1) * u[3]) * (1 - h.square())
        product = product + slope @ product  # (I + F') product
        stream = stream + i * g
    return max(apart(content(start), stream), apart(torch.autograd.functional.jacobian(content, start), product))


def gradient_by_depth(kind: str, generator: torch.Generator, width: int = 16) -> dict[int, float]:
    """Return how much gradient reaches back through many layers or steps of a random network.

    Args:
        kind: 'plain', h = tanh(W h); 'residual', h = h + tanh(W h); 'cell', an LSTM whose forget gates start at sigmoid(3) = 0.95.
        generator: source of weights (uniform within 1 / sqrt(width), as torch starts its recurrent layers), inputs and start.
        width: units of each layer.

    Returns:
        For each of `DEPTHS` the norm of the gradient of the summed output, so many layers before it, over that at the output itself.
    """
    layers = max(DEPTHS)

    def uniform(*shape: int) -> Tensor:
        return (2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1) / math.sqrt(width)

    w, cell = uniform(layers, width, width), MemoryCell(_constant_input(uniform(4, width, 1), {1: 3.0}), uniform(4, width, width))
    inputs = normal(layers, 1, generator=generator)
    carried = h = normal(width, generator=generator).requires_grad_()
    streams = [carried]
    for layer in range(layers):
        if kind == "cell":
            x = torch.cat([inputs[layer], torch.ones(1, dtype=torch.float64)])
            h, carried, _ = memory_step(cell, x, h, carried)
        else:
            carried = torch.tanh(w[layer] @ carried) + (carried if kind == "residual" else 0)
        streams.append(carried)
    gradients = torch.autograd.grad(streams[-1].sum(), streams)
    return {depth: float(gradients[layers - depth].norm() / gradients[layers].norm()) for depth in DEPTHS}
