"""`results`: compare two results folders, promote one to the committed reference, restore chunks of the reference, sum up costs."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from replications.commands.costs import costs
from replications.commands.data import fetch as fetch_data
from replications.commands.options import DEFAULT_TIER, PapersOption, TierOption, examples
from replications.commands.output import print_rows
from replications.commands.restore import restore_chunks, summary
from replications.errors import DataError, InputError
from replications.files import replacing
from replications.paths import ROOT
from replications.presentation import readme as readme_text
from replications.registry.configuration import reference_folder
from replications.registry.papers import Paper, load_papers
from replications.results import promotion as promoting
from replications.results import reference as store
from replications.results.provenance import now
from workflow.jobs import data_file

FOLDER = Path("results") / "reference"

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Compare results, promote them to the committed reference, restore them from it.",
)


def _located(folder: Path) -> Path:
    """Return the folder that was given; instead of the default the suite's own reference where the working folder has none."""
    return reference_folder(folder.parent) if folder == FOLDER else folder


ReferenceOption = Annotated[Path, typer.Option("--results", metavar="DIR", help="Folder of the reference to read.", callback=_located)]
app.command("costs", epilog=examples("results costs --tier gpu"))(costs)


@app.command(epilog=examples("results promote results/gpu"))
def promote(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Finished results of one tier to read, for example results/gpu.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the reference to write.", callback=_located)] = FOLDER,
    readme: Annotated[Path, typer.Option(metavar="FILE", help="README whose table of verdicts is written.")] = ROOT / "README.md",
    partial: Annotated[
        bool, typer.Option("--partial", help="Add chunks that are in doubt too; the reference and the report name them.")
    ] = False,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why results that the reference holds were made again; kept in the log.")
    ] = "",
) -> None:
    """Add the finished chunks of a tier to the committed reference, from which figures and report are redrawn without a GPU."""
    papers = load_papers()
    promotion = promoting.promote(source, out, papers, partial=partial, reason=reason)
    log_promotion(out, promoting.tier_of(source), papers, promotion, reason)
    rows = []
    for paper in papers:
        mine = [chunk for chunk in promotion.held if chunk.paper == paper.name]
        size = sum(chunk.size for chunk in mine)
        rows.append({"paper": paper.name, "runs": len({chunk.run for chunk in mine}), "chunks": len(mine), "MB": round(size / 1e6, 2)})
    print_rows(rows)
    write_readmes(out, readme)


def log_promotion(folder: Path, tier: str, papers: Sequence[Paper], promotion: promoting.Promotion, reason: str) -> None:
    """Add the verdicts that a promotion changed or added to the log beside the reference.

    Args:
        folder: the reference.
        tier: the tier that was promoted.
        papers: the papers that were promoted.
        promotion: what was written.
        reason: why chunks were made again.
    """
    from replications.presentation.verdict_log import append_log, log_rows
    from replications.results.reader import Results

    today = now()[:10]
    rows = [
        row
        for paper in papers
        if (changed := promotion.runs_written(paper.name))
        for row in log_rows(Results.read(paper, tier, folder / tier), changed, today, reason)
    ]
    if rows:
        append_log(folder / store.LOG, rows)
        store.sign_log(folder)


@app.command(epilog=examples("results log", "results log --paper PAPER"))
def log(
    papers: PapersOption = None,
    reference: ReferenceOption = FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Print every verdict that was ever promoted to the reference, oldest first: how often each was made, and what changed."""
    from replications.presentation.verdict_log import BEFORE, read_log

    rows = [row.model_dump() for row in read_log(reference / store.LOG) if not papers or row.claim.partition(".")[0] in papers]
    print_rows(rows, as_json=as_json, fold=("reason",))
    if not as_json:
        print(f"\n{BEFORE}")


@app.command(epilog=examples("results restore --tier gpu", "results restore --tier gpu --paper PAPER"))
def restore(
    tier: TierOption = DEFAULT_TIER,
    papers: PapersOption = None,
    reference: ReferenceOption = FOLDER,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of results to write; default: results/TIER.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Copy finished chunks of the reference into a results folder, so that the next `make report` trains only what is missing.

    A chunk is copied when the plan of the tier asks for its seeds with the same settings and no newer one is there. Runs that
    share a job are restored together or not at all, because Snakemake repeats the whole job.
    """
    results = out or Path("results") / tier
    rows = restore_chunks(reference, results, tier, papers)
    for paper in dict.fromkeys(str(row["paper"]) for row in rows):
        # Where one chunk is left to train, the workflow would train those that are restored too if their data were not verified.
        verified = Path(data_file(results, paper))
        if not verified.is_file():
            try:
                fetch_data(paper=paper, tier=tier, out=verified)
            except DataError as error:
                print(
                    f"{paper}: its data are not verified, so a workflow that trains would train these chunks again; restore once more when"
                    f" the data are there. {error}",
                    file=sys.stderr,
                )
    if as_json:
        print_rows(rows, as_json=True)
        return
    shown, sentence = summary(rows)
    print_rows([dict(row) for row in shown], fold=("note",))
    print(f"\n{sentence} `make report TIER={tier}` trains what is missing.")


@app.command("update-readme", hidden=True)
def update_readme(
    reference: ReferenceOption = FOLDER,
    out: Annotated[Path, typer.Option(metavar="FILE", help="README whose table of verdicts is written.")] = ROOT / "README.md",
) -> None:
    """Write the verdict table of the reference into the README, judged now by the claims as they are registered."""
    write_readmes(reference, out)


def write_readmes(folder: Path, readme: Path) -> None:
    """Write the README's table of verdicts and the page that explains the reference's folder.

    Args:
        folder: the reference.
        readme: README of the repository.
    """
    generated = generated_summary(folder)
    filled = readme_text.fill_papers(readme_text.fill_readme(readme.read_text(encoding="utf-8"), generated, str(readme)), load_papers())
    for path, content in ((readme, filled), (folder / "README.md", readme_text.page(store.read_reference(folder), generated))):
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8")


def generated_summary(folder: Path) -> str:
    """Return the verdicts of the reference in `folder` as Markdown, judged now.

    Args:
        folder: the reference.

    Returns:
        Markdown, as the READMEs hold it.
    """
    from replications.presentation.judging import judge_paper
    from replications.results.reader import Results

    reference = store.read_reference(folder)
    verdicts = [verdict for paper in load_papers() for verdict in judge_paper(Results.read_reference(paper, folder))]
    return readme_text.summary(reference, verdicts)


@app.command(epilog=examples("results diff results/reference/gpu results/gpu", "results diff results/reference/gpu results/gpu --markdown"))
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="Results folder, for example results/reference/gpu.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Results folder to compare with it.")],
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Print the verdicts, intervals and costs that changed between two results folders."""
    if as_markdown and as_json:
        raise InputError("Give --markdown or --json, not both.")
    from replications.presentation import difference

    papers = load_papers()
    old, new = (difference.read_side(folder, papers) for folder in (before, after))
    changes = difference.compare(old, new)
    if as_json:
        print(json.dumps([dataclasses.asdict(change) for change in changes], indent=2))
    elif as_markdown:
        print(difference.markdown(old, new, changes), end="")
    else:
        rows = [dataclasses.asdict(change) | {"ratio": "" if change.ratio is None else f"{change.ratio:.2f}"} for change in changes]
        print_rows(rows)
        print(f"\n{difference.headline(changes)}")
