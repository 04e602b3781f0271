"""A live view of a tier in a terminal: one line per job that runs, and one for the whole; and Snakemake in the background below it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from replications.commands.job_states import planned_chunks
from replications.commands.options import DEFAULT_TIER, SourceOption, TierOption
from replications.engine.progress import duration
from replications.registry.papers import paper_names
from workflow import planning

REFRESH = 2.0
"""Seconds between two looks at the files of the jobs."""

BAR = 24
"""Columns of a bar."""

FRAME = 4
"""Lines of the terminal that are left to the whole and to what comes before."""

TAIL = 40
"""Lines of the log that are printed where a job failed."""

_STARTED, _STEPS, _FAILED = (
    re.compile(r"^Job \d+: (.+)$"),
    re.compile(r"^(\d+) of (\d+) steps"),
    re.compile(r"^Error in rule|^\w*Error|^\w*Exception"),
)


class Planned(Protocol):
    """A job that knows its state."""

    def row(self) -> dict[str, Any]:
        """Return its state, see `status`."""
        ...


class Board:
    """The states of all jobs; those of finished ones are read once.

    Args:
        chunks: all jobs.
        cores: that jobs without a GPU share.
    """

    def __init__(self, chunks: Sequence[Planned], cores: int) -> None:
        self.chunks, self.cores = list(chunks), cores
        self._done: dict[int, dict[str, Any]] = {}

    def rows(self) -> list[dict[str, Any]]:
        """Return the state of every job now."""
        rows = []
        for index, chunk in enumerate(self.chunks):
            row = self._done.get(index) or chunk.row()
            if row["state"] == "done":
                self._done[index] = row
            rows.append(row)
        return rows


def view(rows: Sequence[dict[str, Any]], cores: int, *, height: int = 24, step: str = "") -> RenderableType:
    """Return the view of all jobs: a line per running job with bar, last values and time left, and one for the whole.

    Args:
        rows: states of all jobs, see `status`.
        cores: that jobs without a GPU share.
        height: lines of the terminal; where more jobs run, the rest is counted.
        step: what the workflow does beside them.

    Returns:
        What rich renders.
    """
    running = [row for row in rows if row["state"] == "running"]
    jobs = Table.grid(padding=(0, 1))
    for _ in range(4):
        jobs.add_column(no_wrap=True)
    jobs.add_column(no_wrap=True, overflow="ellipsis")
    shown = running[: max(1, height - FRAME)]
    for row in shown:
        left = f"{duration(row['hours_left'] * 3600)} left"
        jobs.add_row(
            Text(row["run"]), Text(f"seeds {row['seeds']}", style="dim"), _bar(row["share"]), Text(left), Text(row["values"], style="dim")
        )
    parts: list[RenderableType] = [jobs]
    if len(running) > len(shown):
        parts.append(Text(f"and {len(running) - len(shown)} more", style="dim"))
    parts.append(_whole(rows, cores, step))
    return Group(*parts)


def _whole(rows: Sequence[dict[str, Any]], cores: int, step: str) -> RenderableType:
    if not rows:
        return Text(step or "starting", style="dim")
    total, left = (sum(row[key] for row in rows) for key in ("hours", "hours_left"))
    tasks = [planning.Task(row["hours_left"] * 60, 0, 0, row["cores"] or 1) for row in rows if row["hours_left"]]
    counts = {state: sum(row["state"] == state for row in rows) for state in ("running", "failed", "stopped", "waiting")}
    texts = [f"{sum(row['state'] == 'done' for row in rows)} of {len(rows)} jobs done"]
    texts += [f"{count} {state}" for state, count in counts.items() if count]
    ends = f"about {duration(planning.wall_minutes(tasks, gpus=0, cores=cores) * 60)} left" if tasks else ""
    line = Table.grid(padding=(0, 1))
    for _ in range(3):
        line.add_column(no_wrap=True)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_row(
        Text(", ".join(texts), style="bold"), _bar(1 - left / total if total else 1.0), Text(ends, style="bold"), Text(step, style="dim")
    )
    return line


def _bar(share: float) -> ProgressBar:
    return ProgressBar(total=1.0, completed=min(1.0, max(0.0, share)), width=BAR)


class Log:
    """The log of a Snakemake that is running: what it does now, and how far it is.

    Args:
        path: file that gets its lines.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.step, self.done = path, "", ""
        self._read = 0

    def now(self) -> str:
        """Return the step that was started last, with the number of steps that are done."""
        with self.path.open(encoding="utf-8", errors="replace") as file:
            file.seek(self._read)
            lines = file.readlines()
            self._read = file.tell()
        for line in lines:
            if started := _STARTED.match(line):
                self.step = started[1]
            if steps := _STEPS.match(line):
                self.done = f"step {steps[1]} of {steps[2]}"
        return ": ".join(part for part in (self.done, self.step) if part)

    def failure(self) -> str:
        """Return its lines from the first error on."""
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        first = next((index for index, line in enumerate(lines) if _FAILED.match(line)), max(0, len(lines) - TAIL))
        return "\n".join(line[:300] for line in lines[first : first + TAIL])


def follow(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="Snakemake with its arguments, behind `--`.")],
    log: Annotated[Path, typer.Option(metavar="FILE", help="File that gets what the command prints.")],
    tier: TierOption = DEFAULT_TIER,
    source: SourceOption = "runs",
) -> None:
    """Run Snakemake with its output in a file, and show the jobs of a tier live meanwhile; for `make report` in a terminal."""
    log.parent.mkdir(parents=True, exist_ok=True)
    cores = os.cpu_count() or 1
    jobs = planned_chunks(tier, paper_names(), Path("results") / tier, None) if source == "runs" else []
    board, lines = Board(jobs, cores), Log(log)
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        with Live(auto_refresh=False, transient=True) as live:
            while process.poll() is None:
                live.update(view(board.rows(), cores, height=live.console.height, step=lines.now()), refresh=True)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(REFRESH)
    except KeyboardInterrupt:  # the terminal sent it to Snakemake as well, which lets its jobs save their state
        print("Stopping; finished seeds stay, and the same command goes on where it was.", file=sys.stderr)
        process.wait()
    if process.returncode:
        print(f"{lines.failure()}\n\nThe whole log: {log}", file=sys.stderr)
        raise typer.Exit(1 if process.returncode > 0 else 128 - process.returncode)
