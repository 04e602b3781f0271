"""Parameters and compute of a network, counted from its layers."""

from __future__ import annotations

import functools
import json

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from replications.engine.context import Context
from replications.papers.vit_scaling.networks import assemble
from replications.papers.vit_scaling.settings import Settings


def n_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters.

    Args:
        network: any network.

    Returns:
        Number of elements of all parameters.
    """
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, image_size: int) -> int:
    """Return the multiply-adds of matrix products and convolutions in one forward pass of one image.

    Many papers call these 'FLOPs', for example when they give 4.1 GFLOPs for ResNet-50.

    Args:
        network: on the `meta` device, with explicit attention products, because the kernel behind SDPA differs by device.
        image_size: side in pixels.

    Returns:
        Multiply-adds.
    """
    network.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, image_size, image_size, device="meta"))
    return int(counter.get_total_flops()) // 2


@functools.lru_cache(maxsize=256)
def _counts(key: str) -> tuple[int, int]:
    settings = Settings.model_construct(**json.loads(key))  # validated when it was created
    with torch.device("meta"):
        network = assemble(settings)
    return n_parameters(network), multiply_adds(network, settings.image_size)


def counts(settings: Settings) -> tuple[int, int]:
    """Return the size of a run's network.

    Args:
        settings: settings of the run.

    Returns:
        Parameters, and forward multiply-adds per image.
    """
    return _counts(settings.model_copy(update={"experiment": "accuracy", "sub_runs": (), "attention": "explicit"}).model_dump_json())


def training_flops(settings: Settings) -> float:
    """Return the floating-point operations of one training update per image.

    Two per multiply-add; the backward pass costs twice the forward pass. This count reproduces the paper's Table 6: ViT-B/16, 7 epochs of
    303 million images, 224 exaFLOPs.

    Args:
        settings: settings of the run.

    Returns:
        FLOPs per image.
    """
    return 6.0 * counts(settings)[1]


def record_size(settings: Settings, context: Context, model: str = "") -> None:
    """Record parameters, multiply-adds per image, examples and compute of a training.

    Args:
        settings: settings of the training.
        context: receives the records.
        model: label of the sub-run; empty in a run with one network.
    """
    parameters, n_multiply_adds = counts(settings)
    examples = settings.n_steps * settings.batch_size
    compute = examples * training_flops(settings)
    quantities = {
        "parameters": (parameters / 1e6, "M"),
        "multiply_adds": (n_multiply_adds / 1e9, "GFLOP"),
        "examples_seen": (examples, ""),
        "compute": (compute, "FLOP"),
        "exaflops": (compute / 1e18, "EFLOP"),
    }
    for metric, (value, unit) in quantities.items():
        context.record(metric, [float(value)] * len(context.seeds), model=model, step=settings.n_steps, unit=unit)
