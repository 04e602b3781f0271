"""Arguments and options that several commands share, with one meaning each.

`--results` is the folder that is read, `--out` the folder or file that is written; the default of `--tier` is `smoke`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replications.errors import InputError, nearest
from replications.registry.configuration import reference_folder
from replications.registry.papers import load_paper, paper_names
from replications.registry.schema import TIERS
from replications.results.reader import Results

DEFAULT_TIER = "smoke"


def check_tier(tier: str) -> str:
    """Check that a tier exists.

    Args:
        tier: name.

    Returns:
        The name.

    Raises:
        InputError: it does not exist; the message names the nearest tier.
    """
    if tier not in TIERS:
        raise InputError(f"No tier is called '{tier}'. {nearest(tier, TIERS)}")
    return tier


def check_paper(paper: str | None) -> str | None:
    """Check that a paper exists.

    Args:
        paper: name, or None.

    Returns:
        The name, or None.

    Raises:
        InputError: it does not exist; the message names the nearest paper.
    """
    return load_paper(paper).name if paper is not None else None


def check_papers(papers: list[str] | None) -> list[str]:
    """Check that papers exist.

    Args:
        papers: names; None or empty for all papers.

    Returns:
        The names.

    Raises:
        InputError: one does not exist; the message names the nearest paper.
    """
    return [load_paper(name).name for name in papers or paper_names()]


def check_source(source: str) -> str:
    """Check the source of results.

    Args:
        source: name.

    Returns:
        The name.

    Raises:
        InputError: it is neither 'runs' nor 'reference'.
    """
    if source not in {"runs", "reference"}:
        raise InputError(f"No source is called '{source}'. Valid: reference, runs.")
    return source


PaperArgument = Annotated[str, typer.Argument(metavar="PAPER", help="Paper, as `list` prints it.", callback=check_paper)]
PapersOption = Annotated[
    list[str] | None, typer.Option("--paper", metavar="PAPER", help="Only this paper; may be repeated.", callback=check_papers)
]
TierOption = Annotated[str, typer.Option(metavar="TIER", help=f"How much compute: {', '.join(TIERS)}.", callback=check_tier)]
SourceOption = Annotated[
    str,
    typer.Option(
        metavar="SOURCE", help="runs: results made here; reference: the committed results, at their own tier.", callback=check_source
    ),
]
ResultsOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of results to read; default: results/TIER, or results/reference.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; default: a GPU if there is one.")]


def examples(*commands: str) -> str:
    """Format examples for the end of a command's help text.

    Args:
        commands: without the program's name.

    Returns:
        Markdown with one example per line.
    """
    return "\n\n".join(["Examples:", *(f"  replications {command}" for command in commands)])


def existing_results(tier: str, results: Path | None) -> Path:
    """Locate the results of a tier, which must exist.

    Args:
        tier: the tier; `results/<tier>` is the default folder.
        results: another folder; None: the default.

    Returns:
        The folder.

    Raises:
        InputError: there is no such tier, or the folder does not exist.
    """
    folder = results or Path("results") / check_tier(tier)
    if not folder.is_dir():
        command = f"`make report TIER={tier}` creates it; " if results is None else ""
        raise InputError(f"There are no results in {folder}: the folder does not exist. {command}--results DIR reads another folder.")
    return folder


def optional_results(tier: str, results: Path | None) -> Path:
    """Locate the results of a tier, which need not exist yet unless the folder was given.

    Args:
        tier: the tier; `results/<tier>` is the default folder.
        results: another folder; None: the default.

    Returns:
        The folder.

    Raises:
        InputError: `results` is given and does not exist.
    """
    return existing_results(tier, results) if results else Path("results") / tier


def read_results(paper: str, tier: str, source: str, results: Path | None) -> Results:
    """Return the results of a paper that a command reads.

    Args:
        paper: name of the paper.
        tier: tier of results made here; of the reference the largest that has results of the paper is read, then smaller ones.
        source: `runs` or `reference`.
        results: another folder than the source's default.

    Returns:
        The results of the paper.

    Raises:
        InputError: the folder does not exist, or does not hold a reference.
    """
    if source == "reference":
        return Results.read_reference(load_paper(paper), results or reference_folder(Path("results")))
    return Results.read(load_paper(paper), tier, existing_results(tier, results))
