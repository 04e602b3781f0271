"""The baseline of the speed comparisons: a character model driven one step at a time from Python.

This is the logic of the widely used public PyTorch character models (an embedding, a recurrent module called once per
character, a loss summed over the steps), written anew; no line of theirs is used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

State = tuple[Tensor, Tensor]


class StepwiseLSTM(nn.Module):
    """An LSTM language model whose forward pass takes one character of every stream.

    Args:
        vocabulary, hidden, layers: sizes; the embedding is as wide as the hidden layer.
    """

    def __init__(self, vocabulary: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.recurrent = nn.LSTM(hidden, hidden, layers)
        self.decoder = nn.Linear(hidden, vocabulary)

    def start(self, batch: int) -> State:
        """Zero state."""
        return torch.zeros(self.layers, batch, self.hidden), torch.zeros(self.layers, batch, self.hidden)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (batch, vocabulary) and state after one character, int64 (batch,)."""
        outputs, state = self.recurrent(self.embedding(tokens)[None], state)
        return self.decoder(outputs[0]), state

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of a chunk, int64 (seq_len, batch), step by step from the zero state."""
        state = self.start(inputs.shape[1])
        total = torch.zeros(())
        for now, following in zip(inputs, targets, strict=True):
            logits, state = self(now, state)
            total = total + functional.cross_entropy(logits, following)
        return total / len(inputs)

    @torch.no_grad()
    def sample(self, length: int, first: int) -> list[int]:
        """Tokens that follow the first one, each drawn from the softmax."""
        state, token, written = self.start(1), torch.tensor([first]), []
        for _ in range(length):
            logits, state = self(token, state)
            token = torch.multinomial(logits[0].softmax(0), 1)
            written.append(int(token))
        return written
