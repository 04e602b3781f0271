"""Mamba and RWKV-4 as whole networks: their layers, the blocks that stand where other networks have one block, and their normalisations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from replications.papers.rnn_vs_transformer.fused import (
    ConvolvedTimeInvariantMamba,
    ScannedMamba,
    ScannedTimeMixing,
    ShiftedChannelMixing,
)
from replications.papers.rnn_vs_transformer.mamba import Mamba, TimeInvariantMamba
from replications.papers.rnn_vs_transformer.mixers import Mixer
from replications.papers.rnn_vs_transformer.residual import LayerNorm, MixerBlock, RMSNorm
from replications.papers.rnn_vs_transformer.rwkv import ChannelMixing, TimeMixing
from replications.papers.rnn_vs_transformer.settings import Network


def make_published_layer(
    network: Network, width: int, *, generators: Sequence[torch.Generator], layer: int = 0, layers: int = 1, longest: int = 0
) -> Mixer:
    """Return the layer of Mamba or RWKV-4 that mixes positions.

    Args:
        network: mamba, mamba-lti or rwkv4, and the form.
        width: features per position.
        generators: one per seed, on the CPU; they draw the initial weights.
        layer: number of the block, from 0.
        layers: number of blocks of the network.
        longest: longest sequence for which mamba-lti is made; 0: any.

    Returns:
        A layer that maps (seeds, batch, n, width) to the same shape.
    """
    fast = network.form != "loop"
    if network.mixer == "rwkv4":
        return (ScannedTimeMixing if fast else TimeMixing)(width, generators=generators, layer=layer, layers=layers)
    if network.mixer == "mamba-lti":
        return (ConvolvedTimeInvariantMamba if fast else TimeInvariantMamba)(width, generators=generators, longest=longest)
    return (ScannedMamba if fast else Mamba)(width, generators=generators)


def make_published_blocks(
    network: Network, width: int, layers: int, *, generators: Sequence[torch.Generator], longest: int = 0
) -> list[MixerBlock]:
    """Return the blocks of Mamba or RWKV-4 that stand where other networks have `layers` blocks.

    Two layers of Mamba, with 6 width^2 parameters each and more of lower order, count as one block (README of the authors' code). Their
    output weights are divided by the square root of their number, so that the residual stream does not grow with depth. A block of RWKV-4,
    13 width^2, is time mixing followed by channel mixing.

    Args:
        network: mamba, mamba-lti or rwkv4, and the form.
        width: features per position.
        layers: number of blocks of 12 to 13 width^2 parameters.
        generators: one per seed, on the CPU; they draw the initial weights.
        longest: longest sequence for which mamba-lti is made; 0: any.

    Returns:
        Two per block.
    """
    blocks = []
    for i in range(layers):
        if network.mixer == "rwkv4":
            time = make_published_layer(network, width, generators=generators, layer=i, layers=layers)
            channel = (ShiftedChannelMixing if network.form != "loop" else ChannelMixing)(
                width, generators=generators, layer=i, layers=layers
            )
            blocks += [MixerBlock(LayerNorm(width, len(generators)), mixer) for mixer in (time, channel)]
            continue
        for _ in range(2):
            mixer = make_published_layer(network, width, generators=generators, longest=longest)
            with torch.no_grad():
                mixer.get_submodule("out_proj").get_parameter("weight").div_(math.sqrt(2 * layers))
            blocks.append(MixerBlock(RMSNorm(width, len(generators)), mixer))
    return blocks


def make_published_norm(network: Network, width: int, n_seeds: int) -> nn.Module:
    """Return the normalisation that Mamba or RWKV-4 has before its output layer; RWKV-4 has one after the embedding, too.

    Args:
        network: mamba, mamba-lti or rwkv4.
        width: features per position.
        n_seeds: length of the leading axis.

    Returns:
        A layer that maps (seeds, ..., width) to the same shape.
    """
    return (LayerNorm if network.mixer == "rwkv4" else RMSNorm)(width, n_seeds)
