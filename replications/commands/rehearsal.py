"""`rehearse`: the first steps of every run of a tier, with its real settings and data, on whatever machine there is."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from replications.commands.output import check_tier, print_rows
from replications.evidence import runs as grid
from replications.evidence.errors import Preempted, ReplicationError
from replications.evidence.runs import Run
from replications.evidence.spec import load_paper, paper_names


def rehearse(
    tier: Annotated[str, typer.Option(help="How much compute: smoke, gpu or paper.")] = "gpu",
    papers: Annotated[list[str] | None, typer.Option("--paper", help="Only this paper; may be given again.")] = None,
    names: Annotated[list[str] | None, typer.Option("--run", help="Only this run of one --paper; may be given again.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 2,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; default: a GPU if there is one.")] = None,
    peak: Annotated[float, typer.Option(min=0, help="Peak of the GPU that is to run the tier, in TFLOP/s; an H200 in bf16.")] = 989.0,
    utilisation: Annotated[float, typer.Option(min=0, max=1, help="Share of the peak that training is expected to reach.")] = 0.05,
    keep: Annotated[Path | None, typer.Option(help="Folder that keeps what the runs write, to draw figures from; never a result.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Train a few steps of every run, evaluate and record, and estimate the tier's minutes from counted FLOPs.

    One line per run: the steps of all its seeds, seconds of one here, counted FLOPs, the minutes these take on a GPU of that
    peak and utilisation beside those that runs.yaml expects, megabytes written. Exits with 1 when a run failed.
    """
    check_tier(tier)
    chosen = [
        run for paper in papers or paper_names() for run in grid.load_runs(load_paper(paper).name, tier) if not names or run.name in names
    ]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for run in chosen:
            rows.append(_rehearse(run, steps, device, keep or Path(scratch), peak * 1e12 * utilisation))
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        shown = [{name: f"{value:.3g}" if isinstance(value, float) else value for name, value in row.items()} for row in rows]
        print_rows([{name: value for name, value in row.items() if name != "error"} for row in shown])
        print(f"\n{len(rows)} runs, {steps} steps of each training; minutes at {utilisation:.0%} of {peak:g} TFLOP/s.")
    failed = [row for row in rows if row["error"]]
    for row in failed:
        print(f"{row['paper']} {row['run']}: {row['error']}", file=sys.stderr)
    if failed:
        raise ReplicationError(f"{len(failed)} of {len(rows)} runs failed: {', '.join(row['run'] for row in failed)}.")


def _rehearse(run: Run, steps: int, device: str | None, folder: Path, flops_per_second: float) -> dict[str, Any]:
    from replications.engine.context import Rehearsal, StopRequest
    from replications.engine.distributed import team
    from replications.engine.progress import Progress
    from replications.engine.runner import execute, seed_everything

    seeds, began, error = run.chunks()[0], time.perf_counter(), ""
    cut, stop, written, pace = Rehearsal(steps), StopRequest(), 0, None
    stop.install()
    try:
        with team(device) as ours:
            seed_everything()
            label = f"{run.paper} {run.name} seeds {grid.seeds_label(seeds)}"
            command = shlex.join(["python", "-m", "replications", *sys.argv[1:]])
            made = execute(run, seeds, folder, progress=Progress(label), stop=stop, command=command, team=ours, rehearsal=cut)
            written = sum(path.stat().st_size for path in made.iterdir())
            pace = json.loads((made / "provenance.json").read_text(encoding="utf-8"))["cost"].get("train_seconds")
    except Preempted:
        raise
    except Exception as failure:  # of any kind: the other runs are rehearsed all the same, and the command fails at its end
        error = f"{type(failure).__name__}: {failure}"
    chunks = len(run.chunks())
    flops = cut.planned["flops"] * chunks
    return {
        "paper": run.paper,
        "run": run.name,
        "steps": int(cut.planned["steps"] * chunks),
        "PFLOP": flops / 1e15,
        "minutes": flops / flops_per_second / 60,
        "expected": run.resources.minutes * chunks,
        "train_s": pace,
        "seconds": time.perf_counter() - began,
        "MB": written / 1e6,
        "error": error,
    }
