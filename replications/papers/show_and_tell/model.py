"""The Neural Image Caption generator: an LSTM that reads the image once and then writes words (section 3).

Equations are of arXiv 1411.4555v2. Everything has a leading slot axis: a slot is one seed, or one member of a seed's
ensemble, with weights of its own; all slots train in one batched product. Shapes: `slots` S, rows R (captions or beams),
length T, embedding E, hidden H, vocabulary V.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.layers import SeedLinear, seeded_uniform
from replications.papers.show_and_tell.recurrence import recurrence
from replications.papers.show_and_tell.settings import Decoder as DecoderSettings

WORD_BOUND = 0.8
"""Word embeddings start uniform in +-0.8, about as wide as the library's: at +-0.08 they are drowned by the image for epochs."""
IMAGE_SPREAD = 1.7
"""Standard deviation from which the image embedding starts. The image must outlast the words in a memory that forgets half at
every step at first (no gate biases); without this a short training hardly looks at the picture."""

State = dict[str, Tensor]
"""What a decoder carries from word to word; every tensor is (slots, rows, ...)."""


@dataclass(frozen=True)
class Output:
    """What a decoder returns over whole captions: logits (S, R, T, V), and attention (S, R, T, locations) where it has one."""

    logits: Tensor
    attention: Tensor | None = None


@dataclass(frozen=True)
class Images:
    """Features of pictures: `vector` (S, n, D), and `grid` (S, n, locations, C) where a decoder attends."""

    vector: Tensor
    grid: Tensor | None = None

    def rows(self, index: Tensor) -> Images:
        """The pictures of these rows, (R,) for all slots."""
        return Images(self.vector[:, index], None if self.grid is None else self.grid[:, index])


@dataclass(frozen=True)
class Noise:
    """Randomness of a training step: one generator a slot, and the probability of feeding the model its own word."""

    generators: Sequence[torch.Generator]
    own_word: float = 0.0


def dropout(inputs: Tensor, rate: float, noise: Noise | None) -> Tensor:
    """Inverted dropout of (S, ...) with each slot's own generator; nothing without noise."""
    if noise is None or rate == 0:
        return inputs
    keep = torch.stack([torch.rand(inputs.shape[1:], generator=g, device=inputs.device) for g in noise.generators]) >= rate
    return inputs * keep / (1 - rate)


class Cell(nn.Module):
    """The LSTM of eqs 4-8 (`library`: with tanh on the cell and gate biases, as libraries have it).

    `forward` takes the input's share of the gates, computed for many steps at once by `inputs`.
    """

    def __init__(self, n_in: int, hidden: int, *, library: bool, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.with_tanh = library
        self.inputs = SeedLinear(n_in, 4 * hidden, generators=generators, bias=library)
        self.hidden = SeedLinear(hidden, 4 * hidden, generators=generators, bias=False)

    def forward(self, gates: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """One step: gates (S, R, 4H) before the recurrent share; returns m (eq. 8) and c (eq. 7), each (S, R, H)."""
        total = torch.baddbmm(gates, hidden, self.hidden.weight)
        opened, update = total.split([3 * hidden.shape[-1], hidden.shape[-1]], dim=-1)
        i, f, o = opened.sigmoid().chunk(3, dim=-1)
        cell = torch.addcmul(f * cell, i, update.tanh())
        return o * (cell.tanh() if self.with_tanh else cell), cell


class Words(nn.Module):
    """Word embeddings W_e (eq. 11) and the vocabulary layer before the softmax (eq. 9)."""

    def __init__(self, n_words: int, embed: int, hidden: int, *, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.embedding = nn.Parameter(seeded_uniform((n_words, embed), WORD_BOUND, generators))
        self.output = SeedLinear(hidden, n_words, generators=generators)

    def embed(self, words: Tensor) -> Tensor:
        """(S, ...) word numbers to (S, ..., E)."""
        slot = torch.arange(len(words), device=words.device).view(-1, *[1] * (words.ndim - 1))
        return self.embedding[slot, words]


class Captioner(nn.Module):
    """NIC (section 3.1).

    Args:
        settings: widths, cell, dropout, and whether the image is fed with every word too.
        n_features: width D of the image features.
        n_words: V.
        generators: one per slot, on the CPU; they fix the initial weights.
    """

    def __init__(self, settings: DecoderSettings, n_features: int, n_words: int, *, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.settings, self.n_words = settings, n_words
        embed, hidden = settings.embed_size, settings.hidden_size
        self.image = SeedLinear(n_features, embed, generators=generators)
        self.words = Words(n_words, embed, hidden, generators=generators)
        self.cell = Cell(embed, hidden, library=settings.cell == "library", generators=generators)
        self.every_step = SeedLinear(embed, 4 * hidden, generators=generators, bias=False) if settings.image == "every_step" else None

    @property
    def n_slots(self) -> int:
        """Slots, that is seeds times members."""
        return int(self.words.embedding.shape[0])

    def select(self, slots: Sequence[int]) -> Captioner:
        """A copy that holds only these slots, without gradients."""
        chosen = copy.deepcopy(self).requires_grad_(False)
        for parameter in chosen.parameters():
            parameter.data = parameter.data[list(slots)].clone()
        return chosen

    @torch.no_grad()
    def spread_image(self, vectors: Tensor) -> None:
        """Scale the image embedding of every slot so that it starts with IMAGE_SPREAD over these pictures, (S, n, D)."""
        spread = self.image(vectors).flatten(1).std(1)
        self.image.weight.mul_((IMAGE_SPREAD / spread)[:, None, None])

    def start(self, images: Images, noise: Noise | None = None) -> State:
        """Feed the image at t = -1 (eq. 10) to an empty memory; one row per picture."""
        seen = dropout(self.image(images.vector), self.settings.dropout, noise)
        empty = seen.new_zeros(*seen.shape[:2], self.settings.hidden_size)
        hidden, cell = self.cell(self.cell.inputs(seen), empty, empty)
        state = {"hidden": hidden, "cell": cell}
        if self.every_step is not None:
            state["image"] = self.every_step(seen)
        return state

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one word per row, (S, R), and return the next word's logits (S, R, V) and the new state."""
        gates = self.cell.inputs(self.words.embed(words))
        if "image" in state:
            gates = gates + state["image"]
        hidden, cell = self.cell(gates, state["hidden"], state["cell"])
        return self.words.output(hidden), state | {"hidden": hidden, "cell": cell}

    def forward(self, images: Images, inputs: Tensor, noise: Noise | None = None) -> Output:
        """Logits for every next word of captions (S, R, T), each given its own earlier words (eqs 11-12).

        Args:
            images: one picture per row.
            inputs: word numbers from the start symbol on.
            noise: at training: dropout, and scheduled sampling where asked.
        """
        state = self.start(images, noise)
        rate = self.settings.dropout
        if noise is not None and noise.own_word > 0:
            return Output(self._sampled(state, inputs, noise))
        n_slots, n_rows, length = inputs.shape
        embedded = dropout(self.words.embed(inputs.transpose(1, 2)), rate, noise)
        gates = self.cell.inputs(embedded.flatten(1, 2)).view(n_slots, length, n_rows, -1)
        if "image" in state:
            gates = gates + state["image"][:, None]
        hidden, _ = recurrence(gates, state["hidden"], state["cell"], self.cell.hidden.weight, library=self.cell.with_tanh)
        logits = self.words.output(dropout(hidden, rate, noise).flatten(1, 2))
        return Output(logits.view(n_slots, length, n_rows, -1).transpose(1, 2))

    def _sampled(self, state: State, inputs: Tensor, noise: Noise) -> Tensor:
        """Scheduled sampling (Bengio et al. 2015): with some probability a word is replaced by one the model drew itself."""
        hidden, cell = state["hidden"], state["cell"]
        words = inputs[:, :, 0]
        logits: list[Tensor] = []
        for t in range(inputs.shape[2]):
            if t:
                draw = torch.stack([torch.rand((2, *inputs.shape[1:2]), generator=g, device=inputs.device) for g in noise.generators])
                chance = logits[-1].detach().softmax(-1).cumsum(-1)
                own = torch.searchsorted(chance, draw[:, 1, :, None] * chance[..., -1:]).squeeze(-1).clamp(max=self.n_words - 1)
                words = torch.where(draw[:, 0] < noise.own_word, own, inputs[:, :, t])
            gates = self.cell.inputs(dropout(self.words.embed(words), self.settings.dropout, noise))
            hidden, cell = self.cell(gates + state["image"] if "image" in state else gates, hidden, cell)
            logits.append(self.words.output(dropout(hidden, self.settings.dropout, noise)))
        return torch.stack(logits, 2)

    def flops_per_word(self) -> float:
        """Multiply-adds times two of one forward step of one slot: gates and vocabulary; training costs three times this."""
        s = self.settings
        return 2.0 * (4 * s.hidden_size * (s.embed_size + s.hidden_size) + s.hidden_size * self.n_words)


def caption_loss(output: Output, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Summed negative log-likelihood of the words (eq. 13) and their number, each (S,); targets (S, R, T), -1 where padded."""
    losses = functional.cross_entropy(
        output.logits.transpose(1, 2).flatten(0, 2), targets.transpose(1, 2).flatten(), ignore_index=-1, reduction="none"
    )
    return losses.view(len(targets), -1).sum(1), (targets >= 0).flatten(1).sum(1)


def coverage_penalty(attention: Tensor, targets: Tensor) -> Tensor:
    """Xu et al.'s doubly stochastic penalty, sum over locations of (1 - sum over words of attention)^2, summed over rows, (S,)."""
    total = (attention * (targets >= 0).unsqueeze(-1)).sum(2)
    return (1 - total).square().sum((1, 2))
