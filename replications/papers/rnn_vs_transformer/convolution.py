"""A causal dilated convolution, the third kind of layer in Table 1 of Vaswani et al. (2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from replications.engine.layers import SeedLinear
from replications.papers.rnn_vs_transformer.mixers import Mixer, State, project


class DilatedConvolution(Mixer):
    """A causal convolution over k = 3 positions that are `dilation` apart, with all channels mixed: y_t = b + sum_j W_j x_{t - j dilation}.

    A stack with the dilations 1, k, k^2, ... joins any two of n positions in log_k n layers (Vaswani et al. 2017, section 4, after
    Kalchbrenner et al. 2016).

    Args:
        width: features per position, d.
        generators: one per seed, on the CPU; they draw the initial weights.
        layer: number of the layer in its stack, from 0; its dilation is k^layer.
    """

    KERNEL = 3

    def __init__(self, width: int, *, generators: Sequence[torch.Generator], layer: int = 0) -> None:
        super().__init__(width, len(generators))
        self.dilation = self.KERNEL**layer
        self.taps = SeedLinear(self.KERNEL * width, width, generators=generators)  # oldest position first

    def start(self, x: Tensor) -> State:
        """Return the state before the first position: zeros.

        Args:
            x: (seeds, batch, ...); gives batch size, device and data type.

        Returns:
            The last inputs, (seeds, batch, (KERNEL - 1) dilation, width).
        """
        return (x.new_zeros(self.n_seeds, x.shape[1], (self.KERNEL - 1) * self.dilation, self.width),)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output at one more position, and the new state.

        Args:
            x: (seeds, batch, width).
            state: the last inputs, (seeds, batch, (KERNEL - 1) dilation, width).

        Returns:
            Output (seeds, batch, width), and the state after this position.
        """
        window = torch.cat([state[0], x.unsqueeze(2)], 2)
        return project(self.taps, window[:, :, :: self.dilation].flatten(2)), (window[:, :, 1:],)


def layers_that_join(n: int, kernel: int) -> int:
    """Return the number of dilated convolutions, with dilations 1, k, k^2, ..., after which the last of n positions depends on the first.

    Args:
        n: number of positions, from 1.
        kernel: positions that one convolution joins, k, from 2.

    Returns:
        log_k n, rounded up to whole layers; at least 1.
    """
    layers, reach = 1, kernel
    while reach < n:
        layers, reach = layers + 1, reach * kernel  # reach - 1 grows by (k - 1) k^layers
    return layers
