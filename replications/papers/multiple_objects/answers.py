"""Answers in words, and the runs that store glimpses. Free of torch."""

from __future__ import annotations

from replications.papers.multiple_objects.settings import Settings
from replications.registry.run_grid import Run
from replications.results.reader import NotMeasured, Results

MODELS = {"ram": "RAM", "no-context": "DRAM without context", "dram": "DRAM", "cnn": "ConvNet"}
TASKS = {"pairs": "pairs", "sums": "sums", "sequence": "from left to right"}


def task_name(settings: Settings) -> str:
    """Return what a run reads, for figures.

    Args:
        settings: of the run.

    Returns:
        A text of `TASKS`, or 'house numbers'.
    """
    return "house numbers" if settings.dataset == "svhn" else TASKS[settings.task]


def answer_names(settings: Settings) -> list[str]:
    """Return the answers that a network can give to one target, in the order of its classes.

    Args:
        settings: of the run.

    Returns:
        One name per class, for example '0 and 2', '7' or 'end'.
    """
    if settings.task == "pairs":
        return [f"{smaller} and {larger}" for larger in range(settings.n_classes) for smaller in range(larger + 1)]
    if settings.task == "sums":
        return [str(total) for total in range(settings.n_answers)]
    return [*map(str, range(settings.n_classes)), "end"]


def answered_until_end(answers: list[str]) -> list[str]:
    """Return the answers of a sequence up to its end symbol.

    Args:
        answers: one per target.

    Returns:
        The first ones, without the end symbol.
    """
    return answers[: answers.index("end")] if "end" in answers else answers


def runs_with_glimpses(results: Results) -> list[Run]:
    """Return the finished runs that store canvases with glimpses, in the order of the plan.

    Args:
        results: of a tier.

    Raises:
        NotMeasured: there is none.
    """
    found = []
    for run in results.runs():
        settings = run.settings_as(Settings)
        if settings.shown and settings.model != "cnn" and results.finished(run.name):
            found.append(run)
    if not found:
        raise NotMeasured("needs a run that stores glimpses")
    return found
