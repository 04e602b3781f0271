"""From settings to a network with its initial weights; parameters and compute are counted here."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from replications.engine.context import Context
from replications.papers.vit_scaling.model import Attention, Classifier, VisionTransformer, convolution_stem
from replications.papers.vit_scaling.settings import Settings

if TYPE_CHECKING:
    from replications.papers.vit_scaling.resnet import ResNet


def assemble(settings: Settings, n_classes: int | None = None) -> Classifier:
    """The network of these settings with torch's own initial weights; under `torch.device('meta')` only its shape."""
    classes = settings.classes if n_classes is None else n_classes
    if settings.family == "resnet":
        return _resnet(settings, classes)
    width, depth, n_heads = settings.shape
    patches: nn.Module
    if settings.family == "hybrid":
        from replications.papers.vit_scaling.resnet import Trunk

        patches = Trunk(_resnet(settings, 0), width, settings.patch_size)
    elif settings.stem == "convolution":
        patches = convolution_stem(3, width, settings.patch_size)
    else:
        patches = nn.Conv2d(3, width, settings.patch_size, stride=settings.patch_size)
    return VisionTransformer(
        (settings.grid, settings.grid),
        patches,
        width=width,
        depth=depth,
        n_heads=n_heads,
        mlp_width=round(width * settings.mlp_ratio),
        n_classes=classes,
        positions=settings.positions,
        pooling=settings.pooling,
        head=settings.head,
        dropout=settings.dropout,
        attention=settings.attention,
    )


def _resnet(settings: Settings, n_classes: int) -> ResNet:
    from replications.papers.vit_scaling.resnet import ResNet

    return ResNet(
        block=settings.block,
        stages=settings.stages,
        channels=settings.channels,
        n_classes=n_classes,
        norm=settings.norm,
        large_stem=settings.large_stem,
    )


def build(settings: Settings, generator: torch.Generator, n_classes: int | None = None) -> Classifier:
    """The network with initial weights from `generator` (on the CPU, so that they do not depend on the device)."""
    network = assemble(settings, n_classes)
    initialise(network, generator)
    return network


@torch.no_grad()
def initialise(network: Classifier, generator: torch.Generator) -> None:
    """Draw all weights: dense layers uniform (Glorot and Bengio 2010), convolutions normal (He et al. 2015), tokens and
    positions normal with deviation 0.02, heads zero, the last normalisation of a residual block zero.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.Conv2d):
            last = module.kernel_size == module.stride  # a patch embedding is a dense layer: its fan-in counts
            nn.init.kaiming_normal_(
                module.weight, mode="fan_in" if last else "fan_out", nonlinearity="linear" if last else "relu", generator=generator
            )
            if module.bias is not None:
                module.bias.zero_()
    for name, parameter in network.named_parameters():
        if name.endswith(("class_token", "positions.places", "positions.rows", "positions.columns", "positions.first")):
            parameter.normal_(std=0.02, generator=generator)
    for module in network.modules():
        closing = getattr(module, "bn3", None) or getattr(module, "bn2", None)
        if closing is not None:
            closing.weight.zero_()
    if isinstance(network.head, nn.Linear):
        network.head.weight.zero_()


def replace_head(network: Classifier, n_classes: int) -> None:
    """Put a new linear head of zeros in place of the old one and drop the hidden layer, as the paper does for fine-tuning."""
    device = next(network.parameters()).device
    head = nn.Linear(network.n_features, n_classes, device=device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    network.hidden, network.head = nn.Identity(), head


def n_parameters(network: nn.Module) -> int:
    """Trained numbers."""
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, image_size: int) -> int:
    """Multiply-adds of one forward pass of one picture: matrix products and convolutions, counted on the `meta` device.

    Papers call these 'FLOPs' when they say that ResNet-50 has 4.1 GFLOPs.
    """
    for module in network.modules():  # SDPA's kernel differs by device; explicit products are the same sum
        if isinstance(module, Attention):
            module.product = "explicit"
    network.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, image_size, image_size, device="meta"))
    return int(counter.get_total_flops()) // 2


@functools.lru_cache(maxsize=256)
def _counts(key: str) -> tuple[int, int]:
    settings = Settings.model_construct(**json.loads(key))  # validated when it was made
    with torch.device("meta"):
        network = assemble(settings)
    return n_parameters(network), multiply_adds(network, settings.image_size)


def counts(settings: Settings) -> tuple[int, int]:
    """Parameters and forward multiply-adds per picture of a run's network."""
    return _counts(settings.model_copy(update={"measure": "accuracy", "members": ()}).model_dump_json())


def training_flops(settings: Settings) -> float:
    """Floating-point operations of one picture's update: two per multiply-add, backward costs twice forward.

    In this count the paper's Table 6 comes out: ViT-B/16, 7 epochs of 303 million pictures, 224 exaFLOPs.
    """
    return 6.0 * counts(settings)[1]


def placed(network: Classifier, settings: Settings, device: torch.device) -> Classifier:
    """The network on its device; convolutions with the channel axis last: 1.1 to 2.8 times faster on CPUs, and tensor cores want it."""
    network = network.to(device)
    if settings.family != "vit" or settings.stem == "convolution":
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def record_size(settings: Settings, context: Context, suffix: str = "") -> None:
    """Record what is counted and not measured: parameters, multiply-adds per picture, examples and compute of the training."""
    parameters, products = counts(settings)
    examples = settings.n_steps * settings.batch_size
    compute = examples * training_flops(settings)
    known = {
        "parameters": (parameters / 1e6, "M"),
        "multiply_adds": (products / 1e9, "GFLOP"),
        "examples_seen": (examples, ""),
        "compute": (compute, "FLOP"),
        "exaflops": (compute / 1e18, "EFLOP"),
    }
    for name, (value, unit) in known.items():
        context.record(f"{name}{suffix}", [float(value)] * len(context.seeds), split="test", step=settings.n_steps, unit=unit)
