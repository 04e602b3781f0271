"""The LSTM of `model.py` for all slots and all time steps at once, with a hand-written backward pass.

Autograd would accumulate the gradient of the recurrent weights in one small product per time step; here it is one product over all steps.

Shapes: S slots (networks with weights of their own), n rows, T words, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from replications.engine.layers import SeedLinear


def _lstm_step(gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, *, library: bool) -> tuple[Tensor, ...]:
    """Run `model.lstm_step` for all slots as one batched product.

    Args:
        gates: input contribution W_x x_t to the gate pre-activations, (S, n, 4H).
        hidden: m_{t-1}, (S, n, H).
        cell: c_{t-1}, (S, n, H).
        weight: recurrent weights W_m, (S, H, 4H).
        library: apply tanh to the cell before the output gate.

    Returns:
        m_t and c_t, each (S, n, H); the activated gates i, f, o side by side, (S, n, 3H); and the candidate tanh(W_c ...), (S, n, H).
    """
    size = hidden.shape[-1]
    pre_activations = torch.baddbmm(gates, hidden, weight)
    activated, candidate = pre_activations[..., : 3 * size].sigmoid(), pre_activations[..., 3 * size :].tanh()
    i, f, o = activated.chunk(3, dim=-1)
    cell = torch.addcmul(f * cell, i, candidate)
    return o * (cell.tanh() if library else cell), cell, activated, candidate


class _Recurrence(torch.autograd.Function):
    """All time steps of the LSTM, with the gradient of the recurrent weights as one product over time."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, library: bool) -> tuple[Tensor, Tensor]:
        """Return m of every step, (S, T, n, H), and the last c, (S, n, H); arguments as in `recurrence`."""
        activated, candidates, hiddens, cells = [], [], [hidden], [cell]
        for gate in gates.unbind(1):
            hidden, cell, activated_gates, candidate = _lstm_step(gate, hidden, cell, weight, library=library)
            activated.append(activated_gates)
            candidates.append(candidate)
            hiddens.append(hidden)
            cells.append(cell)
        ctx.library = library
        ctx.save_for_backward(weight, *activated, *candidates, *hiddens, *cells)
        return torch.stack(hiddens[1:], 1), cell

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of gates, initial m, initial c and recurrent weights, given those of both outputs."""
        weight, *saved = ctx.saved_tensors
        n_steps, size = (len(saved) - 2) // 4, weight.shape[1]
        activated, candidates = saved[:n_steps], saved[n_steps : 2 * n_steps]
        hiddens, cells = saved[2 * n_steps : 3 * n_steps + 1], saved[3 * n_steps + 1 :]
        weight_transposed = weight.mT.contiguous()
        grad_hidden_next, grad_cell = torch.zeros_like(hiddens[0]), gradients[1]  # of m_t through step t + 1, and of c_t
        grad_gates = hiddens[0].new_empty(hiddens[0].shape[0], n_steps, hiddens[0].shape[1], 4 * size)
        for step in reversed(range(n_steps)):
            i, f, o = activated[step].chunk(3, dim=-1)
            candidate, cell = candidates[step], cells[step + 1]
            cell_output = cell.tanh() if ctx.library else cell
            grad_hidden = gradients[0][:, step] + grad_hidden_next
            grad_cell_output = grad_hidden * o
            grad_cell = grad_cell + (grad_cell_output * (1 - cell_output * cell_output) if ctx.library else grad_cell_output)
            grad_activated = torch.cat([grad_cell * candidate, grad_cell * cells[step], grad_hidden * cell_output], -1)
            grad_gate = grad_gates[:, step]
            torch.mul(grad_activated, activated[step] * (1 - activated[step]), out=grad_gate[..., : 3 * size])
            torch.mul(grad_cell * i, 1 - candidate * candidate, out=grad_gate[..., 3 * size :])
            grad_hidden_next = torch.bmm(grad_gate, weight_transposed)
            grad_cell = grad_cell * f
        inputs = torch.stack(hiddens[:-1], 1).flatten(1, 2)
        grad_weight = torch.bmm(inputs.mT, grad_gates.flatten(1, 2))
        return grad_gates, grad_hidden_next, grad_cell, grad_weight, None


def recurrence(gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, *, library: bool) -> tuple[Tensor, Tensor]:
    """Run eqs 4-8 over all time steps of a caption.

    Args:
        gates: input contributions to the gate pre-activations in the order i, f, o, candidate, (S, T, n, 4H).
        hidden: m before the first step, (S, n, H).
        cell: c before the first step, (S, n, H).
        weight: recurrent weights, (S, H, 4H).
        library: apply tanh to the cell before the output gate.

    Returns:
        m of every step, (S, T, n, H), and the last c, (S, n, H).
    """
    return _Recurrence.apply(gates, hidden, cell, weight, library)


class SlotLSTM(nn.Module):
    """`model.LSTM` of every slot. `inputs` computes the input contribution to the gates, for many time steps at once.

    Args:
        n_in: width of the input x_t.
        hidden: H.
        library: gates with biases, and tanh on the cell before the output gate.
        generators: one per slot, on the CPU; they determine the initial weights.

    Attributes:
        n_blocks: pre-activations of a unit: three gates and the candidate.
    """

    n_blocks = 4

    def __init__(self, n_in: int, hidden: int, *, library: bool, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.library = library
        self.inputs = SeedLinear(n_in, 4 * hidden, generators=generators, bias=library)
        self.hidden = SeedLinear(hidden, 4 * hidden, generators=generators, bias=False)

    def forward(self, gates: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Run one time step.

        Args:
            gates: input contribution to the gate pre-activations, (S, n, 4H).
            hidden: m_{t-1}, (S, n, H).
            cell: c_{t-1}, (S, n, H).

        Returns:
            m_t and c_t, each (S, n, H).
        """
        hidden, cell, *_ = _lstm_step(gates, hidden, cell, self.hidden.weight, library=self.library)
        return hidden, cell

    def unroll(self, gates: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
        """Run all time steps of a caption.

        Args:
            gates: input contributions to the gate pre-activations, (S, T, n, 4H).
            hidden: m before the first step, (S, n, H).
            cell: c before the first step, (S, n, H).

        Returns:
            m of every step, (S, T, n, H).
        """
        return recurrence(gates, hidden, cell, self.hidden.weight, library=self.library)[0]
