"""`figures` and `present`: what is made from records and artifacts, without training."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from replications.commands.claims import write_judged
from replications.commands.options import DEFAULT_TIER, PaperArgument, ResultsOption, SourceOption, TierOption, read_results
from replications.presentation.exhibits import write_exhibit
from replications.presentation.metadata import write_index
from replications.results.reader import Results
from replications.source_code import public_functions


def figures(
    paper: PaperArgument,
    tier: TierOption = DEFAULT_TIER,
    source: SourceOption = "runs",
    results: ResultsOption = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of figures to write; default: RESULTS/PAPER/figures.")] = None,
) -> None:
    """Draw every figure of a paper as SVG, PDF, PNG and CSV, with its metadata, and write their order to index.json."""
    from replications.presentation.figure_writer import write_figure

    read = read_results(paper, tier, source, results)
    _write_all(write_figure, read, "figures", out or read.folder / paper / "figures")


def present(
    paper: PaperArgument,
    tier: TierOption = DEFAULT_TIER,
    source: SourceOption = "runs",
    results: ResultsOption = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write into; default: RESULTS/PAPER.")] = None,
) -> None:
    """Do what `claims judge` and `figures` do, in one process, and write every exhibit as one self-contained page.

    Three processes would load the libraries and read the records three times, which takes as long as several figures.
    """
    from replications.presentation.figure_writer import write_figure

    read = read_results(paper, tier, source, results)
    folder = out or read.folder / paper
    write_judged(read, folder)
    _write_all(write_figure, read, "figures", folder / "figures")
    _write_all(write_exhibit, read, "exhibits", folder / "exhibits")


def _write_all(write: Callable[..., Any], results: Results, module: str, folder: Path) -> None:
    paper = results.paper
    names = public_functions(paper.folder / f"{module}.py")
    for name in names:
        write(getattr(importlib.import_module(f"replications.papers.{paper.name}.{module}"), name), results, folder)
    if names:
        write_index(folder, names)
