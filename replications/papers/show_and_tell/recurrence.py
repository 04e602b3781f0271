"""The LSTM's steps over a whole caption with a backward pass of its own: one weight product for all steps.

Autograd would form the recurrent weight's gradient step by step; together they are one large product, and the gates'
derivatives need fewer passes over memory. Gradients equal autograd's (a test holds this).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, library: bool) -> tuple[Tensor, Tensor]:
        n_steps, size = gates.shape[1], hidden.shape[-1]
        opened, updates, hiddens, cells = [], [], [hidden], [cell]
        for step in range(n_steps):
            total = torch.baddbmm(gates[:, step], hidden, weight)
            sigmoids, update = total[..., : 3 * size].sigmoid(), total[..., 3 * size :].tanh()
            i, f, o = sigmoids.chunk(3, dim=-1)
            cell = torch.addcmul(f * cell, i, update)
            hidden = o * (cell.tanh() if library else cell)
            opened.append(sigmoids)
            updates.append(update)
            hiddens.append(hidden)
            cells.append(cell)
        ctx.with_tanh, ctx.size = library, size
        ctx.save_for_backward(weight, *opened, *updates, *hiddens, *cells)
        return torch.stack(hiddens[1:], 1), cell

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, *saved = ctx.saved_tensors
        n_steps = (len(saved) - 2) // 4
        opened, updates = saved[:n_steps], saved[n_steps : 2 * n_steps]
        hiddens, cells = saved[2 * n_steps : 3 * n_steps + 1], saved[3 * n_steps + 1 :]
        transposed = weight.mT.contiguous()
        arriving, to_cell = torch.zeros_like(hiddens[0]), gradients[1]
        deltas = hiddens[0].new_empty(hiddens[0].shape[0], n_steps, hiddens[0].shape[1], 4 * ctx.size)
        for step in reversed(range(n_steps)):
            i, f, o = opened[step].chunk(3, dim=-1)
            update, after = updates[step], cells[step + 1]
            shown = after.tanh() if ctx.with_tanh else after
            to_hidden = gradients[0][:, step] + arriving
            through = to_hidden * o
            to_cell = to_cell + (through * (1 - shown * shown) if ctx.with_tanh else through)
            delta = deltas[:, step]
            before_sigmoid = torch.cat([to_cell * update, to_cell * cells[step], to_hidden * shown], -1)
            torch.mul(before_sigmoid, opened[step] * (1 - opened[step]), out=delta[..., : 3 * ctx.size])
            torch.mul(to_cell * i, 1 - update * update, out=delta[..., 3 * ctx.size :])
            arriving = torch.bmm(delta, transposed)
            to_cell = to_cell * f
        earlier = torch.stack(hiddens[:-1], 1).flatten(1, 2)
        to_weight = torch.bmm(earlier.mT, deltas.flatten(1, 2))
        return deltas, arriving, to_cell, to_weight, None


def recurrence(gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, *, library: bool) -> tuple[Tensor, Tensor]:
    """Run eqs 4-8 over all steps.

    Args:
        gates: (slots, steps, rows, 4 hidden), the inputs' share of the gates in the order i, f, o, update.
        hidden, cell: (slots, rows, hidden), m and c before the first step.
        weight: (slots, hidden, 4 hidden), the recurrent weights.
        library: tanh on the cell.

    Returns:
        m of every step (slots, steps, rows, hidden), and the last c.
    """
    return _Recurrence.apply(gates, hidden, cell, weight, library)
