"""ResNets from torchvision's blocks: at any width, with a stem for small pictures, and in BiT's form.

BiT (Kolesnikov et al. 2019), with which the paper compares, replaces batch normalisation by group normalisation and
standardises the weights of every convolution (Qiao et al. 2019). Here torchvision is imported: 4 s of CPU, so this
module is loaded only by runs that need it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock, Bottleneck

from replications.papers.vit_scaling.model import Classifier


class StandardisedConv2d(nn.Conv2d):
    """A convolution whose filters have mean 0 and variance 1 (Qiao et al. 2019, equation 1)."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H', W')."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        weight = (self.weight - mean) * torch.rsqrt(variance + 1e-10)
        # He et al.'s gain belongs to the filters, and standardising took it away.
        return functional.conv2d(
            pictures, weight * self.weight[0].numel() ** -0.5, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


def group_norm(channels: int) -> nn.GroupNorm:
    """32 groups, or as many as divide a narrow layer."""
    return nn.GroupNorm(math.gcd(32, channels), channels)


class ResNet(Classifier):
    """A ResNet (He et al. 2016).

    Args:
        block: 'basic' (two 3x3 convolutions) or 'bottleneck' (1x1, 3x3, 1x1).
        stages: blocks per stage; every stage but the first halves the side and doubles the channels.
        channels: of the first stage; 64 is the usual width, 128 and 192 the paper's x2 and x3.
        n_classes: outputs; 0: none, only `feature_maps`.
        norm: 'batch', or 'group' for BiT's form.
        large_stem: 7x7 of stride 2 and max-pooling, for 224 pixels; else one 3x3 convolution.
    """

    def __init__(self, *, block: str, stages: tuple[int, ...], channels: int, n_classes: int, norm: str, large_stem: bool) -> None:
        super().__init__()
        kind: type[BasicBlock | Bottleneck] = BasicBlock if block == "basic" else Bottleneck
        normalise: Callable[..., nn.Module] = nn.BatchNorm2d if norm == "batch" else group_norm
        side, stride = (7, 2) if large_stem else (3, 1)
        stem: list[nn.Module] = [
            nn.Conv2d(3, channels, side, stride=stride, padding=side // 2, bias=False),
            normalise(channels),
            nn.ReLU(inplace=True),
        ]
        if large_stem:
            stem.append(nn.MaxPool2d(3, stride=2, padding=1))
        self.stem = nn.Sequential(*stem)
        inside, layers = channels, []
        for i, n_blocks in enumerate(stages):
            planes = channels * 2**i
            for j in range(n_blocks):
                stride = 2 if i and not j else 1
                shortcut = None
                if stride > 1 or inside != planes * kind.expansion:
                    shortcut = nn.Sequential(
                        nn.Conv2d(inside, planes * kind.expansion, 1, stride=stride, bias=False), normalise(planes * kind.expansion)
                    )
                # Bottleneck's inner width is planes * base_width / 64, so 64 keeps it at `planes`.
                layers.append(kind(inside, planes, stride, shortcut, norm_layer=normalise))
                inside = planes * kind.expansion
        self.blocks = nn.Sequential(*layers)
        self.n_features, self.hidden = inside, nn.Identity()
        self.head = nn.Linear(inside, n_classes) if n_classes else nn.Identity()
        if norm == "group":
            _standardise(self)

    def feature_maps(self, pictures: Tensor) -> Tensor:
        """The last stage's output: (B, n_features, H', W')."""
        maps: Tensor = self.blocks(self.stem(pictures))
        return maps

    def features(self, pictures: Tensor) -> Tensor:
        """Mean over places: (B, n_features)."""
        return self.feature_maps(pictures).mean((2, 3))


class Trunk(nn.Module):
    """A ResNet's feature maps as patches of a hybrid (section 3.1, 'Hybrid Architecture')."""

    def __init__(self, resnet: ResNet, width: int, patch_size: int) -> None:
        super().__init__()
        self.resnet = resnet
        self.project = nn.Conv2d(resnet.n_features, width, patch_size, stride=patch_size)

    def forward(self, pictures: Tensor) -> Tensor:
        """Map pictures (B, 3, H, W) to feature maps (B, D, rows, columns)."""
        maps: Tensor = self.project(self.resnet.feature_maps(pictures))
        return maps


def _standardise(module: nn.Module) -> None:
    for child in module.modules():
        if type(child) is nn.Conv2d:
            child.__class__ = StandardisedConv2d
