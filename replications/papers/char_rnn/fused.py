"""The form of the character models that is trained: a whole chunk in the library's kernels (cuDNN, oneDNN).

Weights, names and initial values are those of `model.py`; a test holds that outputs and gradients agree.
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
    """`CharacterModel` with all layers and steps of a chunk in one kernel.

    Args:
        cell: rnn, gru or lstm.
        layers: number of layers.
        hidden: units per layer.
        vocabulary: number of characters.
        dropout: share dropped between layers, on the non-recurrent connections.
        generator: for the initial weights.
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
        # The one-hot vector of a character is a row of this table: a look-up instead of a comparison with every character.
        self.register_buffer("identity", torch.eye(vocabulary), persistent=False)

    def make_layers(self) -> nn.Module:
        """Return the library's recurrent module, whose parameters have the names of `CharacterModel.make_layers`."""
        return KERNELS[self.cell](self.vocabulary, self.hidden, self.layers, dropout=self.dropout)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read a chunk.

        Args:
            tokens: int64 (seq_len, batch).
            state: carried from the chunk before.

        Returns:
            Logits (seq_len, batch, vocabulary), and the state to carry on, detached, in the precision of the weights.
        """
        one_hot = functional.embedding(tokens, self.identity)
        outputs, after = self.recurrent(one_hot, state if self.cell == "lstm" else state[0])
        after = after if self.cell == "lstm" else (after,)
        return self.decoder(outputs), tuple(part.detach().to(self.identity.dtype) for part in after)


@torch.no_grad()
def forward_with_gates(model: FusedCharacterModel, tokens: Tensor, state: State | None = None) -> list[dict[str, Tensor]]:
    """Return hidden states, cell states and gates of a chunk, layer by layer.

    h_{t-1} is known for every t once the kernel has run, so all gates are one matrix product and only c_t needs a loop.

    Args:
        model: the network.
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
        weights = model.layer_weights(layer)
        kernel = KERNELS[model.cell](inputs.shape[2], model.hidden, device=inputs.device).requires_grad_(False)
        for name, weight in zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), weights, strict=True):
            getattr(kernel, name).copy_(weight)
        first = tuple(part[layer : layer + 1].contiguous() for part in before)
        hidden, _ = kernel(inputs, first if model.cell == "lstm" else first[0])
        previous = torch.cat([first[0], hidden[:-1]])
        layers.append({"h": hidden} | _gates(model.cell, inputs, previous, weights, first))
        inputs = hidden
    return layers


def _gates(cell: str, inputs: Tensor, previous: Tensor, weights: LayerWeights, first: State) -> dict[str, Tensor]:
    """Return the gates of one layer from its inputs and its hidden states one step earlier."""
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
