"""`run`: train and measure runs of one paper."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from replications.commands.options import DEFAULT_TIER, DeviceOption, PaperArgument, TierOption
from replications.errors import InputError
from replications.memory import available_gb
from replications.registry import run_grid as grid


def run_runs(
    paper: PaperArgument,
    names: Annotated[list[str] | None, typer.Argument(metavar="RUN...", help="One or more runs of it.")] = None,
    tier: TierOption = DEFAULT_TIER,
    seeds: Annotated[str | None, typer.Option(help="Seeds, for example 0-4; default: all planned.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of results to write; default: results/TIER.")] = None,
    device: DeviceOption = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of all processes; default: as runs.yaml plans.")] = None,
    log: Annotated[Path | None, typer.Option(help="File that also gets the progress lines.")] = None,
    checkpoint_seconds: Annotated[float, typer.Option(min=0, help="Seconds between two checkpoints.")] = 30.0,
    state: Annotated[Path | None, typer.Option(help="Folder of unfinished runs; default: beside the results.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes that train together; default: one per GPU of the run.")] = None,
    ignore_memory: Annotated[
        bool, typer.Option("--ignore-memory", help="Start even where less memory is available than the runs state.")
    ] = False,
    show_launch: Annotated[bool, typer.Option("--show-launch", help="Print the launch command and exit.")] = False,
) -> None:
    """Train and measure runs of one paper, one after the other; unfinished ones are resumed."""
    if not names:
        planned = ", ".join(run.name for run in grid.load_runs(paper, tier))
        raise InputError(f"Name one or more runs of {paper} at tier {tier}: {planned or '(none)'}.")
    runs = [grid.find_run(paper, tier, name) for name in names]
    only_seeds = grid.parse_seeds(seeds) if seeds else None
    from replications.engine import launch

    if not (ignore_memory or show_launch or launch.granted(os.environ)):
        launch.check_memory(runs, available_gb())
    each = launch.prepare(runs, device=device, processes=processes, threads=threads, arguments=sys.argv[1:], show=show_launch)
    if show_launch:
        return

    import torch

    from replications.engine.control import StopRequest
    from replications.engine.distributed import team
    from replications.engine.progress import Progress
    from replications.engine.runner import execute, seed_everything

    torch.set_num_threads(each)
    stop = StopRequest()
    stop.install()
    results = out or Path("results") / tier
    command = shlex.join(["python", "-m", "replications", *sys.argv[1:]])
    with team(device) as ours:
        for run in runs:
            for chunk in [only_seeds] if only_seeds else run.chunks():
                seed_everything()
                progress = Progress(f"{paper} {run.name} seeds {grid.seeds_label(chunk)}", log=log, quiet=not ours.main)
                execute(
                    run,
                    chunk,
                    results,
                    progress=progress,
                    stop=stop,
                    command=command,
                    team=ours,
                    checkpoint_seconds=checkpoint_seconds,
                    state_root=state,
                )
