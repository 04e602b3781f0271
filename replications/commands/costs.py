"""`costs`: what a tier took, by paper."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from replications.commands.judging import OpenTierOption, SourceOption, result_place
from replications.commands.output import print_rows
from replications.registry.papers import paper_names
from replications.registry.run_grid import load_runs
from replications.results.store import chunks

Sidecar = dict[str, Any]


def costs(
    tier: OpenTierOption = None,
    source: SourceOption = "runs",
    out: Annotated[Path | None, typer.Option(help="Folder of the results; default results/<tier>.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Minutes of all jobs and from the first to the last, energy, and how busy the GPU was, by paper.

    `busy` is the share of the jobs' time in which the device computed, `of peak` counted FLOPs of the trainings over what the device
    could have done meanwhile. Jobs that share a device each see the whole of it: their busy time is its, their energy counts twice.
    """
    chosen, folder = result_place(tier, source, out)
    rows, everything = [], []
    for paper in paper_names():
        found = [chunk.provenance for run in load_runs(paper, chosen) for chunk in chunks(folder, paper, run.name)]
        everything += found
        rows.append(summary(paper, found))
    rows.append(summary("all", everything))
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        print_rows([{name: _shown(value) for name, value in row.items()} for row in rows])


def summary(name: str, sidecars: Sequence[Sidecar]) -> dict[str, Any]:
    """One line: sums over jobs; means weighted by the seconds that they are of. None where nothing was measured."""
    known = [sidecar["cost"] for sidecar in sidecars if isinstance(sidecar.get("cost"), dict)]
    times = [datetime.fromisoformat(sidecar[when]) for sidecar in sidecars for when in ("started", "ended") if sidecar.get(when)]

    def total(amount: str) -> float | None:
        values = [cost[amount] for cost in known if amount in cost]
        return float(sum(values)) if values else None

    def mean(share: str, weight: str) -> float | None:
        pairs = [(cost[share], cost[weight]) for cost in known if cost.get(weight) and share in cost]
        return 100 * sum(s * w for s, w in pairs) / sum(w for _, w in pairs) if pairs else None

    seconds, gpu_seconds, joules, flops = total("seconds"), total("gpu_seconds"), total("energy"), total("flops")
    return {
        "paper": name,
        "jobs": len(sidecars),
        "job min": seconds and seconds / 60,
        "GPU min": gpu_seconds and gpu_seconds / 60,
        "wall min": (max(times) - min(times)).total_seconds() / 60 if times else None,
        "PFLOP": flops and flops / 1e15,
        "busy %": mean("gpu_busy", "gpu_seconds"),
        "of peak %": mean("utilisation", "train_seconds"),
        "Wh": joules and joules / 3600,
        "resumed": sum(bool(sidecar.get("resumes")) for sidecar in sidecars),
    }


def _shown(value: object) -> object:
    return (
        ""
        if value is None
        else f"{value:,.3g}"
        if isinstance(value, float) and value < 100
        else f"{value:,.0f}"
        if isinstance(value, float)
        else value
    )
