"""`trial`: the first steps of every run of a tier, with its real networks, recipe and data, on any machine."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from replications.commands.options import DEFAULT_TIER, DeviceOption, JsonOption, PapersOption, TierOption
from replications.commands.output import print_rows
from replications.errors import Preempted, ReplicationError
from replications.registry import run_grid as grid
from replications.registry.papers import paper_names
from replications.registry.run_grid import Run


def trial(
    tier: TierOption = DEFAULT_TIER,
    papers: PapersOption = None,
    names: Annotated[list[str] | None, typer.Option("--run", metavar="RUN", help="Only this run; may be repeated.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 2,
    seeds: Annotated[int | None, typer.Option(min=1, help="Number of a run's seeds to train; default: all that share a job.")] = None,
    device: DeviceOption = None,
    peak: Annotated[float, typer.Option(min=0, help="Peak of the GPU that is to run the tier, in TFLOP/s; an H200 in bf16.")] = 989.0,
    utilisation: Annotated[float, typer.Option(min=0, max=1, help="Share of the peak that training is expected to reach.")] = 0.05,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write and keep, so that a second call continues; never a result."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a few steps of every run, evaluate and record, and estimate the tier's minutes from counted FLOPs.

    Networks, batches, recipe and data are those of the run; evaluation is shortened (`Settings.for_trial`), and matrix products are in
    fp32 on a processor without native bf16 (`in_fp32`). One line per run: the steps of all its seeds, counted FLOPs of the whole
    training, milliseconds per step and minutes in all on a GPU of that peak and utilisation, beside the minutes that runs.yaml
    expects, seconds and megabytes here; and sums by paper and of the tier. Exits with 1 when a run failed.
    """
    runs = [run for paper in papers or paper_names() for run in grid.load_runs(paper, tier) if not names or run.name in names]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for run in runs:
            rows.append(_try_run(run, steps, seeds, device, out or Path(scratch), peak * 1e12 * utilisation))
    if as_json:
        print_rows(rows, as_json=True)
    else:
        _print_by_run(rows)
        print(f"\n{len(rows)} runs, {steps} steps of each training; minutes at {utilisation:.0%} of {peak:g} TFLOP/s.")
    failed = [row for row in rows if row["error"]]
    for row in failed:
        print(f"{row['paper']} {row['run']}: {row['error']}", file=sys.stderr)
    if failed:
        raise ReplicationError(f"{len(failed)} of {len(rows)} runs failed: {', '.join(row['run'] for row in failed)}.")


SUMMED = ("PFLOP", "minutes", "expected", "seconds", "MB")


def _print_by_run(rows: list[dict[str, Any]]) -> None:
    """Print one line per run, one per paper with the sums, and one with the sums of all."""
    papers = list(dict.fromkeys(row["paper"] for row in rows))
    summed = {paper: [row for row in rows if row["paper"] == paper] for paper in papers} | ({"all": rows} if len(papers) > 1 else {})
    totals = [
        {"paper": paper, "run": "all", "steps": None, "ms_per_step": None} | {name: sum(row[name] for row in part) for name in SUMMED}
        for paper, part in summed.items()
    ]
    print_rows(
        [
            {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in row.items() if name != "error"}
            for row in [*rows, *totals]
        ]
    )


def _try_run(run: Run, steps: int, n_seeds: int | None, device: str | None, folder: Path, flops_per_second: float) -> dict[str, Any]:
    from replications.engine.control import StopRequest, Trial
    from replications.engine.devices import choose_device, native_bf16
    from replications.engine.distributed import team
    from replications.engine.progress import Progress
    from replications.engine.runner import execute, seed_everything

    chunk, started, error = run.chunks()[0], time.perf_counter(), ""
    seeds, written, planned = chunk[:n_seeds], 0, {"steps": 0.0, "flops": 0.0}
    stop = StopRequest()
    stop.install()
    try:
        shortened = run.settings.for_trial()
        brief = dataclasses.replace(run, settings=shortened if native_bf16(choose_device(device)) else shortened.in_fp32())
        with team(device) as ours:
            seed_everything()
            label = f"{run.paper} {run.name} seeds {grid.seeds_label(seeds)}"
            command = shlex.join(["python", "-m", "replications", *sys.argv[1:]])
            limit = Trial(steps)
            folder_of_chunk = execute(brief, seeds, folder, progress=Progress(label), stop=stop, command=command, team=ours, trial=limit)
            written = sum(path.stat().st_size for path in folder_of_chunk.iterdir())
            planned = json.loads((folder_of_chunk / "provenance.json").read_text(encoding="utf-8"))["trial"]["planned"]
    except Preempted:
        raise
    except Exception as failure:  # of any kind: the other runs are tried all the same, and the command fails at its end
        error = f"{type(failure).__name__}: {failure}"
    # Seeds that were left out, and those of other jobs, cost what these cost.
    share = len(run.seeds) / len(seeds)
    flops, n_steps = planned["flops"] * share, int(planned["steps"] * len(run.chunks()))
    return {
        "paper": run.paper,
        "run": run.name,
        "steps": n_steps,
        "ms_per_step": 1e3 * flops / flops_per_second / n_steps if n_steps else None,
        "PFLOP": flops / 1e15,
        "minutes": flops / flops_per_second / 60,
        "expected": run.resources.minutes * len(run.chunks()),
        "seconds": time.perf_counter() - started,
        "MB": written * share / 1e6,
        "error": error,
    }
