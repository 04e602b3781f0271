"""The command that writes the report: one folder that opens from disk, and the same content as a PDF.

Exit codes: 0 fine, 1 failed or, with --strict, something is missing or in doubt, 2 wrong use or wrong input.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from replications.errors import InputError, ReplicationError, nearest
from replications.registry.configuration import reference_folder
from replications.registry.papers import load_papers
from replications.registry.schema import TIERS
from report.build import write_report
from report.exports import ARCHIVE

EARLIEST, LATEST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (1980, 2108))
"""Seconds since 1970 between which a date has a place in a zip archive, whose years are 1980 to 2107."""


def _stamp() -> datetime:
    """The time of the build; SOURCE_DATE_EPOCH, in seconds, makes two builds equal."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        return datetime.now(UTC).replace(microsecond=0)
    if not epoch.isdecimal() or not EARLIEST <= int(epoch) < LATEST:
        raise InputError(
            f"SOURCE_DATE_EPOCH={epoch} is not a time: give whole seconds since 1970 in the years 1980 to 2107, which an archive can"
            f" hold ({EARLIEST} to {LATEST - 1}), or unset it."
        )
    return datetime.fromtimestamp(int(epoch), UTC)


def command(
    tier: Annotated[str, typer.Option(help=f"How much compute: {', '.join(TIERS)}.")] = "smoke",
    results: Annotated[Path | None, typer.Option(help="Folder of the runs; default results/<tier>.")] = None,
    derived: Annotated[Path | None, typer.Option(help="Folder of claims.csv, figures, tables, exhibits; default: --results.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the report; default <derived>/report.")] = None,
    source: Annotated[str, typer.Option(help="runs, or reference for the committed results.")] = "runs",
    paper: Annotated[list[str] | None, typer.Option(help="Only this paper; may be given again. Default: all.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when anything is missing or in doubt.")] = False,
) -> None:
    """Write the report from recorded results."""
    if tier not in TIERS:
        raise InputError(f"No tier is called '{tier}'. {nearest(tier, TIERS)}")
    if source not in {"runs", "reference"}:
        raise InputError(f"No source is called '{source}'. {nearest(source, ('runs', 'reference'))}")
    runs = results or (reference_folder(Path("results")) if source == "reference" else Path("results") / tier)
    beside = results.parent if results else Path("results")
    made = derived or (beside / "from-reference" if source == "reference" else runs)
    folder = out or made / "report"
    report = write_report(tier, source, runs, made, load_papers(paper), folder, _stamp())
    for problem in report.problems:
        where = f"{problem.paper} {problem.where}".strip()
        print(f"note: {where}: {problem.what}", file=sys.stderr)
    print(folder / "index.html")
    print(folder / "report.pdf")
    print(folder / ARCHIVE)
    if strict and report.problems:
        raise ReplicationError(f"{len(report.problems)} things are missing or in doubt; see the notes above.")
