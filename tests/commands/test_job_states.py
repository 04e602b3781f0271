"""The state of a job follows from what its settings mean today, not from how many keys they had when it ran."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from replications.commands.job_states import Chunk
from replications.registry.run_grid import Run, load_runs, run_folder, settings_digest
from replications.results.integrity import check_run
from replications.results.store import Chunk as Finished
from replications.results.store import write_chunk
from tests.factories import provenance_of


@pytest.fixture
def run() -> Run:
    return next(run for run in load_runs("vit_scaling", "smoke") if run.name == "vit-n256")


def finished(results: Path, run: Run, seeds: tuple[int, ...], settings: dict[str, Any]) -> Finished:
    """A chunk that was made with these settings."""
    made = {"settings": settings, "settings_digest": settings_digest(run.paper, run.name, settings)}
    folder = run_folder(results, run, seeds)
    rows: list[dict[str, object]] = [
        {
            "paper": run.paper,
            "run": run.name,
            "seed": seed,
            "split": "test",
            "step": 1,
            "metric": "loss",
            "value": 1 / (3 + seed),
            "unit": "",
        }
        for seed in seeds
    ]
    write_chunk(folder, rows, {}, provenance_of(run, seeds) | made)
    return Finished(folder, run.paper, run.name)


def without_a_key(run: Run) -> dict[str, Any]:
    """Settings of a time before the code had one of the keys, which is at its default."""
    settings = run.settings.model_dump(mode="json")
    key = next(key for key, value in settings.items() if value == type(run.settings).model_fields[key].default)
    return {name: value for name, value in settings.items() if name != key}


def test_a_key_that_came_later_leaves_a_chunk_done(tmp_path: Path, run: Run) -> None:
    finished(tmp_path, run, (0, 1), without_a_key(run))
    assert Chunk(run, (0, 1), tmp_path, tmp_path, 1.0).row()["state"] == "done"


def test_another_value_makes_a_chunk_outdated(tmp_path: Path, run: Run) -> None:
    finished(tmp_path, run, (0, 1), run.settings.model_dump(mode="json") | {"n_images": 255})
    row = Chunk(run, (0, 1), tmp_path, tmp_path, 1.0).row()
    assert (row["state"], row["note"]) == ("outdated", "its settings have changed")


def test_seeds_from_before_and_after_a_key_came_are_averaged_and_those_of_another_value_are_not(tmp_path: Path, run: Run) -> None:
    before = finished(tmp_path, run, (0, 1), without_a_key(run))
    after = finished(tmp_path, run, (2, 3), run.settings.model_dump(mode="json"))
    assert check_run([before, after], "smoke", run).faults == ()
    other = finished(tmp_path, run, (4, 5), run.settings.model_dump(mode="json") | {"n_images": 255})
    (fault,) = check_run([before, after, other], "smoke", run).faults
    assert "different settings" in fault
