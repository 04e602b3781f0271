"""Measurements that need no timing: exponents of counted work, counted FLOPs against 6 N D, and the error of fused attention."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from replications.engine.context import Context
from replications.papers.rnn_vs_transformer.accounting import flops, path_length, sequential_operations
from replications.papers.rnn_vs_transformer.mixers import Mixer
from replications.papers.rnn_vs_transformer.model import SequenceModel, make_mixer
from replications.papers.rnn_vs_transformer.profiling import matrix_flops
from replications.papers.rnn_vs_transformer.settings import Network, Settings
from replications.verdicts.trends import loglog_slope

FUSED = Network(mixer="transformer", form="sdpa", positions="rope")
NAIVE = Network(mixer="transformer", form="naive", positions="rope")

LENGTHS = (2**15, 2**16, 2**17)
WIDTHS = (64, 128, 256)
"""Sizes at which exponents are computed: n far above d, so that the leading term in n dominates."""

GRID_LENGTHS = tuple(2**i for i in range(4, 18))
GRID_WIDTHS = tuple(2**i for i in range(6, 13))
"""Sizes at which FLOPs are counted for the cost explorer."""


def _exponent(x: tuple[int, ...], y: list[float]) -> float:
    """Return the log-log slope of y over x.

    Args:
        x: positions.
        y: values.
    """
    return float(loglog_slope(np.array(x, dtype=float), np.array([y], dtype=float))[0])


def measure_counted(settings: Settings, context: Context) -> None:
    """Record exponents of every layer's FLOPs and sequential operations, counted FLOPs over 6 N D, and the error of fused attention.

    Args:
        settings: settings of the run.
        context: receives the records.
    """

    def layer(network: Network, width: int) -> Mixer:
        generator = context.generator(0, "counted", device="cpu")
        return make_mixer(network, width, generators=[generator], head_width=settings.head_width, d_state=settings.d_state)

    seeds = len(context.seeds)
    for network in settings.models:
        small = layer(network, WIDTHS[0])
        exponents = {
            "n_exponent": _exponent(LENGTHS, [flops(small, n) for n in LENGTHS]),
            "d_exponent": _exponent(WIDTHS, [flops(layer(network, width), LENGTHS[1]) for width in WIDTHS]),
            "sequential_exponent": _exponent(LENGTHS, [float(sequential_operations(small, n)) for n in LENGTHS]),
            "path_exponent": _exponent(LENGTHS, [float(path_length(small, n)) for n in LENGTHS]),
        }
        for metric, value in exponents.items():
            context.record(metric, [value] * seeds, model=network.name)
    grid_flops, grid_sequential = [], []
    for network in settings.models:
        layers = [layer(network, width) for width in (64, 128)]
        grid_flops.append([[_flops_at(layers, width, n) for n in GRID_LENGTHS] for width in GRID_WIDTHS])
        grid_sequential.append([sequential_operations(layers[0], n) for n in GRID_LENGTHS])
    context.artifact("grid_models", np.array([network.name for network in settings.models]))
    context.artifact("grid_lengths", np.array(GRID_LENGTHS))
    context.artifact("grid_widths", np.array(GRID_WIDTHS))
    context.artifact("grid_flops", np.array(grid_flops))
    context.artifact("grid_sequential", np.array(grid_sequential))
    context.record("counted_over_6nd", [counted_over_6nd(settings, context)] * seeds)
    context.record("fused_error_ratio", [fused_error_ratio(context, seed) for seed in context.seeds])


def _flops_at(layers: list[Mixer], width: int, n: int) -> float:
    """Return the FLOPs at any width, from layers of two widths.

    FLOPs per sequence are a d^2 + b d; two widths determine a and b.

    Args:
        layers: layers of two widths.
        width: width d.
        n: number of positions.
    """
    narrow, wide = layers
    x, y = float(narrow.width), float(wide.width)
    per_narrow, per_wide = flops(narrow, n) / x, flops(wide, n) / y
    a = (per_wide - per_narrow) / (y - x)
    return width * (per_narrow + a * (width - x))


def counted_over_6nd(settings: Settings, context: Context) -> float:
    """Return the FLOPs of one training step of a transformer over 6 N D, counted operation by operation on the meta device.

    Args:
        settings: give width, layers and context length.
        context: provides the generator.

    Returns:
        Ratio of counted FLOPs to 6 N D (Kaplan et al. 2020, section 2.1).
    """
    generator = context.generator(0, "six", device="cpu")
    vocabulary, length = 64, settings.text.context
    model = SequenceModel(NAIVE, vocabulary, settings.width, settings.layers, generators=[generator], head_width=settings.head_width)
    model.to("meta")
    tokens = torch.zeros(1, 1, length, dtype=torch.int64, device="meta")

    def call() -> None:
        functional.cross_entropy(model(tokens).flatten(0, 2), tokens.flatten()).backward()

    return matrix_flops(call) / (6 * model.n_parameters * length)


@torch.no_grad()
def fused_error_ratio(context: Context, seed: int) -> float:
    """Return the largest error of fused attention over that of naive attention, both against float64, on 256 random positions.

    Args:
        context: provides device and generators.
        seed: the seed.

    Returns:
        Ratio of the two maximum absolute errors.
    """
    device = context.device
    outputs = {}
    for network in (FUSED, NAIVE):
        layer = make_mixer(network, 64, generators=[context.generator(seed, "error", device="cpu")], head_width=32).to(device)
        x = torch.randn(1, 4, 256, 64, generator=context.generator(seed, "error inputs", device="cpu")).to(device)
        outputs[network] = layer(x)
        reference = layer.double()(x.double())
    errors = {network: float((output - reference).abs().max()) for network, output in outputs.items()}
    return errors[FUSED] / errors[NAIVE]
