"""The linear recurrence h_t = a_t h_{t-1} + b_t, over all t at once.

Blelloch's odd-even scan: neighbours are combined until one is left, then the way back fills in the others. Work is O(n), the
longest chain of dependent kernels 2 log2 n. Its gradient is the same recurrence backwards in time, so that only `a` and `h` are
kept for it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def scan_depth(n: int) -> int:
    """Dependent combinations in the scan of n elements: one down and one up for each halving."""
    depth = 0
    while n > 1:
        n, depth = n // 2, depth + 2
    return depth


def _scan(a: Tensor, b: Tensor) -> Tensor:
    """All h_t for h_{-1} = 0; a and b are (n, ...)."""
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
    """dL/db_t = g_t with g_t = dL/dh_t + a_{t+1} g_{t+1}; dL/da_t = g_t h_{t-1}."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        h = _scan(a, b)
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        a, h = ctx.saved_tensors
        later = torch.cat([a[1:], torch.zeros_like(a[:1])]).flip(0)
        to_b = _scan(later, gradients[0].flip(0)).flip(0)
        to_a = torch.zeros_like(a)
        torch.mul(to_b[1:], h[:-1], out=to_a[1:])
        return to_a, to_b


def linear_scan(a: Tensor, b: Tensor) -> Tensor:
    """h_t = a_t h_{t-1} + b_t with h_{-1} = 0, for every t in parallel.

    Args:
        a, b: (n, ...) of one shape, floating point; |a| at most about 1, or h grows without bound. n at least 1.

    Returns:
        h, (n, ...).
    """
    return _LinearScan.apply(a, b)


def linear_loop(a: Tensor, b: Tensor) -> Tensor:
    """The same, one step after the other."""
    h, state = [], torch.zeros_like(b[0])
    for a_t, b_t in zip(a.unbind(0), b.unbind(0), strict=True):
        state = torch.addcmul(b_t, a_t, state)
        h.append(state)
    return torch.stack(h)
