"""The README's table of verdicts, and the page of the reference's folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from replications.errors import InputError
from replications.presentation.citations import short_citation
from replications.presentation.verdict_log import BEFORE
from replications.registry.papers import Paper
from replications.results.reference import Reference
from replications.verdicts.verdict import Verdict
from replications.verdicts.words import WORDS

BEGIN, END = "<!-- verdicts of the reference: written by `replications results update-readme` -->", "<!-- end of the verdicts -->"


BEGIN_PAPERS, END_PAPERS = "<!-- papers: written by `replications results update-readme` -->", "<!-- end of the papers -->"

LABELS = {
    "smoke": (
        "**These are results of tier `smoke`**: small stand-ins, trained in minutes on a CPU on embedded data. They show that the"
        " machinery works, not that a paper holds."
    ),
    "cpu": "These are results of tier `cpu`: real data at published settings, as far as a processor trains them overnight.",
    "gpu": "These are results of tier `gpu`: real data on one GPU, the headline results, not every published size.",
    "paper": "These are results of tier `paper`: published sizes.",
}


def summary(reference: Reference, verdicts: Sequence[Verdict]) -> str:
    """Verdicts of the reference as Markdown: what tier it is, and for each paper how many claims got which verdict."""
    words = [word for word in WORDS if any(verdict.verdict == word for verdict in verdicts)]
    lines = [LABELS[reference.tier], ""]
    judged = [verdict for verdict in verdicts if verdict.verdict not in ("not tested", "withheld")]
    flags = [flag for flag in ("post hoc", "not registered") if any(verdict.registration == flag for verdict in judged)]
    titles = [*(f"{WORDS[word].symbol} {word}" for word in words), *(f"of these {flag}" for flag in flags)]
    lines += [f"| paper | {' | '.join(titles)} |", "|---|" + "--:|" * len(titles)]
    for paper in dict.fromkeys(verdict.paper for verdict in verdicts):
        count = Counter(verdict.verdict for verdict in verdicts if verdict.paper == paper)
        late = Counter(verdict.registration for verdict in judged if verdict.paper == paper)
        cells = [*(count[word] for word in words), *(late[flag] for flag in flags)]
        lines.append(f"| `{paper}` | {' | '.join(str(cell or '') for cell in cells)} |")
    if flags:
        lines += [
            "",
            "Post hoc: judged by a text of the claim that was edited or added after the run began; not registered: the run stores none.",
        ]
    lines += ["", *(f"- {doubt}" for doubt in reference.promoted.reservations)]
    return "\n".join(lines).strip() + "\n"


def papers_table(papers: Sequence[Paper]) -> str:
    """Return the papers as a Markdown table: folder, work and question, as they are declared.

    Args:
        papers: the papers.
    """
    rows = [f"| `{paper.name}` | {short_citation(paper.citation)}: {paper.question} |" for paper in papers]
    return "\n".join(["| paper | question |", "|---|---|", *rows]) + "\n"


def fill_papers(text: str, papers: Sequence[Paper]) -> str:
    """Return a README with its table of papers written anew; unchanged where it has no place for one.

    Args:
        text: the README.
        papers: the papers.
    """
    before, begin, rest = text.partition(BEGIN_PAPERS)
    _, end, after = rest.partition(END_PAPERS)
    return f"{before}{begin}\n\n{papers_table(papers)}\n{end}{after}" if begin and end else text


def fill_readme(text: str, generated: str, where: str) -> str:
    """Return a README with the verdicts between their two marks replaced.

    Args:
        text: the README.
        generated: what `summary` returned.
        where: its path, for messages.

    Raises:
        InputError: it has no such marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{where} has no place for the verdicts: it needs the lines\n{BEGIN}\n{END}")
    return f"{before}{BEGIN}\n\n{generated}\n{END}{after}"


def page(reference: Reference, generated: str) -> str:
    """The README of the reference's folder."""
    commits = ", ".join(f"`{commit[:10]}`" for commit in reference.promoted.commits)
    return f"""# Reference results

{generated}
Tier `{reference.tier}`: promoted on {reference.promoted.promoted}; made by {commits}.

`<tier>/<paper>/<run>/seeds-<first>-<last>/` holds the records (parquet), the arrays that figures need (npz) and the provenance of
each job, as the job wrote them. There are no checkpoints and no data. Everything else is redrawn from these files, without
a GPU and without training:

    make report SOURCE=reference     # results/from-reference/report/
    make figures SOURCE=reference    # results/from-reference/<paper>/figures/

This folder is never edited: `make report TIER=gpu`, then `.venv/bin/replications results promote results/gpu` adds each
finished chunk, and commit. `.venv/bin/replications results diff results/reference/gpu results/gpu` says before that what
would change. A chunk that is here with other content is replaced only with `--reason "..."`. `verdicts.log` has one row per claim
and promotion, to which rows are only added; `.venv/bin/replications results log` prints it. {BEFORE}
`.venv/bin/replications results restore --tier gpu` puts the chunks into `results/gpu`, to go on from there.
"""
