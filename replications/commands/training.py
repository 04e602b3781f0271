"""`list` and `run`: what there is to train at a tier, and training it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from replications.commands.output import check_tier, print_rows
from replications.registry import run_grid as grid
from replications.registry.papers import load_paper, paper_names

TierOption = Annotated[str, typer.Option(help="How much compute: smoke, gpu or paper.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a list of objects.")]


def list_runs(tier: TierOption = "smoke", as_json: JsonOption = False) -> None:
    """Papers, runs, seeds and the expected cost at a tier."""
    check_tier(tier)
    rows = [
        {
            "paper": run.paper,
            "run": run.name,
            "tier": tier,
            "seeds": len(run.seeds),
            "jobs": len(run.chunks()),
            "group": run.group,
            "minutes": run.resources.minutes * len(run.chunks()),
            "memory_gb": run.resources.memory_gb,
            "gpus": run.resources.gpus,
            "location": run.location,
            "expected": run.expected,
        }
        for name in paper_names()
        for run in grid.load_runs(name, tier)
    ]
    print_rows(rows, as_json=as_json)


def run_runs(
    paper: Annotated[str, typer.Argument(help="Paper, as `list` names it.")],
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="One or more runs of it.")],
    tier: TierOption = "smoke",
    seeds: Annotated[str | None, typer.Option(help="Seeds, for example 0-4; default: all planned.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the tier's results; default results/<tier>.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; default: a GPU if there is one.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of this process; default: torch's choice.")] = None,
    log: Annotated[Path | None, typer.Option(help="File that also gets the progress lines.")] = None,
    checkpoint_seconds: Annotated[float, typer.Option(min=0, help="Seconds between two checkpoints.")] = 30.0,
    state: Annotated[Path | None, typer.Option(help="Folder of unfinished runs; default: beside the results.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes that train together; default: one per GPU of the run.")] = None,
    show_launch: Annotated[bool, typer.Option("--show-launch", help="Print the command that starts them, and end.")] = False,
) -> None:
    """Train and measure runs of one paper, one after the other, resuming what was begun."""
    check_tier(tier)
    load_paper(paper)
    chosen = [grid.find_run(paper, tier, name) for name in names]
    wanted = grid.parse_seeds(seeds) if seeds else None
    from replications.engine import launch

    team_size = launch.prepare(chosen, device=device, processes=processes, threads=threads, arguments=sys.argv[1:], show=show_launch)
    if show_launch:
        return

    import torch

    from replications.engine.context import StopRequest
    from replications.engine.distributed import team
    from replications.engine.progress import Progress
    from replications.engine.runner import execute, seed_everything

    if threads:
        torch.set_num_threads(max(1, threads // team_size))
    stop = StopRequest()
    stop.install()
    results = out or Path("results") / tier
    command = shlex.join(["python", "-m", "replications", *sys.argv[1:]])
    with team(device) as ours:
        for run in chosen:
            for chunk in [wanted] if wanted else run.chunks():
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
