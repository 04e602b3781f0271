"""The files that a report hands out: which they are, what each one is, and all of them in one archive."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from replications.files import replacing
from replications.paths import ROOT
from replications.presentation.exhibits import write_page
from report.bibliography import TITLE
from report.content import PaperContent, Report
from workflow.jobs import workflow_files

ARCHIVE = "exports.zip"
LOCK = "requirements.lock"
README = "README.md"
ANSWERS = "answers.txt"
CONTENTS = """# {title}

Tier {tier}, {date}. {cite}

| what | where |
| --- | --- |
| claims with published values, ours, intervals and verdicts | `claims.csv` |
| published tables beside ours, as CSV, LaTeX (needs booktabs) and Markdown | `files/<paper>/tables/` |
| figures as SVG, PDF and PNG, with the numbers they draw as CSV | `files/<paper>/figures/` |
| interactive pages | `exhibits/` |
| everything on paper | `report.pdf` |
| how to cite the report, the papers, and each claim, table, figure and exhibit | `citations.{{bib,ris,csl.json}}`, `CITATION.cff` |
| the workflow, its configuration and the packages it ran with | `workflow/`, `config/`, `{lock}` |
| where all of it comes from, for programs (Workflow Run RO-Crate) | `ro-crate-metadata.json` |
"""
ONLINE = ("page", "asset")
"""Kinds that belong to the pages and not into the archive."""


@dataclass(frozen=True)
class Part:
    """One file of a report.

    Attributes:
        path: relative to the report's folder, with '/'.
        kind: page, asset, readme, report, claims, table, figure, exhibit, citation, workflow or archive.
        name, about: what it is, in a few words and in a sentence or two.
    """

    path: str
    kind: str
    name: str
    about: str = ""


def parts(report: Report, out: Path) -> list[Part]:
    """Return every file that a report consists of and that was written, the archive and the crate's metadata excepted.

    Args:
        report: the content of the report.
        out: folder of the report.

    Returns:
        Parts whose file exists.
    """
    found = [
        Part("index.html", "page", "Opening page", "All claims with their verdicts."),
        Part("statements.html", "page", "Statements of lectures", "What lectures teach, and the claims that test it."),
        *(Part(f"assets/{path.name}", "asset", path.name) for path in sorted((out / "assets").glob("*"))),
        Part("report.pdf", "report", "The report as a PDF", "The same content as the pages."),
        Part("claims.csv", "claims", "Claims and verdicts", "Every claim: published value, ours, interval, seeds, verdict and why."),
        Part("citations.bib", "citation", "BibTeX of everything", "The report, the papers, and every claim, table, figure and exhibit."),
        Part("citations.ris", "citation", "The same for reference managers (RIS)"),
        Part("citations.csl.json", "citation", "The same as CSL-JSON"),
        Part("CITATION.cff", "citation", "How to cite the report"),
        Part(README, "readme", "What is where"),
        Part(ANSWERS, "readme", "The answer so far, one line per paper"),
    ]
    for paper in report.papers:
        found += _paper_parts(paper)
    found += [Part(path, "workflow", path) for path in _workflow_files()]
    return [part for part in found if (out / part.path).is_file()]


def _paper_parts(paper: PaperContent) -> list[Part]:
    short, base = paper.spec.short, f"files/{paper.name}"
    found = [Part(f"{paper.name}.html", "page", short, paper.spec.question)]
    for table in paper.tables:
        about = " ".join(f"{table.location}, beside our runs. {table.note}".split())
        found += [Part(f"{base}/tables/{path.name}", "table", f"{short}: {table.title}", about) for path in table.files.values()]
    for figure in paper.figures:
        if figure.drawn:
            name = f"{short}: {figure.title}"
            found += [Part(f"{base}/figures/{path.name}", "figure", name, figure.caption) for path in figure.files.values()]
    for item in paper.exhibits:
        if item.drawn:
            found.append(Part(f"exhibits/{paper.name}.{item.name}.html", "exhibit", f"{short}: {item.title}", item.caption))
    return found


def _workflow_files() -> list[str]:
    """The workflow's files, relative to the suite and to a report alike."""
    return [path.relative_to(ROOT).as_posix() for path in workflow_files()]


MOST_ANSWERS = 9
"""Lines of `answers.txt`, so that with the address of the report they are ten."""


def write_answers(report: Report, out: Path) -> None:
    """Write `answers.txt`, which `make report` prints at its end: counts of verdicts, a line per paper, or one for all where papers are many.

    Args:
        report: the content of the report.
        out: folder of the report.
    """
    lines = [f"{paper.spec.short}: {paper.answer.tally}" for paper in report.papers]
    if len(lines) > MOST_ANSWERS:
        counts = ", ".join(f"{count} {word}" for word, count in report.counts().items())
        lines = [f"{len(report.papers)} papers, {len(report.claims)} claims: {counts}."]
    write_page(out / ANSWERS, "\n".join(lines) + "\n")


def write_readme(report: Report, cite: str, out: Path) -> None:
    """Write `README.md`, which says what is where.

    Args:
        report: the content of the report.
        cite: the sentence that cites the report.
        out: folder of the report.
    """
    date = report.stamp.date().isoformat()
    write_page(out / README, CONTENTS.format(title=TITLE, tier=report.tier, date=date, cite=f"To cite: {cite}", lock=LOCK))


def copy_workflow(out: Path) -> None:
    """Put the workflow's files beside the report.

    Args:
        out: folder of the report.
    """
    for name in _workflow_files():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, out / name)


def write_archive(out: Path, content: Sequence[Part], metadata: str, stamp: datetime) -> None:
    """Write `exports.zip`: these parts and the crate's metadata, equal byte for byte where they and `stamp` are.

    Args:
        out: folder of the report.
        content: parts that the archive holds.
        metadata: text of the crate's `ro-crate-metadata.json`.
        stamp: time of every file in the archive.
    """
    with replacing(out / ARCHIVE) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        texts = {"ro-crate-metadata.json": metadata.encode()}
        date = max(stamp.timetuple()[:6], (1980, 1, 1, 0, 0, 0))  # the first that the format knows
        for name in sorted({part.path for part in content} | set(texts)):
            entry = zipfile.ZipInfo(name, date)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
            archive.writestr(entry, texts.get(name) or (out / name).read_bytes())
