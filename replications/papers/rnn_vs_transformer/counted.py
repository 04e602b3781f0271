"""What needs no clock: exponents of counted work, 6 N D against counted FLOPs, and the error of fused attention."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from replications.engine.context import Context
from replications.papers.rnn_vs_transformer.measuring import matrix_flops
from replications.papers.rnn_vs_transformer.mixers import Mixer
from replications.papers.rnn_vs_transformer.model import SequenceModel, make_mixer
from replications.papers.rnn_vs_transformer.settings import Settings
from replications.verdicts.statistics import loglog_slope

LENGTHS = (2**15, 2**16, 2**17)
WIDTHS = (64, 128, 256)
"""Where exponents are taken: n far above d, so that what remains is the leading term in n."""

GRID_LENGTHS = tuple(2**i for i in range(4, 18))
GRID_WIDTHS = tuple(2**i for i in range(6, 13))
"""Where FLOPs are counted for readers to explore."""


def _exponent(x: tuple[int, ...], y: list[float]) -> float:
    return float(loglog_slope(np.array(x, dtype=float), np.array([y], dtype=float))[0])


def measure_counted(settings: Settings, context: Context) -> None:
    """Record exponents of every layer's FLOPs and sequential operations, C over 6 N D, and the error of fused attention."""

    def layer(name: str, width: int) -> Mixer:
        generator = context.generator(0, "counted", device="cpu")
        return make_mixer(name, width, generators=[generator], head_width=settings.head_width, state=settings.state)

    seeds = len(context.seeds)
    for name in settings.models:
        small = layer(name, WIDTHS[0])
        found = {
            "n_exponent": _exponent(LENGTHS, [small.flops(n) for n in LENGTHS]),
            "d_exponent": _exponent(WIDTHS, [layer(name, width).flops(LENGTHS[1]) for width in WIDTHS]),
            "sequential_exponent": _exponent(LENGTHS, [float(small.sequential(n)) for n in LENGTHS]),
            "path_exponent": _exponent(LENGTHS, [float(small.path(n)) for n in LENGTHS]),
        }
        for metric, value in found.items():
            context.record(f"{metric}.{name}", [value] * seeds)
    flops, steps = [], []
    for name in settings.models:
        layers = [layer(name, width) for width in (64, 128)]
        flops.append([[_flops_at(layers, width, n) for n in GRID_LENGTHS] for width in GRID_WIDTHS])
        steps.append([layers[0].sequential(n) for n in GRID_LENGTHS])
    context.artifact("grid_models", np.array(settings.models))
    context.artifact("grid_lengths", np.array(GRID_LENGTHS))
    context.artifact("grid_widths", np.array(GRID_WIDTHS))
    context.artifact("grid_flops", np.array(flops))
    context.artifact("grid_sequential", np.array(steps))
    context.record("counted_over_6nd", [counted_over_6nd(settings, context)] * seeds)
    context.record("fused_error_ratio", [fused_error_ratio(context, seed) for seed in context.seeds])


def _flops_at(layers: list[Mixer], width: int, n: int) -> float:
    """FLOPs at any width: counts are a d^2 + b d per sequence with a and b free of d, so that two widths give both."""
    narrow, wide = layers
    x, y = float(narrow.width), float(wide.width)
    per_narrow, per_wide = narrow.flops(n) / x, wide.flops(n) / y
    square = (per_wide - per_narrow) / (y - x)
    return width * (per_narrow + square * (width - x))


def counted_over_6nd(settings: Settings, context: Context) -> float:
    """FLOPs of one training step of a transformer, counted operation by operation without computing anything, over 6 N D."""
    generator = context.generator(0, "six", device="cpu")
    vocabulary, length = 64, settings.text.context
    model = SequenceModel(
        "transformer.naive", vocabulary, settings.width, settings.layers, generators=[generator], head_width=settings.head_width
    )
    model.to("meta")
    tokens = torch.zeros(1, 1, length, dtype=torch.int64, device="meta")

    def call() -> None:
        functional.cross_entropy(model(tokens).flatten(0, 2), tokens.flatten()).backward()

    return matrix_flops(call) / (6 * model.n_parameters * length)


@torch.no_grad()
def fused_error_ratio(context: Context, seed: int) -> float:
    """Largest error of fused over that of naive attention, both against double precision, on 256 random positions."""
    device = context.device
    outputs = {}
    for form in ("transformer", "transformer.naive"):
        layer = make_mixer(form, 64, generators=[context.generator(seed, "error", device="cpu")], head_width=32).to(device)
        x = torch.randn(1, 4, 256, 64, generator=context.generator(seed, "error inputs", device="cpu")).to(device)
        outputs[form] = layer(x)
        exact = layer.double()(x.double())
    errors = {form: float((output - exact).abs().max()) for form, output in outputs.items()}
    return errors["transformer"] / errors["transformer.naive"]
