"""Cost of one mixing layer by length, width and batch size; cost of generating one token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from replications.engine.context import Context
from replications.papers.rnn_vs_transformer import profiling
from replications.papers.rnn_vs_transformer.accounting import flops, sequential_operations, state_size
from replications.papers.rnn_vs_transformer.model import SequenceModel, make_mixer
from replications.papers.rnn_vs_transformer.settings import Network, Settings, Sweep
from replications.verdicts.trends import loglog_slope

ROTATED = 3
"""Number of different inputs over which timed calls rotate."""

COST = "cost"
"""Split of all measured times: they differ from run to run, while all other records are reproducible."""

UNITS = {"training_seconds": "s", "forward_seconds": "s", "training_bytes": "B", "forward_bytes": "B", "forward_flops": "FLOP"}
CLOCKED = ("training_seconds", "forward_seconds")


def measure_cost(settings: Settings, context: Context) -> None:
    """Record time, memory, FLOPs and sequential operations of every network's mixing layer at every point of the sweep.

    Points are lengths or widths, the axis of the records. A point that does not fit into memory is recorded as such, and larger ones of
    that network are skipped. Every seed repeats the whole sweep, so that the exponents of different seeds are independent.

    Args:
        settings: settings of the run.
        context: receives the records.
    """
    done = context.restore("sweep", {})
    units = [(seed, network) for seed in context.seeds for network in settings.models]
    for unit, (seed, network) in enumerate(units):
        if unit < done:
            continue
        _sweep_one(settings, context, seed, network)
        if network == settings.models[-1]:
            _record_ratios(context, seed)
        context.progress.update("sweep", unit + 1, len(units))
        context.stop_if_asked("sweep", unit + 1, {})
        context.save("sweep", unit + 1, {})


def axis_of(sweep: Sweep) -> str:
    """Return the axis of a sweep's records.

    Args:
        sweep: settings of the sweep.

    Returns:
        'length' or 'width'.
    """
    return "width" if sweep.vary == "width" else "length"


def _sizes(settings: Settings, sweep: Sweep, value: int) -> tuple[int, int, int]:
    """Return width, batch size and length of one point.

    Args:
        settings: settings of the run.
        sweep: settings of the sweep.
        value: length or width of the point.
    """
    if sweep.vary == "width":
        return value, sweep.batch_size, sweep.length
    return settings.width, sweep.batch_size if sweep.vary == "length" else max(1, sweep.tokens // value), value


def _sweep_one(settings: Settings, context: Context, seed: int, network: Network) -> None:
    """Record all points of one network and seed, and the exponent of each metric."""
    sweep, axis = settings.sweep, axis_of(settings.sweep)
    measured: dict[str, list[tuple[int, float]]] = {}
    for value in sorted(sweep.values):
        if value > sweep.largest.get(network.name, value):
            break
        point = _point(settings, context, seed, network, value, measured.get("training_bytes", []))
        for metric, number in point.items():
            split, unit = COST if metric in CLOCKED else "test", UNITS.get(metric, "")
            context.record(metric, number, split=split, model=network.name, axis=axis, at=value, unit=unit, seed=seed)
            measured.setdefault(metric, []).append((value, number))
        if point["out_of_memory"]:
            break
    for metric, points in measured.items():
        exponent = asymptotic_exponent(points)
        if exponent is not None:
            split = COST if metric in CLOCKED else "test"
            context.record(f"{metric}_exponent", exponent, split=split, model=network.name, seed=seed)


@dataclass(frozen=True)
class Ratio:
    """A ratio of one metric of two networks that a paper states.

    Attributes:
        name: metric under which the ratio is recorded.
        metric: metric of numerator and denominator.
        numerator: name of a network.
        denominator: name of a network; the `model` of the record.
        lengths: lengths for which the ratio is stated.
    """

    name: str
    metric: str
    numerator: str
    denominator: str
    lengths: tuple[int, ...]


RATIOS = (
    Ratio("speedup", "training_seconds", "gru.loop", "mingru", (512, 1024, 4096)),
    Ratio("speedup", "training_seconds", "lstm.loop", "minlstm", (512, 1024, 4096)),
    Ratio("speedup_over_library", "training_seconds", "gru", "mingru", (512, 4096)),
    Ratio("memory_saving", "training_bytes", "transformer.naive", "transformer", (2048, 4096)),
)


def _record_ratios(context: Context, seed: int) -> None:
    """Record every ratio whose numerator and denominator were measured at its length in one seed's sweep."""
    measured = {(row["metric"], row["model"], row["at"]): row["value"] for row in context.rows if row["seed"] == seed and row["axis"]}
    for ratio in RATIOS:
        for n in ratio.lengths:
            numerator, denominator = ((ratio.metric, model, float(n)) for model in (ratio.numerator, ratio.denominator))
            if numerator in measured and denominator in measured:
                split = COST if ratio.metric in CLOCKED else "test"
                value = measured[numerator] / measured[denominator]
                context.record(ratio.name, value, split=split, model=ratio.denominator, axis="length", at=n, seed=seed)


def asymptotic_exponent(points: list[tuple[int, float]], *, span: float = 4) -> float | None:
    """Return the log-log slope over the largest points.

    Args:
        points: pairs of position and value.
        span: ratio of the largest position to the smallest one that is used.

    Returns:
        The slope, or None for fewer than two positive values.
    """
    largest = max(x for x, _ in points)
    tail = [(x, y) for x, y in points if x * span >= largest and y > 0]
    if len(tail) < 2:
        return None
    x, y = np.array(tail, dtype=float).T
    return float(loglog_slope(x, y[None])[0])


def _point(
    settings: Settings, context: Context, seed: int, network: Network, value: int, memory: list[tuple[int, float]]
) -> dict[str, float]:
    """Return all metrics of one point; only `out_of_memory` if it does not fit into memory.

    Args:
        settings: settings of the run.
        context: provides device and generators.
        seed: the seed.
        network: the network whose layer is measured.
        value: length or width of the point.
        memory: (value, training bytes) of the points measured before, used for extrapolation on a CPU.
    """
    sweep, device = settings.sweep, context.device
    width, batch, length = _sizes(settings, sweep, value)
    dtype = torch.bfloat16 if sweep.precision == "bf16" else torch.float32
    limit = sweep.memory_limit_gb * 1e9
    if device.type == "cpu" and len(memory) > 1 and memory[-1][1] ** 2 / memory[-2][1] > limit:
        return {"out_of_memory": 1.0}
    generator = context.generator(seed, f"cost {network.name} {value}", device="cpu")
    try:
        layer = make_mixer(network, width, generators=[generator], head_width=settings.head_width, d_state=settings.d_state)
        layer.to(device, dtype)
        inputs = [torch.randn(1, batch, length, width, generator=generator).to(device, dtype) for _ in range(ROTATED)]
        training = [profiling.training_call(layer, x) for x in inputs]
        forward = [profiling.forward_call(layer, x) for x in inputs]
        point = {
            "out_of_memory": 0.0,
            "forward_flops": batch * flops(layer, length),
            "sequential_operations": float(sequential_operations(layer, length)),
        }
        for metric, calls in (("training_bytes", training), ("forward_bytes", forward)):  # equal for all seeds, so measured once
            key = (metric, network.name, value)
            earlier = [row["value"] for row in context.rows if (row["metric"], row["model"], row["at"]) == key]
            point[metric] = earlier[0] if earlier else profiling.peak_bytes(calls[0], device)
        is_timed = value <= sweep.largest_timed.get(network.name, value)
        for metric, calls in (("forward_seconds", forward), ("training_seconds", training)) if is_timed else ():
            point[metric] = profiling.median_seconds(calls, device, repetitions=sweep.repetitions, least_seconds=sweep.least_seconds)
    except RuntimeError as error:
        if not profiling.out_of_memory(error):
            raise
        if device.type == "cuda":
            torch.cuda.empty_cache()
        return {"out_of_memory": 1.0}
    context.add_cost(flops=point["forward_flops"] * sweep.repetitions * 4)
    return point


def measure_generation(settings: Settings, context: Context) -> None:
    """Record seconds per token and state memory by context length, and tokens per second by batch size.

    Args:
        settings: settings of the run.
        context: receives the records.
    """
    done, sweep = context.restore("generation", {}), settings.sweep
    units = [(seed, network) for seed in context.seeds for network in settings.models]
    for unit, (seed, network) in enumerate(units):
        if unit < done:
            continue
        model = SequenceModel(
            network,
            64,
            settings.width,
            settings.layers,
            generators=[context.generator(seed, f"generation {network.name}", device="cpu")],
            head_width=settings.head_width,
            d_state=settings.d_state,
            n_positions=max(sweep.values) + 1,
        ).to(context.device)
        name = network.name
        for n in sweep.values:
            seconds = _token_seconds(settings, context, model, sweep.batch_size, n)
            context.record("token_seconds", seconds, split=COST, model=name, axis="length", at=n, unit="s", seed=seed)
            state_elements = sum(state_size(block.mixer, n) for block in model.blocks)
            context.record("state_bytes", 4.0 * sweep.batch_size * state_elements, model=name, axis="length", at=n, unit="B", seed=seed)
        for size in (1, 4, 16, 64):
            speed = size / _token_seconds(settings, context, model, size, sweep.length)
            context.record("tokens_per_second", speed, split=COST, model=name, axis="batch_size", at=size, unit="tokens/s", seed=seed)
        context.progress.update("generation", unit + 1, len(units))
        context.stop_if_asked("generation", unit + 1, {})
        context.save("generation", unit + 1, {})


@torch.no_grad()
def _token_seconds(settings: Settings, context: Context, model: SequenceModel, batch: int, n: int) -> float:
    """Return the seconds for one more token of every sequence of a batch; time does not depend on the content of the context.

    Args:
        settings: settings of the run.
        context: provides the device.
        model: the network.
        batch: number of sequences.
        n: tokens of context.
    """
    tokens = torch.zeros(1, batch, dtype=torch.int64, device=context.device)
    states = [tuple(_state_after(part, n) for part in state) for state in model.start(tokens)]
    call: Callable[[], object] = lambda: model.step(tokens, states, n)  # noqa: E731
    return profiling.median_seconds(
        [call], context.device, repetitions=settings.sweep.repetitions, least_seconds=settings.sweep.least_seconds
    )


def _state_after(state: torch.Tensor, n: int) -> torch.Tensor:
    """Return a state of the size it has after n tokens: keys and values (an empty axis) get n rows; others keep their shape.

    Args:
        state: tensor of the initial state.
        n: tokens of context.
    """
    shape = [n if size == 0 else size for size in state.shape]
    return torch.full(shape, 0.01, dtype=state.dtype, device=state.device)
