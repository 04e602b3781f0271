"""Baseline of the speed comparisons: a character model that Python calls once per character.

It has the structure of the widely used public PyTorch character models (an embedding, a recurrent module called once per
character, a loss summed over the steps), written independently.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

State = tuple[Tensor, Tensor]


class StepwiseLSTM(nn.Module):
    """An LSTM language model whose forward pass takes one character of every text.

    Args:
        vocabulary: number of distinct characters.
        hidden: units per layer, and the width of the embedding.
        layers: number of layers.
    """

    def __init__(self, vocabulary: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.recurrent = nn.LSTM(hidden, hidden, layers)
        self.decoder = nn.Linear(hidden, vocabulary)

    def start(self, batch: int) -> State:
        """Return the zero state.

        Args:
            batch: number of texts.

        Returns:
            (h, c), each (layers, batch, hidden).
        """
        return torch.zeros(self.layers, batch, self.hidden), torch.zeros(self.layers, batch, self.hidden)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the logits and the state after one more character.

        Args:
            tokens: int64 (batch,).
            state: (h, c), each (layers, batch, hidden).

        Returns:
            Logits (batch, vocabulary) and the new state.
        """
        outputs, state = self.recurrent(self.embedding(tokens)[None], state)
        return self.decoder(outputs[0]), state

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy of a chunk, step by step from the zero state.

        Args:
            inputs: int64 (seq_len, batch).
            targets: next characters, int64 (seq_len, batch).

        Returns:
            Scalar, in nats per character.
        """
        state = self.start(inputs.shape[1])
        total = torch.zeros(())
        for token, target in zip(inputs, targets, strict=True):
            logits, state = self(token, state)
            total = total + functional.cross_entropy(logits, target)
        return total / len(inputs)

    @torch.no_grad()
    def sample(self, length: int, first: int) -> list[int]:
        """Return the characters that follow a first one, each sampled from the softmax.

        Args:
            length: number of characters to sample.
            first: index of the first character.

        Returns:
            Indices of the sampled characters, without the first one.
        """
        state, token, tokens = self.start(1), torch.tensor([first]), []
        for _ in range(length):
            logits, state = self(token, state)
            token = torch.multinomial(logits[0].softmax(0), 1)
            tokens.append(int(token))
        return tokens
