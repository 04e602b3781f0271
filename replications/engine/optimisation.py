"""Parts of an optimiser's step: learning-rate schedules, groups with weight decay, gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Schedule = Literal["constant", "cosine", "linear"]


RATE_FACTOR = "rate_factor"
"""Key of a parameter group whose learning rate is this multiple of that of the others."""


def cosine(step: int, n_steps: int, *, warmup: int = 0, floor: float = 0.0) -> float:
    """Return the factor of a linear warm-up that is followed by half a cosine (Loshchilov and Hutter 2017, equation 5, one period).

    Args:
        step: number of the update, from 0.
        n_steps: updates of the whole training.
        warmup: updates over which the rate rises.
        floor: factor at the end, in [0, 1].

    Returns:
        A factor in [0, 1].

    >>> cosine(0, 100), round(cosine(50, 100), 3), round(cosine(99, 100), 3)
    (1.0, 0.5, 0.0)
    """
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, n_steps - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def linear(step: int, n_steps: int, *, warmup: int = 0) -> float:
    """Return the factor of a linear warm-up that is followed by a straight line to zero.

    Args:
        step: number of the update, from 0.
        n_steps: updates of the whole training.
        warmup: updates over which the rate rises.

    Returns:
        A factor in [0, 1].
    """
    return (step + 1) / warmup if step < warmup else (n_steps - step) / max(1, n_steps - warmup)


def schedule_factor(kind: Schedule, step: int, n_steps: int, *, warmup_share: float = 0.0, floor: float = 0.0) -> float:
    """Return the factor on the peak learning rate at one update.

    Args:
        kind: course after the warm-up. A constant rate has neither warm-up nor floor.
        step: number of the update, from 0.
        n_steps: updates of the whole training.
        warmup_share: share of the updates with linear warm-up, in [0, 1); a share above 0 is at least one update.
        floor: last factor of the cosine schedule, in [0, 1].

    Returns:
        A factor in [0, 1].

    >>> schedule_factor("linear", 5, 10)
    0.5
    """
    if kind == "constant":
        return 1.0
    warmup = max(1, round(warmup_share * n_steps)) if warmup_share else 0
    if kind == "cosine":
        return cosine(step, n_steps, warmup=warmup, floor=floor)
    return linear(step, n_steps, warmup=warmup)


def set_learning_rate(optimiser: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of every parameter group, times the group's `RATE_FACTOR` if it has one.

    A rate that is a tensor is overwritten in place, so that a captured graph reads the new value.

    Args:
        optimiser: changed in place.
        value: learning rate of a group without a factor.
    """
    for group in optimiser.param_groups:
        rate = value * group.get(RATE_FACTOR, 1.0)
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def decay_groups(module: nn.Module, weight_decay: float, *, exclude: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return an optimiser's two parameter groups: matrices and filters with weight decay, all others without.

    Args:
        module: network whose parameters are optimised.
        weight_decay: decay of the first group.
        exclude: parts of parameter names; a parameter whose name contains one is not decayed.

    Returns:
        Two groups, each in the order of `module.named_parameters()`.
    """
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        matrix = parameter.ndim >= 2 and not any(part in name for part in exclude)
        (decayed if matrix else others).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def gradients_per_seed(parameters: Iterable[nn.Parameter]) -> list[list[Tensor]]:
    """Return views of each seed's gradients.

    Args:
        parameters: of shape (seeds, ...); those without a gradient are left out.

    Returns:
        One list of gradients per seed, in the order of the parameters.
    """
    by_parameter = [parameter.grad.unbind(0) for parameter in parameters if parameter.grad is not None]
    return [list(gradients) for gradients in zip(*by_parameter, strict=True)]


def clip_norm_per_seed(by_seed: Iterable[list[Tensor]], largest: float) -> Tensor:
    """Scale each seed's gradient in place to a norm of at most `largest`, independently of the other seeds.

    Args:
        by_seed: all gradients of each seed, as tensors of any shapes.
        largest: largest norm over all gradients of one seed.

    Returns:
        Norm of each seed before clipping, (seeds,).
    """
    norms = []
    for gradients in by_seed:
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        torch._foreach_mul_(gradients, torch.clamp(largest / (norm + 1e-12), max=1.0))
        norms.append(norm)
    return torch.stack(norms)


def clip_value(parameters: Iterable[nn.Parameter], largest: float) -> None:
    """Clamp every element of the gradients in place to [-largest, largest].

    Args:
        parameters: of any shape; those without a gradient are left out.
        largest: largest absolute value of an element.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    torch._foreach_clamp_min_(gradients, -largest)
    torch._foreach_clamp_max_(gradients, largest)
