"""The decoders of `model.py` for many seeds at once and whole captions at a time: what training and search run.

Each network has a leading slot axis: a slot is one seed, or one member of a seed's ensemble, with weights of its own; all
slots are one batched product. What does not depend on the memory is computed for all words together, and the LSTM's
recurrence has a backward pass of its own. Outputs and gradients equal those of `model.py`, slot by slot (a test holds this).

Shapes: as in `model.py`, with S slots in front.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from replications.engine.layers import SeedLinear, seeded_uniform
from replications.papers.show_and_tell.model import AttentiveCaptioner, Captioner, ImageFeatures, Output, State, annotation_vectors
from replications.papers.show_and_tell.settings import Decoder as DecoderSettings

WORD_BOUND = 0.8
"""Word embeddings start uniform in +-0.8, about as wide as the library's: at +-0.08 they are drowned by the image for epochs."""
IMAGE_SPREAD = 1.7
"""Standard deviation from which the image embedding starts. The image must outlast the words in a memory that forgets half at
every step at first (no gate biases); without this a short training hardly uses the image."""


@dataclass(frozen=True)
class Noise:
    """Randomness of a training step.

    Attributes:
        generators: one per slot.
        own_word: probability of feeding the model a word that it drew itself (scheduled sampling).
    """

    generators: Sequence[torch.Generator]
    own_word: float = 0.0


def dropout(inputs: Tensor, rate: float, noise: Noise | None) -> Tensor:
    """Return (S, ...) after inverted dropout with each slot's own generator; unchanged without noise.

    Args:
        inputs: (S, ...).
        rate: share of elements set to zero.
        noise: the slots' generators; None: no dropout.
    """
    if noise is None or rate == 0:
        return inputs
    keep = torch.stack([torch.rand(inputs.shape[1:], generator=g, device=inputs.device) for g in noise.generators]) >= rate
    return inputs * keep / (1 - rate)


def _lstm_step(gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, *, library: bool) -> tuple[Tensor, ...]:
    """Return m_t, c_t (S, n, H), the three open gates (S, n, 3H) and the update (S, n, H) of `model.lstm_step`, all slots in one product.

    Args:
        gates: the inputs' share, (S, n, 4H).
        hidden, cell: m_{t-1} and c_{t-1}, (S, n, H).
        hidden: (slots, batch, hidden).
        cell: (slots, batch, hidden).
        weight: recurrent weights, (S, H, 4H).
        library: tanh on the cell.
    """
    size = hidden.shape[-1]
    total = torch.baddbmm(gates, hidden, weight)
    opened, update = total[..., : 3 * size].sigmoid(), total[..., 3 * size :].tanh()
    i, f, o = opened.chunk(3, dim=-1)
    cell = torch.addcmul(f * cell, i, update)
    return o * (cell.tanh() if library else cell), cell, opened, update


class _Recurrence(torch.autograd.Function):
    """All steps of the LSTM. Autograd would form the recurrent weight's gradient step by step; here it is one large product."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, library: bool) -> tuple[Tensor, Tensor]:
        """Return logits (S, n, T, V) of every next word of captions (S, n, T), computed for all words at once."""
        opened, updates, hiddens, cells = [], [], [hidden], [cell]
        for gate in gates.unbind(1):
            hidden, cell, open_gates, update = _lstm_step(gate, hidden, cell, weight, library=library)
            opened.append(open_gates)
            updates.append(update)
            hiddens.append(hidden)
            cells.append(cell)
        ctx.library = library
        ctx.save_for_backward(weight, *opened, *updates, *hiddens, *cells)
        return torch.stack(hiddens[1:], 1), cell

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, *saved = ctx.saved_tensors
        n_steps, size = (len(saved) - 2) // 4, weight.shape[1]
        opened, updates = saved[:n_steps], saved[n_steps : 2 * n_steps]
        hiddens, cells = saved[2 * n_steps : 3 * n_steps + 1], saved[3 * n_steps + 1 :]
        transposed = weight.mT.contiguous()
        to_hidden_before, to_cell = torch.zeros_like(hiddens[0]), gradients[1]
        to_gates = hiddens[0].new_empty(hiddens[0].shape[0], n_steps, hiddens[0].shape[1], 4 * size)
        for step in reversed(range(n_steps)):
            i, f, o = opened[step].chunk(3, dim=-1)
            update, after = updates[step], cells[step + 1]
            squashed = after.tanh() if ctx.library else after
            to_hidden = gradients[0][:, step] + to_hidden_before
            through = to_hidden * o
            to_cell = to_cell + (through * (1 - squashed * squashed) if ctx.library else through)
            to_gate = to_gates[:, step]
            before_sigmoid = torch.cat([to_cell * update, to_cell * cells[step], to_hidden * squashed], -1)
            torch.mul(before_sigmoid, opened[step] * (1 - opened[step]), out=to_gate[..., : 3 * size])
            torch.mul(to_cell * i, 1 - update * update, out=to_gate[..., 3 * size :])
            to_hidden_before = torch.bmm(to_gate, transposed)
            to_cell = to_cell * f
        earlier = torch.stack(hiddens[:-1], 1).flatten(1, 2)
        to_weight = torch.bmm(earlier.mT, to_gates.flatten(1, 2))
        return to_gates, to_hidden_before, to_cell, to_weight, None


def recurrence(gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, *, library: bool) -> tuple[Tensor, Tensor]:
    """Run eqs 4-8 over all steps of a caption.

    Args:
        gates: the inputs' share of the gates in the order i, f, o, update, (S, T, n, 4H).
        hidden: m before the first step, (S, n, H).
        cell: c before the first step, (S, n, H).
        weight: the recurrent weights, (S, H, 4H).
        library: tanh on the cell.

    Returns:
        m of every step, (S, T, n, H), and the last c, (S, n, H).
    """
    return _Recurrence.apply(gates, hidden, cell, weight, library)


class SlotEmbedding(nn.Module):
    """Word embeddings W_e (eq. 11) of every slot, `weight` (S, V, E)."""

    def __init__(self, n_words: int, embed: int, *, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.weight = nn.Parameter(seeded_uniform((n_words, embed), WORD_BOUND, generators))

    def forward(self, words: Tensor) -> Tensor:
        """Return the embeddings (S, ..., E) of word numbers (S, ...)."""
        slot = torch.arange(len(words), device=words.device).view(-1, *[1] * (words.ndim - 1))
        return self.weight[slot, words]


class SlotLSTM(nn.Module):
    """`model.LSTM` of every slot. The input's share of the gates is computed by `inputs`, for many steps at once."""

    def __init__(self, n_in: int, hidden: int, *, library: bool, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.library = library
        self.inputs = SeedLinear(n_in, 4 * hidden, generators=generators, bias=library)
        self.hidden = SeedLinear(hidden, 4 * hidden, generators=generators, bias=False)

    def forward(self, gates: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return m_t and c_t, each (S, n, H).

        Args:
            gates: the inputs' share of the gates, (S, n, 4H).
            hidden: m_{t-1}, (S, n, H).
            cell: c_{t-1}, (S, n, H).
        """
        hidden, cell, *_ = _lstm_step(gates, hidden, cell, self.hidden.weight, library=self.library)
        return hidden, cell


class CaptionerGroup(nn.Module, ABC):
    """Decoders of one kind, one per slot, with the parameters of `model.py` under the same names.

    Attributes:
        settings: widths and cell, the same for every slot.
        n_inputs: width of the image features that a decoder reads: D, or C with attention.
        n_words: V.
        dropout_rate: share of embeddings and outputs dropped in training.
    """

    word_embedding: SlotEmbedding

    def __init__(self, settings: DecoderSettings, n_inputs: int, n_words: int, dropout: float) -> None:
        super().__init__()
        self.settings, self.n_inputs, self.n_words, self.dropout_rate = settings, n_inputs, n_words, dropout

    @property
    def n_slots(self) -> int:
        """Number of slots S, that is seeds times ensemble members."""
        return len(self.word_embedding.weight)

    def select(self, slots: Sequence[int]) -> Self:
        """Return a copy that holds only these slots, without gradients."""
        selected = copy.deepcopy(self).requires_grad_(False)
        for parameter in selected.parameters():
            parameter.data = parameter.data[list(slots)].clone()
        return selected

    @abstractmethod
    def empty_network(self) -> Captioner | AttentiveCaptioner:
        """Return a network of `model.py` of this size, with weights that do not matter."""

    def network(self, slot: int) -> Captioner | AttentiveCaptioner:
        """Return the network of one slot as `model.py` writes it, with a copy of the slot's weights."""
        network = self.empty_network().to(self.word_embedding.weight)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                own = parameter[slot]
                stored_transposed = parameter.ndim == 3 and not name.startswith("word_embedding")
                network.get_parameter(name).copy_(own[0] if name.endswith("bias") else own.mT if stored_transposed else own)
        return network

    def spread_image(self, vectors: Tensor) -> None:
        """Scale the image embedding of every slot to a standard deviation of IMAGE_SPREAD over these images, (S, n, D)."""

    @abstractmethod
    def start(self, images: ImageFeatures, noise: Noise | None = None) -> State:
        """Return the state before the first word; one row per image."""

    @abstractmethod
    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the next word's logits (S, n, V) and the new state, given one word per row, (S, n)."""

    @abstractmethod
    def forward(self, images: ImageFeatures, words: Tensor, noise: Noise | None = None) -> Output:
        """Return the logits of every next word of captions, given the true earlier words.

        Args:
            images: one image per row.
            words: word numbers from the start symbol on, (S, n, T).
            noise: in training: dropout, and scheduled sampling where asked.
        """

    @abstractmethod
    def flops_per_word(self) -> float:
        """Return the operations (two per multiply-add) of one forward step of one slot; training costs three times this."""


class NicGroup(CaptionerGroup):
    """`model.Captioner` of every slot.

    Args:
        settings: widths, cell, and whether the image is fed with every word too.
        n_features: width D of the image features.
        n_words: V.
        dropout: share of embeddings and outputs dropped in training.
        generators: one per slot, on the CPU; they fix the initial weights.
    """

    def __init__(
        self, settings: DecoderSettings, n_features: int, n_words: int, *, dropout: float, generators: Sequence[torch.Generator]
    ) -> None:
        super().__init__(settings, n_features, n_words, dropout)
        embed, hidden = settings.embed_size, settings.hidden_size
        self.image = SeedLinear(n_features, embed, generators=generators)
        self.word_embedding = SlotEmbedding(n_words, embed, generators=generators)
        self.output = SeedLinear(hidden, n_words, generators=generators)
        self.lstm = SlotLSTM(embed, hidden, library=settings.cell == "library", generators=generators)
        self.every_step = SeedLinear(embed, 4 * hidden, generators=generators, bias=False) if settings.image == "every_step" else None

    def empty_network(self) -> Captioner:
        """Return a network of `model.py` of this size, with weights that do not matter."""
        return Captioner(self.settings, self.n_inputs, self.n_words, self.dropout_rate)

    @torch.no_grad()
    def spread_image(self, vectors: Tensor) -> None:
        """Scale the image embedding of every slot to a standard deviation of IMAGE_SPREAD over these images, (S, n, D)."""
        spread = self.image(vectors).flatten(1).std(1)
        self.image.weight.mul_((IMAGE_SPREAD / spread)[:, None, None])

    def start(self, images: ImageFeatures, noise: Noise | None = None) -> State:
        """Return the state before the first word; one row per image."""
        x = dropout(self.image(images.vector), self.dropout_rate, noise)
        empty = x.new_zeros(*x.shape[:2], self.settings.hidden_size)
        hidden, cell = self.lstm(self.lstm.inputs(x), empty, empty)
        nothing = x.new_empty(*x.shape[:2], 0)
        return State(hidden, cell, nothing, nothing if self.every_step is None else self.every_step(x))

    def _gates(self, embedded: Tensor, state: State) -> Tensor:
        """Return the share of the gates, (S, n, 4H), of one embedded word per row and of the image where it is fed again."""
        gates = self.lstm.inputs(embedded)
        return gates if self.every_step is None else gates + state.projected

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the next word's logits (S, n, V) and the new state, given one word per row, (S, n)."""
        hidden, cell = self.lstm(self._gates(self.word_embedding(words), state), state.hidden, state.cell)
        return self.output(hidden), replace(state, hidden=hidden, cell=cell)

    def forward(self, images: ImageFeatures, words: Tensor, noise: Noise | None = None) -> Output:
        """Return logits (S, n, T, V) of every next word of captions (S, n, T), computed for all words at once."""
        state = self.start(images, noise)
        rate = self.dropout_rate
        if noise is not None and noise.own_word > 0:
            return Output(self._sampled(state, words, noise))
        n_slots, n_rows, length = words.shape
        embedded = dropout(self.word_embedding(words.transpose(1, 2)), rate, noise)
        gates = self.lstm.inputs(embedded.flatten(1, 2)).view(n_slots, length, n_rows, -1)
        if self.every_step is not None:
            gates = gates + state.projected[:, None]
        hidden, _ = recurrence(gates, state.hidden, state.cell, self.lstm.hidden.weight, library=self.lstm.library)
        logits = self.output(dropout(hidden, rate, noise).flatten(1, 2))
        return Output(logits.view(n_slots, length, n_rows, -1).transpose(1, 2))

    def _sampled(self, state: State, inputs: Tensor, noise: Noise) -> Tensor:
        """Return logits under scheduled sampling (Bengio et al. 2015): some words are replaced by ones that the model drew itself."""
        words = inputs[:, :, 0]
        logits: list[Tensor] = []
        for t in range(inputs.shape[2]):
            if t:
                draw = torch.stack([torch.rand((2, *inputs.shape[1:2]), generator=g, device=inputs.device) for g in noise.generators])
                chance = logits[-1].detach().softmax(-1).cumsum(-1)
                own = torch.searchsorted(chance, draw[:, 1, :, None] * chance[..., -1:]).squeeze(-1).clamp(max=self.n_words - 1)
                words = torch.where(draw[:, 0] < noise.own_word, own, inputs[:, :, t])
            gates = self._gates(dropout(self.word_embedding(words), self.dropout_rate, noise), state)
            hidden, cell = self.lstm(gates, state.hidden, state.cell)
            state = replace(state, hidden=hidden, cell=cell)
            logits.append(self.output(dropout(hidden, self.dropout_rate, noise)))
        return torch.stack(logits, 2)

    def flops_per_word(self) -> float:
        """Return the operations of one forward step of one slot: gates and vocabulary."""
        s = self.settings
        return 2.0 * (4 * s.hidden_size * (s.embed_size + s.hidden_size) + s.hidden_size * self.n_words)


class AttentiveGroup(CaptionerGroup):
    """`model.AttentiveCaptioner` of every slot.

    Args:
        settings: widths.
        n_channels: width C of the annotation vectors.
        n_words: V.
        dropout: share of embeddings and outputs dropped in training.
        generators: one per slot, on the CPU; they fix the initial weights.
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
        """Return a network of `model.py` of this size, with weights that do not matter."""
        return AttentiveCaptioner(self.settings, self.n_inputs, self.n_words, self.dropout_rate)

    def start(self, images: ImageFeatures, noise: Noise | None = None) -> State:  # noqa: ARG002 (no dropout before the first word)
        """Return the state before the first word; one row per image."""
        grid = annotation_vectors(images)
        mean = grid.mean(2)
        projected = self.attend_image(grid.flatten(1, 2)).view(*grid.shape[:3], -1)
        return State(self.init_hidden(mean).tanh(), self.init_cell(mean).tanh(), grid, projected)

    def attend(self, state: State) -> tuple[Tensor, Tensor]:
        """Return weights over locations, (S, n, L), and the gated context, (S, n, C)."""
        scored = (state.projected + self.attend_hidden(state.hidden)[:, :, None]).tanh()
        weights = self.attend_score(scored.flatten(1, 2)).view(*scored.shape[:3]).softmax(-1)
        # Not a batched product: thousands of tiny ones (1 x L times L x C) are slower than one pass over memory.
        context = (weights.unsqueeze(-1) * state.image).sum(2)
        return weights, self.beta(state.hidden).sigmoid() * context

    def _attend_and_read(self, gates: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Return weights (S, n, L), context (S, n, C) and the new state, given the word's share of the gates, (S, n, 4H)."""
        weights, context = self.attend(state)
        hidden, cell = self.lstm(gates + self.context_gates(context), state.hidden, state.cell)
        return weights, context, replace(state, hidden=hidden, cell=cell)

    def _deep_output(self, embedded: Tensor, hidden: Tensor, context: Tensor) -> Tensor:
        """Return logits (S, n, V) from word, memory and context together (Xu et al., eq. 7)."""
        return self.output((hidden + self.deep_context(context) + self.deep_word(embedded)).tanh())

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the next word's logits (S, n, V) and the new state, given one word per row, (S, n)."""
        embedded = self.word_embedding(words)
        _, context, state = self._attend_and_read(self.lstm.inputs(embedded), state)
        return self._deep_output(embedded, state.hidden, context), state

    def forward(self, images: ImageFeatures, words: Tensor, noise: Noise | None = None) -> Output:
        """Return logits (S, n, T, V) and attention (S, n, T, L) of captions (S, n, T).

        What does not depend on the memory is computed for all words at once: the words' share of the gates before the
        loop, the deep output after it.
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
        """Return the operations of one forward step as for NIC, with the context's share and without the attention scores."""
        s, c = self.settings, self.n_inputs
        return 2.0 * (4 * s.hidden_size * (s.embed_size + c + s.hidden_size) + s.hidden_size * (self.n_words + 2 * c + s.embed_size))
