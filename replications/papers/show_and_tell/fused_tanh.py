"""The plain recurrent network of `model.py` for all slots at once.

Shapes: S slots (networks with weights of their own), n rows, T words, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from replications.engine.layers import SeedLinear


class SlotTanhRNN(nn.Module):
    """`model.TanhRNN` of every slot, with the methods of `SlotLSTM`. `inputs` computes the input contribution for many steps at once.

    Args:
        n_in: width of the input x_t.
        hidden: H.
        generators: one per slot, on the CPU; they determine the initial weights.

    Attributes:
        n_blocks: pre-activations of a unit.
    """

    n_blocks = 1

    def __init__(self, n_in: int, hidden: int, *, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.inputs = SeedLinear(n_in, hidden, generators=generators, bias=False)
        self.hidden = SeedLinear(hidden, hidden, generators=generators, bias=False)

    def forward(self, gates: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Run one time step.

        Args:
            gates: input contribution to the pre-activations, (S, n, H).
            hidden: m_{t-1}, (S, n, H).
            cell: not used, (S, n, H).

        Returns:
            m_t, (S, n, H), and the cell as it was.
        """
        return torch.baddbmm(gates, hidden, self.hidden.weight).tanh(), cell

    def unroll(self, gates: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
        """Run all time steps of a caption.

        Args:
            gates: input contributions to the pre-activations, (S, T, n, H).
            hidden: m before the first step, (S, n, H).
            cell: not used, (S, n, H).

        Returns:
            m of every step, (S, T, n, H).
        """
        hiddens = []
        for gate in gates.unbind(1):
            hidden, cell = self(gate, hidden, cell)
            hiddens.append(hidden)
        return torch.stack(hiddens, 1)
