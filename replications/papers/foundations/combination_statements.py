"""Exact statements on how parts are combined: heads, what and where, and how far layers reach."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from replications.papers.foundations.attention_statements import TOKENS, WIDTH
from replications.papers.foundations.model import Projections, self_attention
from replications.papers.foundations.recurrent_statements import apart, normal

HEADS = 3
KERNEL, LAYERS = 3, 4
REACH = LAYERS * (KERNEL - 1) // 2
"""Positions on either side that a stack of convolutions reads."""


def heads_are_a_sum(generator: torch.Generator) -> float:
    """Concatenating heads and multiplying with one matrix is a sum over heads, each with its own slice of that matrix.

    Args:
        generator: source of the case.

    Returns:
        Largest difference.
    """
    x, width = normal(TOKENS, WIDTH, generator=generator), WIDTH // HEADS
    w_q, w_k, w_v = normal(3, HEADS, WIDTH, width, generator=generator)
    w_o = normal(WIDTH, WIDTH, generator=generator)
    heads = [self_attention(x, Projections(w_q[k], w_k[k], w_v[k])) for k in range(HEADS)]
    summed = sum((heads[k] @ w_o[k * width : (k + 1) * width] for k in range(HEADS)), torch.zeros_like(x))
    return apart(torch.cat(heads, dim=1) @ w_o, summed)


def concatenation_is_addition(generator: torch.Generator) -> float:
    """A linear layer on two vectors side by side is the sum of one linear layer on each: to concatenate and to add are one model.

    Args:
        generator: source of the case.

    Returns:
        Largest difference.
    """
    what, where = normal(2, TOKENS, WIDTH, generator=generator)
    both = normal(WIDTH, 2 * WIDTH, generator=generator)
    together = functional.linear(torch.cat([what, where], dim=1), both)
    return apart(together, functional.linear(what, both[:, :WIDTH]) + functional.linear(where, both[:, WIDTH:]))


def _bound(generator: torch.Generator, combine: str) -> float:
    """Return how far the sums over glimpses are apart when two glimpses exchange their places, by a linear glimpse network."""
    what, where = normal(2, 2, WIDTH, generator=generator)
    f_what, f_where = normal(2, WIDTH, WIDTH, generator=generator)

    def summed(places: Tensor) -> Tensor:
        seen, placed = what @ f_what, places @ f_where
        return (seen * placed if combine == "multiply" else seen + placed).sum(dim=0)

    return apart(summed(where), summed(where.flip(0)))


def added_glimpses_forget_pairs(generator: torch.Generator) -> float:
    """A sum of what and where, added over glimpses, is the same whichever thing was at whichever place.

    Args:
        generator: source of the case.

    Returns:
        Largest difference between two glimpses and the same two with their places exchanged.
    """
    return _bound(generator, "add")


def multiplied_glimpses_keep_pairs(generator: torch.Generator) -> float:
    """A product of what and where, added over glimpses, says which thing was at which place.

    Args:
        generator: source of the case.

    Returns:
        Largest difference between two glimpses and the same two with their places exchanged.
    """
    return _bound(generator, "multiply")


def convolution_stops_at_its_reach(generator: torch.Generator) -> float:
    """What lies beyond the receptive field of a stack of convolutions does not change its output by a bit.

    Args:
        generator: source of the case.

    Returns:
        Largest difference at a position when all that is further away than four layers of three taps reach is replaced.
    """
    row, other = normal(2, 1, WIDTH, 4 * REACH, generator=generator)
    kernels = normal(LAYERS, WIDTH, WIDTH, KERNEL, generator=generator)
    changed = torch.cat([row[..., : REACH + 1], other[..., REACH + 1 :]], dim=-1)

    def first(x: Tensor) -> Tensor:
        for kernel in kernels:
            x = torch.tanh(functional.conv1d(x, kernel, padding=KERNEL // 2))
        return x[..., 0]

    return apart(first(row), first(changed))


def attention_reaches_everything(generator: torch.Generator) -> float:
    """One layer of attention changes its output when the token furthest away changes.

    Args:
        generator: source of the case.

    Returns:
        Largest difference at the first token when the last is replaced.
    """
    x, projections = normal(4 * REACH, WIDTH, generator=generator), Projections(*(normal(3, WIDTH, WIDTH, generator=generator) / WIDTH))
    changed = torch.cat([x[:-1], normal(1, WIDTH, generator=generator)])
    return apart(self_attention(x, projections)[0], self_attention(changed, projections)[0])
