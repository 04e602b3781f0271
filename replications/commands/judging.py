"""`claims`, `judge`, `merge-claims`, `cite`: from records to what is said about the papers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from replications.commands.output import check_tier, console
from replications.errors import InputError
from replications.registry import run_grid as grid
from replications.registry.papers import load_paper, paper_names
from replications.results.reader import Results
from replications.results.reference import read_reference

PaperArgument = Annotated[str, typer.Argument(help="Paper, as `list` names it.")]
TierOption = Annotated[str, typer.Option(help="How much compute: smoke, gpu or paper.")]
ResultsOption = Annotated[Path | None, typer.Option(help="Folder of the runs; default results/<tier>.")]
SourceOption = Annotated[str, typer.Option(help="runs: made here; reference: the committed results.")]
OpenTierOption = Annotated[str | None, typer.Option(help="smoke, gpu or paper; default: smoke. The reference has its own.")]


def result_place(tier: str | None, source: str, folder: Path | None) -> tuple[str, Path]:
    """Tier and folder of the results that a command reads."""
    if source not in {"runs", "reference"}:
        raise InputError(f"No source is called '{source}'. Valid: reference, runs.")
    if source == "reference":
        reference = folder or Path("results") / "reference"
        return read_reference(reference).tier, reference
    chosen = tier or "smoke"
    check_tier(chosen)
    return chosen, folder or Path("results") / chosen


def claims(
    tier: OpenTierOption = None,
    source: SourceOption = "runs",
    out: Annotated[Path | None, typer.Option(help="Folder of the results; default results/<tier>.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Every claim with the published value, ours, its interval and the verdict, judged now from the records."""
    from replications.presentation.claims_csv import to_object
    from replications.presentation.judging import judge_paper

    chosen, folder = result_place(tier, source, out)
    verdicts = [verdict for name in paper_names() for verdict in judge_paper(Results.read(load_paper(name), chosen, folder))]
    if as_json:
        print(json.dumps([to_object(verdict) for verdict in verdicts], indent=2, allow_nan=False))
        return
    from rich.table import Table
    from rich.text import Text

    from replications.verdicts.outcome import number, span

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "verdict", "id", "kind", "published", "ours", "interval", "seeds"):
        table.add_column(column, overflow="fold", no_wrap=column in {"", "verdict", "kind", "ours", "seeds"})
    for verdict in verdicts:
        published = verdict.published_text if verdict.published is None else number(verdict.published, verdict.unit)
        ours = "" if verdict.ours is None else number(verdict.ours, verdict.unit)
        interval = "" if verdict.low is None or verdict.high is None else span(verdict.low, verdict.high)
        seeds = f"{verdict.seeds_finished}/{verdict.seeds_planned}"
        row = (verdict.symbol, verdict.verdict, verdict.id, verdict.kind, published, ours, interval, seeds)
        table.add_row(*(Text(cell) for cell in row))
    console().print(table if verdicts else "(none)")


def judge(
    paper: PaperArgument,
    tier: TierOption = "smoke",
    results: ResultsOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder that gets records, verdicts and tables; default <results>/<paper>.")] = None,
) -> None:
    """Gather a paper's records into one table, judge its claims, and set every published table beside ours."""
    from replications.presentation.claims_csv import write_claims_csv
    from replications.presentation.judging import judge_paper
    from replications.presentation.tables import write_table
    from replications.results import records, store

    check_tier(tier)
    spec, folder = load_paper(paper), results or Path("results") / tier
    made = out or folder / paper
    gathered = store.collect(folder, paper, [run.name for run in grid.load_runs(paper, tier)])
    records.write_records(made / "records.parquet", gathered)
    read = Results.read(spec, tier, folder, gathered)
    write_claims_csv(made / "claims.csv", judge_paper(read))
    for name in spec.tables:
        write_table(name, read, made / "tables")


def merge_claims(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What `judge` wrote, one file per paper.")],
    out: Annotated[Path, typer.Option(help="CSV file to write.")],
) -> None:
    """Put the verdicts of all papers into one file."""
    from replications.presentation.claims_csv import read_claims_csv, write_claims_csv

    write_claims_csv(out, [verdict for file in files for verdict in read_claims_csv(file)])


def cite(
    name: Annotated[str, typer.Argument(metavar="ID", help="<paper>, or <paper>. and a claim, table, figure or exhibit.")],
    tier: OpenTierOption = None,
    source: SourceOption = "runs",
    out: Annotated[Path | None, typer.Option(help="Folder of the results; default results/<tier>.")] = None,
) -> None:
    """BibTeX and a plain sentence for a paper, a claim with its verdict, a table, a figure or an exhibit."""
    from replications.presentation.citations import cite as citation
    from replications.registry.configuration import Configuration

    chosen, folder = result_place(tier, source, out)
    paper = load_paper(name.partition(".")[0])
    reference = Configuration(source="reference", results=str(folder.parent))
    derived = reference.derived_folder if source == "reference" else folder
    found = citation(name, Results.read(paper, chosen, folder), derived)
    print(f"{found.bibtex}\n\n{found.sentence}")
