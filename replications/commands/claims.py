"""`claims`: from records to verdicts, and how to cite them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from replications.commands.options import (
    DEFAULT_TIER,
    JsonOption,
    PaperArgument,
    PapersOption,
    ResultsOption,
    SourceOption,
    TierOption,
    examples,
    read_results,
)
from replications.commands.output import print_rows
from replications.registry.papers import paper_names
from replications.results.reader import Results
from replications.verdicts.verdict import Verdict

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Judge the papers' claims, show the verdicts, cite them.")


@app.command(epilog=examples("claims show --tier gpu", "claims show --paper PAPER --source reference", "claims show --json"))
def show(
    tier: TierOption = DEFAULT_TIER,
    papers: PapersOption = None,
    source: SourceOption = "runs",
    results: ResultsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show each claim with the published value, ours, its interval and the verdict, judged now from the records."""
    from replications.presentation.claims_csv import to_object
    from replications.presentation.judging import judge_paper
    from replications.presentation.verdict_log import history
    from replications.verdicts.quantity import number, span

    read = [read_results(name, tier, source, results) for name in papers or paper_names()]
    verdicts = [verdict for of_paper in read for verdict in judge_paper(of_paper)]
    if as_json:
        print_rows([to_object(verdict) for verdict in verdicts], as_json=True)
        return
    made = history(read[0].folder)
    rows: list[dict[str, Any]] = [
        {
            "": verdict.symbol,
            "verdict": verdict.verdict,
            "id": verdict.id,
            "kind": verdict.kind,
            "published": verdict.published_text if verdict.published is None else number(verdict.published, verdict.unit),
            "ours": "" if verdict.ours is None else number(verdict.ours, verdict.unit),
            "interval": "" if verdict.low is None or verdict.high is None else span(verdict.low, verdict.high),
            "criterion": verdict.criterion,
            "seeds": f"{verdict.seeds_finished}/{verdict.seeds_planned}",
            "made": len(made.get((verdict.tier, verdict.id), ())) or "",
            "registered": verdict.registration or ("yes" if verdict.runs and verdict.verdict != "withheld" else ""),
        }
        for verdict in verdicts
    ]
    print_rows(rows, fold=("published", "criterion"))
    print_beside(verdicts)


def print_beside(verdicts: Sequence[Verdict]) -> None:
    """Print below a table what is to be said beside its verdicts: each sentence once, with the claims that it is about.

    Args:
        verdicts: the verdicts of the table.
    """
    claims: dict[str, list[str]] = {}
    for verdict in verdicts:
        for sentence in verdict.said_beside:
            claims.setdefault(sentence, []).append(verdict.id)
    for sentence, ids in claims.items():
        print(f"\n{sentence}\n  {', '.join(ids)}")


@app.command(epilog=examples("claims judge PAPER --tier gpu"))
def judge(
    paper: PaperArgument,
    tier: TierOption = DEFAULT_TIER,
    source: SourceOption = "runs",
    results: ResultsOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of records, verdicts and tables to write; default: RESULTS/PAPER.")
    ] = None,
) -> None:
    """Write a paper's collected records, its verdicts (claims.csv) and its published tables beside ours."""
    read = read_results(paper, tier, source, results)
    write_judged(read, out or read.folder / paper)


def write_judged(read: Results, folder: Path) -> None:
    """Write the records of a paper as one table, the verdicts on its claims, and its published tables beside ours.

    Args:
        read: results of the paper.
        folder: where `records.parquet`, `claims.csv` and `tables/` go.
    """
    from replications.presentation.claims_csv import write_claims_csv
    from replications.presentation.judging import judge_paper
    from replications.presentation.tables import write_table
    from replications.results import records

    records.write_records(folder / "records.parquet", read.sound_records)
    write_claims_csv(folder / "claims.csv", judge_paper(read))
    for name in read.paper.tables:
        write_table(name, read, folder / "tables")


@app.command(epilog=examples("claims characteristics", "claims characteristics --write"))
def characteristics(
    write: Annotated[bool, typer.Option("--write", help="Simulate anew, about three minutes, and write the table.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how often each rule decides, rightly or wrongly, where the truth is known: the table that the report prints."""
    from replications.presentation.characteristics_csv import read_characteristics, write_characteristics
    from replications.verdicts.characteristics import simulate
    from replications.verdicts.scenarios import scenarios

    if write:
        write_characteristics([simulate(scenario) for scenario in scenarios()])
    print_rows([dataclasses.asdict(rates) for rates in read_characteristics()], as_json=as_json, fold=("situation",))


@app.command(hidden=True)
def merge(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files that `claims judge` wrote, one per paper.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="CSV file to write.")],
) -> None:
    """Write the verdicts of all papers into one file; a step of the workflow."""
    from replications.presentation.claims_csv import merge_claims_csv

    merge_claims_csv(out, files)


class Format(StrEnum):
    """Forms of a citation."""

    BIBTEX = "bibtex"
    RIS = "ris"
    CSL_JSON = "csl-json"


@app.command(epilog=examples("claims cite replications", "claims cite PAPER --format ris", "claims cite PAPER.ID --source reference"))
def cite(
    name: Annotated[
        str,
        typer.Argument(metavar="ID", help="`replications` (the suite), PAPER, or PAPER.ID of a claim, table, figure or exhibit."),
    ],
    tier: TierOption = DEFAULT_TIER,
    source: SourceOption = "runs",
    results: ResultsOption = None,
    form: Annotated[
        Format, typer.Option("--format", help="bibtex, with a plain sentence behind it; ris or csl-json, for reference managers.")
    ] = Format.BIBTEX,
) -> None:
    """Print how to cite the suite, a paper, a claim with its verdict, a table, a figure or an exhibit."""
    from replications.presentation import citations, reference_formats
    from replications.registry.configuration import Configuration
    from replications.registry.papers import load_paper

    paper, _, part = name.partition(".")
    if name == citations.SUITE:
        citation = citations.cite_suite()
    elif not part:
        citation = citations.cite_paper(load_paper(paper).citation)
    else:
        read = read_results(paper, tier, source, results)
        reference = Configuration(source="reference", results=str(read.folder.parents[1]))
        citation = citations.cite(name, read, reference.derived_folder if source == "reference" else read.folder)
    if form is Format.RIS:
        print(reference_formats.as_ris([citation]), end="")
    elif form is Format.CSL_JSON:
        print(reference_formats.as_csl_json([citation]), end="")
    else:
        print(f"{citation.bibtex}\n\n{citation.sentence}")
