"""`status`: the progress of a tier, once or as a live view."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from replications.commands.job_states import Chunk, planned_chunks
from replications.commands.live import REFRESH, Board, view
from replications.commands.options import DEFAULT_TIER, JsonOption, PapersOption, ResultsOption, TierOption, optional_results
from replications.commands.output import print_rows
from replications.commands.plan import rounded
from replications.registry.papers import paper_names
from workflow import planning

STATES = ("done", "running", "stopped", "failed", "outdated", "waiting")


def status(
    tier: TierOption = DEFAULT_TIER,
    papers: PapersOption = None,
    results: ResultsOption = None,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of unfinished runs to read; default: beside the results.")
    ] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores for jobs without a GPU; default: this machine's.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it live until everything is done, or Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the state of every run (done, running, stopped, failed, outdated or waiting), progress and last loss, and the hours left."""
    folder = optional_results(tier, results)
    chunks = planned_chunks(tier, papers or paper_names(), folder, state)
    if watch:
        watch_chunks(chunks, cores or os.cpu_count() or 1)
        return
    rows = [chunk.row() for chunk in chunks]
    if as_json:
        print_rows(rows, as_json=True)
        return
    active = [row for row in rows if row["state"] in ("running", "stopped", "failed", "outdated")]
    if active:
        columns = [key for key in active[0] if key not in ("paper", "share", "hours", "gpu_hours_left", "cores")]
        print_rows([{key: rounded(row[key]) for key in columns} for row in active], fold=("values", "note"))
    counts = {state: sum(row["state"] == state for row in rows) for state in STATES}
    resumed = sum(row["resumes"] > 0 for row in rows)
    print(f"{', '.join(f'{count} {state}' for state, count in counts.items() if count)} of {len(rows)}; {resumed} resumed at least once")
    gpu_hours = sum(row["gpu_hours_left"] for row in rows)
    print(f"left: {sum(row['hours_left'] for row in rows):,.2f} job-hours{f', {gpu_hours:,.2f} GPU-hours' if gpu_hours else ''}")
    cores = cores or os.cpu_count() or 1
    tasks = [planning.Task(row["hours_left"] * 60, 0, 0, row["cores"]) for row in rows if row["cores"] and row["hours_left"]]
    if tasks:
        wall = planning.wall_minutes(tasks, gpus=0, cores=cores) / 60
        print(f"jobs without a GPU end in {wall:,.1f} hours on {cores} core{'s' if cores > 1 else ''}")


def watch_chunks(chunks: Sequence[Chunk], cores: int) -> None:
    """Show the state of jobs until all are done or Ctrl-C is pressed.

    Args:
        chunks: all jobs.
        cores: that jobs without a GPU share.
    """
    from rich.live import Live

    board = Board(chunks, cores)
    with contextlib.suppress(KeyboardInterrupt), Live(auto_refresh=False) as live:
        while True:
            rows = board.rows()
            live.update(view(rows, cores, height=live.console.height), refresh=True)
            if all(row["state"] == "done" for row in rows):
                break
            time.sleep(REFRESH)
