"""The page of each paper: question, method, claims with the verdicts of the reference, runs by tier, data, deviations, citation."""

from __future__ import annotations

from collections import Counter

from documentation.markdown import code, table, text
from replications.presentation.citations import cite_paper, short_citation
from replications.registry.papers import Paper
from replications.registry.run_grid import load_runs
from replications.registry.schema import TIERS
from replications.verdicts.quantity import number
from replications.verdicts.verdict import Verdict
from replications.verdicts.words import WORDS
from report import prose
from report.content import PaperContent
from report.html import render_tokens

EFFECTS = {"better": "better", "worse": "worse", "none": "none", "unknown": "unknown"}
TEXTS = ("Question", "Method", "What was easy", "What was difficult")
"""Sections of `section.md` that need no figure beside them; the others are in the report."""


def _section(section: prose.Section) -> str:
    """Return a section as a heading in Markdown and its text as HTML, since its equations and escapes are already read."""
    blocks = "".join(str(render_tokens(block)) for block in section.blocks if isinstance(block, list))
    return f"## {section.title}\n\n<div>\n{blocks}</div>" if blocks else ""


def _published(verdict: Verdict) -> str:
    return text(verdict.published_text) if verdict.published is None else text(number(verdict.published, verdict.unit))


def _claims(verdicts: list[Verdict]) -> str:
    rows = []
    for verdict in verdicts:
        name = verdict.id.partition(".")[2]
        claim = f'<span id="claim-{name}"></span>{text(verdict.claim)} {text(verdict.location)}. {code(name)}'
        ours = "" if verdict.ours is None else text(number(verdict.ours, verdict.unit))
        word = f"{WORDS[verdict.verdict].symbol} {verdict.verdict}" + (f": {text(verdict.proxy)}" if verdict.proxy else "")
        rows.append([claim, _published(verdict), ours, word])
    return table(["claim, where it is made, and its id", "published", "ours", "verdict"], rows)


def _runs(paper: Paper) -> str:
    rows = []
    for tier in TIERS:
        runs = load_runs(paper.name, tier)
        if runs:
            minutes = sum(run.resources.minutes * len(run.chunks()) for run in runs)
            gpus = sum(run.resources.minutes * len(run.chunks()) * run.resources.gpus for run in runs)
            cost = f"{gpus / 60:,.1f} GPU hours" if gpus else f"{minutes / 60:,.1f} core hours"
            names = ", ".join(code(run.name) for run in runs)
            rows.append([code(tier), str(len(runs)), cost, f"{max(run.resources.memory_gb for run in runs):g} GB", names])
    return table(["tier", "runs", "expected in all", "largest memory", "names"], rows)


def page(paper: PaperContent) -> str:
    """Return the page of a paper.

    Args:
        paper: content of the report on it, from the reference.

    Returns:
        Markdown.
    """
    spec = paper.spec
    counts = Counter(verdict.verdict for verdict in paper.verdicts)
    said = ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word])
    works = {"paper": spec.citation, **spec.cites}
    deviations = [[text(item.what), text(item.paper), text(item.ours), EFFECTS[item.effect], text(item.reason)] for item in spec.deviations]
    parts = [
        f"# {text(spec.short)}",
        f"**{text(spec.question)}**",
        f"{text(cite_paper(spec.citation).sentence)} Folder: {code(f'replications/papers/{spec.name}/')}.",
        f"The committed results say: {said}. Figures, exhibits and published tables beside ours are in the report, which"
        " `make report SOURCE=reference` makes in about a minute.",
        *(_section(section) for section in paper.text if section.title in TEXTS),
        "## Claims",
        "Verdicts of the committed results, each at the largest tier that has what it needs. [How verdicts work](../../verdicts.md) says what"
        " each word means.",
        _claims([verdict for verdict in paper.verdicts if verdict.verdict != "not tested"]) or "None is judged yet.",
        "### Not tested by the committed results" if counts["not tested"] else "",
        _claims([verdict for verdict in paper.verdicts if verdict.verdict == "not tested"]),
        "## Runs by tier",
        f"`replications list --paper {spec.name} --tier TIER` prints each run with its seeds, minutes and memory; its settings are listed"
        f" [here](../settings.md#{spec.name}).",
        _runs(spec),
        "## Deviations from the paper" if deviations else "",
        table(["what", "paper", "here", "expected effect on our score", "why"], deviations),
        "## Works",
        "\n".join(f'- <span id="cite-{key}"></span>{text(cite_paper(work).sentence)}' for key, work in works.items()),
        "## Cite",
        f"`replications claims cite {spec.name}` prints this, and `replications claims cite {spec.name}.ID` the same for a claim, a table"
        " or a figure of this replication.",
        "\n".join(f"    {line}" for line in cite_paper(spec.citation).bibtex.splitlines()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def overview(papers: list[PaperContent]) -> str:
    """Return the table of papers with links to their pages.

    Args:
        papers: in order.

    Returns:
        Markdown.
    """
    rows = [
        [
            f"[{text(paper.spec.short)}](generated/papers/{paper.name}.md)",
            text(short_citation(paper.spec.citation)),
            text(paper.spec.question),
        ]
        for paper in papers
    ]
    return table(["paper", "work", "question"], rows)
