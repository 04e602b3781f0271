"""What steers a training from outside: checkpoints, progress, the request to stop, live curves, trials."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from types import FrameType

from replications.engine.checkpoints import CheckpointStore
from replications.engine.events import EventFiles
from replications.engine.progress import Progress


class StopRequest:
    """A request to stop, set by SIGTERM, SIGUSR1 or Ctrl-C and read by training loops between two steps.

    Attributes:
        signal: name of the signal that arrived; None: none has.
    """

    def __init__(self) -> None:
        self.signal: str | None = None

    def _receive(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self.signal is not None:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait for the step
        self.signal = signal.Signals(number).name

    def install(self) -> None:
        """Take over the signals for this process. A second Ctrl-C ends it at once."""
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
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
        """Add the whole length of a training that is about to be cut.

        Args:
            n_steps: updates of the whole training.
            per_step: what one update processes: examples, flops.
        """
        for name, amount in {"steps": 1.0, **per_step}.items():
            self.planned[name] += amount * n_steps


@dataclass
class Control:
    """What steers the trainings of one chunk.

    Attributes:
        checkpoints: resumable state of the chunk.
        progress: where progress is printed.
        stop: the request to stop.
        checkpoint_seconds: seconds between two checkpoints.
        events: live curves; None: not written.
        trial: limit of a trial; None: trainings run to their end.
    """

    checkpoints: CheckpointStore
    progress: Progress
    stop: StopRequest = field(default_factory=StopRequest)
    checkpoint_seconds: float = 30.0
    events: EventFiles | None = None
    trial: Trial | None = None
