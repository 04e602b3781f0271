"""Causal softmax attention (Vaswani et al. 2017, equation 1), naive and by the library's fused kernels, with four kinds of positions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from replications.engine.layers import SeedLinear
from replications.papers.rnn_vs_transformer.mixers import Mixer, State, project


def rotate(x: Tensor, positions: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021, equation 34): pairs of features turn by an angle proportional to the position.

    Args:
        x: (..., n, head).
        positions: (n,), any real numbers.
    """
    half = x.shape[-1] // 2
    frequencies = 10_000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angles = positions.float().unsqueeze(-1) * frequencies
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half : 2 * half]
    return torch.cat([first * cos - second * sin, second * cos + first * sin, x[..., 2 * half :]], -1)


def hard_alibi(heads: int, n: int, device: torch.device) -> Tensor:
    """Hard-ALiBi (Jelassi et al. 2024, section 3): half of the heads, number m, see the last m positions only; the others see all.

    Returns:
        Whether query i of head h may see key j, bool (heads, n, n).
    """
    i = torch.arange(n, device=device)
    distance = i.unsqueeze(1) - i
    m = torch.arange(heads, device=device)  # made on the device: a captured graph cannot copy a list to it
    reach = torch.where(m < max(1, heads // 2), m + 1, n)
    return (distance >= 0) & (distance < reach.view(-1, 1, 1))


class Attention(Mixer):
    """Multi-head causal self-attention.

    Args:
        positions: rope or alibi act here; learned and nope (none) do nothing here.
        form: naive (scores are a matrix in memory), sdpa (fused kernels), or loop (one position at a time, keys and values kept).
    """

    def __init__(
        self, width: int, *, generators: Sequence[torch.Generator], form: str = "sdpa", positions: str = "rope", head_width: int = 32
    ) -> None:
        super().__init__(width, len(generators), form)
        self.positions, self.head = positions, min(head_width, width)
        self.heads = width // self.head
        self.inputs = SeedLinear(width, 3 * width, generators=generators, bias=False)
        self.output = SeedLinear(width, width, generators=generators, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix (seeds, batch, n, width)."""
        if self.form == "loop":
            return self.loop(x)
        n = x.shape[2]
        q, k, v = project(self.inputs, x).view(*x.shape[:-1], 3, self.heads, self.head).permute(3, 0, 1, 4, 2, 5).flatten(1, 2)
        if self.positions == "rope":
            at = torch.arange(n, device=x.device)
            q, k = rotate(q, at), rotate(k, at)
        mask = hard_alibi(self.heads, n, x.device) if self.positions == "alibi" else None
        mixed = self._naive(q, k, v, mask) if self.form == "naive" else self._fused(q, k, v, mask)
        return project(self.output, mixed.transpose(1, 2).reshape(x.shape))

    def _naive(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        n = q.shape[2]
        if mask is None:
            mask = torch.ones(n, n, dtype=torch.bool, device=q.device).tril()
        scores = (q @ k.mT) / math.sqrt(self.head)
        return torch.softmax(scores.masked_fill(~mask, -math.inf), -1) @ v

    def _fused(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        if mask is not None:
            return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    def start(self, x: Tensor) -> State:
        """No keys, no values: (seeds, batch, heads, 0, head) each."""
        empty = x.new_zeros(self.n_seeds, x.shape[1], self.heads, 0, self.head)
        return empty, empty

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One position (seeds, batch, width); the state grows by one key and one value."""
        q, k, v = project(self.inputs, x).view(*x.shape[:-1], 3, self.heads, 1, self.head).unbind(2)
        n = state[0].shape[3]
        if self.positions == "rope":
            at = torch.full((1,), float(n), device=x.device)
            q, k = rotate(q, at), rotate(k, at)
        keys, values = torch.cat([state[0], k], 3), torch.cat([state[1], v], 3)
        return self.attend(q, keys, values), (keys, values)

    def attend(self, q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The output of one query (seeds, batch, heads, 1, head) over the keys up to its own position."""
        scores = (q @ keys.mT) / math.sqrt(self.head)
        if self.positions == "alibi":
            mask = hard_alibi(self.heads, keys.shape[3], q.device)[:, -1:]
            scores = scores.masked_fill(~mask, -math.inf)
        mixed = torch.softmax(scores, -1) @ values
        return project(self.output, mixed.squeeze(3).flatten(2))

    def flops(self, n: int) -> float:
        """Four projections, and the two n x n products; a causal mask saves none in the naive form, nor is it counted to."""
        return float(8 * n * self.width**2 + 4 * n**2 * self.width)

    def sequential(self, n: int) -> int:
        """All positions at once."""
        return n if self.form == "loop" else 1

    def state_numbers(self, n: int) -> int:
        """A key and a value for every position."""
        return 2 * n * self.width
