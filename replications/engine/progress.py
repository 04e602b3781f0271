"""Progress that a person can follow: what runs, how far, how long still, current values. A line every few seconds, in a log every minute."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any


def duration(seconds: float) -> str:
    """Return a duration as m:ss or h:mm:ss.

    Args:
        seconds: 0 or more; rounded to whole seconds.

    Returns:
        For example 4:05 or 1:02:03.
    """
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


class Progress:
    """Prints to standard error and, when given, appends to a log file.

    Args:
        title: what runs, printed at the start of every line.
        every: seconds between two states in `state`, and between two lines of one stage in a terminal.
        in_logs: seconds between two lines where standard error is no terminal; the first and the last of a stage are always printed.
        log: file that gets the same lines.
        state: file that always holds how far the newest stage is, for `replications status`.
        quiet: say nothing; for all but one of the processes that train a run together.
    """

    def __init__(
        self,
        title: str,
        *,
        every: float = 5.0,
        in_logs: float = 60.0,
        log: Path | None = None,
        state: Path | None = None,
        quiet: bool = False,
    ) -> None:
        self.title, self.every, self.log, self.state, self.quiet = title, every, log, state, quiet
        self.resumes = 0
        self._last = 0.0
        self._between = every if sys.stderr.isatty() else max(every, in_logs)
        self._printed: dict[str, float] = {}
        self._began: dict[str, tuple[float, int]] = {}

    def say(self, text: str) -> None:
        """Print one line at once.

        Args:
            text: what follows the title.
        """
        if self.quiet:
            return
        line = f"{self.title}  {text}"
        print(line, file=sys.stderr, flush=True)
        if self.log:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8") as file:
                print(line, file=file)

    def due(self, stage: str, done: int, total: int) -> bool:
        """Return True when the next update would print, so that callers fetch values from a device only then.

        Args:
            stage: name of a training or another loop.
            done: units done so far.
            total: units in all.

        Returns:
            Always False in a quiet process.
        """
        self._began.setdefault(stage, (time.monotonic(), done))
        return not self.quiet and (time.monotonic() - self._last >= self.every or done == total)

    def update(self, stage: str, done: int, total: int, **values: float) -> None:
        """Print how far a stage is, if enough time has passed since the last line or the stage ends.

        Args:
            stage: name of a training or another loop.
            done: units done so far.
            total: units in all.
            values: current values, printed by name.
        """
        if not self.due(stage, done, total):
            return
        self._last = time.monotonic()
        began, first = self._began[stage]
        elapsed = self._last - began
        left = f"{duration(elapsed / (done - first) * (total - done))} left" if done > first else "starting"
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        ending = f"{duration(elapsed)} elapsed" if done == total else left
        if done == total or self._last - self._printed.get(stage, -math.inf) >= self._between:
            self._printed[stage] = self._last
            self.say(f"{stage} {done:,}/{total:,} ({done / total:.0%})  {shown}  {ending}")
        seconds_left = elapsed / (done - first) * (total - done) if done > first else None
        self._note({"stage": stage, "done": done, "total": total, "seconds_left": seconds_left, "resumes": self.resumes, "values": values})

    def _note(self, content: dict[str, Any]) -> None:
        """Replace the state file. It is for people only, so a disk that refuses it stops nothing."""
        if self.state is None:
            return
        with contextlib.suppress(OSError):
            self.state.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.state.with_name(f".{self.state.name}.{os.getpid()}")
            temporary.write_text(json.dumps(content), encoding="utf-8")
            temporary.replace(self.state)
