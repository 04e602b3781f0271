"""The loop: steps, records, evaluation, checkpoints, progress, throughput. A paper may ignore it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from replications.engine.checkpoints import Stateful
from replications.engine.context import Context
from replications.errors import ReplicationError

Metrics = Mapping[str, Tensor]
"""Metric -> values of shape (seeds,) or ()."""

NetworkMetrics = Mapping[tuple[str, str], Tensor]
"""(metric, network) -> values, where one step trains several networks."""


def train(
    context: Context,
    step: Callable[[int], Metrics | NetworkMetrics],
    *,
    n_steps: int,
    state: dict[str, Stateful],
    examples_per_step: int,
    flops_per_step: float = 0.0,
    tokens_per_step: int = 0,
    stage: str = "train",
    model: str = "",
    record_every: int | None = None,
    evaluate: Callable[[int], None] | None = None,
    evaluate_every: int | None = None,
) -> None:
    """Train from wherever the last checkpoint stands to `n_steps`, or until a signal asks to stop.

    Args:
        context: receives records (split 'train'), cost and checkpoints.
        step: makes update number i (from 0) and returns metrics of shape (seeds,) or (), on the device. It must draw
            every random number from generators that are part of `state`.
        n_steps: updates in all.
        state: what a checkpoint holds: modules, optimisers, `Generators`.
        examples_per_step: examples one step sees, over all seeds; likewise `flops_per_step`, `tokens_per_step`.
        flops_per_step: counted FLOPs of one step, over all seeds.
        tokens_per_step: tokens of one step, over all seeds.
        stage: name of the checkpoint; a run with several trainings gives each its own.
        model: name of the trained network in the records, in a run with several.
        record_every: steps between two records of the training metrics; default a hundredth of the training.
        evaluate: called with the number of steps done, every `evaluate_every` steps and at the end. It must leave the
            training generators alone.
        evaluate_every: steps between two evaluations; None: only at the end.

    Raises:
        Preempted: a signal asked to stop; the state is saved.
        ReplicationError: a metric is no longer finite.
    """
    record_every = record_every or max(1, n_steps // 100)
    control = context.control
    if control.trial:
        control.trial.plan(n_steps, examples=examples_per_step, flops=flops_per_step)
        n_steps = min(n_steps, control.trial.steps)
    done = context.restore(stage, state)
    if done:
        context.resumes += done < n_steps
        control.progress.resumes = context.resumes
        control.progress.say(f"{stage}: continuing at step {done:,} of {n_steps:,}")
    saved_at = time.monotonic()
    timer = _Timer(context, examples=examples_per_step, flops=flops_per_step, tokens=tokens_per_step)
    while done < n_steps:
        metrics = step(done)
        done += 1
        timer.steps += 1
        if done % record_every == 0 or done == n_steps:
            timer.stop()
            _record(context, metrics, done, model)
        if evaluate and (done == n_steps or (evaluate_every and done % evaluate_every == 0)):
            timer.stop()
            evaluate(done)
            timer.start()
        if control.progress.due(stage, done, n_steps):
            shown = {name if isinstance(name, str) else " ".join(name): float(value.mean()) for name, value in metrics.items()}
            control.progress.update(stage, done, n_steps, **shown)
        if context.asked_to_stop():
            timer.stop()
            context.stop_if_asked(stage, done, state)
        if time.monotonic() - saved_at > control.checkpoint_seconds and done < n_steps:
            timer.stop()
            context.save(stage, done, state)
            saved_at = time.monotonic()
            timer.start()
    timer.stop()
    context.save(stage, done, state)


def _record(context: Context, metrics: Metrics | NetworkMetrics, step: int, model: str) -> None:
    for key, value in metrics.items():
        name, network = (key, model) if isinstance(key, str) else key
        values = value.detach().expand(len(context.seeds)) if value.ndim == 0 else value.detach()
        if not bool(torch.isfinite(values).all()):
            bad = [seed for seed, ok in zip(context.seeds, torch.isfinite(values).tolist(), strict=True) if not ok]
            where = f"{context.chunk}, step {step:,}, seeds {bad}"
            raise ReplicationError(f"{where}: {name} is not finite. Lower the learning rate in runs.yaml.")
        context.record(name, values, split="train", step=step, model=network)


class _Timer:
    """Adds the time between start and stop, and what the steps in it processed, to the context's cost."""

    def __init__(self, context: Context, **per_step: float) -> None:
        self.context, self.per_step, self.steps = context, {k: v for k, v in per_step.items() if v}, 0
        self.start()

    def start(self) -> None:
        self._began = time.perf_counter()

    def stop(self) -> None:
        if self.context.device.type == "cuda":
            torch.cuda.synchronize(self.context.device)
        amounts = {name: amount * self.steps for name, amount in self.per_step.items()}
        self.context.add_cost(train_seconds=time.perf_counter() - self._began, **amounts)
        self.steps = 0
        self.start()
