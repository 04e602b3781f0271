"""`figures` and `exhibits`: drawn from records and artifacts, without training."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from replications.commands.options import DEFAULT_TIER, PaperArgument, ResultsOption, TierOption, existing_results
from replications.presentation.exhibits import write_exhibit
from replications.presentation.metadata import write_index
from replications.registry.papers import load_paper
from replications.results.reader import Results
from replications.source_code import public_functions


def figures(
    paper: PaperArgument,
    tier: TierOption = DEFAULT_TIER,
    results: ResultsOption = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of figures to write; default: RESULTS/PAPER/figures.")] = None,
) -> None:
    """Draw every figure of a paper as SVG, PDF, PNG and CSV, with its metadata, and write their order to index.json."""
    from replications.presentation.figure_writer import write_figure

    _write_all(write_figure, paper, "figures", tier, results, out)


def exhibits(
    paper: PaperArgument,
    tier: TierOption = DEFAULT_TIER,
    results: ResultsOption = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of pages to write; default: RESULTS/PAPER/exhibits.")] = None,
) -> None:
    """Write every exhibit of a paper as one self-contained page, with its metadata, and their order to index.json."""
    _write_all(write_exhibit, paper, "exhibits", tier, results, out)


def _write_all(write: Callable[..., Any], paper: str, module: str, tier: str, results: Path | None, out: Path | None) -> None:
    definition = load_paper(paper)
    recorded = Results.read(definition, tier, existing_results(tier, results))
    folder = out or recorded.folder / paper / module
    names = public_functions(definition.folder / f"{module}.py")
    for name in names:
        write(getattr(importlib.import_module(f"replications.papers.{paper}.{module}"), name), recorded, folder)
    write_index(folder, names)
