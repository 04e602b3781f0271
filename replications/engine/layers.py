"""Layers used by more than one paper: networks of many seeds as one, with a leading seed axis.

A small network leaves a device idle. Trained as (seeds, batch, features) x (seeds, in, out), all seeds of a run are one
batched product, and each still has its own parameters, data and gradients: no term of one seed's loss touches another's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from replications.errors import InputError


def seeded_uniform(shape: Sequence[int], bound: float, generators: Sequence[torch.Generator]) -> Tensor:
    """Uniform numbers in [-bound, bound), one generator per seed.

    Args:
        shape: of one seed's tensor.
        bound: largest absolute value.
        generators: on the CPU, so that initial weights do not depend on the device.

    Returns:
        (seeds, *shape).

    Raises:
        InputError: there is no seed.
    """
    if not generators:
        raise InputError("A network for zero seeds was asked for. Give at least one seed.")
    return torch.stack([torch.rand(*shape, generator=generator) for generator in generators]).mul_(2 * bound).sub_(bound)


class SeedLinear(nn.Module):
    """A linear layer per seed, as one batched product.

    Weights start uniform in +-gain / sqrt(n_in), biases at zero. A gain of sqrt(6) keeps the size of what ReLU layers pass
    on (He et al. 2015); that of `torch.nn.Linear` is 1.

    Args:
        n_in: width of the inputs.
        n_out: width of the outputs.
        generators: one per seed, on the CPU.
        gain: of the initial weights.
        bias: add a bias.
    """

    def __init__(self, n_in: int, n_out: int, *, generators: Sequence[torch.Generator], gain: float = 1.0, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(seeded_uniform((n_in, n_out), gain / math.sqrt(n_in), generators))
        self.bias = nn.Parameter(torch.zeros(len(generators), 1, n_out)) if bias else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return x W + b of every seed.

        Args:
            inputs: (seeds, n, n_in).

        Returns:
            (seeds, n, n_out).
        """
        if self.bias is None:
            return torch.bmm(inputs, self.weight)
        return torch.baddbmm(self.bias, inputs, self.weight)


class _KnownLinearReLU(torch.autograd.Function):
    """ReLU(x W + b) whose value was computed before: forward hands it out, backward is one product over all rows."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # noqa: ARG004 (autograd needs it)
        ctx.save_for_backward(value, inputs, weight)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        value, inputs, weight = ctx.saved_tensors
        before = torch.ops.aten.threshold_backward(gradients[0], value, 0)
        back = torch.bmm(before, weight.mT) if ctx.needs_input_grad[1] else None
        return None, back, torch.bmm(inputs.mT, before), before.sum(1, keepdim=True)


def known_linear_relu(value: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return `value` with the gradient of ReLU(inputs @ weight + bias), which it must equal.

    A recurrent network that must run step by step (its next input depends on its state) can run without gradients, and
    then get them for all steps at once: one large product per layer instead of one small one per step.

    Args:
        value: (seeds, n, n_out); n may run over steps and batch.
        inputs: (seeds, n, n_in).
        weight: (seeds, n_in, n_out).
        bias: (seeds, 1, n_out).

    Returns:
        (seeds, n, n_out).
    """
    return _KnownLinearReLU.apply(value, inputs, weight, bias)


class _KnownReLURecurrence(torch.autograd.Function):
    """h_t = ReLU(x_t V + h_{t-1} U + b), computed before; backward walks the steps once, then one product per weight."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *parts: Tensor) -> Tensor:
        ctx.save_for_backward(value, *parts)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        value, inputs, input_weight, weight, _ = ctx.saved_tensors
        n_seeds, n_steps, _, width = value.shape
        transposed = weight.mT
        before: list[Tensor] = []
        for step in reversed(range(n_steps)):
            arriving = gradients[0][:, step]
            if before:
                arriving = torch.baddbmm(arriving, before[-1], transposed)
            before.append(torch.ops.aten.threshold_backward(arriving, value[:, step], 0))
        stacked = torch.stack(before[::-1], dim=1)
        rows = stacked.view(n_seeds, -1, width)
        flat = inputs.reshape(n_seeds, -1, inputs.shape[-1])
        earlier = value[:, :-1].reshape(n_seeds, -1, width)
        later = stacked[:, 1:].reshape(n_seeds, -1, width)
        to_inputs = torch.bmm(rows, input_weight.mT).view_as(inputs) if ctx.needs_input_grad[1] else None
        return None, to_inputs, torch.bmm(flat.mT, rows), torch.bmm(earlier.mT, later), rows.sum(1, keepdim=True)


def known_relu_recurrence(value: Tensor, inputs: Tensor, input_weight: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return `value` with the gradient of h_t = ReLU(inputs_t @ input_weight + h_{t-1} @ weight + bias), h_0 = 0, which it must equal.

    Args:
        value: (seeds, steps, n, hidden).
        inputs: (seeds, steps, n, n_in).
        input_weight: (seeds, n_in, hidden).
        weight: (seeds, hidden, hidden).
        bias: (seeds, 1, hidden).

    Returns:
        (seeds, steps, n, hidden).
    """
    return _KnownReLURecurrence.apply(value, inputs, input_weight, weight, bias)
