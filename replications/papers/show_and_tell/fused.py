"""The decoders of `model.py` for many seeds at once and whole captions at a time: the form that training and search run.

Every network has a leading slot axis. A slot is one seed, or one member of a seed's ensemble, with weights of its own; a layer of all
slots is one batched matrix product. Everything that does not depend on the recurrent state is computed for all words together, and the
recurrence has a backward pass of its own (`fused_lstm.py`). The decoder with attention is in `fused_attention.py`. Outputs and gradients
equal those of `model.py`, slot by slot; a test holds this.

Shapes: as in `model.py`, with a leading axis of S slots.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from replications.engine.layers import SeedLinear, seeded_uniform
from replications.engine.randomness import seeded_dropout
from replications.papers.show_and_tell.fused_lstm import SlotLSTM
from replications.papers.show_and_tell.fused_tanh import SlotTanhRNN
from replications.papers.show_and_tell.model import AttentiveCaptioner, Captioner, ImageFeatures, Output, State
from replications.papers.show_and_tell.settings import Decoder as DecoderSettings

WORD_EMBEDDING_BOUND = 0.8
"""Bound of the uniform initial word embeddings, about as wide as torch's default. At 0.08 the image embedding dominates for epochs."""
IMAGE_EMBEDDING_STD = 1.7
"""Initial standard deviation of the image embedding. Without gate biases the memory halves at every step at first, so the image must
start large to persist through the caption; otherwise a short training hardly uses it."""


@dataclass(frozen=True)
class Noise:
    """Sources of randomness of a training step.

    Attributes:
        generators: one per slot.
        sampling_probability: probability, 0 to 1, of feeding a word sampled from the model instead of the true word (scheduled sampling).
    """

    generators: Sequence[torch.Generator]
    sampling_probability: float = 0.0


def dropout(inputs: Tensor, rate: float, noise: Noise | None) -> Tensor:
    """Apply inverted dropout, with each slot's own generator.

    Args:
        inputs: (S, ...).
        rate: share of elements set to zero, 0 to 1.
        noise: the slots' generators; None disables dropout.

    Returns:
        (S, ...): the inputs with dropped elements at zero and the others scaled by 1 / (1 - rate); the inputs themselves without noise.
    """
    return inputs if noise is None else seeded_dropout(inputs, rate, noise.generators)


class SlotEmbedding(nn.Module):
    """Word embeddings W_e (eq. 11) of every slot, `weight` (S, V, E).

    Args:
        n_words: V.
        embed: E.
        generators: one per slot, on the CPU; they determine the initial weights.
    """

    def __init__(self, n_words: int, embed: int, *, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.weight = nn.Parameter(seeded_uniform((n_words, embed), WORD_EMBEDDING_BOUND, generators))

    def forward(self, words: Tensor) -> Tensor:
        """Look up word embeddings.

        Args:
            words: word numbers 0 to V - 1, (S, ...).

        Returns:
            Embeddings, (S, ..., E).
        """
        slot = torch.arange(len(words), device=words.device).view(-1, *[1] * (words.ndim - 1))
        return self.weight[slot, words]


class CaptionerGroup(nn.Module, ABC):
    """Decoders of one kind, one per slot, with the parameter names of `model.py`.

    Args:
        settings: layer widths and type of cell, the same for every slot.
        n_inputs: width of the image features that a decoder reads: D, or C with attention.
        n_words: V.
        dropout: share of embeddings and LSTM outputs set to zero in training, kept as `dropout_rate`.
    """

    word_embedding: SlotEmbedding

    def __init__(self, settings: DecoderSettings, n_inputs: int, n_words: int, dropout: float) -> None:
        super().__init__()
        self.settings, self.n_inputs, self.n_words, self.dropout_rate = settings, n_inputs, n_words, dropout

    @property
    def n_slots(self) -> int:
        """The number of slots S: seeds times ensemble members."""
        return len(self.word_embedding.weight)

    def select(self, slots: Sequence[int]) -> Self:
        """Copy some slots.

        Args:
            slots: slot numbers, 0 to S - 1.

        Returns:
            A group of these slots in this order, whose parameters require no gradients.
        """
        selected = copy.deepcopy(self).requires_grad_(False)
        for parameter in selected.parameters():
            parameter.data = parameter.data[list(slots)].clone()
        return selected

    @abstractmethod
    def empty_network(self) -> Captioner | AttentiveCaptioner:
        """Create a network of `model.py` with the sizes of this group.

        Returns:
            The network, on the CPU; its weights are meant to be overwritten.
        """

    def network(self, slot: int) -> Captioner | AttentiveCaptioner:
        """Convert one slot to the form of `model.py`.

        Args:
            slot: slot number, 0 to S - 1.

        Returns:
            A network with a copy of the slot's weights, on their device.
        """
        network = self.empty_network().to(self.word_embedding.weight)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                of_slot = parameter[slot]
                stored_transposed = parameter.ndim == 3 and not name.startswith("word_embedding")
                network.get_parameter(name).copy_(of_slot[0] if name.endswith("bias") else of_slot.mT if stored_transposed else of_slot)
        return network

    def scale_image_embedding(self, vectors: Tensor) -> None:
        """Scale every slot's image embedding to a standard deviation of IMAGE_EMBEDDING_STD over some images; the default does nothing.

        Args:
            vectors: image features, (S, n, D).
        """

    @abstractmethod
    def start(self, images: ImageFeatures, noise: Noise | None = None) -> State:
        """Return the state before the first word.

        Args:
            images: features of n images, (S, n, ...).
            noise: randomness of dropout in training; None: no dropout.

        Returns:
            State with one row per image.
        """

    @abstractmethod
    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one word per row and score the next one.

        Args:
            words: word numbers, (S, n).
            state: after the preceding words.

        Returns:
            Logits of the next word, (S, n, V), and the new state.
        """

    @abstractmethod
    def forward(self, images: ImageFeatures, words: Tensor, noise: Noise | None = None) -> Output:
        """Score every next word of captions, given the true preceding words.

        Args:
            images: one image per row, (S, n, ...).
            words: word numbers from the start symbol on, (S, n, T).
            noise: randomness of dropout and of scheduled sampling in training; None: neither.

        Returns:
            Logits (S, n, T, V), and attention (S, n, T, L) where the decoder has it.
        """

    @abstractmethod
    def flops_per_word(self) -> float:
        """Count the operations of one forward step of one slot.

        Returns:
            FLOPs, two per multiply-add; training costs three times this.
        """


class NicGroup(CaptionerGroup):
    """`model.Captioner` of every slot.

    Args:
        settings: layer widths, type of cell, and whether the image is also fed with every word.
        n_features: width D of the image features.
        n_words: V.
        dropout: share of embeddings and LSTM outputs set to zero in training.
        generators: one per slot, on the CPU; they determine the initial weights.
    """

    def __init__(
        self, settings: DecoderSettings, n_features: int, n_words: int, *, dropout: float, generators: Sequence[torch.Generator]
    ) -> None:
        super().__init__(settings, n_features, n_words, dropout)
        embed, hidden = settings.embed_size, settings.hidden_size
        self.image = SeedLinear(n_features, embed, generators=generators)
        self.word_embedding = SlotEmbedding(n_words, embed, generators=generators)
        self.output = SeedLinear(hidden, n_words, generators=generators)
        self.rnn = (
            SlotTanhRNN(embed, hidden, generators=generators)
            if settings.cell == "tanh"
            else SlotLSTM(embed, hidden, library=settings.cell == "library", generators=generators)
        )
        width = self.rnn.n_blocks * hidden
        self.every_step = SeedLinear(embed, width, generators=generators, bias=False) if settings.image == "every_step" else None

    def empty_network(self) -> Captioner:
        """Create a network of `model.py` with the sizes of this group.

        Returns:
            The network, on the CPU; its weights are meant to be overwritten.
        """
        return Captioner(self.settings, self.n_inputs, self.n_words, self.dropout_rate)

    @torch.no_grad()
    def scale_image_embedding(self, vectors: Tensor) -> None:
        """Scale every slot's image embedding to a standard deviation of IMAGE_EMBEDDING_STD over some images.

        Args:
            vectors: image features, (S, n, D).
        """
        deviation = self.image(vectors).flatten(1).std(1)
        self.image.weight.mul_((IMAGE_EMBEDDING_STD / deviation)[:, None, None])

    def start(self, images: ImageFeatures, noise: Noise | None = None) -> State:
        """Return the state after the image was fed at t = -1 (eq. 10).

        Args:
            images: features of n images, (S, n, ...).
            noise: randomness of dropout in training; None: no dropout.

        Returns:
            State with one row per image.
        """
        x = dropout(self.image(images.vector), self.dropout_rate, noise)
        zeros = x.new_zeros(*x.shape[:2], self.settings.hidden_size)
        hidden, cell = self.rnn(self.rnn.inputs(x), zeros, zeros)
        empty = x.new_empty(*x.shape[:2], 0)
        return State(hidden, cell, empty, empty if self.every_step is None else self.every_step(x))

    def _gates(self, embedded: Tensor, state: State) -> Tensor:
        """Return the input contribution to the gates, (S, n, 4H or H), of embedded words and, where it is fed with them, the image."""
        gates = self.rnn.inputs(embedded)
        return gates if self.every_step is None else gates + state.projected

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one word per row and score the next one (eqs 11 and 12).

        Args:
            words: word numbers, (S, n).
            state: after the preceding words.

        Returns:
            Logits of the next word, (S, n, V), and the new state.
        """
        hidden, cell = self.rnn(self._gates(self.word_embedding(words), state), state.hidden, state.cell)
        return self.output(hidden), replace(state, hidden=hidden, cell=cell)

    def forward(self, images: ImageFeatures, words: Tensor, noise: Noise | None = None) -> Output:
        """Score every next word of captions, all words at once; word by word under scheduled sampling, where inputs depend on outputs.

        Args:
            images: one image per row, (S, n, ...).
            words: word numbers from the start symbol on, (S, n, T).
            noise: randomness of dropout and of scheduled sampling in training; None: neither.

        Returns:
            Logits (S, n, T, V).
        """
        state = self.start(images, noise)
        rate = self.dropout_rate
        if noise is not None and noise.sampling_probability > 0:
            return Output(self._forward_sampled(state, words, noise))
        n_slots, n_rows, length = words.shape
        embedded = dropout(self.word_embedding(words.transpose(1, 2)), rate, noise)
        gates = self.rnn.inputs(embedded.flatten(1, 2)).view(n_slots, length, n_rows, -1)
        if self.every_step is not None:
            gates = gates + state.projected[:, None]
        hidden = self.rnn.unroll(gates, state.hidden, state.cell)
        logits = self.output(dropout(hidden, rate, noise).flatten(1, 2))
        return Output(logits.view(n_slots, length, n_rows, -1).transpose(1, 2))

    def _forward_sampled(self, state: State, inputs: Tensor, noise: Noise) -> Tensor:
        """Return logits (S, n, T, V) under scheduled sampling (Bengio et al. 2015): some inputs are the model's own samples."""
        words = inputs[:, :, 0]
        logits: list[Tensor] = []
        for t in range(inputs.shape[2]):
            if t:
                uniform = torch.stack([torch.rand((2, *inputs.shape[1:2]), generator=g, device=inputs.device) for g in noise.generators])
                cumulative = logits[-1].detach().softmax(-1).cumsum(-1)
                sampled = (
                    torch.searchsorted(cumulative, uniform[:, 1, :, None] * cumulative[..., -1:]).squeeze(-1).clamp(max=self.n_words - 1)
                )
                words = torch.where(uniform[:, 0] < noise.sampling_probability, sampled, inputs[:, :, t])
            gates = self._gates(dropout(self.word_embedding(words), self.dropout_rate, noise), state)
            hidden, cell = self.rnn(gates, state.hidden, state.cell)
            state = replace(state, hidden=hidden, cell=cell)
            logits.append(self.output(dropout(hidden, self.dropout_rate, noise)))
        return torch.stack(logits, 2)

    def flops_per_word(self) -> float:
        """Count the operations of one forward step of one slot: gates and output layer.

        Returns:
            FLOPs, two per multiply-add.
        """
        s = self.settings
        return 2.0 * (self.rnn.n_blocks * s.hidden_size * (s.embed_size + s.hidden_size) + s.hidden_size * self.n_words)
