"""From results to the finished folder: content once, then pages, PDF, citations and exports."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from replications.presentation.citations import write_bibliography
from replications.presentation.claims_csv import write_claims_csv
from replications.presentation.exhibits import write_page
from replications.presentation.reference_formats import as_csl_json, as_ris
from replications.registry.papers import Paper
from report.bibliography import citation_file, entries
from report.content import Report, build
from report.crate import NAME, metadata
from report.exports import ARCHIVE, ONLINE, Part, copy_workflow, parts, write_answers, write_archive, write_readme
from report.html import write_pages
from report.pdf import write_pdf


def write_report(tier: str, source: str, runs: Path, derived: Path, papers: Sequence[Paper], out: Path, stamp: datetime) -> Report:
    """Write the whole report into a folder and return its content.

    Args:
        tier: name of the tier; of the reference, each paper has the largest that there are results of.
        source: 'runs' or 'reference'.
        runs: folder with the chunks of the runs, or the reference.
        derived: folder with figures, tables and exhibits by paper.
        papers: the papers to report.
        out: folder of the report.
        stamp: time of the report; the same results and stamp give the same bytes.

    Returns:
        The content from which all files were written.
    """
    report = build(tier, source, runs, derived, papers, stamp)
    citations = entries(report)
    with ThreadPoolExecutor(1) as beside:  # Typst needs no Python while it typesets
        pdf = beside.submit(write_pdf, report, citations, out / "report.pdf")
        write_pages(report, citations, out)
        pdf.result()
    write_bibliography(out / "citations.bib", citations.values())
    write_page(out / "citations.ris", as_ris(citations.values()))
    write_page(out / "citations.csl.json", as_csl_json(citations.values()))
    write_page(out / "CITATION.cff", citation_file(report))
    write_claims_csv(out / "claims.csv", [verdict for paper in report.papers for verdict in paper.verdicts])
    write_readme(report, citations["report"].sentence, out)
    write_answers(report, out)
    copy_workflow(out)
    _export(report, out)
    return report


def _export(report: Report, out: Path) -> None:
    """Write the archive, which is a crate of its own without the pages, and describe the folder as a crate."""
    content = parts(report, out)
    offline = [part for part in content if part.kind not in ONLINE]
    write_archive(out, offline, metadata(report, offline, out), report.stamp)
    archive = Part(ARCHIVE, "archive", "Exports", "Claims, tables, figures, exhibits, the PDF and citations, as a crate of their own.")
    write_page(out / NAME, metadata(report, [*content, archive], out))
