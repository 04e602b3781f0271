"""`promote`, `readme`, `diff`: the committed reference results, and what changed between two results folders."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from replications.commands.output import print_rows
from replications.errors import InputError
from replications.files import replacing
from replications.paths import ROOT
from replications.presentation import readme as readme_text
from replications.registry.papers import load_papers
from replications.results import reference as store

FOLDER = Path("results") / "reference"


def promote(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Finished results of one tier, for example results/gpu.")],
    out: Annotated[Path, typer.Option(help="Folder of the reference.")] = FOLDER,
    readme: Annotated[Path, typer.Option(help="README whose verdict table follows.")] = ROOT / "README.md",
    partial: Annotated[bool, typer.Option("--partial", help="Also where runs are missing or in doubt; it is then said.")] = False,
) -> None:
    """Make the results of a tier the committed reference, from which figures and report are redrawn without a GPU."""
    papers = load_papers()
    chunks = store.promote(source, out, papers, partial=partial)
    rows = []
    for paper in papers:
        mine = [chunk for chunk in chunks if chunk.paper == paper.name]
        size = sum(chunk.size for chunk in mine)
        rows.append({"paper": paper.name, "runs": len({chunk.run for chunk in mine}), "chunks": len(mine), "MB": round(size / 1e6, 2)})
    print_rows(rows)
    write_readmes(out, readme)


def readme(
    reference: Annotated[Path, typer.Option(help="Folder of the reference.")] = FOLDER,
    out: Annotated[Path, typer.Option(help="README whose verdict table is written.")] = ROOT / "README.md",
) -> None:
    """Write the verdict table of the reference into the README, judged now by the claims as they are registered."""
    write_readmes(reference, out)


def write_readmes(folder: Path, readme: Path) -> None:
    """The README's table of verdicts, and the page that explains the reference's folder."""
    generated = generated_summary(folder)
    filled = readme_text.fill_readme(readme.read_text(encoding="utf-8"), generated, str(readme))
    for path, content in ((readme, filled), (folder / "README.md", readme_text.page(store.read_reference(folder), generated))):
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8")


def generated_summary(folder: Path) -> str:
    """The verdicts of the reference in `folder` as Markdown, judged now."""
    from replications.presentation.judging import judge_paper
    from replications.results.reader import Results

    found = store.read_reference(folder)
    verdicts = [verdict for paper in load_papers() for verdict in judge_paper(Results.read(paper, found.tier, folder))]
    return readme_text.summary(found, verdicts)


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="Results folder, for example results/reference.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Results folder to hold against it.")],
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Which verdicts, intervals and costs changed between two results folders."""
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
