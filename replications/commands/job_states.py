"""The state of every planned job of a tier, from the files that jobs write: provenance, progress, failures and locks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replications.engine.locks import held, holder
from replications.registry import run_grid as grid
from replications.registry.run_grid import Run
from workflow import planning


@dataclass(frozen=True)
class Chunk:
    """One planned job: some seeds of a run.

    Attributes:
        run: the run.
        seeds: of the job.
        results: folder of finished chunks.
        unfinished: folder of the jobs' state.
        minutes: what it is expected to take.
    """

    run: Run
    seeds: tuple[int, ...]
    results: Path
    unfinished: Path
    minutes: float

    def row(self) -> dict[str, Any]:
        """Return its state now, see `status`."""
        return _row(self.run, self.seeds, self.results, self.unfinished, self.minutes)


def planned_chunks(tier: str, papers: Sequence[str], results: Path, state: Path | None) -> list[Chunk]:
    """Return all jobs of a tier.

    Args:
        tier: name of the tier.
        papers: names of papers.
        results: folder of results.
        state: folder of unfinished jobs; None: beside the results.

    Returns:
        Jobs by paper, in the order declared.
    """
    chunks = []
    for name in papers:
        runs = grid.load_runs(name, tier)
        minutes = planning.estimates(runs, results)
        chunks += [Chunk(run, seeds, results, state or results, minutes[run.name].minutes) for run in runs for seeds in run.chunks()]
    return chunks


def _json(path: Path) -> dict[str, Any]:
    """Return the object in a file; empty while the file is being replaced, or if it does not exist."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _row(run: Run, seeds: tuple[int, ...], results: Path, unfinished: Path, minutes: float) -> dict[str, Any]:
    """Return the row of one chunk, from its provenance, its lock and the progress that its job writes beside its checkpoints."""
    folder = grid.run_folder(results, run, seeds)
    state = grid.run_folder(unfinished, run, seeds).parent / ".state" / folder.name
    lock = state.with_name(f"{state.name}.lock")
    provenance, progress, failure = _json(folder / "provenance.json"), _json(state / "progress.json"), _json(state / "failure.json")
    share, note = 0.0, ""
    if held(lock):
        state_name, share, note = "running", _share(progress), f"on {holder(lock).get('host', '?')}"
    elif provenance and grid.same_settings(provenance.get("settings"), run):
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
        "share": share,
        "hours": minutes / 60,
        "hours_left": hours,
        "gpu_hours_left": hours * planning.gpu_share(run),
        "cores": planning.core_count(run),
        "note": note,
    }


def _share(progress: dict[str, Any]) -> float:
    return progress["done"] / progress["total"] if progress.get("total") else 0.0
