"""The networks that the recurrent attention model is compared with: the published baselines, a modern CNN, and soft attention.

Each reads the whole image, for all seeds at once: images (seeds, batch, canvas, canvas) with integers 0..255 to logits (seeds, batch, 10).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.layers import SeedLinear, seeded_uniform
from replications.papers.recurrent_attention.model import N_CLASSES, RELU_SUM_GAIN, RecurrentAttentionModel
from replications.papers.recurrent_attention.settings import Settings

RELU = math.sqrt(6)
"""Gain of initial weights before a ReLU (He et al. 2015)."""


class FullyConnected(nn.Module):
    """Two hidden layers of ReLU units on the raw image: 'FC, 2 layers' of tables 1 and 2.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        sizes = [settings.canvas**2, settings.fc_size, settings.fc_size, N_CLASSES]
        gains = [RELU, RELU, 1.0]
        self.layers = nn.ModuleList(
            SeedLinear(a, b, generators=generators, gain=gain) for a, b, gain in zip(sizes[:-1], sizes[1:], gains, strict=True)
        )

    def forward(self, canvases: Tensor) -> Tensor:
        """Classify images.

        Args:
            canvases: (seeds, batch, canvas, canvas), integers 0..255.

        Returns:
            Logits (seeds, batch, 10).
        """
        values = canvases.flatten(2) / 255
        for layer in self.layers[:-1]:
            values = layer(values).relu()
        return self.layers[-1](values)


class Convolutional(nn.Module):
    """One layer of strided filters, then one fully connected layer: the paper's convolutional baseline (captions of tables 1 and 2).

    With a stride of half the filter side there are few, large patches, so the convolution is computed as one matrix product over patches.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.side, self.stride = settings.conv_side, settings.conv_stride
        positions = (settings.canvas - self.side) // self.stride + 1
        self.filters = SeedLinear(self.side**2, settings.conv_filters, generators=generators, gain=RELU)
        self.hidden = SeedLinear(positions**2 * settings.conv_filters, settings.fc_size, generators=generators, gain=RELU)
        self.classify = SeedLinear(settings.fc_size, N_CLASSES, generators=generators)

    def forward(self, canvases: Tensor) -> Tensor:
        """Classify images.

        Args:
            canvases: (seeds, batch, canvas, canvas), integers 0..255.

        Returns:
            Logits (seeds, batch, 10).
        """
        n_seeds, n_images = canvases.shape[:2]
        patches = (canvases / 255).unfold(2, self.side, self.stride).unfold(3, self.side, self.stride)
        maps = self.filters(patches.reshape(n_seeds, -1, self.side**2)).relu()
        return self.classify(self.hidden(maps.view(n_seeds, n_images, -1)).relu())


class ModernCNN(nn.Module):
    """3x3 convolutions, each with ReLU and 2x2 max-pooling, then global max-pooling and a linear layer.

    Not in the paper: an ordinary CNN of several convolutions that reads the whole image.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        widths = [1, *settings.cnn_filters]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for n_in, n_out in itertools.pairwise(widths):
            self.weights.append(nn.Parameter(seeded_uniform((n_out, n_in, 3, 3), RELU / math.sqrt(9 * n_in), generators)))
            self.biases.append(nn.Parameter(torch.zeros(len(generators), n_out)))
        self.classify = SeedLinear(widths[-1], N_CLASSES, generators=generators)

    def forward(self, canvases: Tensor) -> Tensor:
        """Classify images.

        Args:
            canvases: (seeds, batch, canvas, canvas), integers 0..255.

        Returns:
            Logits (seeds, batch, 10).
        """
        # One convolution per seed: grouped convolutions are slower than a loop on every backend tried.
        weights, biases = (zip(*(parameter.unbind() for parameter in of_layers), strict=True) for of_layers in (self.weights, self.biases))
        features = [self._features(*of_seed) for of_seed in zip(canvases, weights, biases, strict=True)]
        return self.classify(torch.stack(features))

    @staticmethod
    def _features(canvases: Tensor, weights: tuple[Tensor, ...], biases: tuple[Tensor, ...]) -> Tensor:
        maps = (canvases / 255).unsqueeze(1)
        for weight, bias in zip(weights, biases, strict=True):
            # ReLU and maximum commute; after pooling ReLU has a quarter of the values, and so has its backward pass.
            maps = functional.max_pool2d(functional.conv2d(maps, weight, bias, padding=1), 2).relu()
        return maps.amax((2, 3))


class SoftAttention(nn.Module):
    """Differentiable attention: every step reads a weighted mean of all patches of a grid instead of one glimpse.

    Not in the paper. Patches of side g lie g/2 apart. Patch and position are embedded as in the glimpse network; a query computed from the
    core's state weights all patches by a softmax of scaled dot products, and the weighted mean is the core's input. It needs no REINFORCE,
    but reads the whole image.

    Args:
        settings: sizes.
        generators: one per seed, on the CPU, for the initial weights.
    """

    def __init__(self, settings: Settings, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.side, self.n_steps = settings.glimpse_side, settings.glimpses
        self.stride = max(1, self.side // 2)
        width, hidden = settings.glimpse_size, settings.hidden_size
        per_side = (settings.canvas - self.side) // self.stride + 1
        centres = (torch.arange(per_side) * self.stride + self.side / 2) * (2 / settings.canvas) - 1
        positions = torch.cartesian_prod(centres, centres).flip(1)
        self.register_buffer("positions", positions, persistent=False)

        def linear(n_in: int, n_out: int, gain: float = 1.0) -> SeedLinear:
            return SeedLinear(n_in, n_out, generators=generators, gain=gain)

        self.patch_fc, self.location_fc = linear(self.side**2, width, RELU), linear(2, width, RELU)
        self.glimpse_fc_patch = linear(width, 2 * width, RELU_SUM_GAIN)
        self.glimpse_fc_location = linear(width, 2 * width, RELU_SUM_GAIN)
        self.query = linear(hidden, 2 * width)
        self.glimpse_to_hidden, self.hidden_to_hidden = linear(2 * width, hidden, RELU_SUM_GAIN), linear(hidden, hidden, RELU_SUM_GAIN)
        self.classify = linear(hidden, N_CLASSES)

    def attend(self, canvases: Tensor) -> tuple[Tensor, Tensor]:
        """Classify images and return the attention.

        Args:
            canvases: (seeds, batch, canvas, canvas), integers 0..255.

        Returns:
            Logits (seeds, batch, 10) and attention weights of every step, (seeds, T, batch, patches).
        """
        n_seeds, n_images = canvases.shape[:2]
        patches = (canvases / 255).unfold(2, self.side, self.stride).unfold(3, self.side, self.stride)
        h_g = self.patch_fc(patches.reshape(n_seeds, -1, self.side**2)).relu()
        positions = self.get_buffer("positions")
        h_l = self.location_fc(positions.expand(n_seeds, -1, -1)).relu()
        vectors = self.glimpse_fc_patch(h_g).view(n_seeds, n_images, len(positions), -1) + self.glimpse_fc_location(h_l)[:, None]
        vectors = vectors.relu().flatten(0, 1)
        hidden = canvases.new_zeros(n_seeds, n_images, self.hidden_to_hidden.weight.shape[1])
        weights = []
        for _ in range(self.n_steps):
            query = self.query(hidden).flatten(0, 1).unsqueeze(-1)
            weight = torch.softmax(torch.bmm(vectors, query).squeeze(-1) / math.sqrt(vectors.shape[-1]), dim=-1)
            mean = torch.bmm(weight.unsqueeze(1), vectors).view(n_seeds, n_images, -1)
            hidden = (self.glimpse_to_hidden(mean) + self.hidden_to_hidden(hidden)).relu()
            weights.append(weight.view(n_seeds, n_images, -1))
        return self.classify(hidden), torch.stack(weights, dim=1)

    def forward(self, canvases: Tensor) -> Tensor:
        """Classify images.

        Args:
            canvases: (seeds, batch, canvas, canvas), integers 0..255.

        Returns:
            Logits (seeds, batch, 10).
        """
        return self.attend(canvases)[0]


Network = RecurrentAttentionModel | FullyConnected | Convolutional | ModernCNN | SoftAttention


def build(settings: Settings, generators: Sequence[torch.Generator], device: torch.device) -> Network:
    """Create the network of a run.

    Args:
        settings: of the run; `model` selects the network.
        generators: one per seed, on the CPU, for the initial weights.
        device: on which the network is placed.

    Returns:
        The network, untrained.

    Raises:
        InputError: there is no seed.
    """
    if settings.model == "ram":
        return RecurrentAttentionModel(settings, generators).to(device)
    kinds: dict[str, type[FullyConnected | Convolutional | ModernCNN | SoftAttention]]
    kinds = {"fc": FullyConnected, "conv": Convolutional, "cnn": ModernCNN, "soft": SoftAttention}
    return kinds[settings.model](settings, generators).to(device)
