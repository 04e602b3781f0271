"""`figures` and `exhibits`: what a paper's results look like, drawn anew from the records without training anything."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from replications.commands.output import check_tier
from replications.files import write_index
from replications.presentation.exhibits import write_exhibit
from replications.registry.papers import load_paper
from replications.results.reader import Results
from replications.source_code import public_functions

PaperArgument = Annotated[str, typer.Argument(help="Paper, as `list` names it.")]
TierOption = Annotated[str, typer.Option(help="How much compute: smoke, gpu or paper.")]
ResultsOption = Annotated[Path | None, typer.Option(help="Folder of the runs; default results/<tier>.")]


def figures(
    paper: PaperArgument,
    tier: TierOption = "smoke",
    results: ResultsOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the figures; default <results>/<paper>/figures.")] = None,
) -> None:
    """Draw every figure of a paper as SVG, PDF, PNG and CSV, with a sidecar each and their order in index.json."""
    from replications.presentation.figure_writer import write_figure

    _draw(write_figure, paper, "figures", tier, results, out)


def exhibits(
    paper: PaperArgument,
    tier: TierOption = "smoke",
    results: ResultsOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the pages; default <results>/<paper>/exhibits.")] = None,
) -> None:
    """Write every exhibit of a paper as one self-contained page, with a sidecar each and their order in index.json."""
    _draw(write_exhibit, paper, "exhibits", tier, results, out)


def _draw(write: Callable[..., Any], paper: str, module: str, tier: str, results: Path | None, out: Path | None) -> None:
    check_tier(tier)
    read = Results.read(load_paper(paper), tier, results or Path("results") / tier)
    folder = out or read.folder / paper / module
    names = public_functions(load_paper(paper).folder / f"{module}.py")
    for name in names:
        write(getattr(importlib.import_module(f"replications.papers.{paper}.{module}"), name), read, folder)
    write_index(folder, names)
