"""Cost of a model: floating-point operations counted from its layers, and measured time per image."""

from __future__ import annotations

import itertools
import time

import torch

from replications.engine.context import Context
from replications.papers.recurrent_attention.classifiers import build
from replications.papers.recurrent_attention.fused import FusedEpisodes
from replications.papers.recurrent_attention.model import N_CLASSES, EpisodeNoise, RecurrentAttentionModel
from replications.papers.recurrent_attention.settings import Settings

MODELS = ("ram", "conv", "fc", "cnn", "soft")
TIMED_BATCH = 16
TIMED_REPEATS = 3


def linear_flops(*widths: int) -> int:
    """Count the operations of a chain of linear layers for one input.

    Args:
        widths: of the input, of each hidden layer, and of the output.

    Returns:
        Multiplications and additions; biases and ReLUs are not counted.
    """
    return sum(2 * a * b for a, b in itertools.pairwise(widths))


def forward_flops(settings: Settings) -> int:
    """Count the operations of the matrix products and convolutions that classify one image.

    For the recurrent attention model the retina is not counted, because it only adds: cropping adds the same number of pixels for any image
    size, and our integral image, which replaces it, adds about two numbers per pixel of the image.

    Args:
        settings: sizes; `model` selects the network.

    Returns:
        FLOPs, two per multiply-add.
    """
    s = settings
    if s.model == "fc":
        return linear_flops(s.canvas**2, s.fc_size, s.fc_size, N_CLASSES)
    if s.model == "conv":
        positions = ((s.canvas - s.conv_side) // s.conv_stride + 1) ** 2
        return positions * linear_flops(s.conv_side**2, s.conv_filters) + linear_flops(positions * s.conv_filters, s.fc_size, N_CLASSES)
    if s.model == "cnn":
        total, side, n_in = 0, s.canvas, 1
        for n_out in s.cnn_filters:
            total, side, n_in = total + side**2 * linear_flops(9 * n_in, n_out), side // 2, n_out
        return total + linear_flops(n_in, N_CLASSES)
    width, hidden = s.glimpse_size, s.hidden_size
    core = linear_flops(2 * width, hidden) + linear_flops(hidden, hidden)
    if s.model == "soft":
        patches = ((s.canvas - s.glimpse_side) // max(1, s.glimpse_side // 2) + 1) ** 2
        embedding = patches * linear_flops(s.glimpse_side**2, width, 2 * width)
        # Positions are embedded once for the whole batch; an image's share of that is not counted.
        per_step = linear_flops(hidden, 2 * width) + 2 * patches * linear_flops(2 * width, 1) + core
        return embedding + s.glimpses * per_step + linear_flops(hidden, N_CLASSES)
    glimpse = linear_flops(s.patch_pixels, width, 2 * width) + linear_flops(2, width, 2 * width)
    location = linear_flops(hidden, s.locator_size, 2) if s.locator_size else linear_flops(hidden, 2)
    n_locations = s.glimpses - 1 if s.policy == "learned" else 0
    return s.glimpses * (glimpse + core) - linear_flops(hidden, hidden) + n_locations * location + linear_flops(hidden, N_CLASSES)


def training_flops(settings: Settings) -> int:
    """Count the operations of one training example; the backward pass has two products for each one of the forward pass.

    Args:
        settings: sizes; `model` selects the network.

    Returns:
        FLOPs, two per multiply-add.
    """
    return 3 * forward_flops(settings)


def at_size(settings: Settings, model: str, canvas: int) -> Settings:
    """Change model and image size of a run.

    Args:
        settings: of the run.
        model: a member of MODELS.
        canvas: side of the image in pixels.

    Returns:
        A validated copy.
    """
    return Settings.model_validate(settings.model_dump() | {"model": model, "canvas": canvas, "experiment": "accuracy", "translated": True})


def record_costs(settings: Settings, context: Context) -> None:
    """Record operations, parameters and time per image of every model at each canvas side of `cost_canvases` (axis 'canvas').

    Counts are exact and equal for every seed. Times, in microseconds per image, are of one network without gradients: the median of several
    batches.

    Args:
        settings: sizes of the networks.
        context: receives the records.
    """
    for index, canvas in enumerate(settings.cost_canvases):
        for model in MODELS:
            sized = at_size(settings, model, canvas)
            flops = forward_flops(sized)
            network = build(sized, [context.generator(0, "initialise", device="cpu")], context.device)
            n_parameters = sum(value.numel() for value in network.parameters())
            n_seeds = len(context.seeds)
            for metric, count, unit in (("forward_flops", flops, "FLOP"), ("parameters", n_parameters, "")):
                context.record(metric, [count] * n_seeds, split="cost", model=model, axis="canvas", at=canvas, unit=unit)
            times = [_seconds_per_image(sized, network, context) for _ in context.seeds]
            microseconds = [1e6 * seconds for seconds in times]
            context.record("microseconds", microseconds, split="cost", model=model, axis="canvas", at=canvas, unit="us")
        per_image = sum(forward_flops(at_size(settings, model, canvas)) for model in MODELS)
        n_images = TIMED_BATCH * (TIMED_REPEATS + 1) * len(context.seeds)
        context.add_cost(examples=n_images * len(MODELS), flops=n_images * per_image)
        context.progress.update("cost", index + 1, len(settings.cost_canvases), canvas=canvas)


@torch.no_grad()
def _seconds_per_image(settings: Settings, network: torch.nn.Module, context: Context) -> float:
    """Return the median time of a forward pass over a batch divided by its size, in seconds."""
    canvases = torch.zeros(1, TIMED_BATCH, settings.canvas, settings.canvas, device=context.device)
    noise = EpisodeNoise(torch.zeros(1, TIMED_BATCH, 2, device=context.device))
    episodes = FusedEpisodes(network, context.device) if isinstance(network, RecurrentAttentionModel) else None
    seconds = []
    for _ in range(TIMED_REPEATS + 1):
        start = time.perf_counter()
        if episodes is not None:
            episodes.model.action_network(episodes.rollout(canvases, noise).hidden[:, -1])
        else:
            network(canvases)
        if context.device.type == "cuda":
            torch.cuda.synchronize(context.device)
        seconds.append(time.perf_counter() - start)
    # The first call allocates memory and selects kernels.
    return sorted(seconds[1:])[TIMED_REPEATS // 2] / TIMED_BATCH
