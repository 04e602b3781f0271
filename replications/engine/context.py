"""The context of an experiment: seeds, device, data, records, artifacts, checkpoints, progress, cost."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from replications.engine.checkpoints import CheckpointStore, Stateful
from replications.engine.distributed import Team
from replications.engine.events import EventFiles
from replications.engine.progress import Progress
from replications.errors import Preempted, ReplicationError

if TYPE_CHECKING:
    import datasets

    from replications.engine.datasets import DataSource


class StopRequest:
    """Set by SIGTERM or SIGUSR1, read by training loops between two steps."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.signal = signal.Signals(number).name

    def install(self) -> None:
        """Take over both signals for this process."""
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._receive)


@dataclass
class Trial:
    """Real settings and real data, but only the first steps of every training, to see that all of a run works on this machine.

    Attributes:
        steps: updates after which each training goes on to its evaluation.
        planned: what the trainings would have processed: steps, examples, flops.
    """

    steps: int
    planned: dict[str, float] = field(default_factory=lambda: {"steps": 0.0, "examples": 0.0, "flops": 0.0})

    def plan(self, n_steps: int, **per_step: float) -> None:
        """Note the whole length of a training that is about to be cut."""
        for name, amount in {"steps": 1.0, **per_step}.items():
            self.planned[name] += amount * n_steps


@dataclass
class Context:
    """One chunk of one run: its seeds train together or one after the other, as the experiment decides.

    The experiment returns nothing: it records. Everything random comes from `generator(seed)`, so that a seed gives the
    same result whichever seeds it shares a job with, and a resumed run equals an uninterrupted one. On several GPUs every
    process of the `team` has a context like this; what they record is equal, and process 0 alone writes it.
    """

    paper: str
    run: str
    tier: str
    seeds: tuple[int, ...]
    device: torch.device
    checkpoints: CheckpointStore
    progress: Progress
    stop: StopRequest = field(default_factory=StopRequest)
    checkpoint_seconds: float = 30.0
    team: Team = field(default_factory=Team)
    events: EventFiles | None = None
    trial: Trial | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    data: dict[str, dict[str, str]] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    resumes: int = 0

    def generator(self, seed: int, purpose: str = "train", *, device: torch.device | str | None = None) -> torch.Generator:
        """A generator for one seed and purpose; distinct purposes give unrelated streams."""
        source = np.random.SeedSequence([seed, *purpose.encode()]).generate_state(2, dtype=np.uint32)
        generator = torch.Generator(device=device or self.device)
        generator.manual_seed(int(source[0]) << 31 | int(source[1]) >> 1)
        return generator

    def record(
        self,
        metric: str,
        values: float | Sequence[float] | Tensor | np.ndarray,
        *,
        split: str = "test",
        step: int = 0,
        model: str = "",
        axis: str = "",
        at: float | None = None,
        unit: str = "",
        seed: int | None = None,
    ) -> None:
        """Record a metric: one value per seed of this context, or one value for the `seed` given.

        Args:
            metric: its name, for example 'accuracy'.
            values: shape (seeds,), or one value with `seed`.
            split: data split that was measured.
            step: training step, 0 where nothing is trained.
            model: which of several networks of the run; empty where there is one.
            axis: name of the run's own axis that `at` is a position on, for example 'beam_size'.
            at: position on `axis`.
            unit: unit of the values.
            seed: the seed of a single value.

        Raises:
            ReplicationError: the number of values is not the number of seeds, or only one of `axis` and `at` is given.
        """
        array = values.detach().double().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values, dtype=float)
        seeds = self.seeds if seed is None else (seed,)
        if array.size != len(seeds):
            raise ReplicationError(f"{self.paper} {self.run}: {metric} has {array.size} values for {len(seeds)} seeds.")
        if bool(axis) != (at is not None):
            raise ReplicationError(f"{self.paper} {self.run}: {metric} needs both 'axis' and 'at', or neither.")
        base = {"paper": self.paper, "run": self.run, "model": model, "split": split, "step": int(step), "metric": metric, "unit": unit}
        base |= {"axis": axis, "at": None if at is None else float(at)}
        self.rows += [base | {"seed": s, "value": float(v)} for s, v in zip(seeds, array.ravel(), strict=True)]

    def artifact(self, name: str, array: np.ndarray | Tensor) -> None:
        """Keep an array for figures; by convention the seed axis comes first where there is one."""
        self.arrays[name] = array.detach().cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)

    def load(self, source: DataSource, split: str) -> datasets.Dataset:
        """Load and verify one split of a data source, and note its fingerprint in the provenance."""
        from replications.engine import datasets as sources

        loaded, note = sources.load(source, split)
        self.data[f"{source.name}/{split}"] = note
        return loaded

    def add_cost(self, **amounts: float) -> None:
        """Add to the counted cost of this run: examples, tokens, flops, train_seconds."""
        for name, amount in amounts.items():
            self.cost[name] = self.cost.get(name, 0.0) + float(amount)

    @contextmanager
    def timed(self, **amounts: float) -> Iterator[None]:
        """Add the device time of a block to `train_seconds`, together with other counted amounts."""
        began = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.add_cost(train_seconds=time.perf_counter() - began, **amounts)

    def save(self, stage: str, step: int, state: dict[str, Stateful]) -> None:
        """Save a stage: the states, the step, and everything recorded so far. Of a team, process 0 saves for all."""
        if not self.team.main:
            return
        self.checkpoints.save(
            stage,
            {
                "step": step,
                "state": {name: part.state_dict() for name, part in state.items()},
                "rows": self.rows,
                "arrays": {name: _plain(array) for name, array in self.arrays.items()},
                "cost": self.cost,
                "resumes": self.resumes,
            },
        )
        if self.events:
            self.events.write(self.rows)

    def restore(self, stage: str, state: dict[str, Stateful]) -> int:
        """Continue a stage: load the states and what was recorded; the step reached, 0 when there is nothing."""
        saved = self.checkpoints.load(stage, self.device)
        self.team.check_equal(-1 if saved is None else int(saved["step"]), f"steps in the checkpoint of stage '{stage}'")
        if saved is None:
            return 0
        for name, part in state.items():
            part.load_state_dict(saved["state"][name])
        self.rows = saved["rows"]
        self.arrays = {name: _array(value) for name, value in saved["arrays"].items()}
        self.cost = saved["cost"]
        self.resumes = saved["resumes"]
        return int(saved["step"])

    def asked_to_stop(self) -> bool:
        """Return True when a signal has reached this process or, when the run has several, any of them."""
        asked = self.team.any_rank(self.stop.signal is not None)
        if asked and self.stop.signal is None:
            self.stop.signal = "a signal to another process"
        return asked

    def stop_if_asked(self, stage: str, step: int, state: dict[str, Stateful]) -> None:
        """Save and leave when a signal has asked for it.

        Raises:
            Preempted: after the state is safely on disk.
        """
        if self.asked_to_stop():
            self.save(stage, step, state)
            raise Preempted(
                f"{self.paper} {self.run}: stopped by {self.stop.signal} in stage '{stage}' at step {step:,}; state saved. "
                "Run the same command again to continue."
            )


def _plain(array: np.ndarray) -> Tensor | dict[str, Any]:
    """An array as a tensor, or, for text, as code points, so that checkpoints hold nothing but tensors and numbers."""
    if array.dtype.kind == "U":
        return {"text": array.ravel().tolist(), "shape": list(array.shape)}
    return torch.from_numpy(np.ascontiguousarray(array))


def _array(value: Tensor | dict[str, Any]) -> np.ndarray:
    if isinstance(value, dict):
        return np.asarray(value["text"], dtype=str).reshape(value["shape"])
    return value.cpu().numpy()


class Generators:
    """The random generators of a stage as one saveable state."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self.generators = list(generators)

    def state_dict(self) -> dict[str, Any]:
        """Every generator's state, by position."""
        return {str(index): generator.get_state() for index, generator in enumerate(self.generators)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue every stream where it was saved."""
        for index, generator in enumerate(self.generators):
            generator.set_state(state_dict[str(index)].cpu())
