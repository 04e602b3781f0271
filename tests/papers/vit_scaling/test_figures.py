"""Every figure and the exhibit can be drawn at the tiers that have their runs, from made-up results."""

import inspect
import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib import pyplot as plt

from replications.papers.vit_scaling import exhibits, figure_data, figures
from replications.papers.vit_scaling.settings import Settings
from replications.presentation.exhibits import page
from replications.presentation.figure_writer import Figure
from replications.registry.papers import load_paper
from replications.registry.run_grid import load_runs, run_folder
from replications.results.reader import NotMeasured, Results
from replications.results.store import write_chunk
from tests.factories import provenance_of

FIGURES = [f for name, f in vars(figures).items() if inspect.isfunction(f) and f.__module__ == figures.__name__ and name[0] != "_"]


NOT_DRAWN = {
    "smoke": ("larger_models_need_data", "components", "accuracy_by_updates"),
    "cpu": ("larger_models_need_data", "accuracy_by_compute", "compute_ratio_at_equal_accuracy", "attention_outlines"),
    "gpu": ("accuracy_by_updates",),
}
"""Figures of runs that a tier does not have."""


@pytest.fixture(scope="module", params=["smoke", "cpu", "gpu"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Random records and artifacts of every run of a tier, in the shapes that experiments give them."""
    tier, folder, rng = request.param, tmp_path_factory.mktemp("results"), np.random.default_rng(0)
    for run in load_runs("vit_scaling", tier):
        settings = run.settings_as(Settings)
        keys: list[tuple[str, str, str, str, float | None]] = []
        if settings.experiment == "accuracy":
            keys += [("accuracy", "test", "", "", None), ("loss", "train", "", "", None)]
        if settings.outlines:
            keys += [("jaccard", "test", model, "", None) for model in ("trained", "untrained", "even")]
        if settings.transfer != "none":
            keys += [("few_shot_accuracy", "transfer", "", "shots", shots) for shots in settings.shots]
        if settings.finetune_steps:
            keys.append(("finetuned_accuracy", "transfer", "", "", None))
        for sub_run in settings.sub_runs:
            keys += [(metric, "test", sub_run.label, "", None) for metric in ("accuracy", "compute", "exaflops")]
        if settings.experiment == "frontier":
            keys += [(metric, "test", "", "", None) for metric in ("compute_ratio", "compute_ratio_low", "compute_ratio_high")]
        for seeds in run.chunks():
            rows: list[dict[str, object]] = [
                {
                    "paper": "vit_scaling",
                    "run": run.name,
                    "seed": seed,
                    "model": model,
                    "split": split,
                    "step": step,
                    "axis": axis,
                    "at": at,
                    "metric": metric,
                    "value": float(rng.uniform(1, 90)),
                    "unit": "",
                }
                for seed in seeds
                for metric, split, model, axis, at in keys
                for step in ((1, 2) if metric == "loss" else (2,))
            ]
            write_chunk(run_folder(folder, run, seeds), rows, _arrays(settings, len(seeds), rng), provenance_of(run, seeds))
    return Results.read(load_paper("vit_scaling"), tier, folder)


def _arrays(settings: Settings, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Artifacts of n seeds of a ViT whose attention is analysed; none of another run."""
    if settings.outlines:
        side, patches = settings.image_size, settings.grid**2
        outlines = {
            "outline_images": rng.integers(0, 256, (8, side, side, 3), dtype=np.uint8),
            "outline_masks": rng.random((8, side, side)) > 0.7,
        }
        return outlines | {"outline_patches": rng.random((n, 8, patches)) > 0.4}
    if not settings.save_attention or settings.family != "vit":
        return {}
    side, patches = settings.image_size, settings.grid**2
    arrays: dict[str, np.ndarray] = {"rollout_images": rng.integers(0, 256, (12, side, side, 3), dtype=np.uint8)}
    arrays |= {"rollout": rng.dirichlet(np.ones(patches), (n, 12)), "attention_distance": rng.uniform(1, 9, (n, 3, 4))}
    return arrays | {"position_similarity": rng.uniform(-1, 1, (n, patches, patches)), "filters": rng.random((n, 28, 3, 4, 4))}


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.__name__)
def test_every_figure_is_drawn(figure: Callable[[Results], Figure], results: Results) -> None:
    if figure.__name__ in NOT_DRAWN.get(results.tier, ()):
        with pytest.raises(NotMeasured):
            figure(results)
        return
    drawing = figure(results)
    drawing.canvas.savefig(io.BytesIO(), format="png", dpi=40)
    plt.close(drawing.canvas)
    assert drawing.alt and drawing.title and len(drawing.data)
    assert inspect.getdoc(figure)


def test_the_exhibit_is_self_contained(results: Results) -> None:
    exhibit, html = page(exhibits.attention_viewer, results)
    assert len(html) < 3_000_000
    assert not re.search(r"(src|href)=|https?://|@import|fetch\(", html)
    assert all(len(image) == 6 * run["side"] ** 2 for run in exhibit.data["runs"] for image in run["images"])
    for needed in ("light-dark(", "keydown", 'role="status"', "aria-label", "width=device-width"):
        assert needed in html


def test_every_measured_curve_has_a_panel(results: Results) -> None:
    titles = [title for title, _ in figure_data.measured_panels(results)]
    expected = [panel.title for panel in figure_data.PANELS]
    assert titles == {"smoke": expected[:2], "cpu": expected[3:], "gpu": expected}[results.tier]
