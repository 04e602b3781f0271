"""Speed comparisons of this paper, for `replications bench rnn_vs_transformer`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.bench import Comparison
from replications.papers.rnn_vs_transformer.model import SequenceModel, make_mixer
from replications.papers.rnn_vs_transformer.profiling import training_call
from replications.papers.rnn_vs_transformer.settings import Network

WIDTH, LENGTH, BATCH = 64, 512, 8


def _generators() -> list[torch.Generator]:
    """Return the random generator of one seed, on the CPU."""
    return [torch.Generator().manual_seed(0)]


def _layer(name: str, length: int = LENGTH, batch: int = BATCH) -> Callable[[], object]:
    """Return a call that makes one training step of one layer.

    Args:
        name: short notation of the network.
        length: positions per sequence.
        batch: number of sequences.
    """
    x = torch.randn(1, batch, length, WIDTH, generator=_generators()[0])
    return training_call(make_mixer(Network.model_validate(name), WIDTH, generators=_generators(), head_width=WIDTH), x)


class SteppedGRU(nn.Module):
    """The baseline of Feng et al. (2024): PyTorch's GRU cell, called once per position."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Return the states at all positions.

        Args:
            x: (batch, n, width).

        Returns:
            (batch, n, width).
        """
        h, states = x.new_zeros(len(x), WIDTH), []
        for x_t in x.unbind(1):
            h = self.cell(x_t, h)
            states.append(h)
        return torch.stack(states, 1)


def mingru_against_stepped_gru() -> Comparison:
    """Return the comparison of a minGRU with a stepped GRU: a training step of one layer at length 512."""
    x = torch.randn(BATCH, LENGTH, WIDTH, generator=_generators()[0])
    baseline = training_call(SteppedGRU(), x)
    return Comparison("minGRU scan, n = 512", _layer("mingru"), baseline, "tokens", BATCH * LENGTH, "GRU cell per step", 10.0)


def mingru_against_library_gru() -> Comparison:
    """Return the comparison of a minGRU with PyTorch's GRU over the whole sequence, the fair baseline."""
    x = torch.randn(BATCH, LENGTH, WIDTH, generator=_generators()[0])
    gru = nn.GRU(WIDTH, WIDTH, batch_first=True)

    def step() -> None:
        gru(x.detach().requires_grad_())[0].sum().backward()
        gru.zero_grad(set_to_none=True)

    return Comparison("minGRU scan, n = 512", _layer("mingru"), step, "tokens", BATCH * LENGTH, "library GRU")


def rwkv_scan_against_its_loop() -> Comparison:
    """Return the comparison of RWKV-4's time mixing as a scan with the recurrence step by step: a training step of one layer at length 512."""
    return Comparison("RWKV-4 scan, n = 512", _layer("rwkv4"), _layer("rwkv4.loop"), "tokens", BATCH * LENGTH, "RWKV-4 step by step")


def fused_against_naive_attention() -> Comparison:
    """Return the comparison of fused with naive attention: a training step of one layer at length 2048."""
    return Comparison(
        "fused attention, n = 2048", _layer("transformer", 2048, 1), _layer("transformer.naive", 2048, 1), "tokens", 2048, "naive attention"
    )


class PlainBlock(nn.Module):
    """A transformer block as in public minimal implementations: one seed, PyTorch layers.

    Args:
        width: features per position.
        heads: number of attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the transformed sequence.

        Args:
            x: (batch, n, width).

        Returns:
            (batch, n, width).
        """
        q, k, v = self.qkv(self.first(x)).view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.mlp(self.second(x))


def transformer_training() -> Comparison:
    """Return the comparison of our transformer with PyTorch layers: a training step, 4 layers of width 128, 12 sequences of 64."""
    tokens = torch.randint(65, (1, 12, 64), generator=_generators()[0])
    ours = SequenceModel(Network.model_validate("transformer.learned"), 65, 128, 4, generators=_generators(), n_positions=64)
    embedding, position_embedding, head = nn.Embedding(65, 128), nn.Embedding(64, 128), nn.Linear(128, 65)
    blocks = nn.Sequential(*(PlainBlock(128, 4) for _ in range(4)), nn.LayerNorm(128))
    baseline = nn.ModuleList([embedding, position_embedding, head, blocks])
    optimisers = [torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True) for model in (ours, baseline)]

    def step(logits: Callable[[], Tensor], optimiser: torch.optim.Optimizer) -> None:
        optimiser.zero_grad()
        functional.cross_entropy(logits().flatten(0, -2), tokens.flatten()).backward()
        optimiser.step()

    return Comparison(
        "transformer 4x128, T 64, batch 12",
        lambda: step(lambda: ours(tokens), optimisers[0]),
        lambda: step(lambda: head(blocks(embedding(tokens[0]) + position_embedding.weight)), optimisers[1]),
        "tokens",
        12 * 64,
        "plain PyTorch layers",
        0.8,
    )
