"""The counterpart that looks again at every word: soft attention (Xu et al. 2015, arXiv 1502.03044, section 3).

Same interface as `model.Captioner`. Locations L of C features each are the annotation vectors a_i.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from replications.engine.layers import SeedLinear
from replications.papers.show_and_tell.model import Captioner, Cell, Images, Noise, Output, State, Words, dropout
from replications.papers.show_and_tell.settings import Decoder as DecoderSettings


class AttentiveCaptioner(Captioner):
    """Soft attention: the LSTM reads a weighted mean of the locations together with each word.

    The cell is the library's, as in Xu et al. (eqs 1-3); gates beta and the deep output follow their section 4.2.1.
    """

    def __init__(self, settings: DecoderSettings, n_channels: int, n_words: int, *, generators: Sequence[torch.Generator]) -> None:
        torch.nn.Module.__init__(self)
        self.settings, self.n_words, self.n_channels = settings, n_words, n_channels
        embed, hidden, width = settings.embed_size, settings.hidden_size, settings.attention_size
        self.words = Words(n_words, embed, hidden, generators=generators)
        self.cell = Cell(embed, hidden, library=True, generators=generators)
        self.context_gates = SeedLinear(n_channels, 4 * hidden, generators=generators, bias=False)
        self.first_hidden = SeedLinear(n_channels, hidden, generators=generators)
        self.first_cell = SeedLinear(n_channels, hidden, generators=generators)
        self.from_grid = SeedLinear(n_channels, width, generators=generators)
        self.from_hidden = SeedLinear(hidden, width, generators=generators, bias=False)
        self.score = SeedLinear(width, 1, generators=generators, bias=False)
        self.gate = SeedLinear(hidden, n_channels, generators=generators)
        self.deep = SeedLinear(n_channels, hidden, generators=generators, bias=False)
        self.deep_word = SeedLinear(embed, hidden, generators=generators, bias=False)

    def spread_image(self, vectors: Tensor) -> None:
        """Nothing to scale: this decoder has no image embedding."""

    def start(self, images: Images, noise: Noise | None = None) -> State:  # noqa: ARG002 (no dropout before the first word)
        """Memory and output from the mean annotation (Xu et al., section 3.1.2); the grid and its projection ride along."""
        grid = _grid(images)
        mean = grid.mean(2)
        projected = self.from_grid(grid.flatten(1, 2)).view(*grid.shape[:3], -1)
        return {
            "hidden": self.first_hidden(mean).tanh(),
            "cell": self.first_cell(mean).tanh(),
            "grid": grid,
            "projected": projected,
        }

    def attend(self, hidden: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Weights over locations (S, R, L), from eqs 4-6, and the gated context (S, R, C)."""
        scored = (state["projected"] + self.from_hidden(hidden)[:, :, None]).tanh()
        weights = self.score(scored.flatten(1, 2)).view(*scored.shape[:3]).softmax(-1)
        # Not a batched product: thousands of tiny ones (1 x L times L x C) are slower than one pass over memory.
        context = (weights.unsqueeze(-1) * state["grid"]).sum(2)
        return weights, self.gate(hidden).sigmoid() * context

    def look(self, gates: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Attend, then one step of the memory: weights (S, R, L), context (S, R, C) and the new state.

        Args:
            gates: the word's share of the gates, (S, R, 4H).
        """
        weights, context = self.attend(state["hidden"], state)
        hidden, cell = self.cell(gates + self.context_gates(context), state["hidden"], state["cell"])
        return weights, context, state | {"hidden": hidden, "cell": cell}

    def deep_output(self, embedded: Tensor, hidden: Tensor, context: Tensor) -> Tensor:
        """Logits from word, memory and context together (Xu et al., eq. 7), rows of any number (S, R, ...)."""
        return self.words.output((hidden + self.deep(context) + self.deep_word(embedded)).tanh())

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one word per row, (S, R), and return the next word's logits (S, R, V) and the new state."""
        embedded = self.words.embed(words)
        _, context, state = self.look(self.cell.inputs(embedded), state)
        return self.deep_output(embedded, state["hidden"], context), state

    def forward(self, images: Images, inputs: Tensor, noise: Noise | None = None) -> Output:
        """Logits for every next word of captions (S, R, T), and the attention before each.

        What does not depend on the memory is computed for all steps at once: the words' share of the gates before the
        loop, the deep output after it.
        """
        state = self.start(images)
        n_slots, n_rows, length = inputs.shape
        rate = self.settings.dropout
        embedded = dropout(self.words.embed(inputs.transpose(1, 2)), rate, noise).flatten(1, 2)
        gates = self.cell.inputs(embedded).view(n_slots, length, n_rows, -1)
        maps, contexts, hiddens = [], [], []
        for gate in gates.unbind(1):
            weights, context, state = self.look(gate, state)
            maps.append(weights)
            contexts.append(context)
            hiddens.append(state["hidden"])
        hidden = dropout(torch.stack(hiddens, 1), rate, noise).flatten(1, 2)
        logits = self.deep_output(embedded, hidden, torch.stack(contexts, 1).flatten(1, 2))
        return Output(logits.view(n_slots, length, n_rows, -1).transpose(1, 2), torch.stack(maps, 2))

    def flops_per_word(self) -> float:
        """As for NIC, plus the context's share; scoring locations is left out (it depends on their number)."""
        s, c = self.settings, self.n_channels
        return 2.0 * (4 * s.hidden_size * (s.embed_size + c + s.hidden_size) + s.hidden_size * (self.n_words + 2 * c + s.embed_size))


def _grid(images: Images) -> Tensor:
    if images.grid is None:
        raise ValueError("attention needs grid features")
    return images.grid
