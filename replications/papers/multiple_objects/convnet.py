"""The convolutional network that DRAM is compared with on sums: it reads the whole image (section 5.2)."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.layers import SeedLinear, seeded_uniform
from replications.papers.multiple_objects.model import HE_GAIN, SeedGenerators
from replications.papers.multiple_objects.settings import Settings

FILTER_SIDE = 5


class ConvNet(nn.Module):
    """5x5 convolutions, each with a ReLU and 2x2 max-pooling, a fully connected layer and the classes; 64-64-64-512 in the paper.

    Sides of filters and pooling are ours.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: SeedGenerators) -> None:
        super().__init__()
        channels, area = (1, *settings.cnn_filters), FILTER_SIDE**2
        self.filters = nn.ParameterList(
            nn.Parameter(seeded_uniform((b, a, FILTER_SIDE, FILTER_SIDE), HE_GAIN / math.sqrt(area * a), generators))
            for a, b in itertools.pairwise(channels)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(len(generators), b)) for b in channels[1:])
        side = settings.canvas // 2 ** len(settings.cnn_filters)
        self.hidden_fc = SeedLinear(channels[-1] * side**2, settings.cnn_size, generators=generators, gain=HE_GAIN)
        self.classifier_fc = SeedLinear(settings.cnn_size, settings.n_answers, generators=generators)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of the only target.

        Args:
            images: (seeds, batch, side, side), values 0..255.

        Returns:
            (seeds, batch, classes).
        """
        seeds = len(images)
        x = images.transpose(0, 1) / 255  # seeds are groups of channels
        for weight, bias in zip(self.filters, self.biases, strict=True):
            x = functional.conv2d(x, weight.flatten(0, 1), bias.flatten(), padding=FILTER_SIDE // 2, groups=seeds)
            x = functional.max_pool2d(x.relu(), 2)
        hidden = self.hidden_fc(x.unflatten(1, (seeds, -1)).transpose(0, 1).flatten(2)).relu()
        logits: Tensor = self.classifier_fc(hidden)
        return logits
