"""The soft attention decoder of `model.py` for many seeds at once and whole captions at a time.

Shapes: as in `model.py`, with a leading axis of S slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from replications.engine.layers import SeedLinear
from replications.papers.show_and_tell.fused import CaptionerGroup, Noise, SlotEmbedding, dropout
from replications.papers.show_and_tell.fused_lstm import SlotLSTM
from replications.papers.show_and_tell.model import AttentiveCaptioner, ImageFeatures, Output, State, annotation_vectors
from replications.papers.show_and_tell.settings import Decoder as DecoderSettings


class AttentiveGroup(CaptionerGroup):
    """`model.AttentiveCaptioner` of every slot.

    Args:
        settings: layer widths.
        n_channels: width C of the annotation vectors.
        n_words: V.
        dropout: share of embeddings and LSTM outputs set to zero in training.
        generators: one per slot, on the CPU; they determine the initial weights.
    """

    def __init__(
        self, settings: DecoderSettings, n_channels: int, n_words: int, *, dropout: float, generators: Sequence[torch.Generator]
    ) -> None:
        super().__init__(settings, n_channels, n_words, dropout)
        embed, hidden, width = settings.embed_size, settings.hidden_size, settings.attention_size
        self.word_embedding = SlotEmbedding(n_words, embed, generators=generators)
        self.output = SeedLinear(hidden, n_words, generators=generators)
        self.lstm = SlotLSTM(embed, hidden, library=True, generators=generators)
        self.context_gates = SeedLinear(n_channels, 4 * hidden, generators=generators, bias=False)
        self.init_hidden = SeedLinear(n_channels, hidden, generators=generators)
        self.init_cell = SeedLinear(n_channels, hidden, generators=generators)
        self.attend_image = SeedLinear(n_channels, width, generators=generators)
        self.attend_hidden = SeedLinear(hidden, width, generators=generators, bias=False)
        self.attend_score = SeedLinear(width, 1, generators=generators, bias=False)
        self.beta = SeedLinear(hidden, n_channels, generators=generators)
        self.deep_context = SeedLinear(n_channels, hidden, generators=generators, bias=False)
        self.deep_word = SeedLinear(embed, hidden, generators=generators, bias=False)

    def empty_network(self) -> AttentiveCaptioner:
        """Create a network of `model.py` with the sizes of this group.

        Returns:
            The network, on the CPU; its weights are meant to be overwritten.
        """
        return AttentiveCaptioner(self.settings, self.n_inputs, self.n_words, self.dropout_rate)

    def start(self, images: ImageFeatures, noise: Noise | None = None) -> State:  # noqa: ARG002 (no dropout before the first word)
        """Return the state before the first word, from the mean annotation vector (Xu et al. 2015, section 3.1.2).

        Args:
            images: features of n images with a grid, (S, n, L, C).
            noise: not used.

        Returns:
            State with one row per image.

        Raises:
            ValueError: the features have no grid.
        """
        grid = annotation_vectors(images)
        mean = grid.mean(2)
        projected = self.attend_image(grid.flatten(1, 2)).view(*grid.shape[:3], -1)
        return State(self.init_hidden(mean).tanh(), self.init_cell(mean).tanh(), grid, projected)

    def attend(self, state: State) -> tuple[Tensor, Tensor]:
        """Compute soft attention over the locations (Xu et al. 2015, eqs 4-6 and section 4.2.1).

        Args:
            state: after the preceding words.

        Returns:
            Weights over locations, (S, n, L), and the gated context vector, (S, n, C).
        """
        activations = (state.projected + self.attend_hidden(state.hidden)[:, :, None]).tanh()
        weights = self.attend_score(activations.flatten(1, 2)).view(*activations.shape[:3]).softmax(-1)
        # Not a batched product: thousands of tiny products (1 x L times L x C) are slower than one pass over memory.
        context = (weights.unsqueeze(-1) * state.image).sum(2)
        return weights, self.beta(state.hidden).sigmoid() * context

    def _attend_and_read(self, gates: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Return attention weights (S, n, L), context (S, n, C) and the new state, given the word's share of the gates, (S, n, 4H)."""
        weights, context = self.attend(state)
        hidden, cell = self.lstm(gates + self.context_gates(context), state.hidden, state.cell)
        return weights, context, replace(state, hidden=hidden, cell=cell)

    def _deep_output(self, embedded: Tensor, hidden: Tensor, context: Tensor) -> Tensor:
        """Return logits (S, n, V) from embedded word, LSTM output and context (deep output layer, Xu et al. 2015, eq. 7)."""
        return self.output((hidden + self.deep_context(context) + self.deep_word(embedded)).tanh())

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Attend, read one word per row and score the next one.

        Args:
            words: word numbers, (S, n).
            state: after the preceding words.

        Returns:
            Logits of the next word, (S, n, V), and the new state.
        """
        embedded = self.word_embedding(words)
        _, context, state = self._attend_and_read(self.lstm.inputs(embedded), state)
        return self._deep_output(embedded, state.hidden, context), state

    def forward(self, images: ImageFeatures, words: Tensor, noise: Noise | None = None) -> Output:
        """Score every next word of captions, given the true preceding words.

        The word contributions to the gates are computed for all words before the loop over time, and the output layer after it.

        Args:
            images: one image per row with a grid, (S, n, L, C).
            words: word numbers from the start symbol on, (S, n, T).
            noise: randomness of dropout in training; None: no dropout.

        Returns:
            Logits (S, n, T, V) and attention (S, n, T, L).

        Raises:
            ValueError: the features have no grid.
        """
        state = self.start(images)
        n_slots, n_rows, length = words.shape
        rate = self.dropout_rate
        embedded = dropout(self.word_embedding(words.transpose(1, 2)), rate, noise).flatten(1, 2)
        gates = self.lstm.inputs(embedded).view(n_slots, length, n_rows, -1)
        maps, contexts, hiddens = [], [], []
        for gate in gates.unbind(1):
            weights, context, state = self._attend_and_read(gate, state)
            maps.append(weights)
            contexts.append(context)
            hiddens.append(state.hidden)
        hidden = dropout(torch.stack(hiddens, 1), rate, noise).flatten(1, 2)
        logits = self._deep_output(embedded, hidden, torch.stack(contexts, 1).flatten(1, 2))
        return Output(logits.view(n_slots, length, n_rows, -1).transpose(1, 2), torch.stack(maps, 2))

    def flops_per_word(self) -> float:
        """Count the operations of one forward step of one slot: gates with the context, and output layer; attention scores are not counted.

        Returns:
            FLOPs, two per multiply-add.
        """
        s, c = self.settings, self.n_inputs
        return 2.0 * (4 * s.hidden_size * (s.embed_size + c + s.hidden_size) + s.hidden_size * (self.n_words + 2 * c + s.embed_size))
