"""Fast forms of the mixers: PyTorch's recurrent kernels, a parallel scan, chunked linear attention, and fused attention.

Each class computes the same function as its base class (in `mixers.py`, `linear_recurrences.py` or `attention.py`), for all positions
in parallel; tests check that outputs and gradients agree.

The linear recurrence h_t = a_t h_{t-1} + b_t is computed by Blelloch's odd-even scan: neighbours are combined until one element
remains, then a second pass fills in the others. The work is O(n), the longest chain of dependent kernels 2 log2 n. The gradient is
the same recurrence backwards in time, so only `a` and `h` are stored for it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from replications.papers.rnn_vs_transformer.attention import Attention, LinearAttention
from replications.papers.rnn_vs_transformer.linear_recurrences import MinimalRNN, SelectiveSSM
from replications.papers.rnn_vs_transformer.mixers import Recurrent, project


def scan_depth(n: int) -> int:
    """Return the number of dependent combinations in the scan: one on the way down and one on the way up for each halving.

    Args:
        n: number of elements, from 1.

    Returns:
        2 floor(log2 n).
    """
    depth = 0
    while n > 1:
        n, depth = n // 2, depth + 2
    return depth


def _scan(a: Tensor, b: Tensor) -> Tensor:
    """Return all h_t for h_{-1} = 0.

    Args:
        a: (n, ...).
        b: (n, ...).

    Returns:
        (n, ...).
    """
    n = len(a)
    if n == 1:
        return b
    odd_a, odd_b = a[1::2], b[1::2]
    even_a, even_b = a[0 : n - 1 : 2], b[0 : n - 1 : 2]
    at_odd = _scan(odd_a * even_a, torch.addcmul(odd_b, odd_a, even_b))
    result = torch.empty_like(b)
    result[0] = b[0]
    result[1::2] = at_odd
    if n > 2:
        result[2::2] = torch.addcmul(b[2::2], a[2::2], at_odd[: (n - 1) // 2])
    return result


class _LinearScan(torch.autograd.Function):
    """The scan with its gradient: dL/db_t = g_t with g_t = dL/dh_t + a_{t+1} g_{t+1}, and dL/da_t = g_t h_{t-1}."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        h = _scan(a, b)
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        a, h = ctx.saved_tensors
        a_next = torch.cat([a[1:], torch.zeros_like(a[:1])]).flip(0)
        grad_b = _scan(a_next, gradients[0].flip(0)).flip(0)
        grad_a = torch.zeros_like(a)
        torch.mul(grad_b[1:], h[:-1], out=grad_a[1:])
        return grad_a, grad_b


def linear_scan(a: Tensor, b: Tensor) -> Tensor:
    """Return h_t = a_t h_{t-1} + b_t with h_{-1} = 0, for every t in parallel.

    Args:
        a: (n, ...), floating point; |a| at most about 1, or h grows without bound.
        b: like a.

    Returns:
        h, (n, ...).
    """
    return _LinearScan.apply(a, b) if len(a) else b


def _scan_positions(a: Tensor, b: Tensor) -> Tensor:
    """Return the states of a linear recurrence over the third axis.

    Args:
        a: (seeds, batch, n, ...).
        b: (seeds, batch, n, ...).

    Returns:
        (seeds, batch, n, ...).
    """
    return linear_scan(a.movedim(2, 0).contiguous(), b.movedim(2, 0).contiguous()).movedim(0, 2)


class LoopedRecurrent(Recurrent):
    """tanh-RNN, GRU or LSTM in an explicit loop, with the products of all inputs computed beforehand, as cuDNN does.

    Only the operations that depend on the previous step are in the loop.

    Args:
        cell: rnn, gru or lstm.
        width: features per position, and of the state.
        generators: one per seed, on the CPU; they draw the initial weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        W_x, W_h, b_x, b_h = self.weights()
        from_input = torch.baddbmm(b_x, x.reshape(self.n_seeds, -1, self.width), W_x).view(*x.shape[:-1], -1)
        state, outputs = self.start(x), []
        for from_input_t in from_input.unbind(2):
            state = self.advance(from_input_t, state, W_h, b_h)
            outputs.append(state[0])
        return torch.stack(outputs, 2)


class LibraryRecurrent(Recurrent):
    """tanh-RNN, GRU or LSTM in PyTorch's kernels.

    Args:
        cell: rnn, gru or lstm.
        width: features per position, and of the state.
        generators: one per seed, on the CPU; they draw the initial weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        return torch.stack([kernel(x_s)[0] for kernel, x_s in zip(self.cells, x.unbind(0), strict=True)])


class ScannedMinimalRNN(MinimalRNN):
    """minGRU or minLSTM as a parallel scan; arguments as for `MinimalRNN`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        return _scan_positions(*self.coefficients(x))


class ScannedSSM(SelectiveSSM):
    """The selective state-space layer as a parallel scan; arguments as for `SelectiveSSM`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        n, n_before = x.shape[2], self.D_CONV - 1
        x, z = project(self.in_proj, x).chunk(2, -1)
        padded = functional.pad(x, (0, 0, n_before, 0))
        taps = self.conv1d.view(self.n_seeds, 1, self.D_CONV, 1, self.width)
        x = padded[:, :, n_before:] * taps[:, :, n_before]
        for j in range(n_before):
            x = torch.addcmul(x, padded[:, :, j : j + n], taps[:, :, j])
        x = functional.silu(x)
        A_bar, B_bar_x, C = self.discretise(x)
        return self.read(_scan_positions(A_bar, B_bar_x), C, x, z)


class ChunkedLinearAttention(LinearAttention):
    """Linear attention in O(n): quadratic within chunks of 64 positions, with a running sum of k v^T between chunks.

    Arguments as for `LinearAttention`.
    """

    CHUNK = 64

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        n = x.shape[2]
        chunk = min(self.CHUNK, n)
        q, k, v = (
            functional.pad(part, (0, 0, 0, 0, 0, -n % chunk)).unflatten(2, (-1, chunk)).transpose(3, 4) for part in self.features(x)
        )  # (seeds, batch, chunks, heads, chunk, d_h)
        s, z = (k.mT @ v).cumsum(2), k.sum(-2, keepdim=True).cumsum(2)
        s = torch.cat([torch.zeros_like(s[:, :, :1]), s[:, :, :-1]], 2)  # sums over the preceding chunks
        z = torch.cat([torch.zeros_like(z[:, :, :1]), z[:, :, :-1]], 2)
        within = (q @ k.mT).tril()
        values = within @ v + q @ s
        weights = within.sum(-1, keepdim=True) + q @ z.mT
        values, weights = (part.transpose(3, 4).flatten(2, 3)[:, :, :n] for part in (values, weights))  # padding has weight 0
        return project(self.out_proj, (values / weights).flatten(3))


class FusedAttention(Attention):
    """Attention in PyTorch's fused kernels, which never store the matrix of scores (Dao et al. 2022).

    Arguments as for `Attention`.
    """

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
        if mask is not None:
            return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True)
