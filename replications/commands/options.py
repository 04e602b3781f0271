"""Arguments and options that several commands share, with one meaning each.

`--results` is the folder that is read, `--out` the folder or file that is written; `--tier` is `smoke` unless it is given.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replications.errors import InputError, nearest
from replications.registry.papers import load_paper, paper_names
from replications.registry.schema import TIERS
from replications.results.reference import reference_tier

DEFAULT_TIER = "smoke"


def check_tier(tier: str) -> str:
    """Return the tier. Raises InputError with the nearest one unless it exists."""
    if tier not in TIERS:
        raise InputError(f"No tier is called '{tier}'. {nearest(tier, TIERS)}")
    return tier


def check_paper(paper: str | None) -> str | None:
    """Return the paper's name. Raises InputError with the nearest one unless it exists."""
    return load_paper(paper).name if paper is not None else None


def check_papers(papers: list[str] | None) -> list[str]:
    """Return the papers' names; those of all papers where none is given. Raises InputError with the nearest one unless all exist."""
    return [load_paper(name).name for name in papers or paper_names()]


def check_source(source: str) -> str:
    """Return the source. Raises InputError unless it is `runs` or `reference`."""
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
    typer.Option(metavar="SOURCE", help="runs: made here; reference: the committed results, at their own tier.", callback=check_source),
]
ResultsOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of results to read; default: results/TIER, or results/reference.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a list of objects.")]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; default: a GPU if there is one.")]


def examples(*commands: str) -> str:
    """Return the end of a command's help text: examples, one per line."""
    return "\n\n".join(["Examples:", *(f"  replications {command}" for command in commands)])


def existing_results(tier: str, results: Path | None) -> Path:
    """Return the folder of a tier's results.

    Args:
        tier: the tier, of which `results/<tier>` is the default folder.
        results: another folder; None: the default.

    Raises:
        InputError: there is no such tier, or the folder does not exist.
    """
    folder = results or Path("results") / check_tier(tier)
    if not folder.is_dir():
        made = f"`make report TIER={tier}` makes it; " if results is None else ""
        raise InputError(f"There are no results in {folder}: the folder does not exist. {made}--results DIR reads another folder.")
    return folder


def optional_results(tier: str, results: Path | None) -> Path:
    """Return the folder of a tier's results, which need not exist yet unless it was named.

    Raises:
        InputError: `results` is given and does not exist.
    """
    return existing_results(tier, results) if results else Path("results") / tier


def read_place(tier: str, source: str, results: Path | None) -> tuple[str, Path]:
    """Return tier and folder of the results that a command reads.

    Args:
        tier: tier of results made here; the reference has its own.
        source: `runs` or `reference`.
        results: another folder than the source's default.

    Raises:
        InputError: the folder does not exist, or does not hold a reference.
    """
    if source == "reference":
        folder = results or Path("results") / "reference"
        return reference_tier(folder)
    return tier, existing_results(tier, results)
