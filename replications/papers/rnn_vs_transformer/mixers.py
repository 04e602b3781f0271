"""Layers that mix a sequence: one interface over recurrences and attention.

Every mixer maps (seeds, batch, n, width) to the same shape, causally, and does it in two ways that must agree: `forward`, over
all positions as its form allows, and `step`, one position at a time from a carried state. The leading axis is that of the seeds
trained together; each has its own weights.
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
from replications.papers.rnn_vs_transformer.scans import linear_loop, linear_scan, scan_depth

State = tuple[Tensor, ...]
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
LIBRARY: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def project(linear: SeedLinear, x: Tensor) -> Tensor:
    """A linear layer on (seeds, ..., n_in), giving (seeds, ..., n_out)."""
    flat: Tensor = linear(x.reshape(len(x), -1, x.shape[-1]))
    return flat.view(*x.shape[:-1], -1)


class Mixer(nn.Module, ABC):
    """What all mixers share.

    Attributes:
        width: features of a position.
        n_seeds: length of the leading axis.
        form: library, scan, loop, naive or sdpa.
    """

    def __init__(self, width: int, n_seeds: int, form: str) -> None:
        super().__init__()
        self.width, self.n_seeds, self.form = width, n_seeds, form

    def forward(self, x: Tensor) -> Tensor:
        """Mix (seeds, batch, n, width)."""
        return self.loop(x)

    def loop(self, x: Tensor) -> Tensor:
        """The same, step by step."""
        state, outputs = self.start(x), []
        for x_t in x.unbind(2):
            y_t, state = self.step(x_t, state)
            outputs.append(y_t)
        return torch.stack(outputs, 2)

    @abstractmethod
    def start(self, x: Tensor) -> State:
        """The state before the first position, for the batch, device and type of x (seeds, batch, ...)."""

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One position (seeds, batch, width): its output and the state after it."""

    @abstractmethod
    def flops(self, n: int) -> float:
        """FLOPs of one forward pass over one sequence of n positions: two a multiply-add, in matrix products and state updates."""

    @abstractmethod
    def sequential(self, n: int) -> int:
        """Mixing operations that must wait for each other: what Vaswani et al. (2017), Table 1, call sequential operations."""

    def path(self, n: int) -> int:
        """Mixing operations on the longest way between two of n positions; here the chain that waits is also the way."""
        return self.sequential(n)

    @abstractmethod
    def state_numbers(self, n: int) -> int:
        """Numbers carried for one sequence after n positions."""


class Recurrent(Mixer):
    """tanh-RNN, GRU or LSTM in the library's kernels, or the same weights in an explicit loop over time.

    The loop computes all inputs' products beforehand, as the kernels do, so that only what depends on the step before waits.

    Args:
        cell: rnn, gru or lstm.
        generators: one per seed, on the CPU. Weights start uniform in +-1/sqrt(width), an LSTM's forget gates open (bias 1).
        form: library or loop.
    """

    def __init__(self, cell: str, width: int, *, generators: Sequence[torch.Generator], form: str = "library") -> None:
        super().__init__(width, len(generators), form)
        self.cell = cell
        self.cells = nn.ModuleList([LIBRARY[cell](width, width, batch_first=True) for _ in generators])
        with torch.no_grad():
            for kernel, generator in zip(self.cells, generators, strict=True):
                for parameter in kernel.parameters():
                    parameter.copy_((2 * torch.rand(parameter.shape, generator=generator) - 1) / math.sqrt(width))
                if cell == "lstm":
                    forget = slice(width, 2 * width)
                    kernel.get_parameter("bias_ih_l0")[forget] = 1.0
                    kernel.get_parameter("bias_hh_l0")[forget] = 0.0

    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """W_x and W_h as (seeds, width, gates x width), b_x and b_h as (seeds, 1, gates x width)."""
        stacked = [torch.stack([getattr(k, f"{name}_l0") for k in self.cells]) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        return stacked[0].mT, stacked[1].mT, stacked[2].unsqueeze(1), stacked[3].unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """Mix (seeds, batch, n, width)."""
        if self.form == "loop":
            return self.loop(x)
        return torch.stack([kernel(x_s)[0] for kernel, x_s in zip(self.cells, x.unbind(0), strict=True)])

    def loop(self, x: Tensor) -> Tensor:
        """The same, step by step."""
        w_x, w_h, b_x, b_h = self.weights()
        from_input = torch.baddbmm(b_x, x.reshape(self.n_seeds, -1, self.width), w_x).view(*x.shape[:-1], -1)
        state, outputs = self.start(x), []
        for projected in from_input.unbind(2):
            state = self._advance(projected, state, w_h, b_h)
            outputs.append(state[0])
        return torch.stack(outputs, 2)

    def start(self, x: Tensor) -> State:
        """Zeros: h, and c for the LSTM."""
        zero = x.new_zeros(self.n_seeds, x.shape[1], self.width)
        return (zero, zero) if self.cell == "lstm" else (zero,)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One position (seeds, batch, width)."""
        w_x, w_h, b_x, b_h = self.weights()
        state = self._advance(torch.baddbmm(b_x, x, w_x), state, w_h, b_h)
        return state[0], state

    def _advance(self, projected: Tensor, state: State, w_h: Tensor, b_h: Tensor) -> State:
        h = state[0]
        if self.cell == "rnn":
            return (torch.tanh(torch.baddbmm(projected + b_h, h, w_h)),)
        if self.cell == "gru":
            from_hidden = torch.baddbmm(b_h, h, w_h)
            both = 2 * self.width
            reset, update = torch.sigmoid(projected[..., :both] + from_hidden[..., :both]).chunk(2, -1)
            candidate = torch.tanh(torch.addcmul(projected[..., both:], reset, from_hidden[..., both:]))
            return (torch.lerp(candidate, h, update),)
        i, f, g, o = torch.baddbmm(projected + b_h, h, w_h).chunk(4, -1)
        c = torch.addcmul(torch.sigmoid(i) * torch.tanh(g), torch.sigmoid(f), state[1])
        return torch.sigmoid(o) * torch.tanh(c), c

    def flops(self, n: int) -> float:
        """Two products of width x (gates x width) a position."""
        return 4.0 * GATES[self.cell] * self.width**2 * n

    def sequential(self, n: int) -> int:
        """Every position waits for the one before."""
        return n

    def state_numbers(self, n: int) -> int:  # noqa: ARG002 (constant is the point)
        """h, and c for the LSTM."""
        return self.width * (2 if self.cell == "lstm" else 1)


class Minimal(Mixer):
    """minGRU and minLSTM (Feng et al. 2024, sections 3.1 and 3.2): gates see the input alone, so h_t is a linear recurrence.

    minGRU: h_t = (1 - z_t) h_{t-1} + z_t c_t. minLSTM: h_t = f'_t h_{t-1} + i'_t c_t with f' = f / (f + i), i' = i / (f + i).
    """

    def __init__(self, cell: str, width: int, *, generators: Sequence[torch.Generator], form: str = "scan") -> None:
        super().__init__(width, len(generators), form)
        self.gates = 2 if cell == "mingru" else 3
        self.inputs = SeedLinear(width, self.gates * width, generators=generators)

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """a and b of h_t = a_t h_{t-1} + b_t, each like x."""
        parts = project(self.inputs, x).chunk(self.gates, -1)
        if self.gates == 2:
            keep = torch.sigmoid(-parts[0])
            return keep, torch.sigmoid(parts[0]) * parts[1]
        # f / (f + i) as a sigmoid of log f - log i, which cannot divide by zero.
        forget = torch.sigmoid(functional.logsigmoid(parts[0] + 1) - functional.logsigmoid(parts[1]))
        return forget, (1 - forget) * parts[2]

    def forward(self, x: Tensor) -> Tensor:
        """Mix (seeds, batch, n, width)."""
        a, b = self.coefficients(x)
        recurrence = linear_loop if self.form == "loop" else linear_scan
        return recurrence(a.movedim(2, 0).contiguous(), b.movedim(2, 0).contiguous()).movedim(0, 2)

    def start(self, x: Tensor) -> State:
        """Zeros."""
        return (x.new_zeros(self.n_seeds, x.shape[1], self.width),)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One position (seeds, batch, width)."""
        a, b = self.coefficients(x)
        h = torch.addcmul(b, a, state[0])
        return h, (h,)

    def flops(self, n: int) -> float:
        """One product of width x (gates x width) a position, and the state's update."""
        return (2.0 * self.gates * self.width**2 + 2 * self.width) * n

    def sequential(self, n: int) -> int:
        """The scan's depth, or every position in the loop."""
        return n if self.form == "loop" else max(1, scan_depth(n))

    def state_numbers(self, n: int) -> int:  # noqa: ARG002 (constant is the point)
        """h."""
        return self.width


class Selective(Mixer):
    """A diagonal selective state-space layer of the Mamba family (Gu and Dao 2023, algorithm 2), in plain torch.

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t x_t and y_t = C_t h_t + D x_t, for every feature with `state` numbers; delta, B and C
    depend on the input. A causal convolution over 4 positions stands before it, a SiLU gate after it.
    """

    def __init__(self, width: int, *, generators: Sequence[torch.Generator], form: str = "scan", state: int = 8) -> None:
        super().__init__(width, len(generators), form)
        seeds, self.state, self.rank = len(generators), state, max(1, width // 16)
        self.inputs = SeedLinear(width, 2 * width, generators=generators, bias=False)
        kernel = torch.stack([torch.rand(4, width, generator=g) - 0.5 for g in generators])
        self.kernel = nn.Parameter(kernel)
        self.selection = SeedLinear(width, self.rank + 2 * state, generators=generators, bias=False)
        self.delta = SeedLinear(self.rank, width, generators=generators)
        with torch.no_grad():  # softplus(bias) log-uniform in [0.001, 0.1], as in the authors' code
            for bias, generator in zip(self.delta.bias if self.delta.bias is not None else (), generators, strict=True):
                step = torch.exp(torch.rand(bias.shape, generator=generator) * math.log(100) + math.log(1e-3))
                bias.copy_(torch.log(torch.expm1(step)))
        self.log_a = nn.Parameter(torch.log(torch.arange(1.0, state + 1)).expand(seeds, width, state).clone())
        self.skip = nn.Parameter(torch.ones(seeds, 1, width))
        self.output = SeedLinear(width, width, generators=generators, bias=False)

    def _select(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """a and b of the recurrence, (seeds, ..., width, state), and C, (seeds, ..., 1, state), from convolved inputs."""
        rank, b, c = project(self.selection, u).split([self.rank, self.state, self.state], -1)
        delta = functional.softplus(project(self.delta, rank)).unsqueeze(-1)
        shape = (self.n_seeds, *([1] * (u.ndim - 2)), self.width, self.state)
        a = torch.exp(-delta * torch.exp(self.log_a).view(shape))
        return a, delta * b.unsqueeze(-2) * u.unsqueeze(-1), c.unsqueeze(-2)

    def _close(self, h: Tensor, c: Tensor, u: Tensor, gate: Tensor) -> Tensor:
        skip = self.skip.view(self.n_seeds, *([1] * (u.ndim - 2)), self.width)
        return project(self.output, ((h * c).sum(-1) + skip * u) * functional.silu(gate))

    def forward(self, x: Tensor) -> Tensor:
        """Mix (seeds, batch, n, width)."""
        u, gate = project(self.inputs, x).chunk(2, -1)
        padded = functional.pad(u, (0, 0, 3, 0))
        taps = self.kernel.view(self.n_seeds, 1, 4, 1, self.width)
        u = padded[:, :, 3:] * taps[:, :, 3]
        for j in range(3):
            u = torch.addcmul(u, padded[:, :, j : j + x.shape[2]], taps[:, :, j])
        u = functional.silu(u)
        a, b, c = self._select(u)
        recurrence = linear_loop if self.form == "loop" else linear_scan
        h = recurrence(a.movedim(2, 0).contiguous(), b.movedim(2, 0).contiguous()).movedim(0, 2)
        return self._close(h, c, u, gate)

    def start(self, x: Tensor) -> State:
        """Zeros: h, and the last three inputs of the convolution."""
        batch = x.shape[1]
        return x.new_zeros(self.n_seeds, batch, self.width, self.state), x.new_zeros(self.n_seeds, batch, 3, self.width)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One position (seeds, batch, width)."""
        u, gate = project(self.inputs, x).chunk(2, -1)
        window = torch.cat([state[1], u.unsqueeze(2)], 2)
        u = functional.silu((window * self.kernel.unsqueeze(1)).sum(2))
        a, b, c = self._select(u)
        h = torch.addcmul(b, a, state[0])
        return self._close(h, c, u, gate), (h, window[:, :, 1:])

    def flops(self, n: int) -> float:
        """The products, the convolution, and update and read-out of the state."""
        products = 2 * self.width * (3 * self.width + 2 * self.rank + 2 * self.state)
        return float(n * (products + 8 * self.width + 4 * self.width * self.state))

    def sequential(self, n: int) -> int:
        """The scan's depth, or every position in the loop."""
        return n if self.form == "loop" else max(1, scan_depth(n))

    def state_numbers(self, n: int) -> int:  # noqa: ARG002 (constant is the point)
        """h, and the convolution's last inputs."""
        return self.width * (self.state + 3)


class LinearAttention(Mixer):
    """Linear attention (Katharopoulos et al. 2020, equations 8 to 12): softmax replaced by a product of features, elu + 1.

    Parallel form: quadratic inside chunks of 64 positions, a running sum of k v^T between them, so O(n) in all.
    """

    CHUNK = 64

    def __init__(self, width: int, *, generators: Sequence[torch.Generator], form: str = "scan", head_width: int = 32) -> None:
        super().__init__(width, len(generators), form)
        self.head = min(head_width, width)
        self.heads = width // self.head
        self.inputs = SeedLinear(width, 3 * width, generators=generators, bias=False)
        self.output = SeedLinear(width, width, generators=generators, bias=False)

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v with the features applied, (seeds, batch, ..., heads, head)."""
        q, k, v = project(self.inputs, x).view(*x.shape[:-1], 3, self.heads, self.head).unbind(-3)
        return functional.elu(q) + 1, functional.elu(k) + 1, v

    def forward(self, x: Tensor) -> Tensor:
        """Mix (seeds, batch, n, width)."""
        if self.form == "loop":
            return self.loop(x)
        n = x.shape[2]
        chunk = min(self.CHUNK, n)
        q, k, v = (
            functional.pad(part, (0, 0, 0, 0, 0, -n % chunk)).unflatten(2, (-1, chunk)).transpose(3, 4) for part in self._features(x)
        )
        state, total = (k.mT @ v).cumsum(2), k.sum(-2, keepdim=True).cumsum(2)
        state = torch.cat([torch.zeros_like(state[:, :, :1]), state[:, :, :-1]], 2)
        total = torch.cat([torch.zeros_like(total[:, :, :1]), total[:, :, :-1]], 2)
        near = (q @ k.mT).tril()
        values = near @ v + q @ state
        weights = near.sum(-1, keepdim=True) + q @ total.mT
        values, weights = (part.transpose(3, 4).flatten(2, 3)[:, :, :n] for part in (values, weights))  # padding has weight 0
        return project(self.output, (values / weights).flatten(3))

    def start(self, x: Tensor) -> State:
        """Zeros: the sum of k v^T, and of k."""
        shape = (self.n_seeds, x.shape[1], self.heads, self.head)
        return x.new_zeros(*shape, self.head), x.new_zeros(*shape, 1)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One position (seeds, batch, width)."""
        q, k, v = (part.unsqueeze(-2) for part in self._features(x))
        memory, total = state[0] + k.mT @ v, state[1] + k.mT
        return project(self.output, ((q @ memory) / (q @ total)).flatten(2)), (memory, total)

    def flops(self, n: int) -> float:
        """The products of the form in use; the last chunk is padded."""
        if self.form == "loop":
            return float(n * (8 * self.width**2 + 4 * self.width * self.head + 2 * self.width))
        chunk = min(self.CHUNK, n)
        padded = n + (-n % chunk)
        return float(8 * n * self.width**2 + padded * self.width * (4 * chunk + 4 * self.head + 2))

    def sequential(self, n: int) -> int:
        """The running sum over chunks as a scan, or every position in the loop."""
        return n if self.form == "loop" else 1 + scan_depth(math.ceil(n / self.CHUNK))

    def state_numbers(self, n: int) -> int:  # noqa: ARG002 (constant is the point)
        """The sum of k v^T and of k, for every head."""
        return self.width * (self.head + 1)
