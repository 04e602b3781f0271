"""The networks: the same block around every mixer, so that networks differ only in the mixer.

x <- x + mixer(norm(x)); x <- x + mlp(norm(x)). A block has 12 width^2 parameters (Kaplan et al. 2020, section 2.1) for every mixer:
the hidden size of the MLP is chosen accordingly. At equal width and depth the networks' numbers of non-embedding parameters agree
within 1 % (from width 32 on). Mamba and RWKV-4, which have blocks of their own (`architectures.py`), are the exception.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.layers import SeedLinear
from replications.engine.randomness import seeded_dropout
from replications.errors import InputError
from replications.papers.rnn_vs_transformer.architectures import make_published_blocks, make_published_layer, make_published_norm
from replications.papers.rnn_vs_transformer.attention import Attention, LinearAttention
from replications.papers.rnn_vs_transformer.convolution import DilatedConvolution
from replications.papers.rnn_vs_transformer.fused import (
    ChunkedLinearAttention,
    FusedAttention,
    LibraryRecurrent,
    LoopedRecurrent,
    ParallelDilatedConvolution,
    ScannedMinimalRNN,
    ScannedSSM,
)
from replications.papers.rnn_vs_transformer.linear_recurrences import MinimalRNN, SelectiveSSM
from replications.papers.rnn_vs_transformer.mixers import Mixer, Recurrent, State, project
from replications.papers.rnn_vs_transformer.residual import MixerBlock
from replications.papers.rnn_vs_transformer.settings import PUBLISHED, RECURRENT, Network


def make_mixer(
    network: Network, width: int, *, generators: Sequence[torch.Generator], head_width: int = 32, d_state: int = 8, layer: int = 0
) -> Mixer:
    """Return the mixer of a network in the form that its settings name.

    Args:
        network: mixer, form and position encoding.
        width: features per position.
        generators: one per seed, on the CPU; they draw the initial weights.
        head_width: features per attention head.
        d_state: size of the state per feature of the state-space layer `ssm`.
        layer: number of the layer in its stack, from 0; a convolution's dilation follows from it.

    Returns:
        A layer that maps (seeds, batch, n, width) to the same shape.
    """
    fast = network.form != "loop"
    if network.mixer in RECURRENT:
        return (LibraryRecurrent if fast else LoopedRecurrent)(network.mixer, width, generators=generators)
    if network.mixer in ("mingru", "minlstm"):
        return (ScannedMinimalRNN if fast else MinimalRNN)(network.mixer, width, generators=generators)
    if network.mixer == "ssm":
        return (ScannedSSM if fast else SelectiveSSM)(width, generators=generators, d_state=d_state)
    if network.mixer == "convolution":
        return (ParallelDilatedConvolution if fast else DilatedConvolution)(width, generators=generators, layer=layer)
    if network.mixer in PUBLISHED:
        return make_published_layer(network, width, generators=generators)
    if network.mixer == "linear":
        return (ChunkedLinearAttention if fast else LinearAttention)(width, generators=generators, head_width=head_width)
    attention = Attention if network.form == "naive" else FusedAttention
    return attention(width, generators=generators, positions=network.positions, head_width=head_width)


class Norm(nn.Module):
    """Layer normalisation with a gain per seed and feature.

    Args:
        width: features per position.
        n_seeds: length of the leading axis.
    """

    def __init__(self, width: int, n_seeds: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(n_seeds, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return x, normalised over its last axis and scaled.

        Args:
            x: (seeds, ..., width).

        Returns:
            (seeds, ..., width).
        """
        return functional.layer_norm(x, x.shape[-1:]) * self.gain.view(len(x), *([1] * (x.ndim - 2)), -1)


class Dropout:
    """Dropout with one random generator per seed, so that its masks depend neither on resuming nor on the other seeds.

    Args:
        rate: share of elements set to zero, in [0, 1).
        generators: one per seed, on the device of the inputs; not needed for rate 0.
    """

    def __init__(self, rate: float = 0.0, generators: Sequence[torch.Generator] = ()) -> None:
        self.rate, self.generators = rate, generators

    def __call__(self, x: Tensor) -> Tensor:
        """Return x with randomly selected elements set to zero and the others scaled by 1 / (1 - rate).

        Args:
            x: (seeds, ...).

        Returns:
            Same shape.
        """
        return seeded_dropout(x, self.rate, self.generators)


class Block(nn.Module):
    """A mixer and an MLP, each applied to the normalised residual stream and added to it.

    Args:
        mixer: the layer that mixes positions.
        generators: one per seed, on the CPU; they draw the initial weights.
        layers: number of blocks of the network.
        bias: whether the MLP has biases.
    """

    def __init__(self, mixer: Mixer, generators: Sequence[torch.Generator], layers: int, *, bias: bool = True) -> None:
        super().__init__()
        width, seeds = mixer.width, len(generators)
        self.mixer = mixer
        for_mlp = 12 * width**2 - sum(p.numel() for p in mixer.parameters()) / seeds
        self.norms = nn.ModuleList([Norm(width, seeds), Norm(width, seeds)])
        # With biases, these and the norms' gains are among the 12 width^2; without, the matrices alone are, as in nanoGPT.
        self.inner = max(1, round((for_mlp - 3 * width) / (2 * width + 1) if bias else for_mlp / (2 * width)))
        self.fc_in = SeedLinear(width, self.inner, generators=generators, bias=bias)
        self.fc_out = SeedLinear(self.inner, width, generators=generators, bias=bias)
        with torch.no_grad():  # scaled so that the residual stream does not grow with depth (GPT-2)
            for linear in (self.fc_out, getattr(mixer, "out_proj", None)):
                if linear is not None:
                    linear.weight /= math.sqrt(2 * layers)

    def mlp(self, x: Tensor) -> Tensor:
        """Return fc_out(gelu(fc_in(norm(x)))).

        Args:
            x: (seeds, ..., width).

        Returns:
            (seeds, ..., width).
        """
        return project(self.fc_out, functional.gelu(project(self.fc_in, self.norms[1](x))))

    def forward(self, x: Tensor, dropout: Dropout) -> Tensor:
        """Return the transformed sequence.

        Args:
            x: (seeds, batch, n, width).
            dropout: applied to the outputs of mixer and MLP.

        Returns:
            (seeds, batch, n, width).
        """
        x = x + dropout(self.mixer(self.norms[0](x)))
        return x + dropout(self.mlp(x))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the transformed features of one more position, and the new state.

        Args:
            x: (seeds, batch, width).
            state: the mixer's state after the previous position.

        Returns:
            (seeds, batch, width), and the state after this position.
        """
        mixed, state = self.mixer.step(self.norms[0](x), state)
        x = x + mixed
        return x + self.mlp(x), state


class SequenceModel(nn.Module):
    """A stack of blocks that maps tokens to logits of the next token, for all seeds at once.

    Args:
        network: mixer, form and position encoding.
        vocabulary: number of distinct tokens.
        width: features per position.
        layers: number of blocks.
        generators: one per seed, on the CPU; they draw the initial weights.
        head_width: features per attention head.
        d_state: size of the state per feature of the state-space layer.
        n_positions: number of positions of a network with learned position embeddings; longest sequence of mamba-lti; 0: any.
        initial: `uniform` or `gpt2`, as in the settings.
        tied_output: the output layer has the weights of the embedding.
        bias: whether MLPs and output layer have biases.
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
        initial: str = "uniform",
        tied_output: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.network, self.vocabulary, self.width, self.n_seeds = network, vocabulary, width, len(generators)

        def normal(rows: int) -> nn.Parameter:
            return nn.Parameter(torch.stack([torch.randn(rows, width, generator=g) * 0.1 for g in generators]))

        self.token_embedding = normal(vocabulary)
        self.position_embedding = normal(n_positions) if network.positions == "learned" else None
        blocks: list[MixerBlock] | list[Block]
        self.embedding_norm = make_published_norm(network, width, self.n_seeds) if network.mixer == "rwkv4" else None
        if network.mixer in PUBLISHED:
            blocks = make_published_blocks(network, width, layers, generators=generators, longest=n_positions)
            self.norm = make_published_norm(network, width, self.n_seeds)
        else:
            sizes = {"head_width": head_width, "d_state": d_state}
            mixers = [make_mixer(network, width, generators=generators, layer=i, **sizes) for i in range(layers)]
            blocks = [Block(mixer, generators, layers, bias=bias) for mixer in mixers]
            self.norm = Norm(width, self.n_seeds)
        self.blocks = cast("Sequence[Block | MixerBlock]", nn.ModuleList(blocks))
        self.head = None if tied_output else SeedLinear(width, vocabulary, generators=generators, bias=bias)
        if initial == "gpt2":
            self._start_as_gpt2(generators, layers)

    @torch.no_grad()
    def _start_as_gpt2(self, generators: Sequence[torch.Generator], layers: int) -> None:
        """Draw all matrices anew, normal with deviation 0.02, and divide what a block adds by sqrt(2 layers) (nanoGPT, model.py)."""
        for name, parameter in self.named_parameters():
            if name.endswith(("weight", "embedding")):
                added = "fc_out" in name or "out_proj" in name
                deviation = 0.02 / math.sqrt(2 * layers) if added else 0.02
                parameter.copy_(torch.stack([torch.randn(parameter.shape[1:], generator=g) * deviation for g in generators]))

    def output(self, x: Tensor) -> Tensor:
        """Return the logits of the next token.

        Args:
            x: residual stream after the last block, (seeds, ..., width).

        Returns:
            (seeds, ..., vocabulary).
        """
        normalised = self.norm(x)
        if self.head is not None:
            return project(self.head, normalised)
        logits = torch.bmm(normalised.reshape(len(x), -1, self.width), self.token_embedding.mT)
        return logits.view(*x.shape[:-1], self.vocabulary)

    def embed(self, tokens: Tensor, first: int = 0) -> Tensor:
        """Return the embeddings of tokens.

        Args:
            tokens: int64 (seeds, batch, n).
            first: position of the first token, from 0.

        Returns:
            (seeds, batch, n, width).

        Raises:
            InputError: there are no tokens, or more than the network has learned position embeddings.
        """
        n = tokens.shape[2]
        if n == 0:
            raise InputError(f"{self.network.name}: the sequence has no tokens. Give at least one.")
        seed = torch.arange(self.n_seeds, device=tokens.device).view(-1, 1, 1)
        x = self.token_embedding[seed, tokens]
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        if self.position_embedding is None:
            return x
        learned = self.position_embedding.shape[1]
        if first + n > learned:
            raise InputError(
                f"{self.network.name}: the sequence has {first + n:,} positions, the network has learned {learned:,}."
                " Shorten the sequence, train with a longer context, or use rope, nope or alibi."
            )
        return x + self.position_embedding[:, None, first : first + n]

    def forward(self, tokens: Tensor, dropout: Dropout | None = None) -> Tensor:
        """Return the logits of the next token at every position.

        Args:
            tokens: int64 (seeds, batch, n).
            dropout: applied to the embeddings and to the outputs of mixers and MLPs; None: no dropout.

        Returns:
            (seeds, batch, n, vocabulary).
        """
        dropout = dropout or Dropout()
        x = dropout(self.embed(tokens))
        for block in self.blocks:
            x = block(x, dropout)
        return self.output(x)

    def start(self, tokens: Tensor) -> list[State]:
        """Return the states of all blocks before the first token.

        Args:
            tokens: (seeds, batch, ...); gives the batch size.

        Returns:
            One state per block.
        """
        example = self.token_embedding.new_zeros(self.n_seeds, tokens.shape[1], 1)
        return [block.mixer.start(example) for block in self.blocks]

    def step(self, tokens: Tensor, states: list[State], position: int) -> tuple[Tensor, list[State]]:
        """Return the logits and the states after one more token.

        Args:
            tokens: int64 (seeds, batch).
            states: states of all blocks after the previous token.
            position: position of these tokens, from 0.

        Returns:
            Logits of the next token, (seeds, batch, vocabulary), and the states after this token.
        """
        x = self.embed(tokens.unsqueeze(2), position).squeeze(2)
        new_states = []
        for block, state in zip(self.blocks, states, strict=True):
            x, new_state = block.step(x, state)
            new_states.append(new_state)
        return self.output(x), new_states

    @property
    def undecayed(self) -> tuple[str, ...]:
        """Names of the parameters that a layer exempts from weight decay, such as Mamba's A and D."""
        exempt = {id(p) for block in self.blocks for name, p in block.mixer.named_parameters() if name.endswith(block.mixer.undecayed)}
        return tuple(name for name, parameter in self.named_parameters() if id(parameter) in exempt)

    @property
    def n_parameters(self) -> int:
        """Number of non-embedding parameters per seed: without embeddings and output layer (Kaplan et al. 2020)."""
        return sum(p.numel() for block in self.blocks for p in block.parameters()) // self.n_seeds


def seed_gradients(module: nn.Module, n_seeds: int) -> list[list[Tensor]]:
    """Return the gradients of each seed as views.

    Args:
        module: its parameters have a leading seed axis, or belong to one seed's cell of a recurrent layer.
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
