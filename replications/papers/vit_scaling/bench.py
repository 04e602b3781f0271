"""Speed comparisons of this paper, for `replications bench vit_scaling`.

The baselines are torchvision's VisionTransformer and ResNet-18 in float32, because torchvision is a dependency, and
`_TimmLike`, which has the operations of timm's ViT: one linear map for queries, keys and values, SDPA, GELU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.bench import Comparison, NotComparable
from replications.engine.devices import native_bf16
from replications.engine.precision import matmul_precision
from replications.papers.vit_scaling.networks import build, to_channels_last
from replications.papers.vit_scaling.settings import Settings
from replications.papers.vit_scaling.trainer import make_optimiser

BATCH = 64
_CPU = torch.device("cpu")
_VIT = {
    "dataset": "cifar10",
    "n_images": 1000,
    "image_size": 32,
    "size": "tiny",
    "patch_size": 4,
}
_RESNET_18 = {
    "dataset": "cifar10",
    "n_images": 1000,
    "image_size": 32,
    "family": "resnet",
    "stages": (2, 2, 2, 2),
    "channels": 64,
}


class _TimmLike(nn.Module):
    """A ViT with the sequence of operations of timm's, written independently.

    Args:
        width: D.
        depth: number of layers.
        n_heads: number of attention heads.
        n_patches: N.
        patch_size: P, in pixels.
    """

    def __init__(self, width: int, depth: int, n_heads: int, n_patches: int, patch_size: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.patch = nn.Conv2d(3, width, patch_size, stride=patch_size)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, n_patches + 1, width))
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm1": nn.LayerNorm(width, eps=1e-6),
                    "qkv": nn.Linear(width, 3 * width),
                    "project": nn.Linear(width, width),
                    "norm2": nn.LayerNorm(width, eps=1e-6),
                    "mlp": nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)),
                }
            )
            for _ in range(depth)
        )
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits.

        Args:
            images: (B, 3, H, W).

        Returns:
            (B, 10).
        """
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        for layer in cast("Iterable[nn.ModuleDict]", self.layers):
            normalised = layer["norm1"](x)
            B, T, D = normalised.shape
            q, k, v = layer["qkv"](normalised).reshape(B, T, 3, self.n_heads, D // self.n_heads).permute(2, 0, 3, 1, 4).unbind(0)
            x = x + layer["project"](functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, D))
            x = x + layer["mlp"](layer["norm2"](x))
        return self.head(self.norm(x)[:, 0])


def vit_fp32() -> Comparison:
    """Return the comparison of one ViT-Ti/4 update at 32 pixels in float32 with timm's operations; equal speed is expected."""
    settings = Settings.model_validate(_VIT)
    return Comparison("train ViT-Ti/4, fp32", _ours(settings), _baseline(_timm_like()), "images", BATCH, "timm's operations, fp32", 0.95)


def vit_bf16() -> Comparison:
    """Return the comparison of one ViT-Ti/4 update in bf16 with timm's operations in float32.

    Raises:
        NotComparable: the processor has no bf16 matrix units.
    """
    _need_native_bf16()
    settings = Settings.model_validate(_VIT | {"precision": "bf16"})
    return Comparison("train ViT-Ti/4, bf16", _ours(settings), _baseline(_timm_like()), "images", BATCH, "timm's operations, fp32", 2.4)


def vit_torchvision() -> Comparison:
    """Return the comparison of one ViT-Ti/4 update in float32 with torchvision's VisionTransformer."""
    from torchvision.models import VisionTransformer

    baseline = VisionTransformer(image_size=32, patch_size=4, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768, num_classes=10)
    settings = Settings.model_validate(_VIT)
    return Comparison("train ViT-Ti/4, fp32", _ours(settings), _baseline(baseline), "images", BATCH, "torchvision, fp32", 1.0)


def resnet_bf16() -> Comparison:
    """Return the comparison of one update of ResNet-18 with a small stem, in bf16 and channels last, with torchvision's in float32.

    Raises:
        NotComparable: the processor has no bf16 matrix units.
    """
    _need_native_bf16()
    from torchvision.models import resnet18

    baseline = resnet18(num_classes=10)
    baseline.conv1, baseline.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    settings = Settings.model_validate(_RESNET_18 | {"precision": "bf16"})
    return Comparison("train ResNet-18, bf16", _ours(settings), _baseline(baseline), "images", BATCH, "torchvision, fp32", 2.0)


def _need_native_bf16() -> None:
    if not native_bf16(_CPU):
        raise NotComparable("this processor has no bf16 units and would emulate bf16 products")


def _timm_like() -> nn.Module:
    return _TimmLike(width=192, depth=12, n_heads=3, n_patches=64, patch_size=4)


def _batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(BATCH, 3, 32, 32, generator=generator), torch.randint(0, 10, (BATCH,), generator=generator)


def _ours(settings: Settings) -> Callable[[], object]:
    network = to_channels_last(build(settings, torch.Generator().manual_seed(0)))
    images, labels = _batch()
    if settings.family == "resnet":
        images = images.contiguous(memory_format=torch.channels_last)
    optimiser = make_optimiser(network, settings, 1e-3, _CPU)
    parameters = list(network.parameters())

    def step() -> None:
        with matmul_precision(settings.precision, _CPU):
            logits = network(images)
        loss = functional.cross_entropy(logits.float(), labels)
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimiser.step()

    return step


def _baseline(network: nn.Module) -> Callable[[], object]:
    images, labels = _batch()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        functional.cross_entropy(network(images), labels).backward()
        optimiser.step()

    return step
