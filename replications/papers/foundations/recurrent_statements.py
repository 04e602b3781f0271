"""Exact statements on recurrent networks. Each function makes a random case and returns how far its two sides are apart."""

from __future__ import annotations

import torch
from torch import Tensor

from replications.papers.foundations.data import LONGEST, all_strings, repeated_ones
from replications.papers.foundations.model import (
    Detector,
    GatedUnit,
    MemoryCell,
    detector_outputs,
    gated_step,
    memory_step,
    rnn_states,
)

LENGTH, HIDDEN, INPUTS = 12, 6, 4


def normal(*shape: int, generator: torch.Generator) -> Tensor:
    """Return standard normal numbers in float64.

    Args:
        shape: of the result.
        generator: their source.

    Returns:
        Tensor of that shape.
    """
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def apart(left: Tensor, right: Tensor) -> float:
    """Return the largest absolute difference of two tensors of equal shape.

    Args:
        left: any shape.
        right: the same shape.

    Returns:
        0 where they are equal bit by bit.

    Raises:
        ValueError: the shapes differ.
    """
    if left.shape != right.shape:
        raise ValueError(f"shapes {tuple(left.shape)} and {tuple(right.shape)} cannot be compared element by element")
    return float((left - right).abs().max())


def wrong_strings(detector: Detector) -> int:
    """The hand-made network says where a one follows a one, on all 8,190 strings of length 1 to 12.

    Args:
        detector: weights of one network.

    Returns:
        Number of strings with a wrong output at any step; an output above one half says 'repeated'.
    """
    wrong = 0
    for length in range(1, LONGEST + 1):
        strings = all_strings(length)
        answers = (detector_outputs(detector, strings) > 0.5).double()
        wrong += int((answers != repeated_ones(strings)).any(dim=1).sum())
    return wrong


def _gated_run(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return first and last state, gates and candidates of a random gated unit on a random sequence."""
    unit = GatedUnit(normal(3, HIDDEN, INPUTS, generator=generator), normal(3, HIDDEN, HIDDEN, generator=generator))
    first = h = normal(HIDDEN, generator=generator)
    gates, candidates = [], []
    for x in normal(LENGTH, INPUTS, generator=generator):
        h, z, c = gated_step(unit, x, h)
        gates.append(z)
        candidates.append(c)
    return first, h, torch.stack(gates), torch.stack(candidates)


def _gated_weights(z: Tensor) -> Tensor:
    """Return the weights of first state and candidates in the last state: prod(1 - z), and z_i prod_{j > i}(1 - z_j)."""
    kept = torch.stack([(1 - z[i:]).prod(dim=0) for i in range(len(z) + 1)])
    return torch.cat([kept[:1], z * kept[1:]])


def gated_state_is_weighted_sum(generator: torch.Generator) -> float:
    """The last state of a GRU is a weighted sum of its first state and of all candidates.

    Args:
        generator: source of the case.

    Returns:
        Largest difference from h_T = prod(1 - z) h_0 + sum_i z_i prod_{j > i}(1 - z_j) c_i.
    """
    first, last, z, c = _gated_run(generator)
    return apart((_gated_weights(z) * torch.cat([first.unsqueeze(0), c])).sum(dim=0), last)


def gated_weights_sum_to_one(generator: torch.Generator) -> float:
    """These weights sum to one in every unit, as those of attention do.

    Args:
        generator: source of the case.

    Returns:
        Largest difference of a sum from 1.
    """
    total = _gated_weights(_gated_run(generator)[2]).sum(dim=0)
    return apart(total, torch.ones_like(total))


def _cell_gradient(generator: torch.Generator, *, through_state: bool) -> tuple[Tensor, Tensor]:
    """Return dc_T/dc_0, summed over outputs, and the product of the forget gates."""
    w, u = normal(4, HIDDEN, INPUTS, generator=generator), normal(4, HIDDEN, HIDDEN, generator=generator)
    cell = MemoryCell(w / INPUTS**0.5, u / HIDDEN**0.5)  # gates neither open nor shut
    c = start = normal(HIDDEN, generator=generator).requires_grad_()
    h, product = normal(HIDDEN, generator=generator), torch.ones(HIDDEN, dtype=torch.float64)
    for x in normal(LENGTH, INPUTS, generator=generator):
        h, c, f = memory_step(cell, x, h if through_state else h.detach(), c)
        product = product * f.detach()
    return torch.autograd.grad(c.sum(), start)[0], product


def cell_gradient_is_product_of_gates(generator: torch.Generator) -> float:
    """Through the cell alone, gates held constant, the gradient of an LSTM is the product of its forget gates.

    Args:
        generator: source of the case.

    Returns:
        Largest difference of dc_T/dc_0 over that product from 1.
    """
    gradient, product = _cell_gradient(generator, through_state=False)
    return apart(gradient / product, torch.ones_like(product))


def cell_gradient_rest(generator: torch.Generator) -> float:
    """The whole gradient has a further part, through the state that the gates see.

    Args:
        generator: source of the case.

    Returns:
        Norm of that part over the norm of the product of forget gates.
    """
    whole, product = _cell_gradient(generator, through_state=True)
    return float((whole - product).norm() / product.norm())


def shared_gradient_is_sum_over_steps(generator: torch.Generator) -> float:
    """The gradient of weights that all steps share is the sum of the gradients of one copy per step (Werbos 1990).

    Args:
        generator: source of the case.

    Returns:
        Largest difference between the two.
    """
    w_xh, w_hh = normal(HIDDEN, INPUTS, generator=generator), normal(HIDDEN, HIDDEN, generator=generator)
    x, h = normal(LENGTH, INPUTS, generator=generator), normal(HIDDEN, generator=generator)
    shared = w_hh.clone().requires_grad_()
    (whole,) = torch.autograd.grad(rnn_states(x, w_xh, shared, h).sum(), shared)
    copies = [w_hh.clone().requires_grad_() for _ in range(LENGTH)]
    parts = torch.autograd.grad(rnn_states(x, w_xh, copies, h).sum(), copies)
    return apart(whole, torch.stack(parts).sum(dim=0))


def jacobian_bound_excess(generator: torch.Generator) -> float:
    """The Jacobian over T steps is at most (largest singular value x largest slope) to the power T (Pascanu et al. 2013).

    Args:
        generator: source of the case.

    Returns:
        Share by which the norm exceeds the bound; 0 where it does not.
    """
    w_xh = normal(HIDDEN, INPUTS, generator=generator)
    w_hh = normal(HIDDEN, HIDDEN, generator=generator) * torch.rand((), generator=generator, dtype=torch.float64)
    states = rnn_states(normal(LENGTH, INPUTS, generator=generator), w_xh, w_hh, normal(HIDDEN, generator=generator))
    product = torch.eye(HIDDEN, dtype=torch.float64)
    for slopes in 1 - states.square():  # derivative of tanh, at most 1
        product = slopes.unsqueeze(1) * w_hh @ product
    largest = torch.linalg.matrix_norm(w_hh, 2) * (1 - states.square()).max()
    return max(0.0, float(torch.linalg.matrix_norm(product, 2) / largest**LENGTH) - 1)


def nilpotent_product(singular_value: float = 2.0) -> float:
    """A singular value above one is necessary for explosion, not sufficient: a chain of units forgets all the same.

    Args:
        singular_value: largest singular value of the recurrent matrix, above 1.

    Returns:
        Norm of the Jacobian over as many steps as there are units: 0, where the bound is `singular_value` to that power.
    """
    chain = singular_value * torch.diag(torch.ones(HIDDEN - 1, dtype=torch.float64), -1)
    return float(torch.linalg.matrix_norm(torch.linalg.matrix_power(chain, HIDDEN), 2))


def truncated_gradient(x: Tensor, w_xh: Tensor, w_hh: Tensor, window: int) -> Tensor:
    """Return the gradient of the summed states by back-propagation that ends at the border of each window (Williams and Peng 1990).

    Args:
        x: inputs, shape (length, inputs).
        w_xh: shape (hidden, inputs).
        w_hh: shape (hidden, hidden).
        window: steps per window; the length or more: the full gradient.

    Returns:
        Gradient of `w_hh`, of its shape.
    """
    h, total = torch.zeros(len(w_hh), dtype=torch.float64), torch.zeros_like(w_hh)
    for part in x.split(window):
        weights = w_hh.detach().clone().requires_grad_()
        states = rnn_states(part, w_xh, weights, h)
        total += torch.autograd.grad(states.sum(), weights)[0]
        h = states[-1].detach()
    return total


def _truncated_case(generator: torch.Generator, window: int) -> tuple[Tensor, Tensor]:
    """Return the truncated gradient and the one through the whole sequence, of the same random case."""
    w_xh, w_hh = normal(HIDDEN, INPUTS, generator=generator), normal(HIDDEN, HIDDEN, generator=generator)
    x = normal(LENGTH, INPUTS, generator=generator)
    shared = w_hh.clone().requires_grad_()
    (full,) = torch.autograd.grad(rnn_states(x, w_xh, shared, torch.zeros(HIDDEN, dtype=torch.float64)).sum(), shared)
    return truncated_gradient(x, w_xh, w_hh, window), full


def long_window_gives_full_gradient(generator: torch.Generator) -> float:
    """Truncated back-propagation with a window of the sequence's length is the full one.

    Args:
        generator: source of the case.

    Returns:
        Largest difference of the gradients.
    """
    return apart(*_truncated_case(generator, LENGTH))


def short_window_cosine(generator: torch.Generator, window: int = 3) -> float:
    """A shorter window gives another direction.

    Args:
        generator: source of the case.
        window: steps per window, of twelve.

    Returns:
        Cosine of the angle between the truncated and the full gradient.
    """
    truncated, full = _truncated_case(generator, window)
    return float((truncated * full).sum() / (truncated.norm() * full.norm()))
