"""Write everything that the site needs beside the written pages: `docs/generated/`, which git ignores, so that it is never out of date."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from documentation import (
    architecture,
    command_reference,
    data_tables,
    notebooks,
    paper_pages,
    repository_pages,
    settings_reference,
    verdict_tables,
)
from replications.files import replacing
from replications.paths import ROOT
from replications.registry.papers import load_papers
from report.content import build

GENERATED = ROOT / "docs" / "generated"
EXERCISES = ROOT / "docs" / "exercises"


def pages(reference: Path) -> dict[str, str]:
    """Return all generated pages, and under `parts/` the tables that written pages include.

    Args:
        reference: folder of the committed results.

    Returns:
        Path under `docs/generated/` -> Markdown or SVG.
    """
    papers = load_papers()
    report = build("smoke", "reference", reference, ROOT / "results" / "from-reference", papers, datetime.now(UTC))
    rooms = architecture.read_rooms()
    return {
        "commands.md": command_reference.page(),
        "data.md": data_tables.page(papers),
        "settings.md": settings_reference.page(papers),
        **{f"papers/{paper.name}.md": paper_pages.page(paper) for paper in report.papers},
        **{target: repository_pages.page(name) for name, target in repository_pages.SHOWN.items()},
        **{f"exercises/{path.stem}.md": notebooks.page(path) for path in sorted(EXERCISES.glob("*.ipynb"))},
        "parts/papers.md": paper_pages.overview(list(report.papers)),
        "parts/words.md": verdict_tables.words(),
        "parts/kinds.md": verdict_tables.kinds(),
        "parts/rates.md": verdict_tables.rates(),
        "parts/rooms.svg": architecture.picture(rooms),
        "parts/rooms.md": architecture.tables(rooms),
    }


def command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write; what is in it is replaced.")] = GENERATED,
    reference: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the committed results.")] = ROOT / "results" / "reference",
) -> None:
    """Write the generated pages of the documentation; `make docs` calls this and then MkDocs."""
    texts = pages(reference)
    shutil.rmtree(out, ignore_errors=True)
    for name, content in texts.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    print(f"{len(texts)} generated pages and parts in {out}")
