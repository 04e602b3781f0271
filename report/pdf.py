"""The content as a PDF through Typst: the template lays out data, it is never pasted into markup."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typst

from replications.errors import ReplicationError
from replications.files import replacing
from replications.presentation import formatting
from replications.presentation.characteristics_csv import read_characteristics
from replications.presentation.citations import by_name, entry, key_of
from replications.registry.tuning import MISSING, Trials
from replications.verdicts.characteristics import Rates
from replications.verdicts.words import WORDS
from report import prose, verdict_marks
from report.bibliography import Entry
from report.claims import VERDICTS, ClaimContent
from report.content import EFFECTS, PaperContent, Report
from report.figures import FigureContent
from report.markup import typst_markup
from report.run_tables import COST_COLUMNS, TableContent
from report.statements import StatementContent, topics_of

TEMPLATE = Path(__file__).parent / "templates" / "report.typ"


def write_pdf(report: Report, citations: dict[str, Entry], path: Path) -> None:
    """Typeset the report.

    Args:
        report: the content of the report.
        citations: id -> citation.
        path: file to write.

    Raises:
        ReplicationError: when Typst refuses the document; its message is passed on.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(TEMPLATE, folder / TEMPLATE.name)
        (folder / "marks").mkdir()
        for word, entry in WORDS.items():
            (folder / "marks" / f"{entry.slug}.svg").write_text(verdict_marks.mark_file(word), encoding="utf-8")
        content = _content(report, citations, folder)
        (folder / "works.bib").write_text(works_cited(report.papers), encoding="utf-8")
        (folder / "content.json").write_text(json.dumps(content, ensure_ascii=False, allow_nan=False), encoding="utf-8")
        try:
            pdf = typst.compile(folder / TEMPLATE.name, root=folder, ignore_system_fonts=True, timestamp=int(report.stamp.timestamp()))
        except typst.TypstError as error:
            raise ReplicationError(f"The PDF cannot be typeset: {error.diagnostic or error.message}") from None
        with replacing(path) as temporary:
            temporary.write_bytes(pdf)


def _content(report: Report, citations: dict[str, Entry], folder: Path) -> dict[str, Any]:
    count = len(report.papers)
    return {
        "title": "Does this paper hold?",
        "subtitle": f"A replication report: {count} paper{'s' if count != 1 else ''}, {len(report.claims)} claims, tier {report.tier}",
        "banner": report.tier_note if "smoke" in report.tiers else "",
        "footer": f"Replication report, tier {report.tier}, {report.stamp.date().isoformat()}",
        "facts": [{"name": name, "value": value} for name, value in report.facts],
        "cite": f"How to cite: {citations['report'].sentence}",
        "words": {word: {"slug": entry.slug, "colour": entry.colour} for word, entry in WORDS.items()},
        "legend": [{"word": word, "meaning": meaning} for word, meaning in VERDICTS.items()],
        "rates": [_rates(row) for row in read_characteristics()],
        "papers": [_paper(paper, folder) for paper in report.papers],
        "topics": [{"title": topic.title, "statements": [_statement(entry) for entry in topic.statements]} for topic in topics_of(report)],
        "works": bool(report.papers),
    }


def _statement(entry: StatementContent) -> dict[str, Any]:
    missing = f"Not in this report; tested in {', '.join(entry.elsewhere)}." if entry.elsewhere else "Not tested here."
    return {
        "id": entry.statement.id,
        "sentence": entry.statement.sentence,
        "note": entry.statement.note,
        "claims": [{"word": claim.verdict.verdict, "where": paper.spec.short, "id": claim.id} for paper, claim in entry.claims],
        "missing": "" if entry.claims else missing,
        "shown": ", ".join(item.item.title for item in entry.shown),
    }


def works_cited(papers: Sequence[PaperContent]) -> str:
    """Return the replicated papers and all works that their texts cite, each once, for the style that sets the bibliography.

    A style prints neither the number of a preprint nor how something was published, so both become the journal.

    Args:
        papers: content of the report.

    Returns:
        BibTeX; Typst sorts it.
    """
    entries: dict[str, str] = {}
    for work in (work for paper in papers for work in (paper.spec.citation, *paper.spec.cites.values())):
        venue = "booktitle" if work.kind == "inproceedings" else "journal"
        fields = {
            "author": " and ".join(work.authors),
            "title": work.title,
            venue: f"{work.venue} arXiv:{work.arxiv}" if work.arxiv and work.kind == "misc" else work.venue,
            "year": str(work.year),
            "url": f"https://arxiv.org/abs/{work.arxiv}" if work.arxiv else work.url or "",
        }
        key = key_of(work)
        entries.setdefault(key, entry("inproceedings" if venue == "booktitle" else "article", key, fields))
    return "\n\n".join(entries.values())


def _problem(where: str, what: str) -> dict[str, str]:
    return {"where": where, "what": what}


def _paper(paper: PaperContent, folder: Path) -> dict[str, Any]:
    spec, work = paper.spec, paper.spec.citation
    pictures = {item.name: _picture(item, folder / "figures" / paper.name, folder) for item in paper.figures}
    tables = {item.name: _table(item) for item in paper.tables}
    exhibits = {item.name: {"title": item.title, "caption": item.caption, "alt": item.alt} for item in paper.exhibits}
    kinds = {"figure": pictures, "table": tables, "exhibit": exhibits}

    def section(part: prose.Section) -> dict[str, Any]:
        pieces = []
        for block in part.blocks:
            if isinstance(block, prose.Embed):
                pieces.append({"kind": block.kind, "item": kinds[block.kind][block.name]})
            else:
                pieces.append({"kind": "text", "text": typst_markup(block)})
        return {"title": part.title, "pieces": pieces}

    before, after = paper.text_around_tables()
    rest = {kind: [item for name, item in items.items() if name not in paper.embedded(kind)] for kind, items in kinds.items()}
    venue = f"{work.venue}, {work.year}" + (f", arXiv {work.arxiv}" if work.arxiv else "")
    return {
        "short": spec.short,
        "who": f"{by_name(work.authors[:1])}{' et al.' if len(work.authors) > 1 else ''}, {work.year}",
        "question": spec.question,
        "finding": paper.answer.finding,
        "tally": paper.answer.tally,
        "word": paper.answer.verdict.verdict if paper.answer.verdict else "not tested",
        "source": f"{by_name(work.authors)}. {work.title}. {venue}.",
        "problems": [_problem(problem.where, problem.what) for problem in paper.problems],
        "claims": [_claim(claim) for claim in paper.claims if claim.verdict.verdict != "not tested"],
        "untested": [
            {"id": claim.id, "text": claim.verdict.claim, "location": claim.verdict.location}
            for claim in paper.claims
            if claim.verdict.verdict == "not tested"
        ],
        "no_tuning": MISSING if paper.tuning is None else "",
        "tuning": [_trials(entry) for entry in paper.tuning or ()],
        "before": [section(part) for part in before],
        "after": [section(part) for part in after],
        "deviations": [entry.model_dump() | {"effect": EFFECTS[entry.effect]} for entry in spec.deviations],
        "tables": rest["table"],
        "figures": rest["figure"],
        "exhibits": rest["exhibit"],
        "cost_columns": [
            {"key": key, "title": title} for key, title in COST_COLUMNS.items() if any(key in row.shown for row in paper.costs)
        ],
        "costs": [{"run": row.run, "seeds": row.seeds, "time": row.shown["seconds"], "shown": row.shown} for row in paper.costs],
        "devices": ", ".join(sorted({row.device for row in paper.costs if row.device})) or "an unknown device",
        "origins": [
            {"run": row.run, "seeds": row.seeds, "commit": row.commit[:10], "dirty": row.dirty, "ended": row.ended[:10]}
            for row in paper.origins
        ],
    }


def _trials(entry: Trials) -> dict[str, str]:
    unknown = "not recorded"
    return {
        "what": entry.what,
        "runs": ", ".join(entry.runs),
        "trials": unknown if entry.trials is None else str(entry.trials),
        "seeds": unknown if entry.seeds is None else ", ".join(str(seed) for seed in entry.seeds) or formatting.NONE,
        "overlap": entry.overlap,
        "split": entry.split,
        "values": entry.values,
        "test_seen": entry.test_seen,
        "chosen": entry.chosen,
        "reason": entry.reason,
    }


def _rates(row: Rates) -> dict[str, str]:
    shares = {name: f"{100 * getattr(row, name):.1f}" for name in ("holds", "contradicted", "open")}
    error = f"{row.error}, at most {100 * (row.limit or 0):.3g} % each" if row.error else formatting.NONE
    return {"rule": row.rule, "situation": row.situation, "seeds": str(row.seeds), **shares, "error": error}


def _claim(claim: ClaimContent) -> dict[str, Any]:
    verdict = claim.verdict
    margin = f"{claim.shown_margin}. {claim.margin_reason}" if claim.shown_margin else claim.margin_reason
    return {
        "id": claim.id,
        "text": verdict.claim,
        "location": verdict.location,
        "primary": verdict.primary,
        "published": claim.shown_published or formatting.NONE,
        "stand_in": claim.stand_in,
        "evidence": claim.evidence,
        "ours": claim.shown_ours or formatting.NONE,
        "interval": claim.shown_interval,
        "criterion": verdict.criterion,
        "p": claim.shown_p,
        "seeds": claim.shown_seeds,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "flag": verdict.registration,
        "beside": [sentence for sentence in verdict.said_beside if sentence not in verdict.integrity]
        + ([claim.promoted] if claim.promoted else []),
        "advice": claim.advice,
        "margin": margin,
    }


def _table(item: TableContent) -> dict[str, Any]:
    return {"title": item.title, "location": item.location, "note": item.note, "bands": table_bands(item)}


WIDEST = 8.5
"""Columns beside the label that fit on a page, one of ours counting for one and a half; a wider table is set as several."""


def table_bands(item: TableContent) -> list[dict[str, Any]]:
    """Return a table cut between measures into the fewest parts that fit, as equal as they can be, each with the rows' labels.

    Args:
        item: a published table beside ours.

    Returns:
        Columns, groups and rows of each part.
    """
    ends = list(itertools.accumulate(span for _, span in item.groups))
    starts = [0, *ends]
    widths = [sum(1.5 if name == "ours" else 1.0 for name in item.columns[a:b]) for a, b in itertools.pairwise(starts)]
    limit = WIDEST
    while limit > 1 and len(_packed(widths, limit - 0.5)) == len(_packed(widths, WIDEST)):
        limit -= 0.5
    bands = []
    for measures in _packed(widths, limit):
        columns = slice(starts[measures[0]], ends[measures[-1]])
        rows = [(label, cells[columns]) for label, cells in item.rows]
        bands.append(
            {
                "columns": item.columns[columns],
                "groups": [{"label": item.groups[i][0], "span": item.groups[i][1]} for i in measures],
                "rows": [
                    {"label": label, "cells": [{"text": cell.text, "detail": cell.detail} for cell in cells]}
                    for label, cells in rows
                    if any(cell.text or cell.detail for cell in cells)
                ],
            }
        )
    return bands


def _packed(widths: list[float], limit: float) -> list[list[int]]:
    """Neighbours together while their widths stay within a limit; what is wider stands alone."""
    packed: list[list[int]] = []
    for index, width in enumerate(widths):
        if packed and sum(widths[i] for i in packed[-1]) + width <= limit:
            packed[-1].append(index)
        else:
            packed.append([index])
    return packed


def _picture(item: FigureContent, target: Path, root: Path) -> dict[str, Any]:
    """A figure with its vector file beside the template; one that Typst cannot read becomes a hole, not a failure."""
    shown = {"title": item.title, "caption": item.caption, "alt": item.alt, "why_not": item.why_not or "Its files are missing.", "file": ""}
    source = item.files.get("pdf") if item.drawn else None
    if source is None:
        return shown
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target / source.name)
    shown["file"] = str((target / source.name).relative_to(root))
    probe = root / "probe.typ"
    probe.write_text(f'#image("{shown["file"]}")', encoding="utf-8")
    try:
        typst.compile(probe, root=root, ignore_system_fonts=True)
    except typst.TypstError as error:
        shown |= {"file": "", "why_not": f"Its PDF is damaged ({error.message}); draw it again."}
    return shown
