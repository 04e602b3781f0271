"""Recurrent layers that are linear in their state, h_t = a_t h_{t-1} + b_t: minGRU, minLSTM and a selective state-space layer.

Coefficients depend on the input only, so `fused.py` can compute all positions by a parallel scan; here `step` defines the layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.layers import SeedLinear
from replications.papers.rnn_vs_transformer.mixers import Mixer, State, project


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
