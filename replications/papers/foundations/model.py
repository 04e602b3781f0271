"""The networks of the statements, one operation a line, in float64 and without a trick."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Detector(NamedTuple):
    """A ReLU network that reads one number a step: h_t = relu(W_xh x_t + W_hh h_{t-1}), y_t = relu(W_hy h_t).

    Attributes:
        w_xh: shape (..., hidden).
        w_hh: shape (..., hidden, hidden).
        w_hy: shape (..., hidden); leading axes, where there are some, are networks.
    """

    w_xh: Tensor
    w_hh: Tensor
    w_hy: Tensor


HANDMADE = Detector(
    w_xh=torch.tensor([1.0, 0, 0], dtype=torch.float64),
    w_hh=torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64),
    w_hy=torch.tensor([1.0, 1, -1], dtype=torch.float64),
)
"""Unit 1 holds the present character, unit 2 the one before, unit 3 is always one: y = relu(present + previous - 1)."""


def detector_states(detector: Detector, strings: Tensor) -> Tensor:
    """Return the hidden state after every character, from h_0 = (0, ..., 0, 1).

    Args:
        detector: the weights.
        strings: shape (..., strings, length); leading axes as those of the weights, or 1.

    Returns:
        Shape (..., strings, length, hidden).
    """
    h = torch.zeros_like(strings[..., :1] * detector.w_xh.unsqueeze(-2))
    h[..., -1] = 1.0
    states = []
    for x in strings.unbind(-1):
        h = torch.relu(x.unsqueeze(-1) * detector.w_xh.unsqueeze(-2) + h @ detector.w_hh.mT)
        states.append(h)
    return torch.stack(states, dim=-2)


def detector_outputs(detector: Detector, strings: Tensor) -> Tensor:
    """Return the output after every character.

    Args:
        detector: the weights.
        strings: shape (..., strings, length).

    Returns:
        Shape (..., strings, length), 0 or more.
    """
    return torch.relu((detector_states(detector, strings) * detector.w_hy[..., None, None, :]).sum(-1))


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return softmax(Q K^T / sqrt(d_k)) V and the weights (Vaswani et al. 2017, equation 1).

    Args:
        query: shape (queries, d_k).
        key: shape (keys, d_k).
        value: shape (keys, d_v).
        mask: true where a query may look, shape (queries, keys); None: everywhere.

    Returns:
        Outputs (queries, d_v) and weights (queries, keys), whose rows sum to 1.
    """
    scores = query @ key.T / math.sqrt(key.shape[1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = torch.softmax(scores, dim=-1)
    return weights @ value, weights


class Projections(NamedTuple):
    """Matrices that make queries, keys and values of tokens, each of shape (width, width)."""

    w_q: Tensor
    w_k: Tensor
    w_v: Tensor


def self_attention(x: Tensor, projections: Projections, mask: Tensor | None = None) -> Tensor:
    """Return attention of tokens over each other.

    Args:
        x: tokens, shape (tokens, width).
        projections: of queries, keys and values.
        mask: see `attention`.

    Returns:
        Shape (tokens, width).
    """
    return attention(x @ projections.w_q, x @ projections.w_k, x @ projections.w_v, mask)[0]


def rnn_states(x: Tensor, w_xh: Tensor, w_hh: Tensor | list[Tensor], h: Tensor) -> Tensor:
    """Return the states h_t = tanh(W_xh x_t + W_hh h_{t-1}) of a simple recurrent network (Elman 1990).

    Args:
        x: inputs, shape (length, inputs).
        w_xh: shape (hidden, inputs).
        w_hh: shape (hidden, hidden); a list: one copy for each step, so that their gradients can be told apart.
        h: first state, shape (hidden,).

    Returns:
        Shape (length, hidden).
    """
    states = []
    for t, x_t in enumerate(x):
        h = torch.tanh(w_xh @ x_t + (w_hh[t] if isinstance(w_hh, list) else w_hh) @ h)
        states.append(h)
    return torch.stack(states)


class GatedUnit(NamedTuple):
    """Weights of a gated unit: `w` (3, hidden, inputs) and `u` (3, hidden, hidden), in the order update, reset, candidate."""

    w: Tensor
    u: Tensor


def gated_step(unit: GatedUnit, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Make one step h_t = (1 - z) h_{t-1} + z c, in the convention of Bahdanau et al. 2015, appendix A.1.1 (torch swaps z).

    Args:
        unit: the weights.
        x: input, shape (inputs,).
        h: state, shape (hidden,).

    Returns:
        New state, update gate z and candidate c, each of shape (hidden,).
    """
    z = torch.sigmoid(unit.w[0] @ x + unit.u[0] @ h)
    r = torch.sigmoid(unit.w[1] @ x + unit.u[1] @ h)
    c = torch.tanh(unit.w[2] @ x + unit.u[2] @ (r * h))
    return (1 - z) * h + z * c, z, c


class MemoryCell(NamedTuple):
    """Weights of an LSTM: `w` (4, hidden, inputs) and `u` (4, hidden, hidden), in the order input, forget, output, candidate."""

    w: Tensor
    u: Tensor


def memory_step(cell: MemoryCell, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Make one step c_t = f c_{t-1} + i g, h_t = o tanh(c_t) (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000).

    Args:
        cell: the weights.
        x: input, shape (inputs,).
        h: state that the gates see, shape (hidden,).
        c: content of the cell, shape (hidden,).

    Returns:
        New state, new content and the forget gate f, each of shape (hidden,).
    """
    i, f, o = (torch.sigmoid(cell.w[k] @ x + cell.u[k] @ h) for k in range(3))
    g = torch.tanh(cell.w[3] @ x + cell.u[3] @ h)
    c = f * c + i * g
    return o * torch.tanh(c), c, f
