"""Data behind the figures, selected by labels, settings and columns. Does not import torch."""

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
        metric: metric of the drawn records.
        split: data split of the records.
        axis: axis of the records, or empty.
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
    """Return the label `series` of a run, or its family.

    Args:
        run: a run of this paper.

    Returns:
        For example 'vit-large'.
    """
    return str(run.labels.get("series", run.settings_as(Settings).family))


def curve(results: Results, name: str, series: str) -> list[Run]:
    """Return the planned runs of one series of a curve, in order of increasing N.

    Args:
        results: results of the paper.
        name: label `curve` of the runs.
        series: see `series_of`.

    Returns:
        Runs, finished or not.
    """
    runs = [run for run in results.runs() if run.labels.get("curve") == name and series_of(run) == series]
    return sorted(runs, key=lambda run: run.settings_as(Settings).n_images)


def accuracy_by_size(results: Results, panel: Panel, series: str) -> pd.DataFrame:
    """Return the accuracies of one series in a panel.

    Args:
        results: results of the paper.
        panel: selects the records.
        series: see `series_of`.

    Returns:
        Columns family, n_images, seed, value (per cent).
    """
    rows = []
    for run in curve(results, panel.curve, series):
        if results.recorded(run.name, panel.metric, panel.split, axis=panel.axis, at=panel.at):
            values = results.final(run.name, panel.metric, panel.split, axis=panel.axis, at=panel.at)
            n_images = run.settings_as(Settings).n_images
            rows += [{"family": series, "n_images": n_images, "seed": seed, "value": value} for seed, value in values.items()]
    return pd.DataFrame(rows, columns=["family", "n_images", "seed", "value"])


def accuracy_by_length(results: Results, series: str) -> pd.DataFrame:
    """Return test accuracies from scratch by the number of updates, at the number of images of the runs that vary it.

    Args:
        results: results of the paper.
        series: see `series_of`.

    Returns:
        Columns family, n_steps, seed, value (per cent); no rows where the tier varies no length.
    """
    shorter = curve(results, "updates", series)
    sizes = {run.settings_as(Settings).n_images for run in shorter}
    full = [run for run in curve(results, "scratch", series) if run.settings_as(Settings).n_images in sizes]
    rows = [
        {"family": series, "n_steps": run.settings_as(Settings).n_steps, "seed": seed, "value": value}
        for run in (*shorter, *full)
        if results.recorded(run.name, "accuracy")
        for seed, value in results.final(run.name, "accuracy").items()
    ]
    return pd.DataFrame(rows, columns=["family", "n_steps", "seed", "value"])


def measured_panels(results: Results) -> list[tuple[str, dict[str, pd.DataFrame]]]:
    """Return the panels for which both ViT and ResNet are measured at two sizes or more.

    Args:
        results: results of the paper.

    Returns:
        For each panel its title and, by family, the table of `accuracy_by_size`.

    Raises:
        NotMeasured: there is no such panel.
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
    """Return compute and accuracy of every sub-run and seed of the frontier.

    Args:
        results: results of the paper.

    Returns:
        Columns family, model, seed, compute (FLOP), accuracy (per cent).

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
    """Return the family of every row of Table 6.

    Args:
        results: results of the paper.

    Returns:
        Label of the row -> vit, resnet or hybrid.
    """
    settings = next(run.settings_as(Settings) for run in results.runs() if run.name == "published-sizes")
    return {row.label: settings.sub_run(row.model).family for row in results.table("table-6").rows}


def published_points(results: Results) -> pd.DataFrame:
    """Return compute and ImageNet accuracy of Table 6.

    Args:
        results: results of the paper.

    Returns:
        Columns family, model, seed (-1), compute (exaFLOP), accuracy (per cent).
    """
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
    """Return the Pareto frontier: points that no cheaper point equals or exceeds in accuracy.

    Args:
        points: columns compute and accuracy.

    Returns:
        A subset of the rows, in order of increasing compute.
    """
    ordered = points.sort_values(["compute", "accuracy"], ascending=[True, False])
    return ordered[ordered["accuracy"] > ordered["accuracy"].cummax().shift(fill_value=-np.inf)]


def run_with_attention(results: Results) -> Run:
    """Return the finished ViT with the largest N whose attention was analysed: of the pre-training curve, else of the one from scratch.

    Args:
        results: results of the paper.

    Returns:
        The run.

    Raises:
        NotMeasured: no such run is finished.
    """
    of_curves = [*curve(results, "scratch", "vit"), *curve(results, "pre-training", "vit")]
    runs = [run for run in of_curves if run.settings_as(Settings).save_attention and results.finished(run.name)]
    if not runs:
        raise NotMeasured("needs a finished ViT of the curve over N")
    return runs[-1]
