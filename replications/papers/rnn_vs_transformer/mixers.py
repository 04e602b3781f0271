"""The base class of all mixers, and the recurrent layers with a nonlinear state: tanh-RNN, GRU and LSTM.

Every mixer maps `(seeds, batch, n, width)` to the same shape, causally. `step` defines it: the output at one position and the new
state. `forward` applies `step` from left to right; the forms that compute all positions in parallel are subclasses in `fused.py`.
The leading axis holds the seeds that are trained together; each seed has its own weights.

`torch.baddbmm(b, x, W)` is b + x W for every seed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from replications.engine.layers import SeedLinear

State = tuple[Tensor, ...]
"""State of a mixer after some positions: tensors of shape (seeds, batch, ...)."""

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
"""Number of blocks of `width` columns in W_x and W_h of a recurrent cell."""

CELLS: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
"""PyTorch's modules, which hold the weights of one seed."""


def project(linear: SeedLinear, x: Tensor) -> Tensor:
    """Return a linear map of the last axis, with one weight matrix per seed.

    Args:
        linear: weights (seeds, n_in, n_out).
        x: (seeds, ..., n_in).

    Returns:
        (seeds, ..., n_out).
    """
    flat: Tensor = linear(x.reshape(len(x), -1, x.shape[-1]))
    return flat.view(*x.shape[:-1], -1)


class Mixer(nn.Module, ABC):
    """Base class of all mixers.

    Args:
        width: features per position, d.
        n_seeds: length of the leading axis.

    Attributes:
        undecayed: last parts of the names of parameters that never have weight decay.
    """

    undecayed: tuple[str, ...] = ()

    def __init__(self, width: int, n_seeds: int) -> None:
        super().__init__()
        self.width, self.n_seeds = width, n_seeds

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        return self.loop(x)

    def loop(self, x: Tensor) -> Tensor:
        """Return the mixed sequence, computed one position at a time.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        state, outputs = self.start(x), []
        for x_t in x.unbind(2):
            y_t, state = self.step(x_t, state)
            outputs.append(y_t)
        return torch.stack(outputs, 2)

    @abstractmethod
    def start(self, x: Tensor) -> State:
        """Return the state before the first position: zeros or empty tensors.

        Args:
            x: (seeds, batch, ...); gives batch size, device and data type.

        Returns:
            Tensors of shape (seeds, batch, ...).
        """

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output at one more position, and the new state.

        Args:
            x: (seeds, batch, width).
            state: state after the previous position.

        Returns:
            Output (seeds, batch, width), and the state after this position.
        """


def rnn_step(from_input: Tensor, h: Tensor, W_h: Tensor, b_h: Tensor) -> Tensor:
    """Return the next state of a tanh-RNN (Elman 1990): h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h).

    Args:
        from_input: W_x x_t + b_x, (seeds, batch, width).
        h: h_{t-1}, (seeds, batch, width).
        W_h: (seeds, width, width).
        b_h: (seeds, 1, width).

    Returns:
        h_t, (seeds, batch, width).
    """
    return torch.tanh(torch.baddbmm(from_input + b_h, h, W_h))


def gru_step(from_input: Tensor, h: Tensor, W_h: Tensor, b_h: Tensor) -> Tensor:
    """Return the next state of a GRU (Cho et al. 2014; reset gate applied to the product W_h h, as in cuDNN).

    Args:
        from_input: W_x x_t + b_x for the gates r, z, n, (seeds, batch, 3 width).
        h: h_{t-1}, (seeds, batch, width).
        W_h: (seeds, width, 3 width).
        b_h: (seeds, 1, 3 width).

    Returns:
        h_t, (seeds, batch, width).
    """
    width = h.shape[-1]
    from_hidden = torch.baddbmm(b_h, h, W_h)
    r, z = torch.sigmoid(from_input[..., : 2 * width] + from_hidden[..., : 2 * width]).chunk(2, -1)
    n = torch.tanh(torch.addcmul(from_input[..., 2 * width :], r, from_hidden[..., 2 * width :]))  # input part + r * hidden part
    return torch.lerp(n, h, z)  # (1 - z) * n + z * h


def lstm_step(from_input: Tensor, h: Tensor, c: Tensor, W_h: Tensor, b_h: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next state of an LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    Args:
        from_input: W_x x_t + b_x for the gates i, f, g, o, (seeds, batch, 4 width).
        h: h_{t-1}, (seeds, batch, width).
        c: c_{t-1}, (seeds, batch, width).
        W_h: (seeds, width, 4 width).
        b_h: (seeds, 1, 4 width).

    Returns:
        h_t and c_t, (seeds, batch, width) each.
    """
    i, f, g, o = torch.baddbmm(from_input + b_h, h, W_h).chunk(4, -1)
    c = torch.addcmul(torch.sigmoid(i) * torch.tanh(g), torch.sigmoid(f), c)  # c_t = i * g + f * c_{t-1}
    return torch.sigmoid(o) * torch.tanh(c), c


class Recurrent(Mixer):
    """tanh-RNN, GRU or LSTM.

    Initial weights are uniform in +-1/sqrt(width); the biases of an LSTM's forget gates are 1.

    Args:
        cell: rnn, gru or lstm.
        width: features per position, and of the state.
        generators: one per seed, on the CPU; they draw the initial weights.
    """

    def __init__(self, cell: str, width: int, *, generators: Sequence[torch.Generator]) -> None:
        super().__init__(width, len(generators))
        self.cell = cell
        self.cells = nn.ModuleList([CELLS[cell](width, width, batch_first=True) for _ in generators])
        with torch.no_grad():
            for kernel, generator in zip(self.cells, generators, strict=True):
                for parameter in kernel.parameters():
                    parameter.copy_((2 * torch.rand(parameter.shape, generator=generator) - 1) / math.sqrt(width))
                if cell == "lstm":
                    forget = slice(width, 2 * width)
                    kernel.get_parameter("bias_ih_l0")[forget] = 1.0
                    kernel.get_parameter("bias_hh_l0")[forget] = 0.0

    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the weights of all seeds.

        Returns:
            W_x and W_h, (seeds, width, gates * width) each, and b_x and b_h, (seeds, 1, gates * width) each.
        """
        stacked = [torch.stack([getattr(k, f"{name}_l0") for k in self.cells]) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        return stacked[0].mT, stacked[1].mT, stacked[2].unsqueeze(1), stacked[3].unsqueeze(1)

    def start(self, x: Tensor) -> State:
        """Return the state before the first position: zeros.

        Args:
            x: (seeds, batch, ...); gives batch size, device and data type.

        Returns:
            h and, for the LSTM, c, (seeds, batch, width) each.
        """
        zero = x.new_zeros(self.n_seeds, x.shape[1], self.width)
        return (zero, zero) if self.cell == "lstm" else (zero,)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output at one more position, and the new state.

        Args:
            x: (seeds, batch, width).
            state: state after the previous position: h and, for the LSTM, c, (seeds, batch, width) each.

        Returns:
            Output (seeds, batch, width), and the state after this position.
        """
        W_x, W_h, b_x, b_h = self.weights()
        state = self.advance(torch.baddbmm(b_x, x, W_x), state, W_h, b_h)
        return state[0], state

    def advance(self, from_input: Tensor, state: State, W_h: Tensor, b_h: Tensor) -> State:
        """Return the next state, given the products of the input.

        Args:
            from_input: W_x x_t + b_x, (seeds, batch, gates * width).
            state: h and, for the LSTM, c, (seeds, batch, width) each.
            W_h: (seeds, width, gates * width).
            b_h: (seeds, 1, gates * width).

        Returns:
            h and, for the LSTM, c, (seeds, batch, width) each.
        """
        if self.cell == "rnn":
            return (rnn_step(from_input, state[0], W_h, b_h),)
        if self.cell == "gru":
            return (gru_step(from_input, state[0], W_h, b_h),)
        return lstm_step(from_input, state[0], state[1], W_h, b_h)
