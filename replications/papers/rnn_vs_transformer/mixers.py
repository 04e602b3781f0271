"""Recurrent layers that mix the positions of a sequence, one position at a time.

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
from torch.nn import functional

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
    """

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


class MinimalRNN(Mixer):
    """minGRU or minLSTM (Feng et al. 2024, sections 3.1 and 3.2), whose gates depend on the input only.

    Both have the form h_t = a_t * h_{t-1} + b_t, with the candidate h~_t:

        minGRU:  h_t = (1 - z_t) * h_{t-1} + z_t * h~_t
        minLSTM: h_t = f'_t * h_{t-1} + i'_t * h~_t,  f' = f / (f + i),  i' = i / (f + i)

    Args:
        cell: mingru or minlstm.
        width: features per position, and of the state.
        generators: one per seed, on the CPU; they draw the initial weights.
    """

    def __init__(self, cell: str, width: int, *, generators: Sequence[torch.Generator]) -> None:
        super().__init__(width, len(generators))
        self.gates = 2 if cell == "mingru" else 3
        self.in_proj = SeedLinear(width, self.gates * width, generators=generators)  # z, h~ or f, i, h~

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coefficients of the recurrence h_t = a_t * h_{t-1} + b_t.

        Args:
            x: (seeds, ..., width).

        Returns:
            a in (0, 1) and b, (seeds, ..., width) each.
        """
        parts = project(self.in_proj, x).chunk(self.gates, -1)
        if self.gates == 2:
            z, candidate = parts
            return torch.sigmoid(-z), torch.sigmoid(z) * candidate  # 1 - sigmoid(z) = sigmoid(-z)
        f, i, candidate = parts
        # f' as a sigmoid of log f - log i, which avoids a division by zero; + 1 opens the forget gate initially.
        forget = torch.sigmoid(functional.logsigmoid(f + 1) - functional.logsigmoid(i))
        return forget, (1 - forget) * candidate

    def start(self, x: Tensor) -> State:
        """Return the state before the first position: h = 0.

        Args:
            x: (seeds, batch, ...); gives batch size, device and data type.

        Returns:
            h, (seeds, batch, width).
        """
        return (x.new_zeros(self.n_seeds, x.shape[1], self.width),)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output at one more position, and the new state.

        Args:
            x: (seeds, batch, width).
            state: state after the previous position: h, (seeds, batch, width).

        Returns:
            Output (seeds, batch, width), and the state after this position.
        """
        a, b = self.coefficients(x)
        h = torch.addcmul(b, a, state[0])  # a_t * h_{t-1} + b_t
        return h, (h,)


class SelectiveSSM(Mixer):
    """A selective state-space layer (Gu and Dao 2023, algorithm 2), with Mamba's names and an expansion factor of 1.

    Every feature has a state of size `d_state` (zero-order hold for A, Euler for B):

        h_t = exp(delta_t A) h_{t-1} + delta_t B_t x_t
        y_t = C_t h_t + D x_t

    delta, B and C depend on the input. A causal convolution over `D_CONV` positions precedes the recurrence; a SiLU gate follows it.

    Args:
        width: features per position.
        generators: one per seed, on the CPU; they draw the initial weights.
        d_state: size of the state per feature.
    """

    D_CONV = 4

    def __init__(self, width: int, *, generators: Sequence[torch.Generator], d_state: int = 8) -> None:
        super().__init__(width, len(generators))
        seeds, self.d_state, self.dt_rank = len(generators), d_state, max(1, width // 16)
        self.in_proj = SeedLinear(width, 2 * width, generators=generators, bias=False)
        self.conv1d = nn.Parameter(torch.stack([torch.rand(self.D_CONV, width, generator=g) - 0.5 for g in generators]))
        self.x_proj = SeedLinear(width, self.dt_rank + 2 * d_state, generators=generators, bias=False)
        self.dt_proj = SeedLinear(self.dt_rank, width, generators=generators)
        with torch.no_grad():  # softplus(bias) log-uniform in [0.001, 0.1], as in the authors' code
            for bias, generator in zip(self.dt_proj.bias if self.dt_proj.bias is not None else (), generators, strict=True):
                dt = torch.exp(torch.rand(bias.shape, generator=generator) * math.log(100) + math.log(1e-3))
                bias.copy_(torch.log(torch.expm1(dt)))
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, d_state + 1)).expand(seeds, width, d_state).clone())
        self.D = nn.Parameter(torch.ones(seeds, 1, width))
        self.out_proj = SeedLinear(width, width, generators=generators, bias=False)

    def discretise(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the coefficients of the recurrence h_t = A_bar_t * h_{t-1} + B_bar_t x_t, and C.

        Args:
            x: convolved inputs, (seeds, ..., width).

        Returns:
            A_bar = exp(delta A) and B_bar x = delta B x, (seeds, ..., width, d_state) each, and C, (seeds, ..., 1, d_state).
        """
        dt, B, C = project(self.x_proj, x).split([self.dt_rank, self.d_state, self.d_state], -1)
        delta = functional.softplus(project(self.dt_proj, dt)).unsqueeze(-1)
        shape = (self.n_seeds, *([1] * (x.ndim - 2)), self.width, self.d_state)
        A_bar = torch.exp(-delta * torch.exp(self.A_log).view(shape))
        return A_bar, delta * B.unsqueeze(-2) * x.unsqueeze(-1), C.unsqueeze(-2)

    def read(self, h: Tensor, C: Tensor, x: Tensor, z: Tensor) -> Tensor:
        """Return the output out_proj((C h + D x) * silu(z)).

        Args:
            h: states, (seeds, ..., width, d_state).
            C: (seeds, ..., 1, d_state).
            x: convolved inputs, (seeds, ..., width).
            z: gate, (seeds, ..., width).

        Returns:
            (seeds, ..., width).
        """
        D = self.D.view(self.n_seeds, *([1] * (x.ndim - 2)), self.width)
        return project(self.out_proj, ((h * C).sum(-1) + D * x) * functional.silu(z))

    def start(self, x: Tensor) -> State:
        """Return the state before the first position: zeros.

        Args:
            x: (seeds, batch, ...); gives batch size, device and data type.

        Returns:
            h (seeds, batch, width, d_state), and the last inputs of the convolution (seeds, batch, D_CONV - 1, width).
        """
        batch = x.shape[1]
        return x.new_zeros(self.n_seeds, batch, self.width, self.d_state), x.new_zeros(self.n_seeds, batch, self.D_CONV - 1, self.width)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output at one more position, and the new state.

        Args:
            x: (seeds, batch, width).
            state: state after the previous position: h (seeds, batch, width, d_state) and the last inputs (seeds, batch, D_CONV - 1, width).

        Returns:
            Output (seeds, batch, width), and the state after this position.
        """
        h, last_inputs = state
        x, z = project(self.in_proj, x).chunk(2, -1)
        window = torch.cat([last_inputs, x.unsqueeze(2)], 2)  # (seeds, batch, D_CONV, width)
        x = functional.silu((window * self.conv1d.unsqueeze(1)).sum(2))
        A_bar, B_bar_x, C = self.discretise(x)
        h = torch.addcmul(B_bar_x, A_bar, h)  # A_bar_t * h_{t-1} + B_bar_t x_t
        return self.read(h, C, x, z), (h, window[:, :, 1:])
