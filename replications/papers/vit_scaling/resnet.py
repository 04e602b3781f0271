"""ResNets (He et al. 2016) of any width, with a stem for small images, and in BiT's form.

BiT (Kolesnikov et al. 2019), with which the paper compares, replaces batch normalisation by group normalisation and
standardises the weights of every convolution (Qiao et al. 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.papers.vit_scaling.model import Classifier


@dataclass(frozen=True)
class ResNetShape:
    """Sizes and variants of a ResNet.

    Attributes:
        block: 'basic' or 'bottleneck'.
        stages: blocks per stage; every stage but the first halves the side and doubles the channels.
        channels: of the first stage; 64 is the usual width, 128 and 192 the paper's x2 and x3.
        n_classes: outputs; 0: none, only `ResNet.feature_maps`.
        norm: 'batch', or 'group' for BiT's form (with standardised convolutions).
        large_stem: 7x7 of stride 2 and max-pooling, for 224 pixels; else one 3x3 convolution.
    """

    block: str
    stages: tuple[int, ...]
    channels: int
    n_classes: int
    norm: str
    large_stem: bool

    def convolution(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
        """Return a convolution without bias whose output has the input's side divided by `stride`.

        Args:
            inputs: channels of the input.
            outputs: channels of the output.
            kernel: side of the filters.
            stride: step of the filters.
        """
        kind = StandardisedConv2d if self.norm == "group" else nn.Conv2d
        return kind(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)

    def normalisation(self, channels: int) -> nn.Module:
        """Return batch normalisation, or group normalisation in 32 groups (as many as divide a narrow layer).

        Args:
            channels: of the maps that are normalised.
        """
        return nn.BatchNorm2d(channels) if self.norm == "batch" else nn.GroupNorm(math.gcd(32, channels), channels)


class StandardisedConv2d(nn.Conv2d):
    """A convolution whose filters have mean 0 and variance 1 / fan-in (Qiao et al. 2019, equation 1)."""

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H', W')."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        weight = (self.weight - mean) * torch.rsqrt(variance + 1e-10)
        # Standardising removes the gain of He et al. from the filters; 1 / sqrt(fan-in) restores it.
        return functional.conv2d(
            images, weight * self.weight[0].numel() ** -0.5, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class ResidualBlock(nn.Module):
    """y = ReLU(F(x) + W_s x), He et al. 2016, equations 1 and 2; W_s is the identity where shapes agree.

    Attributes:
        expansion: output channels over inner channels.
    """

    expansion = 1

    def __init__(self, shape: ResNetShape, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        outputs = channels * self.expansion
        self.residual = self.make_residual(shape, inputs, channels, stride)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(shape.convolution(inputs, outputs, 1, stride), shape.normalisation(outputs))

    @property
    def last_norm(self) -> nn.Module:
        """The normalisation that ends F; its scale starts at zero."""
        return self.residual[-1]

    def make_residual(self, shape: ResNetShape, inputs: int, channels: int, stride: int) -> nn.Sequential:
        """Return F.

        Args:
            shape: gives convolutions and normalisations.
            inputs: channels of x.
            channels: inner channels.
            stride: of the block.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, channels * expansion, H / stride, W / stride)."""
        return functional.relu(self.residual(x) + self.shortcut(x), inplace=True)


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions (He et al. 2016, Figure 5, left)."""

    def make_residual(self, shape: ResNetShape, inputs: int, channels: int, stride: int) -> nn.Sequential:
        """Return F: 3x3 of the block's stride, 3x3."""
        return nn.Sequential(
            shape.convolution(inputs, channels, 3, stride),
            shape.normalisation(channels),
            nn.ReLU(inplace=True),
            shape.convolution(channels, channels, 3),
            shape.normalisation(channels),
        )


class Bottleneck(ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions (He et al. 2016, Figure 5, right); the stride is at the 3x3, as in torchvision's ResNet-50."""

    expansion = 4

    def make_residual(self, shape: ResNetShape, inputs: int, channels: int, stride: int) -> nn.Sequential:
        """Return F: 1x1 that reduces, 3x3 of the block's stride, 1x1 that expands four times."""
        return nn.Sequential(
            shape.convolution(inputs, channels, 1),
            shape.normalisation(channels),
            nn.ReLU(inplace=True),
            shape.convolution(channels, channels, 3, stride),
            shape.normalisation(channels),
            nn.ReLU(inplace=True),
            shape.convolution(channels, channels * self.expansion, 1),
            shape.normalisation(channels * self.expansion),
        )


class ResNet(Classifier):
    """Stem, stages of residual blocks, mean over positions, linear head (He et al. 2016, Table 1)."""

    def __init__(self, shape: ResNetShape) -> None:
        super().__init__()
        kind = BasicBlock if shape.block == "basic" else Bottleneck
        side, stride = (7, 2) if shape.large_stem else (3, 1)
        stem = [shape.convolution(3, shape.channels, side, stride), shape.normalisation(shape.channels), nn.ReLU(inplace=True)]
        if shape.large_stem:
            stem.append(nn.MaxPool2d(3, stride=2, padding=1))
        self.stem = nn.Sequential(*stem)
        inputs, blocks = shape.channels, []
        for stage, n_blocks in enumerate(shape.stages):
            channels = shape.channels * 2**stage
            for index in range(n_blocks):
                blocks.append(kind(shape, inputs, channels, stride=2 if stage and not index else 1))
                inputs = channels * kind.expansion
        self.blocks = nn.Sequential(*blocks)
        self.n_features, self.hidden = inputs, nn.Identity()
        self.head = nn.Linear(inputs, shape.n_classes) if shape.n_classes else nn.Identity()

    def feature_maps(self, images: Tensor) -> Tensor:
        """Return the last stage's output: images (B, 3, H, W) to (B, n_features, H', W')."""
        return self.blocks(self.stem(images))

    def features(self, images: Tensor) -> Tensor:
        """Return the mean over positions: images (B, 3, H, W) to (B, n_features)."""
        return self.feature_maps(images).mean((2, 3))


class Trunk(nn.Module):
    """Feature maps of a ResNet as patches of a hybrid (Dosovitskiy et al. 2021, section 3.1, 'Hybrid Architecture')."""

    def __init__(self, resnet: ResNet, width: int, patch_size: int) -> None:
        super().__init__()
        self.resnet = resnet
        self.projection = nn.Conv2d(resnet.n_features, width, patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to feature maps (B, D, rows, columns)."""
        return self.projection(self.resnet.feature_maps(images))
