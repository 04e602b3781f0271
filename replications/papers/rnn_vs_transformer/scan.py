"""The parallel scan: a linear recurrence h_t = a_t h_{t-1} + b_t at all positions at once, with its gradient.

Blelloch's odd-even scan combines neighbours until one element remains, then a second pass fills in the others. The work is O(n), the
longest chain of dependent kernels 2 log2 n. The gradient is the same recurrence backwards in time, so only `a` and `h` are stored for it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


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


def scan_positions(a: Tensor, b: Tensor) -> Tensor:
    """Return the states of a linear recurrence over the third axis.

    Args:
        a: (seeds, batch, n, ...).
        b: (seeds, batch, n, ...).

    Returns:
        (seeds, batch, n, ...).
    """
    return linear_scan(a.movedim(2, 0).contiguous(), b.movedim(2, 0).contiguous()).movedim(0, 2)
