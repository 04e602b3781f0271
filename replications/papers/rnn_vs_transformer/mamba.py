"""Mamba (Gu and Dao 2023) as published, and the same layer without selection.

Unlike `SelectiveSSM`, a state-space layer inside the block that all mixers share, this is the whole published layer: expansion 2, state 16,
convolution with bias, initial weights of the authors' code, and no MLP beside it. `step` defines it; parallel forms are in `fused.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.layers import SeedLinear, seeded_uniform
from replications.papers.rnn_vs_transformer.mixers import Mixer, State, project

SHORTEST_STEP, LONGEST_STEP, STEP_FLOOR = 1e-3, 0.1, 1e-4
"""Range from which the initial time steps delta are drawn, uniform in the logarithm, and the smallest one."""


def initial_step_bias(inner: int, generators: Sequence[torch.Generator]) -> Tensor:
    """Return biases whose softplus is a random time step: delta = softplus(bias) is log-uniform in [0.001, 0.1], at least 1e-4.

    Args:
        inner: number of channels.
        generators: one per seed, on the CPU.

    Returns:
        softplus^-1(delta), (seeds, inner).
    """
    exponents = torch.stack([torch.rand(inner, generator=generator) for generator in generators])
    delta = (exponents * math.log(LONGEST_STEP / SHORTEST_STEP) + math.log(SHORTEST_STEP)).exp().clamp_min(STEP_FLOOR)
    return delta + torch.log(-torch.expm1(-delta))


class Mamba(Mixer):
    """Mamba's layer (Gu and Dao 2023, section 3.4 and algorithm 2), with the names of the authors' code.

    The width d is expanded to E = 2 d channels, each with a state of N = 16 numbers:

        x, z = in_proj(u)                                           (d -> 2 E)
        x_t = silu(conv1d(x)_t)                                     (4 positions, each channel by itself, with bias)
        dt, B_t, C_t = x_proj(x_t)                                  (E -> ceil(d / 16) + N + N)
        delta_t = softplus(dt_proj(dt))                             (ceil(d / 16) -> E)
        h_t = exp(delta_t A) h_{t-1} + delta_t B_t x_t              (equation 2a; zero-order hold for A, Euler for B)
        y_t = C_t h_t + D x_t                                       (equation 2b)
        output = out_proj(y * silu(z))                              (E -> d)

    A = -exp(A_log) starts as -1 to -N in every channel, D as ones; neither has weight decay.

    Args:
        width: features per position, d.
        generators: one per seed, on the CPU; they draw the initial weights.
    """

    EXPAND, D_STATE, D_CONV = 2, 16, 4
    undecayed = ("A_log", "D")

    def __init__(self, width: int, *, generators: Sequence[torch.Generator]) -> None:
        super().__init__(width, len(generators))
        self.d_inner = self.EXPAND * width
        self.in_proj = SeedLinear(width, 2 * self.d_inner, generators=generators, bias=False)
        bound = 1 / math.sqrt(self.D_CONV)  # of `torch.nn.Conv1d` with one input channel per group
        self.conv1d = nn.Parameter(seeded_uniform((self.D_CONV, self.d_inner), bound, generators))
        self.conv1d_bias = nn.Parameter(seeded_uniform((self.d_inner,), bound, generators))
        self.make_selection(generators)
        A = torch.arange(1.0, self.D_STATE + 1)
        self.A_log = nn.Parameter(A.log().expand(len(generators), self.d_inner, -1).clone())
        self.D = nn.Parameter(torch.ones(len(generators), self.d_inner))
        self.out_proj = SeedLinear(self.d_inner, width, generators=generators, bias=False)

    def make_selection(self, generators: Sequence[torch.Generator]) -> None:
        """Make the weights behind delta, B and C.

        Args:
            generators: one per seed, on the CPU; they draw the initial weights.
        """
        self.dt_rank = math.ceil(self.width / 16)
        self.x_proj = SeedLinear(self.d_inner, self.dt_rank + 2 * self.D_STATE, generators=generators, bias=False)
        self.dt_proj = SeedLinear(self.dt_rank, self.d_inner, generators=generators, bias=False)  # +-dt_rank^-0.5
        self.dt_bias = nn.Parameter(initial_step_bias(self.d_inner, generators))

    def select(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return delta, B and C, which depend on the input: the selection.

        Args:
            x: convolved inputs, (seeds, ..., d_inner).

        Returns:
            delta (seeds, ..., d_inner), positive, and B and C, (seeds, ..., 1, D_STATE) each.
        """
        dt, B, C = project(self.x_proj, x).split([self.dt_rank, self.D_STATE, self.D_STATE], -1)
        delta = functional.softplus(project(self.dt_proj, dt) + self.per_channel(self.dt_bias, x))
        return delta, B.unsqueeze(-2), C.unsqueeze(-2)

    @staticmethod
    def per_channel(parameter: Tensor, x: Tensor) -> Tensor:
        """Return a parameter with axes of length 1 for the axes between the seeds and the channels of x.

        Args:
            parameter: (seeds, d_inner, ...).
            x: (seeds, ..., d_inner).

        Returns:
            (seeds, 1, ..., d_inner, ...).
        """
        return parameter.view(len(parameter), *([1] * (x.ndim - 2)), *parameter.shape[1:])

    def discretise(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the coefficients of h_t = A_bar_t h_{t-1} + B_bar_t x_t (equations 2a and 4), and C.

        Args:
            x: convolved inputs, (seeds, ..., d_inner).

        Returns:
            A_bar = exp(delta A) and B_bar x = delta B x, (seeds, ..., d_inner, D_STATE) each, and C, (seeds, ..., 1 or d_inner, D_STATE).
        """
        delta, B, C = self.select(x)
        A_bar = torch.exp(-delta.unsqueeze(-1) * self.per_channel(self.A_log.exp(), x))
        return A_bar, (delta * x).unsqueeze(-1) * B, C

    def read(self, states: Tensor, C: Tensor, x: Tensor, z: Tensor) -> Tensor:
        """Return the output out_proj((C h + D x) * silu(z)).

        Args:
            states: h, (seeds, ..., d_inner, D_STATE).
            C: (seeds, ..., 1 or d_inner, D_STATE).
            x: convolved inputs, (seeds, ..., d_inner).
            z: gate, (seeds, ..., d_inner).

        Returns:
            (seeds, ..., width).
        """
        y = (states * C).sum(-1) + self.per_channel(self.D, x) * x
        return project(self.out_proj, y * functional.silu(z))

    def start(self, x: Tensor) -> State:
        """Return the state before the first position: zeros.

        Args:
            x: (seeds, batch, ...); gives batch size, device and data type.

        Returns:
            h (seeds, batch, d_inner, D_STATE), and the last inputs of the convolution (seeds, batch, D_CONV - 1, d_inner).
        """
        shape = (self.n_seeds, x.shape[1])
        return x.new_zeros(*shape, self.d_inner, self.D_STATE), x.new_zeros(*shape, self.D_CONV - 1, self.d_inner)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output at one more position, and the new state.

        Args:
            x: (seeds, batch, width).
            state: h (seeds, batch, d_inner, D_STATE) and the last inputs (seeds, batch, D_CONV - 1, d_inner) after the previous position.

        Returns:
            Output (seeds, batch, width), and the state after this position.
        """
        h, last_inputs = state
        x, z = project(self.in_proj, x).chunk(2, -1)
        window = torch.cat([last_inputs, x.unsqueeze(2)], 2)  # (seeds, batch, D_CONV, d_inner)
        x = functional.silu((window * self.conv1d.unsqueeze(1)).sum(2) + self.per_channel(self.conv1d_bias, x))
        A_bar, B_bar_x, C = self.discretise(x)
        h = A_bar * h + B_bar_x
        return self.read(h, C, x, z), (h, window[:, :, 1:])


class TimeInvariantMamba(Mamba):
    """Mamba's layer without selection (Gu and Dao 2023, algorithm 1): delta, B and C are weights and the same at every position.

    It is then a convolution with a kernel as long as the sequence. B starts as ones, C standard normal, delta as Mamba's.

    Args:
        width: features per position, d.
        generators: one per seed, on the CPU; they draw the initial weights.
        longest: number of positions of the kernel, beyond which a sequence is refused; 0: as many as a sequence has.
    """

    def __init__(self, width: int, *, generators: Sequence[torch.Generator], longest: int = 0) -> None:
        super().__init__(width, generators=generators)
        self.longest = longest

    def make_selection(self, generators: Sequence[torch.Generator]) -> None:
        """Make delta, B and C themselves.

        Args:
            generators: one per seed, on the CPU; they draw the initial weights.
        """
        shape = (self.d_inner, self.D_STATE)
        self.B = nn.Parameter(torch.ones(len(generators), *shape))
        self.C = nn.Parameter(torch.stack([torch.randn(shape, generator=generator) for generator in generators]))
        self.dt_bias = nn.Parameter(initial_step_bias(self.d_inner, generators))

    def select(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return delta, B and C, which are the same for every input.

        Args:
            x: convolved inputs, (seeds, ..., d_inner); gives the number of axes.

        Returns:
            delta (seeds, 1, ..., d_inner), and B and C, (seeds, 1, ..., d_inner, D_STATE) each.
        """
        delta = functional.softplus(self.per_channel(self.dt_bias, x))
        return delta, self.per_channel(self.B, x), self.per_channel(self.C, x)
