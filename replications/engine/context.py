"""The context of an experiment: what it records, where it trains, and what steers it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from replications.engine.checkpoints import Stateful
from replications.engine.control import Control
from replications.engine.distributed import Team
from replications.engine.progress import Progress
from replications.engine.randomness import seeded_generator
from replications.engine.recording import Recording
from replications.errors import Preempted


@dataclass(kw_only=True)
class Context(Recording):
    """One chunk of one run, as its experiment sees it.

    The experiment returns nothing: it records. Everything random comes from `generator(seed)`, so that a seed gives the
    same result whichever seeds it shares a job with, and a resumed run equals an uninterrupted one. On several GPUs every
    process of the `team` has a context like this; what they record is equal, and process 0 alone writes it.

    Attributes:
        device: where the chunk trains.
        control: checkpoints, progress, the request to stop, live curves, the limit of a trial.
        team: the processes that train the chunk together.
    """

    device: torch.device
    control: Control
    team: Team = field(default_factory=Team)

    @property
    def progress(self) -> Progress:
        """Where progress is printed."""
        return self.control.progress

    def generator(self, seed: int, purpose: str = "train", *, device: torch.device | str | None = None) -> torch.Generator:
        """Return a new generator for one seed and purpose; distinct purposes give unrelated streams.

        Args:
            seed: one of the chunk's seeds, or a fixed number for what all seeds share.
            purpose: what the numbers are for, for example 'initialise'.
            device: of the tensors that will be drawn; default: the chunk's.

        Returns:
            A generator at the start of its stream.
        """
        return seeded_generator(seed, purpose, device or self.device)

    @contextmanager
    def timed(self, **amounts: float) -> Iterator[None]:
        """Add the device time of a block to `train_seconds`, together with other counted amounts.

        Args:
            amounts: see `add_cost`.
        """
        began = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.add_cost(train_seconds=time.perf_counter() - began, **amounts)

    def save(self, stage: str, step: int, state: dict[str, Stateful]) -> None:
        """Save the state of a stage and everything recorded so far. Of a team, process 0 saves for all.

        Args:
            stage: name of the training among the run's checkpoints.
            step: updates made.
            state: modules, optimisers, generators, by name.

        Raises:
            CheckpointError: it cannot be written; the earlier state is intact.
        """
        if not self.team.main:
            return
        states = {name: part.state_dict() for name, part in state.items()}
        self.control.checkpoints.save(stage, {"step": step, "state": states, "recorded": self.state_dict()})
        if self.control.events:
            self.control.events.write(self.rows)

    def restore(self, stage: str, state: dict[str, Stateful]) -> int:
        """Continue a stage where its last checkpoint stands.

        Args:
            stage: name of the training among the run's checkpoints.
            state: overwritten with what was saved.

        Returns:
            Updates made; 0 when nothing was saved.

        Raises:
            ReplicationError: the processes of a team see different checkpoints.
        """
        saved = self.control.checkpoints.load(stage, self.device)
        self.team.check_equal(-1 if saved is None else int(saved["step"]), f"steps in the checkpoint of stage '{stage}'")
        if saved is None:
            return 0
        for name, part in state.items():
            part.load_state_dict(saved["state"][name])
        self.load_state_dict(saved["recorded"])
        return int(saved["step"])

    def asked_to_stop(self) -> bool:
        """Return True when a signal has reached this process or, when the run has several, any of them."""
        stop = self.control.stop
        asked = self.team.any_rank(stop.signal is not None)
        if asked and stop.signal is None:
            stop.signal = "a signal to another process"
        return asked

    def stop_if_asked(self, stage: str, step: int, state: dict[str, Stateful]) -> None:
        """Save and leave when a signal has asked for it.

        Args:
            stage: name of the training among the run's checkpoints.
            step: updates made.
            state: see `save`.

        Raises:
            Preempted: after the state is safely on disk.
        """
        if self.asked_to_stop():
            self.save(stage, step, state)
            raise Preempted(
                f"{self.chunk}: stopped by {self.control.stop.signal} in stage '{stage}' at step {step:,}; state saved. "
                "Run the same command again to continue."
            )
