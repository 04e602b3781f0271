"""From results to the finished folder: content once, then pages, PDF and citations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from replications.evidence.citations import write_bibliography
from replications.evidence.exhibits import write_page
from replications.evidence.spec import Paper
from report.citing import citation_file, entries
from report.content import Report, build
from report.html import write_pages
from report.pdf import write_pdf


def write_report(tier: str, source: str, runs: Path, derived: Path, papers: Sequence[Paper], out: Path, stamp: datetime) -> Report:
    """Write the whole report into `out` and return its content."""
    report = build(tier, source, runs, derived, papers, stamp)
    citations = entries(report)
    write_pages(report, citations, out)
    write_bibliography(out / "citations.bib", citations.values())
    write_page(out / "CITATION.cff", citation_file(report))
    write_pdf(report, citations, out / "report.pdf")
    return report
