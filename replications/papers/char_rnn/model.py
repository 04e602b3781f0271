"""The networks of Karpathy, Johnson and Fei-Fei (2015), section 3: tanh RNN, GRU and LSTM over one-hot characters.

The recurrence runs in the library's kernels (cuDNN, oneDNN), a whole chunk at a time. What those kernels hide, the gates
and the LSTM's cell state, is recomputed from the same weights by `unfold`: h_{t-1} is known for every t once the kernel has
run, so all gates are one matrix product and only c_t needs a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

State = tuple[Tensor, ...]
"""What is carried between chunks: (h,) for RNN and GRU, (h, c) for the LSTM, each (layers, batch, hidden)."""

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
KERNELS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def n_parameters(cell: str, layers: int, hidden: int, vocabulary: int) -> int:
    """Weights and biases of one network, decoder included; two bias vectors a gate, as the library keeps them."""
    first = GATES[cell] * hidden * (vocabulary + hidden + 2)
    deeper = GATES[cell] * hidden * (2 * hidden + 2) * (layers - 1)
    return first + deeper + (hidden + 1) * vocabulary


def matched_hidden(cell: str, layers: int, size: int, vocabulary: int) -> int:
    """Hidden units that give a network the parameters of a one-layer LSTM of `size` units, within 3 %.

    The paper resizes every row of Table 1 so (section 4.1). Units come in steps of size / 64, so that the weights of the
    large rows stay aligned to eight.
    """
    target, step = n_parameters("lstm", 1, size, vocabulary), max(1, size // 64)
    hidden = step
    while n_parameters(cell, layers, hidden + step, vocabulary) <= target:
        hidden += step
    return min((hidden, hidden + step), key=lambda units: abs(n_parameters(cell, layers, units, vocabulary) - target))


class CharRNN(nn.Module):
    """Characters in, logits of the next character out.

    The input is the one-hot vector of the character (section 3.1), made by looking up the rows of an identity matrix.

    Args:
        cell: rnn, gru or lstm (equations 1 to 3).
        layers, hidden: depth and units a layer.
        vocabulary: characters known.
        dropout: between layers, on the non-recurrent connections.
        generator: for the initial weights.
        init: 'uniform', all weights from U(-0.08, 0.08) as in the authors' trainer, or 'scaled',
            U(-1, 1) / sqrt(fan-in).
        forget_bias: initial bias of an LSTM's forget gates; 1 in the authors' trainer.
    """

    identity: Tensor

    def __init__(
        self,
        cell: str,
        layers: int,
        hidden: int,
        vocabulary: int,
        *,
        dropout: float = 0.0,
        generator: torch.Generator,
        init: Literal["uniform", "scaled"] = "uniform",
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__()
        self.cell, self.layers, self.hidden, self.vocabulary = cell, layers, hidden, vocabulary
        self.recurrent = KERNELS[cell](vocabulary, hidden, layers, dropout=dropout if layers > 1 else 0.0)
        self.decoder = nn.Linear(hidden, vocabulary)
        self.register_buffer("identity", torch.eye(vocabulary), persistent=False)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                # A one-hot input has one entry that is not zero: the fan-in of those weights is 1, however many columns.
                scaled = 1.0 if name == "recurrent.weight_ih_l0" else hidden**-0.5
                bound = 0.08 if init == "uniform" else scaled
                parameter.copy_(torch.rand(parameter.shape, generator=generator, device=generator.device) * 2 * bound - bound)
            if cell == "lstm":
                for layer in range(layers):
                    getattr(self.recurrent, f"bias_ih_l{layer}")[hidden : 2 * hidden] = forget_bias
                    getattr(self.recurrent, f"bias_hh_l{layer}")[hidden : 2 * hidden] = 0.0

    def zero_state(self, batch: int) -> State:
        """State before the first character."""
        shape = (self.layers, batch, self.hidden)
        return tuple(torch.zeros(shape, device=self.identity.device) for _ in range(2 if self.cell == "lstm" else 1))

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read a chunk.

        Args:
            tokens: int64 (seq_len, batch).
            state: carried from the chunk before.

        Returns:
            Logits (seq_len, batch, vocabulary) and the state to carry on, detached: back-propagation stops here.
        """
        one_hot = functional.embedding(tokens, self.identity)
        outputs, after = self.recurrent(one_hot, state if self.cell == "lstm" else state[0])
        after = after if self.cell == "lstm" else (after,)
        return self.decoder(outputs), tuple(part.detach().float() for part in after)

    @property
    def flops_per_character(self) -> float:
        """Counted FLOPs of one training step per character: 2 a weight forward, twice that backward (biases left out)."""
        weights = sum(p.numel() for p in self.parameters() if p.ndim == 2)
        return 6.0 * weights


def layer_weights(model: CharRNN, layer: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W_ih, W_hh, b_ih, b_hh of one layer."""
    w_ih, w_hh, b_ih, b_hh = (getattr(model.recurrent, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    return w_ih, w_hh, b_ih, b_hh


@torch.no_grad()
def unfold(model: CharRNN, tokens: Tensor, state: State | None = None) -> list[dict[str, Tensor]]:
    """Everything a network computes on the way, layer by layer.

    Args:
        tokens: int64 (seq_len, batch).
        state: before the first character; zero by default.

    Returns:
        For every layer the hidden state 'h'; for an LSTM also the cell state 'c' and the gates 'input', 'forget',
        'output'; for a GRU the gates 'reset' and 'update'. Each (seq_len, batch, hidden).
    """
    before = state or model.zero_state(tokens.shape[1])
    layers: list[dict[str, Tensor]] = []
    inputs = functional.embedding(tokens, model.identity)
    for layer in range(model.layers):
        weights = layer_weights(model, layer)
        kernel = KERNELS[model.cell](inputs.shape[2], model.hidden, device=inputs.device).requires_grad_(False)
        for name, weight in zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), weights, strict=True):
            getattr(kernel, name).copy_(weight)
        first = tuple(part[layer : layer + 1].contiguous() for part in before)
        hidden, _ = kernel(inputs, first if model.cell == "lstm" else first[0])
        previous = torch.cat([first[0], hidden[:-1]])
        layers.append({"h": hidden} | _gates(model.cell, inputs, previous, weights, first))
        inputs = hidden
    return layers


def _gates(cell: str, inputs: Tensor, previous: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor], first: State) -> dict[str, Tensor]:
    """The gates of one layer from its inputs and its hidden states one step earlier, in the library's order of rows."""
    w_ih, w_hh, b_ih, b_hh = weights
    if cell == "rnn":
        return {}
    from_input, from_hidden = functional.linear(inputs, w_ih, b_ih), functional.linear(previous, w_hh, b_hh)
    if cell == "gru":
        reset, update, _ = (from_input + from_hidden).chunk(3, dim=2)
        return {"reset": reset.sigmoid(), "update": update.sigmoid()}
    i, f, g, o = (from_input + from_hidden).chunk(4, dim=2)
    input_gate, forget_gate, candidate = i.sigmoid(), f.sigmoid(), g.tanh()
    written = input_gate * candidate
    c = torch.empty_like(written)
    carried = first[1][0]
    for t in range(len(written)):
        carried = torch.addcmul(written[t], forget_gate[t], carried)
        c[t] = carried
    return {"c": c, "input": input_gate, "forget": forget_gate, "output": o.sigmoid()}
