"""The form of the character models that is trained: PyTorch's recurrent kernels (cuDNN, oneDNN) over a whole chunk.

Weights, names and initial values are those of `model.py`; a test checks that outputs and gradients agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.papers.char_rnn.model import CharacterModel, LayerWeights, State

KERNELS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class FusedCharacterModel(CharacterModel):
    """`CharacterModel` with all layers and steps of a chunk in one kernel call.

    Args:
        cell: rnn, gru or lstm.
        layers: number of layers, from 1.
        hidden: units per layer.
        vocabulary: number of distinct characters.
        dropout: dropout rate on the non-recurrent connections between layers, in [0, 1).
        generator: random numbers of the initial weights.
        init: see `CharacterModel`.
        forget_bias: see `CharacterModel`.
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
        self.dropout = dropout if layers > 1 else 0.0
        super().__init__(cell, layers, hidden, vocabulary, generator=generator, init=init, forget_bias=forget_bias)
        # Row i is the one-hot vector of character i: an embedding look-up is faster than `one_hot`, which compares with every character.
        self.register_buffer("identity", torch.eye(vocabulary), persistent=False)

    def make_layers(self) -> nn.Module:
        """Return PyTorch's recurrent module, whose parameters have the names and shapes of `CharacterModel.make_layers`.

        Returns:
            An `nn.RNN`, `nn.GRU` or `nn.LSTM` that takes (seq_len, batch, vocabulary).
        """
        return KERNELS[self.cell](self.vocabulary, self.hidden, self.layers, dropout=self.dropout)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the logits of a chunk.

        Args:
            tokens: int64 (seq_len, batch).
            state: final state of the previous chunk, each tensor (layers, batch, hidden).

        Returns:
            Logits (seq_len, batch, vocabulary), and the final state, detached, in the data type of the weights.
        """
        one_hot = functional.embedding(tokens, self.identity)
        outputs, final_state = self.recurrent(one_hot, state if self.cell == "lstm" else state[0])
        final_state = final_state if self.cell == "lstm" else (final_state,)
        return self.decoder(outputs), tuple(part.detach().to(self.identity.dtype) for part in final_state)


@torch.no_grad()
def forward_with_gates(model: FusedCharacterModel, tokens: Tensor, state: State | None = None) -> list[dict[str, Tensor]]:
    """Return hidden states, cell states and gates of a chunk, layer by layer.

    Once the kernel has run, h_{t-1} is available for every t, so all gates are one matrix product and only c_t needs a loop.

    Args:
        model: the network.
        tokens: int64 (seq_len, batch).
        state: state before the first character, each tensor (layers, batch, hidden); zero by default.

    Returns:
        For every layer the hidden state 'h'; for an LSTM also the cell state 'c' and the gates 'input', 'forget',
        'output'; for a GRU the gates 'reset' and 'update'. Each (seq_len, batch, hidden).
    """
    initial_state = state or model.zero_state(tokens.shape[1])
    layers: list[dict[str, Tensor]] = []
    inputs = functional.embedding(tokens, model.identity)
    for layer in range(model.layers):
        weights = model.layer_weights(layer)
        kernel = KERNELS[model.cell](inputs.shape[2], model.hidden, device=inputs.device).requires_grad_(False)
        for name, weight in zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), weights, strict=True):
            getattr(kernel, name).copy_(weight)
        layer_state = tuple(part[layer : layer + 1].contiguous() for part in initial_state)
        hidden, _ = kernel(inputs, layer_state if model.cell == "lstm" else layer_state[0])
        previous = torch.cat([layer_state[0], hidden[:-1]])
        layers.append({"h": hidden} | _gates(model.cell, inputs, previous, weights, layer_state))
        inputs = hidden
    return layers


def _gates(cell: str, inputs: Tensor, previous: Tensor, weights: LayerWeights, layer_state: State) -> dict[str, Tensor]:
    """Return the gates (and cell states) of one layer, each (seq_len, batch, hidden).

    Args:
        cell: rnn (has none), gru or lstm.
        inputs: of the layer, (seq_len, batch, input).
        previous: hidden states one step earlier, (seq_len, batch, hidden).
        weights: weights of the layer.
        layer_state: state before the first character, each tensor (1, batch, hidden).

    Returns:
        Name of the gate -> values.
    """
    w_ih, w_hh, b_ih, b_hh = weights
    if cell == "rnn":
        return {}
    from_input, from_hidden = functional.linear(inputs, w_ih, b_ih), functional.linear(previous, w_hh, b_hh)
    if cell == "gru":
        reset, update, _ = (from_input + from_hidden).chunk(3, dim=2)
        return {"reset": reset.sigmoid(), "update": update.sigmoid()}
    i, f, g, o = (from_input + from_hidden).chunk(4, dim=2)
    input_gate, forget_gate, candidate = i.sigmoid(), f.sigmoid(), g.tanh()
    increment = input_gate * candidate
    c = torch.empty_like(increment)
    cell_state = layer_state[1][0]
    for t in range(len(increment)):
        cell_state = torch.addcmul(increment[t], forget_gate[t], cell_state)
        c[t] = cell_state
    return {"c": c, "input": input_gate, "forget": forget_gate, "output": o.sigmoid()}
