"""A small paper in a temporary folder, and records as runs would leave them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import settings

from replications import paths
from replications.registry import papers as spec
from replications.registry import run_grid as grid
from replications.registry.papers import Paper, read_paper
from replications.registry.run_grid import Run, settings_digest
from replications.registry.settings import RunSettings
from replications.results.reader import Results
from replications.results.store import chunks, collect, write_chunk

# Timings are noisy where jobs share cores, and a suite that fails at random teaches nobody anything.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")

PAPER: dict[str, Any] = {
    "short": "Tea tasting",
    "question": "Can it be told whether milk or tea went in first?",
    "citation": {"title": "The Design of Experiments", "authors": ["Fisher, Ronald A."], "year": 1935, "venue": "Oliver and Boyd"},
    "tables": {
        "cups": {
            "title": "Cups & errors",
            "location": "Table 1, 50 % of cups",
            "measures": {"error": {"label": "Error", "metric": "error", "unit": "%", "better": "lower"}},
            "versions": {"book": {"label": "Book", "evidence": "paper"}, "note": {"label": "Draft", "evidence": "recalled"}},
            "rows": [
                {"label": "Lady_1", "run": "lady", "published": {"book": 1.29, "note": 1.5}},
                {"label": "Guest", "run": "guest", "published": {"book": 50}},
                {"label": "Robot", "run": "robot", "ours_only": True},
            ],
        }
    },
    "claims": [
        {
            "id": "lady-error",
            "claim": "The lady errs in 1.29 % of cups.",
            "location": "Table 1",
            "evidence": "paper",
            "kind": "value",
            "primary": True,
            "unit": "%",
            "published": 1.29,
            "margin": 0.3,
            "better": "lower",
            "seeds": 5,
            "reason": "Three seed standard deviations.",
            "measure": {"run": "lady", "metric": "error"},
            "tiers": {"gpu": {}, "smoke": {"proxy": "Three cups instead of eight.", "margin": 1, "seeds": 3}},
        }
    ],
}


@pytest.fixture
def paper_content() -> dict[str, Any]:
    """A valid `paper.yaml` that a test may change."""
    return copy.deepcopy(PAPER)


@pytest.fixture
def make_paper(tmp_path: Path, paper_content: dict[str, Any]) -> Callable[..., Paper]:
    """Read the paper from a file, its claims replaced or updated by the ones given."""

    def make(*claims: dict[str, Any]) -> Paper:
        template = copy.deepcopy(PAPER["claims"][0])
        if claims:
            others = {key: value for key, value in template.items() if key not in ("measure", "published", "margin", "better")}
            others["tiers"] = {"gpu": {}, "smoke": {"proxy": "Three cups instead of eight.", "seeds": 3}}
            paper_content["claims"] = [
                (template if claim.get("kind", "value") == "value" else others) | {"id": f"claim-{i}"} | claim
                for i, claim in enumerate(claims)
            ]
        folder = tmp_path / "tea"
        folder.mkdir(exist_ok=True)
        (folder / "paper.yaml").write_text(yaml.safe_dump(paper_content), encoding="utf-8")
        return read_paper(folder)

    return make


def write_finished(
    results: Path,
    paper: str,
    run: str,
    seeds: Sequence[int],
    metrics: Mapping[str, Sequence[float]],
    *,
    units: Mapping[str, str] | None = None,
    arrays: dict[str, np.ndarray] | None = None,
    settings: dict[str, Any] | None = None,
    **provenance: Any,
) -> Path:
    """Write a finished chunk as a run leaves it: values of the test split in the order of the seeds; keys of the provenance may be changed."""
    rows: list[dict[str, object]] = [
        {
            "paper": paper,
            "run": run,
            "seed": seed,
            "split": "test",
            "step": 1,
            "metric": name,
            "value": value,
            "unit": (units or {}).get(name, ""),
        }
        for name, values in metrics.items()
        for seed, value in zip(seeds, values, strict=False)
    ]
    # Trained seeds never agree in everything, and every seed of a chunk has records.
    rows += [
        {"paper": paper, "run": run, "seed": seed, "split": "train", "step": 1, "metric": "loss", "value": 1 / (3 + seed), "unit": ""}
        for seed in seeds
    ]
    settings = settings or {}
    content = {
        "paper": paper,
        "run": run,
        "tier": "gpu",
        "seeds": list(seeds),
        "started": "2026-01-02T00:00:00+00:00",
        "ended": "2026-01-02T01:00:00+00:00",
        "commit": "c0ffee" * 6,
        "dirty": False,
        "settings": settings,
        "settings_digest": settings_digest(paper, run, settings),
        "data": {"cups/test": {"fingerprint": "abcdef0123456789"}},
        "cost": {"seconds": 1.5},
    }
    chunk = results / paper / run / f"seeds-{seeds[0]}-{seeds[-1]}"
    write_chunk(chunk, rows, arrays or {}, content | provenance)
    return chunk


@pytest.fixture
def finish(tmp_path: Path) -> Callable[..., None]:
    """Write a finished chunk of the paper: finish('lady', error=[1.2, 1.3]); values in seed order from `first`."""

    def write(
        run: str,
        *,
        first: int = 0,
        arrays: dict[str, np.ndarray] | None = None,
        changes: dict[str, Any] | None = None,
        **metrics: list[float],
    ) -> None:
        n = max(len(values) for values in (*metrics.values(), *(arrays or {}).values()))
        write_finished(tmp_path / "results", "tea", run, range(first, first + n), metrics, arrays=arrays, **(changes or {}))

    return write


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Results]:
    """What is on disk of the paper at a tier."""

    def results(paper: Paper, tier: str = "gpu") -> Results:
        folder = tmp_path / "results"
        runs = sorted(path.name for path in (folder / "tea").glob("*") if path.is_dir())
        return Results(paper, tier, folder, collect(partial(chunks, folder, "tea"), runs))

    return results


def provenance_of(run: Run, seeds: Sequence[int]) -> dict[str, Any]:
    """The least that a finished chunk of a planned run says of itself, for `write_chunk`."""
    settings = run.settings.model_dump(mode="json")
    content = {
        "paper": run.paper,
        "run": run.name,
        "tier": run.tier,
        "seeds": list(seeds),
        "settings": settings,
        "settings_digest": run.digest,
    }
    return content | {"labels": run.labels, "cost": {"seconds": 1.0}}


class Settings(RunSettings):
    """A paper without settings."""


@pytest.fixture
def discovered(tmp_path: Path, make_paper: Callable[..., Paper], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the paper, with three planned runs at tier gpu, one that discovery finds."""
    make_paper()
    grids = "tiers: {gpu: {seeds: 5, runs: {lady: {}, guest: {}, robot: {}}}}\n"
    (tmp_path / "tea" / "runs.yaml").write_text(grids, encoding="utf-8")
    monkeypatch.setattr(paths, "PAPERS", tmp_path)
    monkeypatch.setattr(grid, "settings_model", lambda _: Settings)
    spec.load_paper.cache_clear()
    grid.load_runs.cache_clear()
    yield
    spec.load_paper.cache_clear()
    grid.load_runs.cache_clear()


@pytest.fixture
def results(tmp_path: Path, discovered: None, finish: Callable[..., None]) -> Path:
    """A results folder of a paper that discovery finds."""
    finish("lady", error=[1.3, 1.25, 1.35, 1.31, 1.2])
    return tmp_path / "results"
