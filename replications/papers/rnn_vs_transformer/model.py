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
from replications.papers.rnn_vs_transformer.attention import Attention, LinearAttention
from replications.papers.rnn_vs_transformer.fused import (
    ChunkedLinearAttention,
    FusedAttention,
    LibraryRecurrent,
    LoopedRecurrent,
    ScannedMinimalRNN,
    ScannedSSM,
)
from replications.papers.rnn_vs_transformer.mixers import MinimalRNN, Mixer, Recurrent, SelectiveSSM, State, project
from replications.papers.rnn_vs_transformer.settings import RECURRENT, Network


def make_mixer(network: Network, width: int, *, generators: Sequence[torch.Generator], head_width: int = 32, d_state: int = 8) -> Mixer:
    """Return the mixer of a network in the form that its settings name.

    Args:
        network: mixer, form and positions.
        width: features of a position.
        generators: one per seed, on the CPU; they draw the initial weights.
        head_width: features of an attention head.
        d_state: numbers of state per feature of the state-space layer.
    """
    fast = network.form != "loop"
    if network.mixer in RECURRENT:
        return (LibraryRecurrent if fast else LoopedRecurrent)(network.mixer, width, generators=generators)
    if network.mixer in ("mingru", "minlstm"):
        return (ScannedMinimalRNN if fast else MinimalRNN)(network.mixer, width, generators=generators)
    if network.mixer == "ssm":
        return (ScannedSSM if fast else SelectiveSSM)(width, generators=generators, d_state=d_state)
    if network.mixer == "linear":
        return (ChunkedLinearAttention if fast else LinearAttention)(width, generators=generators, head_width=head_width)
    attention = Attention if network.form == "naive" else FusedAttention
    return attention(width, generators=generators, positions=network.positions, head_width=head_width)


class Norm(nn.Module):
    """Layer normalisation with a gain per seed and feature."""

    def __init__(self, width: int, n_seeds: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(n_seeds, width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, (seeds, ..., width), over its last axis."""
        return functional.layer_norm(x, x.shape[-1:]) * self.gain.view(len(x), *([1] * (x.ndim - 2)), -1)


class Dropout:
    """Dropout that draws from one generator per seed, so that neither resuming nor a seed's company changes it."""

    def __init__(self, rate: float = 0.0, generators: Sequence[torch.Generator] = ()) -> None:
        self.rate, self.generators = rate, generators

    def __call__(self, x: Tensor) -> Tensor:
        """Set a share of the elements of x, (seeds, ...), to zero and scale up the others."""
        if not self.rate:
            return x
        mask = torch.stack([torch.rand(x.shape[1:], generator=g, device=x.device) >= self.rate for g in self.generators])
        return x * mask / (1 - self.rate)


class Block(nn.Module):
    """A mixer and an MLP, each behind a norm and added to the residual stream.

    Args:
        mixer: the layer that mixes positions.
        generators: one per seed, on the CPU.
        layers: number of blocks of the network.
    """

    def __init__(self, mixer: Mixer, generators: Sequence[torch.Generator], layers: int) -> None:
        super().__init__()
        width, seeds = mixer.width, len(generators)
        self.mixer = mixer
        left = 12 * width**2 - sum(p.numel() for p in mixer.parameters()) / seeds - 2 * width
        self.norms = nn.ModuleList([Norm(width, seeds), Norm(width, seeds)])
        self.inner = max(1, round((left - width) / (2 * width + 1)))
        self.fc_in = SeedLinear(width, self.inner, generators=generators)
        self.fc_out = SeedLinear(self.inner, width, generators=generators)
        with torch.no_grad():  # what a block adds starts small, so that depth does not make the stream grow (GPT-2)
            for linear in (self.fc_out, getattr(mixer, "out_proj", None)):
                if linear is not None:
                    linear.weight /= math.sqrt(2 * layers)

    def mlp(self, x: Tensor) -> Tensor:
        """Return fc_out(gelu(fc_in(norm(x)))); x and the result are (seeds, ..., width)."""
        return project(self.fc_out, functional.gelu(project(self.fc_in, self.norms[1](x))))

    def forward(self, x: Tensor, dropout: Dropout) -> Tensor:
        """Transform a sequence.

        Args:
            x: (seeds, batch, n, width).
            dropout: applied to what mixer and MLP add.

        Returns:
            (seeds, batch, n, width).
        """
        x = x + dropout(self.mixer(self.norms[0](x)))
        return x + dropout(self.mlp(x))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Transform one position.

        Args:
            x: (seeds, batch, width).
            state: of the mixer after the position before.

        Returns:
            (seeds, batch, width), and the state after this position.
        """
        mixed, state = self.mixer.step(self.norms[0](x), state)
        x = x + mixed
        return x + self.mlp(x), state


class SequenceModel(nn.Module):
    """Tokens in, logits of the next token out; every seed's network at once.

    Args:
        network: mixer, form and positions.
        vocabulary: number of different tokens.
        width: features of a position.
        layers: number of blocks.
        generators: one per seed, on the CPU; they draw the initial weights.
        head_width: features of an attention head.
        d_state: numbers of state per feature of the state-space layer.
        n_positions: number of positions of a network with learned positions.
    """

    def __init__(
        self,
        network: Network,
        vocabulary: int,
        width: int,
        layers: int,
        *,
        generators: Sequence[torch.Generator],
        head_width: int = 32,
        d_state: int = 8,
        n_positions: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.vocabulary, self.width, self.n_seeds = network, vocabulary, width, len(generators)

        def normal(rows: int) -> nn.Parameter:
            return nn.Parameter(torch.stack([torch.randn(rows, width, generator=g) * 0.1 for g in generators]))

        self.token_embedding = normal(vocabulary)
        self.position_embedding = normal(n_positions) if network.positions == "learned" else None
        mixers = [make_mixer(network, width, generators=generators, head_width=head_width, d_state=d_state) for _ in range(layers)]
        self.blocks = cast("Sequence[Block]", nn.ModuleList([Block(mixer, generators, layers) for mixer in mixers]))
        self.norm = Norm(width, self.n_seeds)
        self.head = SeedLinear(width, vocabulary, generators=generators)

    def embed(self, tokens: Tensor, first: int = 0) -> Tensor:
        """Return the embeddings of tokens.

        Args:
            tokens: int64 (seeds, batch, n).
            first: position of the first token.

        Returns:
            (seeds, batch, n, width).

        Raises:
            InputError: no token at all, or more than there are learned positions.
        """
        n = tokens.shape[2]
        if n == 0:
            raise InputError(f"{self.network.name}: a sequence of zero tokens has nothing to predict. Give at least one.")
        seed = torch.arange(self.n_seeds, device=tokens.device).view(-1, 1, 1)
        x = self.token_embedding[seed, tokens]
        if self.position_embedding is None:
            return x
        learned = self.position_embedding.shape[1]
        if first + n > learned:
            raise InputError(
                f"{self.network.name}: position {first + n:,} of a sequence, but the network learned {learned:,} positions."
                " Shorten the sequence, train with a longer context, or use rope, nope or alibi."
            )
        return x + self.position_embedding[:, None, first : first + n]

    def forward(self, tokens: Tensor, dropout: Dropout | None = None) -> Tensor:
        """Return logits of the next token.

        Args:
            tokens: int64 (seeds, batch, n).
            dropout: on embeddings and on what each block adds; None: none.

        Returns:
            (seeds, batch, n, vocabulary).
        """
        dropout = dropout or Dropout()
        x = dropout(self.embed(tokens))
        for block in self.blocks:
            x = block(x, dropout)
        return project(self.head, self.norm(x))

    def start(self, tokens: Tensor) -> list[State]:
        """Return the states of all blocks before the first of tokens (seeds, batch, ...)."""
        like = self.token_embedding.new_zeros(self.n_seeds, tokens.shape[1], 1)
        return [block.mixer.start(like) for block in self.blocks]

    def step(self, tokens: Tensor, states: list[State], position: int) -> tuple[Tensor, list[State]]:
        """Read one more token.

        Args:
            tokens: int64 (seeds, batch).
            states: of all blocks after the token before.
            position: of these tokens, from 0.

        Returns:
            Logits of the next token, (seeds, batch, vocabulary), and the states after this one.
        """
        x = self.embed(tokens.unsqueeze(2), position).squeeze(2)
        after = []
        for block, state in zip(self.blocks, states, strict=True):
            x, new = block.step(x, state)
            after.append(new)
        return project(self.head, self.norm(x)), after

    @property
    def n_parameters(self) -> int:
        """Non-embedding parameters of one seed's network: without embeddings and output layer (Kaplan et al. 2020)."""
        return sum(p.numel() for block in self.blocks for p in block.parameters()) // self.n_seeds


def seed_gradients(module: nn.Module, n_seeds: int) -> list[list[Tensor]]:
    """Return the gradients of each seed as views.

    Args:
        module: its parameters have the seeds as their leading axis, or belong to one seed's cell of a recurrent layer.
        n_seeds: number of seeds.

    Returns:
        One list of gradients per seed.
    """
    seed_of_cell = {
        id(parameter): seed
        for layer in module.modules()
        if isinstance(layer, Recurrent)
        for seed, cell in enumerate(layer.cells)
        for parameter in cell.parameters()
    }
    by_seed: list[list[Tensor]] = [[] for _ in range(n_seeds)]
    for parameter in module.parameters():
        if parameter.grad is None:
            continue
        if id(parameter) in seed_of_cell:
            by_seed[seed_of_cell[id(parameter)]].append(parameter.grad)
        else:
            for gradients, part in zip(by_seed, parameter.grad.unbind(0), strict=True):
                gradients.append(part)
    return by_seed
