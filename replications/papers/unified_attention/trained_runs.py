"""Models in words, and the runs that figures and the exhibit read. Free of torch."""

from __future__ import annotations

from replications.papers.unified_attention.settings import Settings
from replications.registry.run_grid import Run
from replications.results.reader import NotMeasured, Results

MODELS = {"ram": "RAM", "unified": "unified", "random-cell": "random cell", "q-only": "Q alone"}


def finished_runs(results: Results) -> list[tuple[Run, Settings]]:
    """Return the finished runs with their settings, by canvas, then by model.

    Args:
        results: of a tier.

    Returns:
        At least one run.

    Raises:
        NotMeasured: there is none.
    """
    found = [(run, run.settings_as(Settings)) for run in results.runs() if results.finished(run.name)]
    if not found:
        raise NotMeasured("needs a finished run")
    return sorted(found, key=lambda pair: (pair[1].canvas, list(MODELS).index(pair[1].model)))


def runs_with_cells(results: Results) -> list[tuple[Run, Settings]]:
    """Return the finished runs that store canvases with Q values, with their settings, by canvas.

    Args:
        results: of a tier.

    Returns:
        At least one run.

    Raises:
        NotMeasured: there is none.
    """
    found = [(run, settings) for run, settings in finished_runs(results) if settings.shown and settings.has_q]
    if not found:
        raise NotMeasured("needs a run that stores Q values")
    return found
