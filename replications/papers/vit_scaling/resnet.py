"""ResNets (He et al. 2016) of any width, with an optional stem for small images and BiT's variant.

BiT (Kolesnikov et al. 2019), with which the paper compares, replaces batch normalisation by group normalisation and
standardises the weights of every convolution (Qiao et al. 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.papers.vit_scaling.classifier import Classifier


@dataclass(frozen=True)
class ResNetShape:
    """Sizes and variants of a ResNet.

    Attributes:
        block: 'basic' or 'bottleneck'.
        stages: blocks per stage; every stage but the first halves the side and doubles the channels.
        channels: channels of the first stage; 64 is the usual width, 128 and 192 the paper's x2 and x3.
        n_classes: number of outputs; 0: no head, only `ResNet.feature_maps`.
        norm: 'batch', or 'group' for BiT's variant (with standardised convolutions).
        large_stem: True: 7x7 convolution of stride 2 and max-pooling, for 224 pixels; False: one 3x3 convolution.
    """

    block: str
    stages: tuple[int, ...]
    channels: int
    n_classes: int
    norm: str
    large_stem: bool

    def convolution(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
        """Return a convolution without bias whose output has the side of the input divided by `stride`.

        Args:
            inputs: channels of the input.
            outputs: channels of the output.
            kernel: side of the filters in pixels.
            stride: stride in pixels.

        Returns:
            A convolution; a standardised one for norm 'group'.
        """
        kind = StandardisedConv2d if self.norm == "group" else nn.Conv2d
        return kind(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)

    def normalisation(self, channels: int) -> nn.Module:
        """Return batch normalisation, or group normalisation with 32 groups (fewer if 32 does not divide the channels).

        Args:
            channels: channels of the normalised maps.

        Returns:
            The layer.
        """
        return nn.BatchNorm2d(channels) if self.norm == "batch" else nn.GroupNorm(math.gcd(32, channels), channels)


class StandardisedConv2d(nn.Conv2d):
    """A convolution whose filters have mean 0 and variance 1 / fan-in (Qiao et al. 2019, equation 1)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the convolution with standardised filters.

        Args:
            images: (B, in, H, W).

        Returns:
            (B, out, H', W').
        """
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        weight = (self.weight - mean) * torch.rsqrt(variance + 1e-10)
        # Standardising removes the scale of the initial filters; 1 / sqrt(fan-in) restores the order of magnitude.
        return functional.conv2d(
            images, weight * self.weight[0].numel() ** -0.5, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class ResidualBlock(nn.Module):
    """A residual block y = ReLU(F(x) + W_s x), He et al. 2016, equations 1 and 2; W_s is the identity if shapes agree.

    Args:
        shape: gives convolutions and normalisations.
        inputs: channels of x.
        channels: inner channels.
        stride: stride of the block.

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
        """The last normalisation of F; its scale is initialised to zero."""
        return self.residual[-1]

    def make_residual(self, shape: ResNetShape, inputs: int, channels: int, stride: int) -> nn.Sequential:
        """Return the layers of F.

        Args:
            shape: gives convolutions and normalisations.
            inputs: channels of x.
            channels: inner channels.
            stride: stride of the block.

        Returns:
            Maps (B, inputs, H, W) to (B, channels * expansion, H / stride, W / stride).

        Raises:
            NotImplementedError: in this base class.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block.

        Args:
            x: (B, inputs, H, W).

        Returns:
            (B, channels * expansion, H / stride, W / stride).
        """
        return functional.relu(self.residual(x) + self.shortcut(x), inplace=True)


class BasicBlock(ResidualBlock):
    """A block of two 3x3 convolutions (He et al. 2016, Figure 5, left); arguments as for `ResidualBlock`."""

    def make_residual(self, shape: ResNetShape, inputs: int, channels: int, stride: int) -> nn.Sequential:
        """Return F: 3x3 with the stride of the block, 3x3.

        Args:
            shape: gives convolutions and normalisations.
            inputs: channels of x.
            channels: inner channels.
            stride: stride of the block.

        Returns:
            Maps (B, inputs, H, W) to (B, channels * expansion, H / stride, W / stride).
        """
        return nn.Sequential(
            shape.convolution(inputs, channels, 3, stride),
            shape.normalisation(channels),
            nn.ReLU(inplace=True),
            shape.convolution(channels, channels, 3),
            shape.normalisation(channels),
        )


class Bottleneck(ResidualBlock):
    """A block of 1x1, 3x3 and 1x1 convolutions (He et al. 2016, Figure 5, right); arguments as for `ResidualBlock`.

    The 3x3 convolution has the stride, as in torchvision's ResNet-50.
    """

    expansion = 4

    def make_residual(self, shape: ResNetShape, inputs: int, channels: int, stride: int) -> nn.Sequential:
        """Return F: 1x1 that reduces, 3x3 with the stride of the block, 1x1 that expands four times.

        Args:
            shape: gives convolutions and normalisations.
            inputs: channels of x.
            channels: inner channels.
            stride: stride of the block.

        Returns:
            Maps (B, inputs, H, W) to (B, channels * expansion, H / stride, W / stride).
        """
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
    """A ResNet: stem, stages of residual blocks, mean over positions, linear head (He et al. 2016, Table 1).

    Args:
        shape: sizes and variants.
    """

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
        """Return the output of the last stage.

        Args:
            images: (B, 3, H, W).

        Returns:
            (B, n_features, H', W').
        """
        return self.blocks(self.stem(images))

    def features(self, images: Tensor) -> Tensor:
        """Return the mean of the feature maps over positions.

        Args:
            images: (B, 3, H, W).

        Returns:
            (B, n_features).
        """
        return self.feature_maps(images).mean((2, 3))


class Trunk(nn.Module):
    """Feature maps of a ResNet as the patches of a hybrid (Dosovitskiy et al. 2021, section 3.1, 'Hybrid Architecture').

    Args:
        resnet: a ResNet without a head.
        width: D.
        patch_size: side of a patch in cells of the feature maps.
    """

    def __init__(self, resnet: ResNet, width: int, patch_size: int) -> None:
        super().__init__()
        self.resnet = resnet
        self.projection = nn.Conv2d(resnet.n_features, width, patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """Return the projected feature maps.

        Args:
            images: (B, 3, H, W).

        Returns:
            (B, D, rows, columns).
        """
        return self.projection(self.resnet.feature_maps(images))
