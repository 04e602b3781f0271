"""The networks of Karpathy, Johnson and Fei-Fei (2015), section 3.1: tanh RNN, GRU and LSTM over one-hot characters.

This file computes one step at a time, as the paper writes it. `fused.py` has the form that is trained: PyTorch's recurrent
kernels over a whole chunk, with the same weights under the same names.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

State = tuple[Tensor, ...]
"""State carried from one chunk to the next: (h,) for RNN and GRU, (h, c) for the LSTM, each (layers, batch, hidden)."""

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
"""Number of blocks of `hidden` rows in the weight matrices of a cell."""


class LayerWeights(NamedTuple):
    """Weights of one layer: the gates of the cell are stacked along the rows, with one bias for the input and one for the state.

    Attributes:
        w_ih: input weights, (gates * hidden, input).
        w_hh: recurrent weights, (gates * hidden, hidden).
        b_ih: input bias, (gates * hidden,).
        b_hh: recurrent bias, (gates * hidden,).
    """

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor
    b_hh: Tensor


def rnn_step(x: Tensor, h: Tensor, weights: LayerWeights) -> Tensor:
    """Return the next state of a tanh RNN: h' = tanh(W [x; h]) (equation 1).

    Args:
        x: input, (batch, input).
        h: state, (batch, hidden).
        weights: weights of the layer.

    Returns:
        The next state, (batch, hidden).
    """
    w_ih, w_hh, b_ih, b_hh = weights
    return torch.tanh(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh)


def gru_step(x: Tensor, h: Tensor, weights: LayerWeights) -> Tensor:
    """Return the next state of a gated recurrent unit (equation 3).

    r = sigm(W_r [x; h]), z = sigm(W_z [x; h]), g = tanh(W_x x + r * W_h h), h' = (1 - z) g + z h. As in `nn.GRU`, the reset gate
    acts on the product W_h h, and z is the weight of the old state; the paper writes W_h (r * h) and 1 - z for z.

    Args:
        x: input, (batch, input).
        h: state, (batch, hidden).
        weights: weights of the layer, gates in the order r, z, g.

    Returns:
        The next state, (batch, hidden).
    """
    w_ih, w_hh, b_ih, b_hh = weights
    r_x, z_x, g_x = (x @ w_ih.T + b_ih).chunk(3, dim=-1)
    r_h, z_h, g_h = (h @ w_hh.T + b_hh).chunk(3, dim=-1)
    r = torch.sigmoid(r_x + r_h)
    z = torch.sigmoid(z_x + z_h)
    g = torch.tanh(g_x + r * g_h)
    return (1 - z) * g + z * h


def lstm_step(x: Tensor, h: Tensor, c: Tensor, weights: LayerWeights) -> tuple[Tensor, Tensor]:
    """Return the next state of a long short-term memory (equation 2).

    i, f, o = sigm(W [x; h]), g = tanh(W [x; h]), c' = f * c + i * g, h' = o * tanh(c').

    Args:
        x: input, (batch, input).
        h: hidden state, (batch, hidden).
        c: cell state, (batch, hidden).
        weights: weights of the layer, gates in the order i, f, g, o.

    Returns:
        The next hidden and cell state, each (batch, hidden).
    """
    w_ih, w_hh, b_ih, b_hh = weights
    i, f, g, o = (x @ w_ih.T + b_ih + h @ w_hh.T + b_hh).chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def n_parameters(cell: str, layers: int, hidden: int, vocabulary: int) -> int:
    """Return the number of trainable parameters of one network, decoder included.

    Every gate has two bias vectors, as in `nn.LSTM` and `nn.GRU`.

    Args:
        cell: rnn, gru or lstm.
        layers: number of layers, from 1.
        hidden: units per layer.
        vocabulary: number of distinct characters.

    Returns:
        Number of weights and biases.
    """
    first = GATES[cell] * hidden * (vocabulary + hidden + 2)
    deeper = GATES[cell] * hidden * (2 * hidden + 2) * (layers - 1)
    return first + deeper + (hidden + 1) * vocabulary


def matched_hidden(cell: str, layers: int, size: int, vocabulary: int) -> int:
    """Return the hidden size that gives a network as many parameters as a one-layer LSTM of `size` units, within 3 %.

    The paper matches the sizes of every row of Table 1 in this way (section 4.1). The hidden size is a multiple of size / 64,
    which keeps the weights of the large rows aligned to multiples of eight.

    Args:
        cell: rnn, gru or lstm.
        layers: number of layers, from 1.
        size: units of the one-layer LSTM that names the row.
        vocabulary: number of distinct characters.

    Returns:
        Units per layer.
    """
    target, step = n_parameters("lstm", 1, size, vocabulary), max(1, size // 64)
    hidden = step
    while n_parameters(cell, layers, hidden + step, vocabulary) <= target:
        hidden += step
    return min((hidden, hidden + step), key=lambda units: abs(n_parameters(cell, layers, units, vocabulary) - target))


class CharacterModel(nn.Module):
    """A stack of recurrent layers that reads characters and predicts the next one.

    The input is the one-hot vector of the character; the top layer's state gives the logits (section 3.1).

    Args:
        cell: rnn, gru or lstm.
        layers: number of layers, from 1.
        hidden: units per layer.
        vocabulary: number of distinct characters.
        generator: random numbers of the initial weights.
        init: 'uniform' draws all weights from U(-0.08, 0.08), as in the authors' trainer; 'scaled' from U(-1, 1) / sqrt(fan-in).
        forget_bias: initial bias of an LSTM's forget gates; 1 in the authors' trainer.
    """

    def __init__(
        self,
        cell: str,
        layers: int,
        hidden: int,
        vocabulary: int,
        *,
        generator: torch.Generator,
        init: Literal["uniform", "scaled"] = "uniform",
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__()
        self.cell, self.layers, self.hidden, self.vocabulary = cell, layers, hidden, vocabulary
        self.recurrent = self.make_layers()
        self.decoder = nn.Linear(hidden, vocabulary)
        self._initialise(generator, init, forget_bias)

    def make_layers(self) -> nn.Module:
        """Return a module with the parameters of all layers, named and ordered as in `nn.RNN`, `nn.GRU` and `nn.LSTM`.

        Returns:
            For layer l the parameters weight_ih_l{l} (gates * hidden, input), weight_hh_l{l} (gates * hidden, hidden),
            bias_ih_l{l} and bias_hh_l{l} (gates * hidden,).
        """
        parameters = nn.ParameterDict()
        rows = GATES[self.cell] * self.hidden
        for layer in range(self.layers):
            width = self.vocabulary if layer == 0 else self.hidden
            for name, shape in (
                ("weight_ih", (rows, width)),
                ("weight_hh", (rows, self.hidden)),
                ("bias_ih", (rows,)),
                ("bias_hh", (rows,)),
            ):
                parameters[f"{name}_l{layer}"] = nn.Parameter(torch.empty(shape))
        return parameters

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator, init: str, forget_bias: float) -> None:
        for name, parameter in self.named_parameters():
            # A one-hot input has a single non-zero entry, so the fan-in of the input weights is 1, whatever the vocabulary.
            scaled = 1.0 if name == "recurrent.weight_ih_l0" else self.hidden**-0.5
            bound = 0.08 if init == "uniform" else scaled
            parameter.copy_(torch.rand(parameter.shape, generator=generator, device=generator.device) * 2 * bound - bound)
        if self.cell == "lstm":
            for layer in range(self.layers):
                weights = self.layer_weights(layer)
                weights.b_ih[self.hidden : 2 * self.hidden] = forget_bias
                weights.b_hh[self.hidden : 2 * self.hidden] = 0.0

    def layer_weights(self, layer: int) -> LayerWeights:
        """Return the weights of one layer.

        Args:
            layer: index of the layer, from 0.

        Returns:
            Views of the parameters, not copies.
        """
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return LayerWeights(*(getattr(self.recurrent, f"{name}_l{layer}") for name in names))

    def zero_state(self, batch: int) -> State:
        """Return the state before the first character: zeros.

        Args:
            batch: number of texts that are read in parallel.

        Returns:
            (h,) or, for an LSTM, (h, c), each (layers, batch, hidden).
        """
        zeros = self.decoder.weight.new_zeros(self.layers, batch, self.hidden)
        return (zeros, zeros.clone()) if self.cell == "lstm" else (zeros,)

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the logits and the state after one more character of every text.

        Args:
            token: int64 (batch,).
            state: state before the character, each tensor (layers, batch, hidden).

        Returns:
            Logits of the next character, (batch, vocabulary), and the new state.
        """
        x = functional.one_hot(token, self.vocabulary).to(self.decoder.weight.dtype)
        states: list[State] = []
        for layer in range(self.layers):
            weights, h = self.layer_weights(layer), state[0][layer]
            if self.cell == "rnn":
                states.append((rnn_step(x, h, weights),))
            elif self.cell == "gru":
                states.append((gru_step(x, h, weights),))
            else:
                states.append(lstm_step(x, h, state[1][layer], weights))
            x = states[-1][0]
        return self.decoder(x), tuple(torch.stack(parts) for parts in zip(*states, strict=True))

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the logits of a chunk, computed one character after the other.

        Args:
            tokens: int64 (seq_len, batch).
            state: final state of the previous chunk, each tensor (layers, batch, hidden).

        Returns:
            Logits (seq_len, batch, vocabulary), and the final state, detached: back-propagation is truncated here.
        """
        logits = []
        for token in tokens:
            scores, state = self.step(token, state)
            logits.append(scores)
        return torch.stack(logits), tuple(part.detach() for part in state)

    @property
    def flops_per_character(self) -> float:
        """Counted FLOPs of one training step per character: 2 per weight forward, 4 backward; biases are not counted."""
        return 6.0 * sum(p.numel() for p in self.parameters() if p.ndim == 2)
