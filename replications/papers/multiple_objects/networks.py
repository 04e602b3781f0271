"""The network of a run, and what it costs."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from replications.papers.multiple_objects.convnet import ConvNet
from replications.papers.multiple_objects.model import DRAM, RAM, EpisodeNoise, SeedGenerators
from replications.papers.multiple_objects.settings import Settings

Network = DRAM | RAM | ConvNet


def build(settings: Settings, generators: SeedGenerators) -> Network:
    """Return the network of all seeds.

    Args:
        settings: sizes; `model` selects the network.
        generators: one per seed, on the CPU, for the initial weights.

    Returns:
        A network on the CPU.
    """
    if settings.model == "cnn":
        return ConvNet(settings, generators)
    return RAM(settings, generators) if settings.model == "ram" else DRAM(settings, generators)


@torch.no_grad()
def forward_flops(settings: Settings, canvas: int) -> int:
    """Count the operations of the matrix products and convolutions that answer one image of a size.

    They are counted while the network runs on tensors without memory. Cropping glimpses and averaging the coarse image only add, and are
    not counted.

    Args:
        settings: sizes of the network.
        canvas: side of the image in pixels.

    Returns:
        FLOPs, two per multiply-add.
    """
    sized = settings.model_copy(update={"canvas": canvas})
    network: nn.Module = build(sized, [torch.Generator()]).to("meta")
    image = torch.empty(1, 1, canvas, canvas, device="meta")
    with FlopCounterMode(display=False) as counter:
        if settings.model == "cnn":
            network(image)
        else:
            network(image, EpisodeNoise(torch.empty(1, 1, 2, device="meta")))
    return int(counter.get_total_flops())
