"""`plan` and `status`: what a tier will cost and decide, and how far it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from replications.commands.output import check_tier, print_rows
from replications.engine.locks import held, holder
from replications.errors import InputError
from replications.registry import run_grid as grid
from replications.registry.papers import paper_names
from replications.registry.run_grid import Run
from workflow import planning

TierOption = Annotated[str, typer.Option(help="How much compute: smoke, gpu or paper.")]
FolderOption = Annotated[Path | None, typer.Option("--out", help="Folder of the tier's results; default results/<tier>.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a list of objects.")]


def plan(
    tier: TierOption = "paper",
    gpus: Annotated[int, typer.Option(min=0, help="GPUs that work at the same time.")] = 8,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores for jobs without a GPU; default: this machine's.")] = None,
    price: Annotated[float, typer.Option(min=0, help="Of one GPU-hour, in any currency.")] = 2.5,
    budget: Annotated[float | None, typer.Option(min=0, help="GPU-hours to spend: which claims would they decide?")] = None,
    out: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Jobs, GPU-hours, wall time and cost of a tier, in all, per paper and per claim.

    Minutes are those of runs.yaml, corrected by what finished runs of the tier measured. Wall time is simulated: longest job
    first, small jobs sharing a GPU by quarters. Nothing is run.
    """
    check_tier(tier)
    folder = out or Path("results") / tier
    rows = _plan_rows(tier, folder, gpus, cores or os.cpu_count() or 1, price, budget)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    headings = {"id": "id", "jobs": "jobs", "gpu_hours": "GPU h", "wall_hours": "wall h", "cost": "cost", "rests_on": "rests on"}
    headings |= {"decided": "decided"} if budget is not None else {}
    print_rows([{heading: _rounded(row[key]) for key, heading in headings.items()} for row in rows])
    print(f"\n{gpus} GPUs, {price:g} per GPU-hour. A claim's line is the cost of its runs alone; claims share runs.")


def _plan_rows(tier: str, folder: Path, gpus: int, cores: int, price: float, budget: float | None) -> list[dict[str, Any]]:
    """One row for everything, one per paper, one per claim, with equal keys."""
    hours: dict[tuple[str, str], float] = {}
    basis: dict[tuple[str, str], str] = {}
    tasks: dict[tuple[str, frozenset[str]], list[planning.Task]] = {}
    claims = []
    for paper in paper_names():
        runs = grid.load_runs(paper, tier)
        minutes = planning.estimates(runs, folder)
        for run in runs:
            hours[paper, run.name] = minutes[run.name].minutes / 60 * planning.gpu_share(run) * len(run.chunks())
            basis[paper, run.name] = minutes[run.name].basis
        for job in grid.jobs(paper, tier):
            key = (paper, frozenset(run.name for run in job.runs))
            tasks.setdefault(key, []).append(planning.task(job, minutes))
        claims += planning.claim_costs(paper, tier)
    decided = planning.decided_by(budget, claims, hours) if budget is not None else set()

    def row(level: str, name: str, wanted: set[tuple[str, str]], verdict: bool | None) -> dict[str, Any]:
        chosen = [one for (paper, names), many in tasks.items() if any((paper, run) in wanted for run in names) for one in many]
        spent = sum(hours[run] for run in wanted)
        rests = sorted({basis[run] for run in wanted})
        return {
            "level": level,
            "id": name,
            "runs": len(wanted),
            "jobs": len(chosen),
            "gpu_hours": spent,
            "wall_hours": planning.wall_minutes(chosen, gpus=gpus, cores=cores) / 60,
            "cost": spent * price,
            "rests_on": ", ".join(rests),
            "decided": verdict,
        }

    whole = [row("tier", tier, set(hours), None)]
    papers = [row("paper", paper, {key for key in hours if key[0] == paper}, None) for paper in paper_names()]
    return (
        whole + papers + [row("claim", claim.id, set(claim.runs), claim.id in decided if budget is not None else None) for claim in claims]
    )


def _rounded(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.2f}" if isinstance(value, float) else value


def status(
    tier: TierOption = "smoke",
    paper: Annotated[str | None, typer.Option(help="Only this paper.")] = None,
    out: FolderOption = None,
    state: Annotated[Path | None, typer.Option(help="Folder of unfinished runs, when not beside the results.")] = None,
    as_json: JsonOption = False,
) -> None:
    """What is done, running, stopped, failed and waiting; how far each running job is, its last loss, and the hours left."""
    check_tier(tier)
    if paper is not None and paper not in paper_names():
        raise InputError(f"No paper is called '{paper}'. Valid: {', '.join(paper_names())}.")
    folder = out or Path("results") / tier
    rows = []
    for name in [paper] if paper else paper_names():
        runs = grid.load_runs(name, tier)
        minutes = planning.estimates(runs, folder)
        rows += [_chunk(run, seeds, folder, state or folder, minutes[run.name].minutes) for run in runs for seeds in run.chunks()]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    active = [row for row in rows if row["state"] in ("running", "stopped", "failed", "outdated")]
    if active:
        print_rows([{key: _rounded(value) for key, value in row.items() if key not in ("paper", "gpu_hours_left")} for row in active])
    counts = {
        state: sum(row["state"] == state for row in rows) for state in ("done", "running", "stopped", "failed", "outdated", "waiting")
    }
    resumed = sum(row["resumes"] > 0 for row in rows)
    print(f"{', '.join(f'{count} {state}' for state, count in counts.items() if count)} of {len(rows)}; {resumed} resumed at least once")
    gpu_hours = sum(row["gpu_hours_left"] for row in rows)
    print(f"left: {sum(row['hours_left'] for row in rows):,.2f} job-hours, {gpu_hours:,.2f} GPU-hours")


def _json(path: Path) -> dict[str, Any]:
    """A file's object, or nothing: it is being replaced, or was never written."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _chunk(run: Run, seeds: tuple[int, ...], results: Path, unfinished: Path, minutes: float) -> dict[str, Any]:
    """How far one chunk of a run is, from its sidecar, its lock and what its job writes beside its checkpoints."""
    folder = grid.run_folder(results, run, seeds)
    state = grid.run_folder(unfinished, run, seeds).parent / ".state" / folder.name
    lock = state.with_name(f"{state.name}.lock")
    sidecar, progress, failure = _json(folder / "provenance.json"), _json(state / "progress.json"), _json(state / "failure.json")
    share, note = 0.0, ""
    if held(lock):
        word, share, note = "running", _share(progress), f"on {holder(lock).get('host', '?')}"
    elif sidecar and sidecar.get("settings_digest") == run.digest:
        word, share = "done", 1.0
    elif failure:
        word, share, note = "failed", _share(progress), str(failure.get("error", ""))
    elif progress:
        word, share, note = "stopped", _share(progress), "the next attempt continues here"
    elif sidecar:
        word, note = "outdated", "its settings have changed"
    else:
        word = "waiting"
    values = progress.get("values", {}) if word != "done" else {}
    hours = minutes / 60 * (1 - share)
    return {
        "paper": run.paper,
        "run": f"{run.paper} {run.name}",
        "seeds": grid.seeds_label(seeds),
        "state": word,
        "progress": f"{progress['stage']} {progress['done']:,}/{progress['total']:,}" if progress and word != "done" else "",
        "values": "  ".join(f"{name} {value:.4g}" for name, value in values.items()),
        "resumes": int(sidecar.get("resumes", 0) if word == "done" else progress.get("resumes", 0)),
        "hours_left": hours,
        "gpu_hours_left": hours * planning.gpu_share(run),
        "note": note,
    }


def _share(progress: dict[str, Any]) -> float:
    return progress["done"] / progress["total"] if progress.get("total") else 0.0
