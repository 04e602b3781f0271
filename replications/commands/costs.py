"""`results costs`: time, energy and utilisation of a tier, by paper."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from replications.commands.options import DEFAULT_TIER, JsonOption, PapersOption, ResultsOption, SourceOption, TierOption, read_results
from replications.commands.output import print_rows
from replications.registry.papers import paper_names
from replications.results.store import chunks

Provenance = dict[str, Any]


def costs(
    tier: TierOption = DEFAULT_TIER,
    papers: PapersOption = None,
    source: SourceOption = "runs",
    results: ResultsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print job minutes, wall time, energy and GPU utilisation, by paper.

    `wall min` is the time from the first start to the last end. `busy` is the share of the jobs' time in which the device computed,
    `of peak` the counted FLOPs of the trainings divided by the FLOPs that the device could have done in that time. Jobs that share a
    device each measure the whole device, so that its energy is counted once per job.
    """
    by_paper = {
        paper: [
            chunk.provenance
            for of_tier in read_results(paper, tier, source, results).layers
            for run in of_tier.runs()
            for chunk in chunks(of_tier.folder, paper, run.name)
        ]
        for paper in papers or paper_names()
    }
    rows = [summary(paper, jobs) for paper, jobs in by_paper.items()]
    rows.append(summary("all", [job for jobs in by_paper.values() for job in jobs]))
    print_rows(rows if as_json else [{name: _rounded(value) for name, value in row.items()} for row in rows], as_json=as_json)


def summary(name: str, jobs: Sequence[Provenance]) -> dict[str, Any]:
    """Sum up the costs of finished chunks.

    Args:
        name: first column of the row.
        jobs: provenance of the chunks.

    Returns:
        One row: sums over jobs, and means weighted by the seconds of the measurement; None where nothing was measured.
    """
    measured = [job["cost"] for job in jobs if isinstance(job.get("cost"), dict)]
    times = [datetime.fromisoformat(job[when]) for job in jobs for when in ("started", "ended") if job.get(when)]

    def total(amount: str) -> float | None:
        values = [cost[amount] for cost in measured if amount in cost]
        return float(sum(values)) if values else None

    def mean(share: str, weight: str) -> float | None:
        pairs = [(cost[share], cost[weight]) for cost in measured if cost.get(weight) and share in cost]
        return 100 * sum(s * w for s, w in pairs) / sum(w for _, w in pairs) if pairs else None

    seconds, gpu_seconds, joules, flops = total("seconds"), total("gpu_seconds"), total("energy"), total("flops")
    return {
        "paper": name,
        "jobs": len(jobs),
        "job min": seconds and seconds / 60,
        "GPU min": gpu_seconds and gpu_seconds / 60,
        "wall min": (max(times) - min(times)).total_seconds() / 60 if times else None,
        "PFLOP": flops and flops / 1e15,
        "busy %": mean("gpu_busy", "gpu_seconds"),
        "of peak %": mean("utilisation", "train_seconds"),
        "Wh": joules and joules / 3600,
        "resumed": sum(bool(job.get("resumes")) for job in jobs),
    }


def _rounded(value: object) -> object:
    if not isinstance(value, float):
        return "" if value is None else value
    return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
