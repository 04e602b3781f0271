"""Cost of one mixing layer over length, width and batch; cost of generating one token."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from replications.engine.context import Context
from replications.papers.rnn_vs_transformer import measuring
from replications.papers.rnn_vs_transformer.model import SequenceModel, make_mixer
from replications.papers.rnn_vs_transformer.settings import Settings, Sweep
from replications.verdicts.statistics import loglog_slope

ROTATED = 3
"""Inputs that timed calls take in turn."""

TIME = "time"
"""Split of everything that a clock measured: it differs from run to run, while all other records are the same."""


def measure_cost(settings: Settings, context: Context) -> None:
    """Time, memory, FLOPs and sequential depth of every network's mixing layer at every point of the sweep.

    The step of a record is the point: a length, or a width. A point that does not fit is recorded as such, and larger ones of that
    network are left out. Every seed repeats the whole sweep, so that its exponents are independent of the others'.
    """
    done = context.restore("sweep", {})
    units = [(seed, name) for seed in context.seeds for name in settings.models]
    for unit, (seed, name) in enumerate(units):
        if unit < done:
            continue
        _sweep_one(settings, context, seed, name)
        if name == settings.models[-1]:
            _record_ratios(context, seed)
        context.progress.update("sweep", unit + 1, len(units))
        context.stop_if_asked("sweep", unit + 1, {})
        context.save("sweep", unit + 1, {})


def _sizes(settings: Settings, sweep: Sweep, value: int) -> tuple[int, int, int]:
    """Width, batch and length of one point."""
    if sweep.vary == "width":
        return value, sweep.batch, sweep.length
    return settings.width, sweep.batch if sweep.vary == "length" else max(1, sweep.tokens // value), value


def _sweep_one(settings: Settings, context: Context, seed: int, name: str) -> None:
    sweep = settings.sweep
    measured: dict[str, list[tuple[int, float]]] = {}
    for value in sorted(sweep.values):
        if value > sweep.largest.get(name, value):
            break
        found = _point(settings, context, seed, name, value, measured.get("training_bytes", []))
        for metric, number in found.items():
            unit = {"seconds": "s", "bytes": "B", "flops": "FLOP"}.get(metric.rsplit("_", maxsplit=1)[-1], "")
            split = TIME if metric.endswith("seconds") else "test"
            context.record(f"{metric}.{name}", number, split=split, step=value, unit=unit, seed=seed)
            measured.setdefault(metric, []).append((value, number))
        if found["out_of_memory"]:
            break
    for metric, points in measured.items():
        exponent = asymptotic_exponent(points)
        if exponent is not None:
            split = TIME if metric.endswith("seconds") else "test"
            context.record(f"{metric}_exponent.{name}", exponent, split=split, seed=seed)


RATIOS = {
    "speedup_{n}.mingru": ("training_seconds.gru.loop", "training_seconds.mingru", (512, 1024, 4096), TIME),
    "speedup_{n}.minlstm": ("training_seconds.lstm.loop", "training_seconds.minlstm", (512, 1024, 4096), TIME),
    "over_fused_{n}.mingru": ("training_seconds.gru", "training_seconds.mingru", (512, 4096), TIME),
    "memory_ratio_{n}": ("training_bytes.transformer.naive", "training_bytes.transformer", (2048, 4096), "test"),
}
"""Ratios that papers state: name, numerator, denominator, lengths, split."""


def _record_ratios(context: Context, seed: int) -> None:
    """Record every ratio whose two parts were measured at its length in one seed's sweep."""
    found = {(row["metric"], row["step"]): row["value"] for row in context.rows if row["seed"] == seed and row["step"] > 0}
    for name, (above, below, lengths, split) in RATIOS.items():
        for n in lengths:
            if (above, n) in found and (below, n) in found:
                context.record(name.format(n=n), found[above, n] / found[below, n], split=split, seed=seed)


def asymptotic_exponent(points: list[tuple[int, float]], *, span: float = 4) -> float | None:
    """Log-log slope over the points from the largest down to a `span`-th of it; None for fewer than two positive ones."""
    largest = max(x for x, _ in points)
    kept = [(x, y) for x, y in points if x * span >= largest and y > 0]
    if len(kept) < 2:
        return None
    x, y = np.array(kept, dtype=float).T
    return float(loglog_slope(x, y[None])[0])


def _point(settings: Settings, context: Context, seed: int, name: str, value: int, memory: list[tuple[int, float]]) -> dict[str, float]:
    """Everything measured at one point; only `out_of_memory` where it does not fit."""
    sweep, device = settings.sweep, context.device
    width, batch, length = _sizes(settings, sweep, value)
    dtype = torch.bfloat16 if sweep.precision == "bf16" else torch.float32
    limit = sweep.memory_limit_gb * 1e9
    if device.type == "cpu" and len(memory) > 1 and memory[-1][1] ** 2 / memory[-2][1] > limit:
        return {"out_of_memory": 1.0}
    generator = context.generator(seed, f"cost {name} {value}", device="cpu")
    try:
        layer = make_mixer(name, width, generators=[generator], head_width=settings.head_width, state=settings.state)
        layer.to(device, dtype)
        inputs = [torch.randn(1, batch, length, width, generator=generator).to(device, dtype) for _ in range(ROTATED)]
        training = [measuring.training_call(layer, x) for x in inputs]
        forward = [measuring.forward_call(layer, x) for x in inputs]
        found = {
            "out_of_memory": 0.0,
            "forward_flops": batch * layer.flops(length),
            "sequential": float(layer.sequential(length)),
        }
        for metric, calls in (("training_bytes", training), ("forward_bytes", forward)):  # equal for every seed, so measured once
            known = [row["value"] for row in context.rows if row["metric"] == f"{metric}.{name}" and row["step"] == value]
            found[metric] = known[0] if known else measuring.peak_bytes(calls[0], device)
        timed = value <= sweep.largest_timed.get(name, value)
        for metric, calls in (("forward_seconds", forward), ("training_seconds", training)) if timed else ():
            found[metric] = measuring.median_seconds(calls, device, repetitions=sweep.repetitions, least_seconds=sweep.least_seconds)
    except RuntimeError as error:
        if not measuring.out_of_memory(error):
            raise
        if device.type == "cuda":
            torch.cuda.empty_cache()
        return {"out_of_memory": 1.0}
    context.add_cost(flops=found["forward_flops"] * sweep.repetitions * 4)
    return found


def measure_generation(settings: Settings, context: Context) -> None:
    """Seconds per token and memory of the state against the context so far, and tokens a second against the batch."""
    done = context.restore("generation", {})
    units = [(seed, name) for seed in context.seeds for name in settings.models]
    for unit, (seed, name) in enumerate(units):
        if unit < done:
            continue
        generator = context.generator(seed, f"generation {name}", device="cpu")
        model = SequenceModel(
            name,
            64,
            settings.width,
            settings.layers,
            generators=[generator],
            head_width=settings.head_width,
            state=settings.state,
            positions=max(settings.sweep.values) + 1,
        ).to(context.device)
        for n in settings.sweep.values:
            context.record(
                f"token_seconds.{name}",
                _token_seconds(settings, context, model, settings.sweep.batch, n),
                split=TIME,
                step=n,
                unit="s",
                seed=seed,
            )
            numbers = sum(block.mixer.state_numbers(n) for block in model.blocks)
            context.record(f"state_bytes.{name}", 4.0 * settings.sweep.batch * numbers, step=n, unit="B", seed=seed)
        for batch in (1, 4, 16, 64):
            seconds = _token_seconds(settings, context, model, batch, settings.sweep.length)
            context.record(f"tokens_per_second.{name}", batch / seconds, split=TIME, step=batch, unit="tokens/s", seed=seed)
        context.progress.update("generation", unit + 1, len(units))
        context.stop_if_asked("generation", unit + 1, {})
        context.save("generation", unit + 1, {})


@torch.no_grad()
def _token_seconds(settings: Settings, context: Context, model: SequenceModel, batch: int, n: int) -> float:
    """Seconds for one token of every sequence of a batch after a context of n tokens. Its content does not matter to the clock."""
    tokens = torch.zeros(1, batch, dtype=torch.int64, device=context.device)
    states = [tuple(_grown(part, n) for part in state) for state in model.start(tokens)]
    call: Callable[[], object] = lambda: model.step(tokens, states, n)  # noqa: E731
    return measuring.median_seconds(
        [call], context.device, repetitions=settings.sweep.repetitions, least_seconds=settings.sweep.least_seconds
    )


def _grown(state: torch.Tensor, n: int) -> torch.Tensor:
    """A state as it is after n tokens: keys and values (an empty axis) have n rows; others keep their shape."""
    shape = [n if size == 0 else size for size in state.shape]
    return torch.full(shape, 0.01, dtype=state.dtype, device=state.device)
