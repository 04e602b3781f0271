"""The finished training runs of a tier by task and network, for figures and exhibits. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from replications.papers.recurrent_attention.settings import Settings
from replications.results.reader import Results

SWEPT = ("sigma", "baseline", "estimator")
"""Labels of the runs of a sweep: the setting that it varies; `estimator` names what differs in the estimate of the policy's gradient."""


@dataclass(frozen=True)
class TrainedRun:
    """One finished training run.

    Attributes:
        name: of the run.
        settings: of the run.
        swept: label of the sweep that the run belongs to; empty for runs of a table.
        labels: of the run.
    """

    name: str
    settings: Settings
    swept: str
    labels: Mapping[str, object]

    @property
    def task(self) -> str:
        """The images that are classified, for example '60x60 cluttered'."""
        s = self.settings
        if s.dataset == "digits":
            return f"{s.canvas}x{s.canvas}, 8x8 digits"
        placement = " cluttered" if s.clutter else " translated" if s.translated else ""
        return f"{s.canvas}x{s.canvas}{placement}"

    @property
    def network(self) -> str:
        """The network, for example 'FC 256' or '6 glimpses, learned'."""
        s = self.settings
        names = {"fc": f"FC {s.fc_size}", "conv": "convolution", "cnn": "CNN", "soft": "soft attention"}
        return names.get(s.model, f"{s.glimpses} glimpse{'s' if s.glimpses > 1 else ''}, {s.policy}")


def trained_runs(results: Results) -> list[TrainedRun]:
    """Find the finished training runs.

    Args:
        results: of the tier.

    Returns:
        Runs by task, then in the order of runs.yaml.
    """
    runs = []
    for run in results.runs():
        settings = run.settings_as(Settings)
        if settings.experiment == "accuracy" and results.finished(run.name):
            swept = next((label for label in SWEPT if label in run.labels), "")
            runs.append(TrainedRun(run.name, settings, swept, run.labels))
    return sorted(runs, key=lambda run: (run.settings.dataset == "digits", run.settings.canvas, run.settings.clutter))


def glimpse_runs(results: Results) -> list[TrainedRun]:
    """Find the finished training runs of the glimpse model that belong to a table, not to a sweep.

    Args:
        results: of the tier.

    Returns:
        Runs by task, policy and number of glimpses.
    """
    runs = [run for run in trained_runs(results) if run.settings.model == "ram" and not run.swept]
    tasks = list(dict.fromkeys(run.task for run in runs))
    return sorted(runs, key=lambda run: (tasks.index(run.task), run.settings.policy, run.settings.glimpses))
