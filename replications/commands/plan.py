"""`plan`: the cost of a tier, and the claims that it decides."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from replications.commands.options import DEFAULT_TIER, JsonOption, ResultsOption, TierOption, optional_results
from replications.commands.output import print_rows
from replications.registry import run_grid as grid
from replications.registry.papers import paper_names
from workflow import planning


def plan(
    tier: TierOption = DEFAULT_TIER,
    gpus: Annotated[int, typer.Option(min=0, help="Number of GPUs.")] = 8,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores for jobs without a GPU; default: this machine's.")] = None,
    price: Annotated[float, typer.Option(min=0, help="Price of one GPU-hour, in any currency.")] = 2.5,
    budget: Annotated[float | None, typer.Option(min=0, help="GPU-hours to spend; marks the claims that they decide.")] = None,
    results: ResultsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print jobs, GPU-hours, core-hours, wall time and cost of a tier: in total, per paper and per claim.

    Minutes are those of runs.yaml, corrected by what finished runs of the tier measured. Wall time is simulated: longest job first, small
    jobs share a GPU by quarters. Nothing is run.
    """
    cores = cores or os.cpu_count() or 1
    rows = _plan_rows(tier, optional_results(tier, results), gpus, cores, price, budget)
    if as_json:
        print_rows(rows, as_json=True)
        return
    headings = {
        "id": "id",
        "jobs": "jobs",
        "gpu_hours": "GPU h",
        "core_hours": "core h",
        "wall_hours": "wall h",
        "cost": "cost",
        "rests_on": "basis",
    }
    headings |= {"decided": "decided"} if budget is not None else {}
    on_gpus = any(row["gpu_hours"] for row in rows)
    if not on_gpus:
        headings = {key: heading for key, heading in headings.items() if key not in ("gpu_hours", "cost")}
    print_rows([{heading: rounded(row[key]) for key, heading in headings.items()} for row in rows])
    print(f"\n{rows[0]['wall_hours']:,.1f} hours in all with {cores} core{'s' if cores > 1 else ''} for jobs without a GPU.")
    prices = f"{gpus} GPUs, {price:g} per GPU-hour. " if on_gpus else ""
    print(f"{prices}A claim's row is the cost of its runs alone; claims share runs. `status --tier {tier}` says what is left.")


def _plan_rows(tier: str, folder: Path, gpus: int, cores: int, price: float, budget: float | None) -> list[dict[str, Any]]:
    """Return one row for the tier, one per paper and one per claim, with equal keys."""
    hours: dict[tuple[str, str], float] = {}
    core_hours: dict[tuple[str, str], float] = {}
    basis: dict[tuple[str, str], str] = {}
    tasks: dict[tuple[str, frozenset[str]], list[planning.Task]] = {}
    claims = []
    for paper in paper_names():
        runs = grid.load_runs(paper, tier)
        minutes = planning.estimates(runs, folder)
        for run in runs:
            hours[paper, run.name] = minutes[run.name].minutes / 60 * planning.gpu_share(run) * len(run.chunks())
            core_hours[paper, run.name] = minutes[run.name].minutes / 60 * planning.core_count(run) * len(run.chunks())
            basis[paper, run.name] = minutes[run.name].basis
        for job in grid.jobs(paper, tier):
            key = (paper, frozenset(run.name for run in job.runs))
            tasks.setdefault(key, []).append(planning.task(job, minutes))
        claims += planning.claim_costs(paper, tier)
    decided = planning.decided_by(budget, claims, hours) if budget is not None else set()

    def row(level: str, name: str, runs_of_row: set[tuple[str, str]], verdict: bool | None) -> dict[str, Any]:
        row_tasks = [task for (paper, names), jobs in tasks.items() if any((paper, run) in runs_of_row for run in names) for task in jobs]
        gpu_hours = sum(hours[run] for run in runs_of_row)
        return {
            "level": level,
            "id": name,
            "runs": len(runs_of_row),
            "jobs": len(row_tasks),
            "gpu_hours": gpu_hours,
            "core_hours": sum(core_hours[run] for run in runs_of_row),
            "wall_hours": planning.wall_minutes(row_tasks, gpus=gpus, cores=cores) / 60,
            "cost": gpu_hours * price,
            "rests_on": ", ".join(sorted({basis[run] for run in runs_of_row})),
            "decided": verdict,
        }

    whole = [row("tier", tier, set(hours), None)]
    papers = [row("paper", paper, {key for key in hours if key[0] == paper}, None) for paper in paper_names()]
    return (
        whole + papers + [row("claim", claim.id, set(claim.runs), claim.id in decided if budget is not None else None) for claim in claims]
    )


def rounded(value: object) -> object:
    """Format a value for a table.

    Args:
        value: of a row.

    Returns:
        'yes' or 'no' for a truth value, a float with two decimals, any other value unchanged.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.2f}" if isinstance(value, float) else value
