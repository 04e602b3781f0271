"""Causal attention in plain operations: softmax attention with four kinds of position encoding, and linear attention."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from replications.engine.layers import SeedLinear
from replications.papers.rnn_vs_transformer.mixers import Mixer, State, project


def rotate(x: Tensor, positions: Tensor) -> Tensor:
    """Return queries or keys with rotary position encoding (Su et al. 2021, equation 34).

    Pairs of features are rotated by an angle proportional to the position.

    Args:
        x: queries or keys, (..., n, d_h).
        positions: (n,), any real numbers.

    Returns:
        (..., n, d_h).
    """
    half = x.shape[-1] // 2
    frequencies = 10_000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angles = positions.float().unsqueeze(-1) * frequencies
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half : 2 * half]
    return torch.cat([first * cos - second * sin, second * cos + first * sin, x[..., 2 * half :]], -1)


def hard_alibi(heads: int, n: int, device: torch.device) -> Tensor:
    """Return the mask of hard-ALiBi (Jelassi et al. 2024, section 3): head m of the first half attends to the last m positions only.

    Args:
        heads: number of heads.
        n: number of positions.
        device: device of the mask.

    Returns:
        True where query i of a head may attend to key j, bool (heads, n, n).
    """
    i = torch.arange(n, device=device)
    distance = i.unsqueeze(1) - i
    m = torch.arange(heads, device=device)  # created on the device: a captured graph cannot copy a list to it
    reach = torch.where(m < max(1, heads // 2), m + 1, n)
    return (distance >= 0) & (distance < reach.view(-1, 1, 1))


class Attention(Mixer):
    """Multi-head causal self-attention (Vaswani et al. 2017, equation 1): softmax(Q K^T / sqrt(d_h)) V.

    `forward` stores the matrix of scores, as in the equation; the state of `step` holds the keys and values of all positions.

    Args:
        width: features per position.
        generators: one per seed, on the CPU; they draw the initial weights.
        positions: rope or alibi, which act in this layer; learned or nope (no encoding), which do not.
        head_width: features per head, d_h; divides the width.
    """

    def __init__(self, width: int, *, generators: Sequence[torch.Generator], positions: str = "rope", head_width: int = 32) -> None:
        super().__init__(width, len(generators))
        self.positions, self.head_width = positions, min(head_width, width)
        self.heads = width // self.head_width
        self.in_proj = SeedLinear(width, 3 * width, generators=generators, bias=False)  # Q, K, V
        self.out_proj = SeedLinear(width, width, generators=generators, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        n = x.shape[2]
        q, k, v = project(self.in_proj, x).view(*x.shape[:-1], 3, self.heads, self.head_width).permute(3, 0, 1, 4, 2, 5).flatten(1, 2)
        if self.positions == "rope":
            position_ids = torch.arange(n, device=x.device)
            q, k = rotate(q, position_ids), rotate(k, position_ids)
        mask = hard_alibi(self.heads, n, x.device) if self.positions == "alibi" else None
        y = self.attend(q, k, v, mask)
        return project(self.out_proj, y.transpose(1, 2).reshape(x.shape))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Return the values, weighted by the softmax of the scores.

        Args:
            q: queries, (seeds * batch, heads, n, d_h).
            k: keys, like q.
            v: values, like q.
            mask: True where a query may attend to a key, bool (heads, n, n); None: the causal mask.

        Returns:
            (seeds * batch, heads, n, d_h).
        """
        n = q.shape[2]
        if mask is None:
            mask = torch.ones(n, n, dtype=torch.bool, device=q.device).tril()
        scores = (q @ k.mT) / math.sqrt(self.head_width)
        return torch.softmax(scores.masked_fill(~mask, -math.inf), -1) @ v

    def start(self, x: Tensor) -> State:
        """Return the state before the first position: no keys and no values.

        Args:
            x: (seeds, batch, ...); gives batch size, device and data type.

        Returns:
            Keys and values, (seeds, batch, heads, 0, d_h) each.
        """
        empty = x.new_zeros(self.n_seeds, x.shape[1], self.heads, 0, self.head_width)
        return empty, empty

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output at one more position, and the new state, which has one more key and value.

        Args:
            x: (seeds, batch, width).
            state: state after the previous position: keys and values, (seeds, batch, heads, t, d_h) each.

        Returns:
            Output (seeds, batch, width), and the state after this position.
        """
        q, k, v = project(self.in_proj, x).view(*x.shape[:-1], 3, self.heads, 1, self.head_width).unbind(2)
        n = state[0].shape[3]
        if self.positions == "rope":
            position_id = torch.full((1,), float(n), device=x.device)
            q, k = rotate(q, position_id), rotate(k, position_id)
        keys, values = torch.cat([state[0], k], 3), torch.cat([state[1], v], 3)
        scores = (q @ keys.mT) / math.sqrt(self.head_width)
        if self.positions == "alibi":
            scores = scores.masked_fill(~hard_alibi(self.heads, n + 1, x.device)[:, -1:], -math.inf)
        y = torch.softmax(scores, -1) @ values
        return project(self.out_proj, y.squeeze(3).flatten(2)), (keys, values)


class LinearAttention(Mixer):
    """Linear attention (Katharopoulos et al. 2020, equations 16 to 20): a product of features phi(x) = elu(x) + 1 replaces the softmax.

        s_t = s_{t-1} + phi(k_t) v_t^T,   z_t = z_{t-1} + phi(k_t),   y_t = phi(q_t) s_t / (phi(q_t) z_t)

    Args:
        width: features per position.
        generators: one per seed, on the CPU; they draw the initial weights.
        head_width: features per head, d_h; divides the width.
    """

    def __init__(self, width: int, *, generators: Sequence[torch.Generator], head_width: int = 32) -> None:
        super().__init__(width, len(generators))
        self.head_width = min(head_width, width)
        self.heads = width // self.head_width
        self.in_proj = SeedLinear(width, 3 * width, generators=generators, bias=False)  # Q, K, V
        self.out_proj = SeedLinear(width, width, generators=generators, bias=False)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the features of queries and keys, and the values.

        Args:
            x: (seeds, batch, ..., width).

        Returns:
            phi(q), phi(k) and v, (seeds, batch, ..., heads, d_h) each.
        """
        q, k, v = project(self.in_proj, x).view(*x.shape[:-1], 3, self.heads, self.head_width).unbind(-3)
        return functional.elu(q) + 1, functional.elu(k) + 1, v

    def start(self, x: Tensor) -> State:
        """Return the state before the first position: zeros.

        Args:
            x: (seeds, batch, ...); gives batch size, device and data type.

        Returns:
            s (seeds, batch, heads, d_h, d_h) and z (seeds, batch, heads, d_h, 1).
        """
        shape = (self.n_seeds, x.shape[1], self.heads, self.head_width)
        return x.new_zeros(*shape, self.head_width), x.new_zeros(*shape, 1)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output at one more position, and the new state.

        Args:
            x: (seeds, batch, width).
            state: state after the previous position: s (seeds, batch, heads, d_h, d_h) and z (seeds, batch, heads, d_h, 1).

        Returns:
            Output (seeds, batch, width), and the state after this position.
        """
        q, k, v = (part.unsqueeze(-2) for part in self.features(x))
        s, z = state[0] + k.mT @ v, state[1] + k.mT
        return project(self.out_proj, ((q @ s) / (q @ z)).flatten(2)), (s, z)
