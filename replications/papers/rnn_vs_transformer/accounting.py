"""Analytic cost of mixers and networks: FLOPs, sequential operations, path length and state size.

FLOPs are those of one forward pass over one sequence of one seed: two per multiply-add, in matrix products and state updates.
"""

from __future__ import annotations

import math
from functools import singledispatch

from replications.papers.rnn_vs_transformer.attention import Attention, LinearAttention
from replications.papers.rnn_vs_transformer.convolution import DilatedConvolution, layers_that_join
from replications.papers.rnn_vs_transformer.fused import (
    ChunkedLinearAttention,
    ConvolvedTimeInvariantMamba,
    ParallelDilatedConvolution,
    ScannedMamba,
    ScannedMinimalRNN,
    ScannedSSM,
    ScannedTimeMixing,
    ShiftedChannelMixing,
)
from replications.papers.rnn_vs_transformer.linear_recurrences import MinimalRNN, SelectiveSSM
from replications.papers.rnn_vs_transformer.mamba import Mamba, TimeInvariantMamba
from replications.papers.rnn_vs_transformer.mixers import GATES, Mixer, Recurrent
from replications.papers.rnn_vs_transformer.model import SequenceModel
from replications.papers.rnn_vs_transformer.rwkv import ChannelMixing, TimeMixing
from replications.papers.rnn_vs_transformer.scan import scan_depth


def network_flops(model: SequenceModel, n: int) -> float:
    """Return the forward FLOPs of one sequence: mixers, MLPs and the output layer.

    Args:
        model: the network.
        n: number of tokens.

    Returns:
        FLOPs of one seed.
    """
    blocks = sum(flops(block.mixer, n) + 4.0 * model.width * block.inner * n for block in model.blocks)
    return float(blocks + 2.0 * model.width * model.vocabulary * n)


@singledispatch
def flops(mixer: Mixer, n: int) -> float:
    """Return the forward FLOPs of a mixer over one sequence.

    Args:
        mixer: the layer.
        n: number of positions.

    Returns:
        FLOPs of one seed.

    Raises:
        TypeError: no count is registered for the class of the mixer.
    """
    raise TypeError(f"The FLOPs of {type(mixer).__name__} over {n} positions are not counted; register a function here.")


@flops.register
def _(mixer: Recurrent, n: int) -> float:
    return 4.0 * GATES[mixer.cell] * mixer.width**2 * n  # two products of width x (gates * width) per position


@flops.register
def _(mixer: MinimalRNN, n: int) -> float:
    return (2.0 * mixer.gates * mixer.width**2 + 2 * mixer.width) * n


@flops.register
def _(mixer: SelectiveSSM, n: int) -> float:
    products = 2 * mixer.width * (3 * mixer.width + 2 * mixer.dt_rank + 2 * mixer.d_state)
    convolution, state = 2 * mixer.D_CONV * mixer.width, 4 * mixer.width * mixer.d_state
    return float(n * (products + convolution + state))


@flops.register
def _(mixer: Attention, n: int) -> float:
    return float(8 * n * mixer.width**2 + 4 * n**2 * mixer.width)  # masked scores are counted, too


@flops.register
def _(mixer: LinearAttention, n: int) -> float:
    return float(n * (8 * mixer.width**2 + 4 * mixer.width * mixer.head_width + 2 * mixer.width))


@flops.register
def _(mixer: ChunkedLinearAttention, n: int) -> float:
    chunk = min(mixer.CHUNK, n)
    padded = n + (-n % chunk)
    return float(8 * n * mixer.width**2 + padded * mixer.width * (4 * chunk + 4 * mixer.head_width + 2))


@flops.register
def _(mixer: Mamba, n: int) -> float:
    products = 6 * mixer.width * mixer.d_inner + mixer.d_inner * (4 * mixer.dt_rank + 4 * mixer.D_STATE)
    return float(n * (products + mixer.d_inner * (2 * mixer.D_CONV + 4 * mixer.D_STATE)))


@flops.register
def _(mixer: TimeInvariantMamba, n: int) -> float:
    return float(n * (6 * mixer.width * mixer.d_inner + mixer.d_inner * (2 * mixer.D_CONV + 4 * mixer.D_STATE)))


@flops.register
def _(mixer: ConvolvedTimeInvariantMamba, n: int) -> float:
    transforms = 3 * 2.5 * 2 * n * math.log2(2 * n)  # of real numbers, 2.5 m log2 m each: input, kernel and back, of length 2 n
    per_channel = 2 * mixer.D_CONV * n + 2 * mixer.D_STATE * n + transforms + 6 * n  # convolution, kernel, product of spectra
    return float(n * 6 * mixer.width * mixer.d_inner + mixer.d_inner * per_channel)


@flops.register
def _(mixer: TimeMixing, n: int) -> float:
    return float(n * (8 * mixer.width**2 + 14 * mixer.width))  # four products; three shifts, two sums updated and two read


@flops.register
def _(mixer: ChannelMixing, n: int) -> float:
    return float(n * ((4 * mixer.EXPAND + 2) * mixer.width**2 + 4 * mixer.width))


@flops.register
def _(mixer: DilatedConvolution, n: int) -> float:
    return float(2 * mixer.KERNEL * n * mixer.width**2)


@singledispatch
def sequential_operations(mixer: Mixer, n: int) -> int:  # noqa: ARG001 (of a recurrence: its length)
    """Return the number of mixing operations that must run one after the other (Vaswani et al. 2017, Table 1).

    Args:
        mixer: the layer.
        n: number of positions.

    Returns:
        n for a recurrence, 1 for attention, about 2 log2 n for a scan.
    """
    return n


@sequential_operations.register(Attention)
@sequential_operations.register(ShiftedChannelMixing)
@sequential_operations.register(ParallelDilatedConvolution)
def _(mixer: Mixer, n: int) -> int:  # noqa: ARG001 (all positions at once)
    return 1


@sequential_operations.register
def _(mixer: ConvolvedTimeInvariantMamba, n: int) -> int:  # noqa: ARG001 (two transforms and a product)
    return 2 * math.ceil(math.log2(2 * n)) + 1


@sequential_operations.register(ScannedMamba)
@sequential_operations.register(ScannedTimeMixing)
@sequential_operations.register(ScannedMinimalRNN)
@sequential_operations.register(ScannedSSM)
def _(mixer: Mixer, n: int) -> int:  # noqa: ARG001 (the scan's depth)
    return max(1, scan_depth(n))


@sequential_operations.register
def _(mixer: ChunkedLinearAttention, n: int) -> int:
    return 1 + scan_depth(math.ceil(n / mixer.CHUNK))


@singledispatch
def path_length(mixer: Mixer, n: int) -> int:
    """Return the number of mixing operations on the longest path between two positions.

    One layer joins them, and the path is as long as its sequential operations; of convolutions it takes a stack.

    Args:
        mixer: the layer.
        n: number of positions.

    Returns:
        The maximum path length of Vaswani et al. 2017, Table 1.
    """
    return sequential_operations(mixer, n)


@path_length.register
def _(mixer: DilatedConvolution, n: int) -> int:
    return layers_that_join(n, mixer.KERNEL)


@singledispatch
def state_size(mixer: Mixer, n: int) -> int:
    """Return the size of the state after n positions.

    Args:
        mixer: the layer.
        n: number of positions.

    Returns:
        Numbers stored per sequence and seed.

    Raises:
        TypeError: no count is registered for the class of the mixer.
    """
    raise TypeError(f"The state of {type(mixer).__name__} after {n} positions is not counted; register a function here.")


@state_size.register
def _(mixer: Recurrent, n: int) -> int:  # noqa: ARG001 (constant)
    return mixer.width * (2 if mixer.cell == "lstm" else 1)


@state_size.register
def _(mixer: MinimalRNN, n: int) -> int:  # noqa: ARG001 (constant)
    return mixer.width


@state_size.register
def _(mixer: SelectiveSSM, n: int) -> int:  # noqa: ARG001 (constant)
    return mixer.width * (mixer.d_state + mixer.D_CONV - 1)


@state_size.register
def _(mixer: Mamba, n: int) -> int:  # noqa: ARG001 (constant)
    return mixer.d_inner * (mixer.D_STATE + mixer.D_CONV - 1)


@state_size.register
def _(mixer: TimeMixing, n: int) -> int:  # noqa: ARG001 (constant)
    return 4 * mixer.width


@state_size.register
def _(mixer: ChannelMixing, n: int) -> int:  # noqa: ARG001 (constant)
    return mixer.width


@state_size.register
def _(mixer: DilatedConvolution, n: int) -> int:  # noqa: ARG001 (constant)
    return (mixer.KERNEL - 1) * mixer.dilation * mixer.width


@state_size.register
def _(mixer: LinearAttention, n: int) -> int:  # noqa: ARG001 (constant)
    return mixer.width * (mixer.head_width + 1)


@state_size.register
def _(mixer: Attention, n: int) -> int:
    return 2 * n * mixer.width  # a key and a value per position
