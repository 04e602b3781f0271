"""RWKV-4 (Peng et al. 2023): time mixing, a recurrence of two numbers per channel with a running maximum, and channel mixing.

Letters are the paper's, initial weights those of the authors' code. `step` defines both layers; parallel forms are in `fused.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from replications.engine.layers import SeedLinear
from replications.papers.rnn_vs_transformer.mixers import Mixer, State, project

LOWEST = -1e38
"""Exponent of an empty sum: its exponential is 0, and differences with it stay finite."""


def wkv_by_sums(k: Tensor, v: Tensor, decay: Tensor, u: Tensor) -> Tensor:
    """Return wkv as the paper defines it, by its sums (Peng et al. 2023, section 3.1), in n^2 steps.

        wkv_t = (sum_{i<t} e^{-(t-1-i) decay + k_i} v_i + e^{u + k_t} v_t) / (sum_{i<t} e^{-(t-1-i) decay + k_i} + e^{u + k_t})

    Args:
        k: keys, (..., n, d); e^k must not overflow.
        v: values, (..., n, d).
        decay: per step, positive, broadcastable to (..., d).
        u: bonus of the present position, broadcastable to (..., d).

    Returns:
        (..., n, d).
    """
    n, wkv = k.shape[-2], []
    for t in range(n):
        numerator = (u + k[..., t, :]).exp() * v[..., t, :]
        denominator = (u + k[..., t, :]).exp()
        for i in range(t):
            weight = (-(t - 1 - i) * decay + k[..., i, :]).exp()
            numerator, denominator = numerator + weight * v[..., i, :], denominator + weight
        wkv.append(numerator / denominator)
    return torch.stack(wkv, -2)


def wkv_step(k: Tensor, v: Tensor, decay: Tensor, u: Tensor, state: State) -> tuple[Tensor, State]:
    """Return wkv at one more position, and the new state: the recurrence that cannot overflow (Peng et al. 2023, appendix on stability).

    Numerator and denominator are stored divided by e^p, where p is the largest exponent among their terms.

    Args:
        k: k_t, (seeds, batch, d).
        v: v_t, (seeds, batch, d).
        decay: per step, positive, (seeds, 1, d).
        u: bonus of the present position, (seeds, 1, d).
        state: numerator, denominator and exponent p after the previous position, (seeds, batch, d) each.

    Returns:
        wkv_t (seeds, batch, d), and the state after this position.
    """
    numerator, denominator, p = state
    q = torch.maximum(p, u + k)
    before, present = torch.exp(p - q), torch.exp(u + k - q)
    wkv = (before * numerator + present * v) / (before * denominator + present)
    q = torch.maximum(p - decay, k)
    before, present = torch.exp(p - decay - q), torch.exp(k - q)
    return wkv, (before * numerator + present * v, before * denominator + present, q)


def full_precision(x: Tensor) -> Tensor:
    """Return x in float32 or more, which exponentials need.

    Args:
        x: any floating-point tensor.

    Returns:
        The same tensor, or a float32 copy.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _orthogonal(linear: SeedLinear, generators: Sequence[torch.Generator]) -> None:
    """Set a linear map of every seed to an orthogonal matrix, scaled by the square root of outputs over inputs where it expands."""
    n_in, n_out = linear.weight.shape[1:]
    with torch.no_grad():
        for weight, generator in zip(linear.weight, generators, strict=True):
            nn.init.orthogonal_(weight, gain=max(1.0, math.sqrt(n_out / n_in)), generator=generator)


class TokenShift(nn.Module):
    """Linear interpolation of each position's input with that of the position before: mu x_t + (1 - mu) x_{t-1}.

    Args:
        mu: initial share of the present input, (width,); equal for all seeds.
        n_seeds: length of the leading axis.
    """

    def __init__(self, mu: Tensor, n_seeds: int) -> None:
        super().__init__()
        self.mu = nn.Parameter(mu.expand(n_seeds, -1).clone())

    def forward(self, x: Tensor, previous: Tensor) -> Tensor:
        """Return the interpolated inputs.

        Args:
            x: (seeds, ..., width).
            previous: inputs one position earlier, like x.

        Returns:
            (seeds, ..., width).
        """
        mu = self.mu.view(len(x), *([1] * (x.ndim - 2)), -1)
        return mu * x + (1 - mu) * previous


class TimeMixing(Mixer):
    """Time mixing of RWKV-4 (Peng et al. 2023, section 3.1).

        r_t = W_r (mu_r x_t + (1 - mu_r) x_{t-1}),  and likewise k_t and v_t
        wkv_t: see `wkv_by_sums`, with the decay e^theta and the bonus u of every channel
        o_t = W_o (sigmoid(r_t) * wkv_t)

    W_k, W_r and W_o start as zeros, W_v orthogonal; theta, u and mu by channel and depth, as in the authors' code.

    Args:
        width: features per position, d.
        generators: one per seed, on the CPU; they draw the initial weights.
        layer: number of the block, from 0.
        layers: number of blocks of the network.
    """

    undecayed = ("mu", "theta", "u")

    def __init__(self, width: int, *, generators: Sequence[torch.Generator], layer: int = 0, layers: int = 1) -> None:
        super().__init__(width, len(generators))
        seeds, depth, above = len(generators), layer / max(1, layers - 1), 1 - layer / layers
        channel = torch.arange(width) / width
        self.shift_k = TokenShift(channel**above, seeds)
        self.shift_v = TokenShift(channel**above + 0.3 * depth, seeds)
        self.shift_r = TokenShift(channel ** (0.5 * above), seeds)
        theta = -5 + 8 * (torch.arange(width) / max(1, width - 1)) ** (0.7 + 1.3 * depth)
        u = math.log(0.3) + 0.5 * ((torch.arange(width) + 1) % 3 - 1)
        self.theta, self.u = (nn.Parameter(values.expand(seeds, -1).clone()) for values in (theta, u))
        self.W_k, self.W_v, self.W_r, self.W_o = (SeedLinear(width, width, generators=generators, bias=False) for _ in range(4))
        _orthogonal(self.W_v, generators)
        for linear in (self.W_k, self.W_r, self.W_o):
            nn.init.zeros_(linear.weight)

    def receive(self, x: Tensor, previous: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return receptance, keys and values.

        Args:
            x: (seeds, ..., width).
            previous: inputs one position earlier, like x.

        Returns:
            sigmoid(r), k and v, (seeds, ..., width) each; k and v in float32 or more.
        """
        r, k, v = (
            project(linear, shift(x, previous))
            for linear, shift in ((self.W_r, self.shift_r), (self.W_k, self.shift_k), (self.W_v, self.shift_v))
        )
        return torch.sigmoid(r), full_precision(k), full_precision(v)

    def start(self, x: Tensor) -> State:
        """Return the state before the first position: empty sums, and zeros as the input before.

        Args:
            x: (seeds, batch, ...); gives batch size, device and data type.

        Returns:
            Numerator, denominator, their exponent and the last input, (seeds, batch, width) each.
        """
        zero = x.new_zeros(self.n_seeds, x.shape[1], self.width)
        return zero, zero, torch.full_like(zero, LOWEST), zero

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output at one more position, and the new state.

        Args:
            x: (seeds, batch, width).
            state: numerator, denominator, their exponent and the last input, (seeds, batch, width) each.

        Returns:
            Output (seeds, batch, width), and the state after this position.
        """
        r, k, v = self.receive(x, state[3])
        wkv, sums = wkv_step(k, v, self.theta.exp().unsqueeze(1), self.u.unsqueeze(1), state[:3])
        return project(self.W_o, r * wkv), (*sums, x)


class ChannelMixing(Mixer):
    """Channel mixing of RWKV-4 (Peng et al. 2023, section 3.1), which takes the place of the MLP and has a state: the last input.

        r_t = W_r (mu_r x_t + (1 - mu_r) x_{t-1}),  k_t = W_k (mu_k x_t + (1 - mu_k) x_{t-1})      (k has 4 d features)
        o_t = sigmoid(r_t) * W_v relu(k_t)^2

    W_r and W_v start as zeros, W_k orthogonal.

    Args:
        width: features per position, d.
        generators: one per seed, on the CPU; they draw the initial weights.
        layer: number of the block, from 0.
        layers: number of blocks of the network.
    """

    EXPAND = 4
    undecayed = ("mu",)

    def __init__(self, width: int, *, generators: Sequence[torch.Generator], layer: int = 0, layers: int = 1) -> None:
        super().__init__(width, len(generators))
        mu = (torch.arange(width) / width) ** (1 - layer / layers)
        self.shift_k, self.shift_r = TokenShift(mu, len(generators)), TokenShift(mu, len(generators))
        self.W_k = SeedLinear(width, self.EXPAND * width, generators=generators, bias=False)
        self.W_v = SeedLinear(self.EXPAND * width, width, generators=generators, bias=False)
        self.W_r = SeedLinear(width, width, generators=generators, bias=False)
        _orthogonal(self.W_k, generators)
        nn.init.zeros_(self.W_v.weight)
        nn.init.zeros_(self.W_r.weight)

    def mix(self, x: Tensor, previous: Tensor) -> Tensor:
        """Return the output, given the inputs of two adjacent positions.

        Args:
            x: (seeds, ..., width).
            previous: inputs one position earlier, like x.

        Returns:
            (seeds, ..., width).
        """
        k = torch.relu(project(self.W_k, self.shift_k(x, previous))).square()
        return torch.sigmoid(project(self.W_r, self.shift_r(x, previous))) * project(self.W_v, k)

    def start(self, x: Tensor) -> State:
        """Return the state before the first position: zeros as the input before.

        Args:
            x: (seeds, batch, ...); gives batch size, device and data type.

        Returns:
            The last input, (seeds, batch, width).
        """
        return (x.new_zeros(self.n_seeds, x.shape[1], self.width),)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output at one more position, and the new state.

        Args:
            x: (seeds, batch, width).
            state: the last input, (seeds, batch, width).

        Returns:
            Output (seeds, batch, width), and the state after this position.
        """
        return self.mix(x, state[0]), (x,)
