"""The networks: one block around every mixer, so that only the mixer differs.

x <- x + mixer(norm(x)); x <- x + mlp(norm(x)). A block has 12 width^2 parameters (Kaplan et al. 2020, section 2.1), whatever its
mixer: the inner width of the MLP takes what the mixer leaves. At equal width and depth all networks have equal non-embedding
parameters to within 1 % (from width 32 on).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.layers import SeedLinear
from replications.errors import InputError
from replications.papers.rnn_vs_transformer.attention import Attention
from replications.papers.rnn_vs_transformer.mixers import LinearAttention, Minimal, Mixer, Recurrent, Selective, State, project
from replications.papers.rnn_vs_transformer.settings import RECURRENT, ModelName


def make_mixer(name: str, width: int, *, generators: Sequence[torch.Generator], head_width: int = 32, state: int = 8) -> Mixer:
    """The mixer of a network's name, one set of weights per generator."""
    model = ModelName.parse(name)
    if model.mixer in RECURRENT:
        return Recurrent(model.mixer, width, generators=generators, form=model.form)
    if model.mixer in ("mingru", "minlstm"):
        return Minimal(model.mixer, width, generators=generators, form=model.form)
    if model.mixer == "ssm":
        return Selective(width, generators=generators, form=model.form, state=state)
    if model.mixer == "linear":
        return LinearAttention(width, generators=generators, form=model.form, head_width=head_width)
    return Attention(width, generators=generators, form=model.form, positions=model.positions, head_width=head_width)


class Norm(nn.Module):
    """Layer normalisation with a gain for every seed and feature."""

    def __init__(self, width: int, n_seeds: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(n_seeds, width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (seeds, ..., width)."""
        return functional.layer_norm(x, x.shape[-1:]) * self.gain.view(len(x), *([1] * (x.ndim - 2)), -1)


class Block(nn.Module):
    """A mixer and an MLP, each behind a norm and added to the stream."""

    def __init__(self, mixer: Mixer, generators: Sequence[torch.Generator], layers: int) -> None:
        super().__init__()
        width, seeds = mixer.width, len(generators)
        self.mixer = mixer
        left = 12 * width**2 - sum(p.numel() for p in mixer.parameters()) / seeds - 2 * width
        self.norms = nn.ModuleList([Norm(width, seeds), Norm(width, seeds)])
        self.inner = max(1, round((left - width) / (2 * width + 1)))
        self.wide = SeedLinear(width, self.inner, generators=generators)
        self.narrow = SeedLinear(self.inner, width, generators=generators)
        with torch.no_grad():  # what a block adds starts small, so that depth does not make the stream grow (GPT-2)
            for linear in (self.narrow, getattr(mixer, "output", None)):
                if linear is not None:
                    linear.weight /= math.sqrt(2 * layers)

    def mlp(self, x: Tensor) -> Tensor:
        """GELU between two linear layers."""
        return project(self.narrow, functional.gelu(project(self.wide, self.norms[1](x))))

    def forward(self, x: Tensor, dropout: Dropout) -> Tensor:
        """Through (seeds, batch, n, width)."""
        x = x + dropout(self.mixer(self.norms[0](x)))
        return x + dropout(self.mlp(x))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One position (seeds, batch, width)."""
        mixed, state = self.mixer.step(self.norms[0](x), state)
        x = x + mixed
        return x + self.mlp(x), state


class Dropout:
    """Dropout that draws from one generator per seed, so that neither resuming nor a seed's company changes it."""

    def __init__(self, rate: float = 0.0, generators: Sequence[torch.Generator] = ()) -> None:
        self.rate, self.generators = rate, generators

    def __call__(self, x: Tensor) -> Tensor:
        """Drop elements of (seeds, ...)."""
        if not self.rate:
            return x
        kept = torch.stack([torch.rand(x.shape[1:], generator=g, device=x.device) >= self.rate for g in self.generators])
        return x * kept / (1 - self.rate)


class SequenceModel(nn.Module):
    """Tokens in, logits of the next token out; every seed's network at once.

    Args:
        name: of the network, for example lstm or transformer.learned.
        vocabulary: tokens.
        width, layers: features of a position, blocks.
        generators: one per seed, on the CPU; they make the initial weights.
        positions: how many positions a network with learned positions has.
    """

    def __init__(
        self,
        name: str,
        vocabulary: int,
        width: int,
        layers: int,
        *,
        generators: Sequence[torch.Generator],
        head_width: int = 32,
        state: int = 8,
        positions: int = 0,
    ) -> None:
        super().__init__()
        self.name, self.vocabulary, self.width, self.n_seeds = name, vocabulary, width, len(generators)

        def normal(rows: int) -> nn.Parameter:
            return nn.Parameter(torch.stack([torch.randn(rows, width, generator=g) * 0.1 for g in generators]))

        self.embedding = normal(vocabulary)
        self.places = normal(positions) if ModelName.parse(name).positions == "learned" else None
        mixers = [make_mixer(name, width, generators=generators, head_width=head_width, state=state) for _ in range(layers)]
        self.blocks = cast("Sequence[Block]", nn.ModuleList([Block(mixer, generators, layers) for mixer in mixers]))
        self.norm = Norm(width, self.n_seeds)
        self.head = SeedLinear(width, vocabulary, generators=generators)

    def embed(self, tokens: Tensor, first: int = 0) -> Tensor:
        """Vectors of tokens (seeds, batch, n), whose first stands at position `first`.

        Raises:
            InputError: no token at all, or more than there are learned positions.
        """
        n = tokens.shape[2]
        if n == 0:
            raise InputError(f"{self.name}: a sequence of zero tokens has nothing to predict. Give at least one.")
        seed = torch.arange(self.n_seeds, device=tokens.device).view(-1, 1, 1)
        x = self.embedding[seed, tokens]
        if self.places is None:
            return x
        if first + n > self.places.shape[1]:
            raise InputError(
                f"{self.name}: position {first + n:,} of a sequence, but the network learned {self.places.shape[1]:,} positions."
                " Shorten the sequence, train with a longer context, or use rope, nope or alibi."
            )
        return x + self.places[:, None, first : first + n]

    def forward(self, tokens: Tensor, dropout: Dropout | None = None) -> Tensor:
        """Logits (seeds, batch, n, vocabulary) of tokens (seeds, batch, n)."""
        return project(self.head, self.norm(self.features(tokens, dropout)))

    def features(self, tokens: Tensor, dropout: Dropout | None = None) -> Tensor:
        """What the last block gives, (seeds, batch, n, width)."""
        dropout = dropout or Dropout()
        x = dropout(self.embed(tokens))
        for block in self.blocks:
            x = block(x, dropout)
        return x

    def start(self, tokens: Tensor) -> list[State]:
        """The states of all blocks before the first of tokens (seeds, batch, ...)."""
        like = self.embedding.new_zeros(self.n_seeds, tokens.shape[1], 1)
        return [block.mixer.start(like) for block in self.blocks]

    def step(self, tokens: Tensor, states: list[State], position: int) -> tuple[Tensor, list[State]]:
        """Logits (seeds, batch, vocabulary) after one more token (seeds, batch), and the states to carry on."""
        x = self.embed(tokens.unsqueeze(2), position).squeeze(2)
        after = []
        for block, state in zip(self.blocks, states, strict=True):
            x, new = block.step(x, state)
            after.append(new)
        return project(self.head, self.norm(x)), after

    @property
    def n_parameters(self) -> int:
        """Non-embedding parameters of one seed's network: without embedding, positions and output layer (Kaplan et al. 2020)."""
        return sum(p.numel() for block in self.blocks for p in block.parameters()) // self.n_seeds

    def flops(self, n: int) -> float:
        """Counted forward FLOPs of one sequence: mixers, MLPs and the output layer."""
        blocks = sum(b.mixer.flops(n) + 4.0 * self.width * b.inner * n for b in self.blocks)
        return float(blocks + 2.0 * self.width * self.vocabulary * n)


def seed_gradients(module: nn.Module, n_seeds: int) -> list[list[Tensor]]:
    """Gradients by seed, as views: stacked weights cut along their leading axis, library weights as they are."""
    by_seed: list[list[Tensor]] = [[] for _ in range(n_seeds)]
    for name, parameter in module.named_parameters():
        if parameter.grad is None:
            continue
        if "cells." in name:
            by_seed[int(name.split("cells.")[1].split(".")[0])].append(parameter.grad)
        else:
            for gradients, part in zip(by_seed, parameter.grad.unbind(0), strict=True):
                gradients.append(part)
    return by_seed
