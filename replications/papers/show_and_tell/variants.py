"""The finished runs of a tier by data set and variant, for figures and exhibits. Free of torch."""

from __future__ import annotations

from collections.abc import Iterable

from replications.papers.show_and_tell.settings import Settings
from replications.results.reader import NotMeasured, Results

DATASETS = {
    "coco": "MSCOCO",
    "flickr30k": "Flickr30k",
    "flickr8k": "Flickr8k",
    "scenes": "scenes",
    "sketches": "sketches",
}
"""Data set -> its name in figures. The first one on which NIC is trained is the tier's main data set."""
VARIANTS = {
    "human": "people",
    "random": "random caption",
    "nearest": "nearest image",
    "nic": "NIC",
    "brief": "NIC, 3 epochs",
    "plain": "no dropout",
    "ensemble": "ensemble of five",
    "library-cell": "library cell",
    "every-step": "image at every step",
    "tanh": "plain RNN, image at every step",
    "quarter": "quarter of the data",
    "scheduled": "scheduled sampling",
    "joint": "CNN from the start",
    "late": "CNN trained late",
    "attention": "soft attention",
    "attention-free": "attention, no penalty",
}
"""Label `variant` of a run -> its name in figures, in the order of figures."""


def variant_runs(results: Results, dataset: str) -> dict[str, str]:
    """Find the finished runs on a data set.

    Args:
        results: of the tier.
        dataset: name of the data set in the settings.

    Returns:
        Variant -> name of the run, in the order of VARIANTS.
    """
    runs = {str(run.labels.get("variant")): run.name for run in results.runs() if run.settings_as(Settings).dataset == dataset}
    return {variant: runs[variant] for variant in VARIANTS if variant in runs and results.finished(runs[variant])}


def finished_run(results: Results, variant: str, datasets: Iterable[str] = tuple(DATASETS)) -> str:
    """Find the finished run of a variant on the first data set that has one.

    Args:
        results: of the tier.
        variant: a key of VARIANTS.
        datasets: data sets in order of preference.

    Returns:
        Name of the run.

    Raises:
        NotMeasured: there is none.
    """
    for dataset in datasets:
        runs = variant_runs(results, dataset)
        if variant in runs:
            return runs[variant]
    raise NotMeasured(f"needs a finished run of variant '{variant}'")


def main_runs(results: Results) -> tuple[str, list[tuple[str, str]]]:
    """Find the finished runs on the tier's main data set.

    Args:
        results: of the tier.

    Returns:
        The data set, and (run, name of its variant in figures) in the order of VARIANTS.

    Raises:
        NotMeasured: no run of NIC is finished.
    """
    for dataset in DATASETS:
        runs = variant_runs(results, dataset)
        if "nic" in runs:
            return dataset, [(run, VARIANTS[variant]) for variant, run in runs.items()]
    raise NotMeasured("needs a finished run of NIC")
