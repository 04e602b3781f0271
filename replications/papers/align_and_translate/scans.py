"""The two recurrences of `fused.py` with gradients written out: all weight gradients are one product over all words.

Left to automatic differentiation every word adds its own gradient to each weight matrix, and its own outer product to the gradient
of all annotations. Here a loop back over the words only carries the gradient of the state; what the loop leaves behind is multiplied
once at its end. All arrays have a leading axis of networks, which are independent of each other.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class GatedScan(torch.autograd.Function):
    """States of gated units over whole sentences; `GatedUnit` of `model.py`, step by step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor, h: Tensor, u_gates: Tensor, u: Tensor) -> Tensor:
        """Return the state after every word.

        Args:
            ctx: receives what the gradient needs.
            x: W x + C c + b of z, r and candidate, (n_steps, networks, batch, 3n).
            keep: 1 where there is a word, 0 at padding, which leaves the state unchanged, (n_steps, networks, batch, 1).
            h: first state, (networks, batch, n).
            u_gates: U_z and U_r side by side, (networks, n, 2n).
            u: U, (networks, n, n).

        Returns:
            (n_steps, networks, batch, n).
        """
        n = h.shape[-1]
        before, gates, candidates, after = [], [], [], []
        for x_t, keep_t in zip(x, keep, strict=True):
            zr = torch.baddbmm(x_t[..., : 2 * n], h, u_gates).sigmoid_()
            z, r = zr[..., :n], zr[..., n:]
            z.mul_(keep_t)
            candidate = torch.baddbmm(x_t[..., 2 * n :], r * h, u).tanh_()
            before.append(h)
            gates.append(zr)
            candidates.append(candidate)
            h = torch.addcmul(h, z, candidate - h)
            after.append(h)
        ctx.save_for_backward(torch.stack(before), torch.stack(gates), torch.stack(candidates), u_gates, u)
        return torch.stack(after)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, of the first state and of the recurrent matrices.

        Args:
            ctx: what `forward` left.
            gradients: of the states.

        Returns:
            In the order of the inputs.
        """
        before, gates, candidates, u_gates, u = ctx.saved_tensors
        n = u.shape[-1]
        dx = gates.new_empty(*gates.shape[:-1], 3 * n)
        dh = torch.zeros_like(before[0])
        for t in range(len(before) - 1, -1, -1):
            dh = dh + gradients[0][t]
            dh = _unit_backward(dh, before[t], gates[t], candidates[t], u, dx[t])
            dh = torch.baddbmm(dh, dx[t][..., : 2 * n], u_gates.mT)
        reset = gates[..., n:] * before
        return dx, None, dh, _summed_product(before, dx[..., : 2 * n]), _summed_product(reset, dx[..., 2 * n :])


def _unit_backward(dh: Tensor, h: Tensor, gates: Tensor, candidate: Tensor, u: Tensor, dx: Tensor) -> Tensor:
    """Write the gradient of x of one step to `dx` and return that of the state before, but for what passes through the gates."""
    n = h.shape[-1]
    z, r = gates[..., :n], gates[..., n:]
    through = dh * z
    torch.mul(through, 1 - candidate.square(), out=dx[..., 2 * n :])
    d_reset = torch.bmm(dx[..., 2 * n :], u.mT)
    torch.mul(dh * (candidate - h), z * (1 - z), out=dx[..., :n])
    torch.mul(d_reset * h, r * (1 - r), out=dx[..., n : 2 * n])
    return torch.addcmul(dh - through, d_reset, r)


def _summed_product(left: Tensor, right: Tensor) -> Tensor:
    """Return the sum over steps and batch of outer products: (n_steps, networks, batch, a) x (..., b) -> (networks, a, b)."""
    left, right = (part.transpose(0, 1).flatten(1, 2) for part in (left, right))
    return torch.bmm(left.mT, right)


class AttentiveScan(torch.autograd.Function):
    """States and contexts of the decoder of RNNsearch over whole sentences, given the true words; weights come without gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        s: Tensor,
        annotations: Tensor,
        keys: Tensor,
        hidden: Tensor,
        u_gates_align: Tensor,
        u: Tensor,
        c_all: Tensor,
        v: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the state before every word, its context, and its weights.

        Args:
            ctx: receives what the gradient needs.
            x: W E y_{i-1} + b of z, r and candidate, (n_steps, networks, batch, 3n).
            s: s_0, (networks, batch, n).
            annotations: (networks, batch, n_source, k).
            keys: U_a h_j, (networks, batch, n_source, n').
            hidden: -inf at padding, else 0, (networks, batch, n_source).
            u_gates_align: U_z, U_r and W_a side by side, (networks, n, 2n + n').
            u: U, (networks, n, n).
            c_all: C_z, C_r and C side by side, (networks, k, 3n).
            v: v_a, (networks, n').

        Returns:
            s_{i-1} (n_steps, networks, batch, n), c_i (..., k) and alpha_i (..., n_source).
        """
        n = s.shape[-1]
        kept: tuple[list[Tensor], ...] = ([], [], [], [], [], [])
        for x_i in x:
            projected = torch.bmm(s, u_gates_align)
            scores, tanh = alignment_scores(projected[..., 2 * n :], keys, v)
            alpha = scores.add_(hidden).softmax(-1)
            c = torch.matmul(alpha.unsqueeze(-2), annotations).squeeze(-2)
            inputs = torch.baddbmm(x_i, c, c_all)
            zr = inputs[..., : 2 * n].add_(projected[..., : 2 * n]).sigmoid_()
            candidate = torch.baddbmm(inputs[..., 2 * n :], zr[..., n:] * s, u).tanh_()
            for values, value in zip(kept, (s, c, alpha, zr, candidate, tanh), strict=True):
                values.append(value)
            s = torch.addcmul(s, zr[..., :n], candidate - s)
        states, contexts, weights, gates, candidates = (torch.stack(values) for values in kept[:5])
        result = states, contexts, weights
        ctx.save_for_backward(*result, gates, candidates, annotations, u_gates_align, u, c_all, v, *kept[5])
        ctx.mark_non_differentiable(result[2])
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of all inputs but the mask.

        Args:
            ctx: what `forward` left.
            gradients: of states, contexts and weights; the last is not used.

        Returns:
            In the order of the inputs.
        """
        states, contexts, weights, gates, candidates, annotations, u_gates_align, u, c_all, v, *tanhs = ctx.saved_tensors
        n, size = u.shape[-1], v.shape[-1]
        dx = gates.new_empty(*gates.shape[:-1], 3 * n)
        d_projected = gates.new_empty(*gates.shape[:-1], 2 * n + size)
        dc = torch.empty_like(contexts)
        d_keys, dv, ds = torch.zeros_like(tanhs[0]), torch.zeros_like(v), torch.zeros_like(states[0])
        for i in range(len(states) - 1, -1, -1):
            ds = _unit_backward(ds, states[i], gates[i], candidates[i], u, dx[i])
            torch.baddbmm(gradients[1][i], dx[i], c_all.mT, out=dc[i])
            d_alpha = torch.matmul(annotations, dc[i].unsqueeze(-1)).squeeze(-1)
            alpha, tanh = weights[i], tanhs[i]
            d_scores = alpha * (d_alpha - (alpha * d_alpha).sum(-1, keepdim=True))
            dv += torch.matmul(d_scores.flatten(1).unsqueeze(1), tanh.flatten(1, 2)).squeeze(1)
            slope = (d_scores.unsqueeze(-1) * v[:, None, None]).mul_(1 - tanh.square())
            d_keys += slope
            d_projected[i][..., : 2 * n] = dx[i][..., : 2 * n]
            torch.sum(slope, dim=-2, out=d_projected[i][..., 2 * n :])
            ds = torch.baddbmm(ds, d_projected[i], u_gates_align.mT).add_(gradients[0][i])
        d_annotations = torch.matmul(weights.permute(1, 2, 3, 0), dc.permute(1, 2, 0, 3))
        d_u = _summed_product(gates[..., n:] * states, dx[..., 2 * n :])
        return dx, ds, d_annotations, d_keys, None, _summed_product(states, d_projected), d_u, _summed_product(contexts, dx), dv


def alignment_scores(query: Tensor, keys: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return v_a^T tanh(W_a s_{i-1} + U_a h_j) of every pair of a row and a source word.

    Args:
        query: W_a s_{i-1}, (networks, rows, n').
        keys: U_a h_j, (networks, rows, n_source, n').
        v: v_a, (networks, n').

    Returns:
        Scores (networks, rows, n_source), and the tanh (networks, rows, n_source, n').
    """
    tanh = torch.add(keys, query.unsqueeze(-2)).tanh_()
    return torch.matmul(tanh.flatten(1, 2), v.unsqueeze(-1)).view(keys.shape[:-1]), tanh
