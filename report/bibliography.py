"""Citations of the report and of everything in it: `presentation.citations` for the papers' parts, and the report as a whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import yaml

from replications.errors import ReplicationError
from replications.presentation import citations
from replications.presentation.citations import Cited
from replications.results.reader import Results
from report.content import PaperContent, Report

Entry = Cited


def entries(report: Report) -> dict[str, Entry]:
    """Return the citation of everything that can be cited, by id: 'report', the suite, '<paper>', and its claims, tables, figures and exhibits.

    Args:
        report: the content of the report.

    Returns:
        Id -> citation.
    """
    found = {"report": whole(report), citations.SUITE: citations.cite_suite()}
    for paper in report.papers:
        found[paper.name] = citations.cite_paper(paper.spec.citation)
        for key, work in paper.spec.cites.items():
            found[f"{paper.name}.cites.{key}"] = citations.cite_paper(work)
        for claim in paper.claims:
            if claim.verdict in paper.verdicts:
                found[claim.verdict.id] = _cited(
                    report, paper, claim.id, partial(citations.cite_verdict, claim.verdict, promoted=claim.promoted)
                )
            else:
                found[claim.verdict.id] = _plain(report, paper, claim.id)
        for table in paper.tables:
            key = f"{paper.name}.{table.name}"
            found[key] = _cited(report, paper, table.name, partial(citations.cite_table, table.name))
        for kind, items in (("figure", paper.figures), ("exhibit", paper.exhibits)):
            for item in items:
                make = partial(citations.cite_drawing, kind, item.name, runs=item.runs, tier=item.tier, title=item.title)
                found[item.id] = _cited(report, paper, item.name, make)
    return found


def _cited(report: Report, paper: PaperContent, name: str, make: Callable[[Results], Cited]) -> Cited:
    """A citation with what it rests on; where damaged provenance leaves that unknown, one without."""
    try:
        return make(paper.results)
    except (ReplicationError, KeyError, TypeError, ValueError, AttributeError):  # edited provenance can lack any key or hold any type
        return _plain(report, paper, name)


def _plain(report: Report, paper: PaperContent, name: str) -> Cited:
    suite = citations.suite()
    key = f"replications-{paper.name}.{name}"
    title = f"{paper.name}.{name}: replication of {paper.spec.citation.title}"
    note = f"Tier {report.tier}; provenance incomplete"
    fields = {"author": suite["author"], "title": title, "note": note}
    return Cited(key, citations.entry("misc", key, fields), f"{suite['authors']}. {title}. {note}.", "dataset", fields)


TITLE = "Does this paper hold? A replication report"


def whole(report: Report) -> Cited:
    """Return the citation of the report itself.

    Args:
        report: the content of the report.

    Returns:
        Key, BibTeX entry and sentence.
    """
    suite = citations.suite()
    papers = ", ".join(paper.spec.short for paper in report.papers)
    note = f"Tier {report.tier}; commit {report.commit[:12] or 'unknown'}; papers: {papers}"
    fields = {"author": suite["author"], "title": TITLE, "year": report.year, "note": note, "url": suite["url"]}
    key = f"replications-report-{report.tier}"
    return Cited(key, citations.entry("misc", key, fields), f"{suite['authors']} ({report.year}). {TITLE}. {note}.", "dataset", fields)


def citation_file(report: Report) -> str:
    """Return `CITATION.cff` of the report, by the authors and under the licence of the suite, with the replicated papers as references.

    Args:
        report: the content of the report.

    Returns:
        YAML.
    """
    suite = citations.citation_file()
    content = {
        "cff-version": suite["cff-version"],
        "message": "Cite this report together with the papers that it replicates.",
        "type": "dataset",
        "title": TITLE,
        "authors": suite["authors"],
        "version": f"tier {report.tier}, commit {report.commit[:12] or 'unknown'}",
        "license": suite["license"],
        "date-released": report.stamp.date().isoformat(),
        "references": [_reference(paper) for paper in report.papers],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _reference(paper: PaperContent) -> dict[str, object]:
    work = paper.spec.citation
    people = []
    for author in work.authors:
        family, _, given = author.partition(", ") if "," in author else tuple(reversed(author.rpartition(" ")))
        people.append({"family-names": family, "given-names": given} if given else {"name": family})
    kind = {"inproceedings": "conference-paper", "article": "article", "misc": "generic"}[work.kind]
    reference: dict[str, object] = {"type": kind, "title": work.title, "authors": people, "year": work.year}
    if work.arxiv:
        reference["identifiers"] = [{"type": "other", "value": f"arXiv:{work.arxiv}"}]
    if work.url:
        reference["url"] = work.url
    return reference
