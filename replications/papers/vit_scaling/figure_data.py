"""Tables of what this paper's figures draw, selected by labels, settings and columns. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from replications.papers.vit_scaling.settings import Settings
from replications.registry.run_grid import Run
from replications.results.reader import NotMeasured, Results


@dataclass(frozen=True)
class Panel:
    """One panel of accuracy over N.

    Attributes:
        title: heading of the panel.
        curve: label `curve` of the runs.
        metric: what is drawn; `split`, `axis` and `at` as in the records.
        split: data split.
        axis: the runs' own axis, empty where there is none.
        at: position on `axis`.
    """

    title: str
    curve: str
    metric: str
    split: str = "test"
    axis: str = ""
    at: float | None = None


PANELS = (
    Panel("Test images of the training task", "pre-training", "accuracy"),
    Panel("5-shot linear probe, transfer", "pre-training", "few_shot_accuracy", "transfer", "shots", 5),
    Panel("Fine-tuned, transfer", "pre-training", "finetuned_accuracy", "transfer"),
    Panel("CIFAR-10 from scratch", "scratch", "accuracy"),
)
FINE_TUNED = PANELS[2]


def series_of(run: Run) -> str:
    """Return the label `series` of a run, or its family."""
    return str(run.labels.get("series", run.settings_as(Settings).family))


def curve(results: Results, name: str, series: str) -> list[Run]:
    """Return the planned runs of one series of a curve, by growing N.

    Args:
        results: of the paper.
        name: label `curve` of the runs.
        series: see `series_of`.
    """
    runs = [run for run in results.runs() if run.labels.get("curve") == name and series_of(run) == series]
    return sorted(runs, key=lambda run: run.settings_as(Settings).n_images)


def accuracy_by_size(results: Results, panel: Panel, series: str) -> pd.DataFrame:
    """Return what a panel draws of one series: columns family, n_images, seed, value.

    Args:
        results: of the paper.
        panel: what is drawn.
        series: see `series_of`.
    """
    rows = []
    for run in curve(results, panel.curve, series):
        if results.recorded(run.name, panel.metric, panel.split, axis=panel.axis, at=panel.at):
            values = results.final(run.name, panel.metric, panel.split, axis=panel.axis, at=panel.at)
            n_images = run.settings_as(Settings).n_images
            rows += [{"family": series, "n_images": n_images, "seed": seed, "value": value} for seed, value in values.items()]
    return pd.DataFrame(rows, columns=["family", "n_images", "seed", "value"])


def measured_panels(results: Results) -> list[tuple[str, dict[str, pd.DataFrame]]]:
    """Return title and tables of the panels that ViT and ResNet have at two sizes or more.

    Raises:
        NotMeasured: there is none.
    """
    panels = []
    for panel in PANELS:
        tables = {family: accuracy_by_size(results, panel, family) for family in ("vit", "resnet")}
        if all(table["n_images"].nunique() > 1 for table in tables.values()):
            panels.append((panel.title, tables))
    if not panels:
        raise NotMeasured("needs runs of both families at two sizes or more")
    return panels


def frontier_points(results: Results) -> pd.DataFrame:
    """Return compute and accuracy of every sub-run and seed of the frontier: columns family, model, seed, compute, accuracy.

    Raises:
        NotMeasured: the frontier is not finished or not planned.
    """
    results.need("frontier")
    settings = next(run.settings_as(Settings) for run in results.runs() if run.name == "frontier")
    rows = []
    for sub_run in settings.sub_runs:
        family = settings.sub_run(sub_run.label).family
        compute = results.final("frontier", "compute", model=sub_run.label)
        accuracy = results.final("frontier", "accuracy", model=sub_run.label)
        rows += [
            {"family": family, "model": sub_run.label, "seed": seed, "compute": float(compute.to_dict()[seed]), "accuracy": value}
            for seed, value in accuracy.items()
        ]
    return pd.DataFrame(rows)


def counted_families(results: Results) -> dict[str, str]:
    """Return the family of every row of Table 6, by the row's label."""
    settings = next(run.settings_as(Settings) for run in results.runs() if run.name == "published-sizes")
    return {row.label: settings.sub_run(row.model).family for row in results.table("table-6").rows}


def published_points(results: Results) -> pd.DataFrame:
    """Return compute and ImageNet accuracy of Table 6: columns family, model, seed (-1), compute, accuracy."""
    families = counted_families(results)
    rows = [
        {
            "family": families[row.label],
            "model": row.label,
            "seed": -1,
            "compute": row.value("v2", "exaflops"),
            "accuracy": row.value("v2", "imagenet"),
        }
        for row in results.table("table-6").rows
    ]
    return pd.DataFrame(rows)


def frontier(points: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of (compute, accuracy) that no cheaper one beats, by growing compute."""
    ordered = points.sort_values(["compute", "accuracy"], ascending=[True, False])
    return ordered[ordered["accuracy"] > ordered["accuracy"].cummax().shift(fill_value=-np.inf)]


def run_with_attention(results: Results) -> Run:
    """Return the finished ViT of the pre-training curve with the largest N.

    Raises:
        NotMeasured: none is finished.
    """
    runs = [run for run in curve(results, "pre-training", "vit") if results.finished(run.name)]
    if not runs:
        raise NotMeasured("needs a finished ViT of the curve over N")
    return runs[-1]
