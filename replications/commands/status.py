"""`status`: the progress of a tier."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from replications.commands.options import DEFAULT_TIER, JsonOption, PapersOption, ResultsOption, TierOption, optional_results
from replications.commands.output import print_rows
from replications.commands.plan import rounded
from replications.engine.locks import held, holder
from replications.registry import run_grid as grid
from replications.registry.papers import paper_names
from replications.registry.run_grid import Run
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
    as_json: JsonOption = False,
) -> None:
    """Print the state of every run (done, running, stopped, failed, outdated or waiting), progress and last loss, and the hours left."""
    folder = optional_results(tier, results)
    rows = []
    for name in papers or paper_names():
        runs = grid.load_runs(name, tier)
        minutes = planning.estimates(runs, folder)
        rows += [_chunk(run, seeds, folder, state or folder, minutes[run.name].minutes) for run in runs for seeds in run.chunks()]
    if as_json:
        print_rows(rows, as_json=True)
        return
    active = [row for row in rows if row["state"] in ("running", "stopped", "failed", "outdated")]
    if active:
        columns = [key for key in active[0] if key not in ("paper", "gpu_hours_left", "cores")]
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


def _json(path: Path) -> dict[str, Any]:
    """Return the object in a file; empty while the file is being replaced, or if it does not exist."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _chunk(run: Run, seeds: tuple[int, ...], results: Path, unfinished: Path, minutes: float) -> dict[str, Any]:
    """Return the row of one chunk, from its provenance, its lock and the progress that its job writes beside its checkpoints."""
    folder = grid.run_folder(results, run, seeds)
    state = grid.run_folder(unfinished, run, seeds).parent / ".state" / folder.name
    lock = state.with_name(f"{state.name}.lock")
    provenance, progress, failure = _json(folder / "provenance.json"), _json(state / "progress.json"), _json(state / "failure.json")
    share, note = 0.0, ""
    if held(lock):
        state_name, share, note = "running", _share(progress), f"on {holder(lock).get('host', '?')}"
    elif provenance and provenance.get("settings_digest") == run.digest:
        state_name, share = "done", 1.0
    elif failure:
        state_name, share, note = "failed", _share(progress), str(failure.get("error", ""))
    elif progress:
        state_name, share, note = "stopped", _share(progress), "the next attempt resumes here"
    elif provenance:
        state_name, note = "outdated", "its settings have changed"
    else:
        state_name = "waiting"
    values = progress.get("values", {}) if state_name != "done" else {}
    hours = minutes / 60 * (1 - share)
    return {
        "paper": run.paper,
        "run": f"{run.paper} {run.name}",
        "seeds": grid.seeds_label(seeds),
        "state": state_name,
        "progress": f"{progress['stage']} {progress['done']:,}/{progress['total']:,}" if progress and state_name != "done" else "",
        "values": "  ".join(f"{name} {value:.4g}" for name, value in values.items()),
        "resumes": int(provenance.get("resumes", 0) if state_name == "done" else progress.get("resumes", 0)),
        "hours_left": hours,
        "gpu_hours_left": hours * planning.gpu_share(run),
        "cores": planning.core_count(run),
        "note": note,
    }


def _share(progress: dict[str, Any]) -> float:
    return progress["done"] / progress["total"] if progress.get("total") else 0.0
