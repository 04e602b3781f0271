"""The block of architectures without an MLP beside the mixer, x <- x + mixer(norm(x)), and the two normalisations that they use."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.papers.rnn_vs_transformer.mixers import Mixer, State


class RMSNorm(nn.Module):
    """Division by the root mean square, with a gain per seed and feature (Zhang and Sennrich 2019), as before each layer of Mamba.

    Args:
        width: features per position.
        n_seeds: length of the leading axis.
    """

    EPSILON = 1e-5

    def __init__(self, width: int, n_seeds: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(n_seeds, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return x / sqrt(mean(x^2) + 1e-5), scaled.

        Args:
            x: (seeds, ..., width).

        Returns:
            (seeds, ..., width).
        """
        return functional.rms_norm(x, x.shape[-1:], eps=self.EPSILON) * self.gain.view(len(x), *([1] * (x.ndim - 2)), -1)


class LayerNorm(nn.Module):
    """Layer normalisation with a gain and a bias per seed and feature, as before each layer of RWKV-4.

    Args:
        width: features per position.
        n_seeds: length of the leading axis.
    """

    def __init__(self, width: int, n_seeds: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(n_seeds, width)), nn.Parameter(torch.zeros(n_seeds, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return x, normalised over its last axis, scaled and shifted.

        Args:
            x: (seeds, ..., width).

        Returns:
            (seeds, ..., width).
        """
        gain, bias = (parameter.view(len(x), *([1] * (x.ndim - 2)), -1) for parameter in (self.gain, self.bias))
        return functional.layer_norm(x, x.shape[-1:]) * gain + bias


class MixerBlock(nn.Module):
    """A mixer, applied to the normalised residual stream and added to it; there is no MLP.

    Args:
        norm: normalisation of the mixer's input.
        mixer: the layer that mixes positions, or channels of adjacent positions.
    """

    inner = 0
    """Hidden units of an MLP: none."""

    def __init__(self, norm: nn.Module, mixer: Mixer) -> None:
        super().__init__()
        self.norm, self.mixer = norm, mixer

    def forward(self, x: Tensor, dropout: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the transformed sequence.

        Args:
            x: (seeds, batch, n, width).
            dropout: applied to the output of the mixer.

        Returns:
            (seeds, batch, n, width).
        """
        return x + dropout(self.mixer(self.norm(x)))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the transformed features of one more position, and the new state.

        Args:
            x: (seeds, batch, width).
            state: the mixer's state after the previous position.

        Returns:
            (seeds, batch, width), and the state after this position.
        """
        mixed, state = self.mixer.step(self.norm(x), state)
        return x + mixed, state
