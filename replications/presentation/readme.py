"""The README's generated parts (findings, counts, papers, cost of each tier), and the page of the reference's folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from replications.errors import InputError
from replications.presentation.answers import answer
from replications.presentation.citations import short_citation
from replications.presentation.verdict_log import BEFORE
from replications.registry.papers import Paper
from replications.registry.run_grid import load_runs
from replications.registry.schema import TIERS
from replications.results.reference import Reference
from replications.verdicts.verdict import Verdict
from replications.verdicts.words import WORDS

BEGIN, END = "<!-- verdicts of the reference: written by `replications results update-readme` -->", "<!-- end of the verdicts -->"
BEGIN_PAPERS, END_PAPERS = "<!-- papers: written by `replications results update-readme` -->", "<!-- end of the papers -->"
BEGIN_TIERS, END_TIERS = "<!-- cost of the tiers: written by `replications results update-readme` -->", "<!-- end of the tiers -->"

TIER_LABELS = {
    "smoke": "small stand-ins, trained in minutes on embedded data, which show that the machinery works, not that a paper holds",
    "cpu": "real data and published settings, trained overnight on processor cores",
    "gpu": "real data on one GPU: the headline results, not every published size",
    "paper": "published sizes",
}
OPEN_PROXY = "inconclusive (proxy)"
FLAGS = {
    "post hoc": "judged by a text of the claim that was edited or added after the run began",
    "not registered": "the run stores no text of the claim",
}


def summary(reference: Reference, verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts of the reference as Markdown: counts by paper, apart for real results, counted quantities and stand-ins.

    Args:
        reference: description of the committed results.
        verdicts: the verdicts on the claims of all papers, each at the largest tier that judges it.

    Returns:
        Markdown without the two marks around it.
    """
    held = [tier for tier in TIERS if tier in reference.tiers]
    lines = ["Every claim is judged at the largest tier that has results for it:", ""]
    lines += [f"- `{tier}`: {TIER_LABELS[tier]};" for tier in held]
    lines[-1] = lines[-1].removesuffix(";") + "."
    of_papers = [verdict for verdict in verdicts if verdict.evidence != "ours"]
    of_ours = [verdict for verdict in verdicts if verdict.evidence == "ours"]
    lines += ["", *_findings(verdicts)]
    lines += ["", "<details><summary>Counts of all verdicts, and what is missing</summary>", "", *_counts(of_papers)]
    if of_ours:
        lines += ["", "Statements of ours, which the papers do not make, are counted apart:", "", *_counts(of_ours)]
    doubts = [f"- Tier `{tier}`: {doubt}" for tier in held for doubt in reference.tiers[tier].reservations]
    return "\n".join([*lines, *([""] if doubts else []), *doubts, "", "</details>"]).strip() + "\n"


def _findings(verdicts: Sequence[Verdict]) -> list[str]:
    """Return one line per paper: its strongest finding in a sentence, see `answers.answer`."""
    found = {
        paper: answer([verdict for verdict in verdicts if verdict.paper == paper]) for paper in dict.fromkeys(v.paper for v in verdicts)
    }
    return [f"- `{paper}`: {given.finding}" for paper, given in found.items() if given.finding]


def _counts(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the lines of a table: one row per paper, one column per verdict that anybody got; results on real scale first.

    Verdicts by a text of the claim that the runs did not begin with are counted once more at the end.
    """
    columns = [word for word in (*WORDS, OPEN_PROXY) if any(_column(verdict) == word for verdict in verdicts)]
    judged = [verdict for verdict in verdicts if verdict.verdict not in ("not tested", "withheld")]
    flags = [flag for flag in FLAGS if any(verdict.registration == flag for verdict in judged)]
    heads = [f"{WORDS['inconclusive' if word == OPEN_PROXY else word].symbol} {word}" for word in columns]
    heads += [f"of these {flag}" for flag in flags]
    lines = [f"| paper | {' | '.join(heads)} |", "|---|" + "--:|" * len(heads)]
    for paper in dict.fromkeys(verdict.paper for verdict in verdicts):
        count = Counter(_column(verdict) for verdict in verdicts if verdict.paper == paper)
        late = Counter(verdict.registration for verdict in judged if verdict.paper == paper)
        cells = [*(count[word] for word in columns), *(late[flag] for flag in flags)]
        lines.append(f"| `{paper}` | {' | '.join(str(cell or '') for cell in cells)} |")
    return [*lines, *(f"\n{flag.capitalize()}: {FLAGS[flag]}." for flag in flags)]


def _column(verdict: Verdict) -> str:
    """Return the word of a verdict, with what is open on a stand-in apart from what is open on the real scale."""
    return OPEN_PROXY if verdict.verdict == "inconclusive" and verdict.proxy else verdict.verdict


def papers_table(papers: Sequence[Paper]) -> str:
    """Return the papers as a Markdown table: folder, work and question, as they are declared.

    Args:
        papers: the papers.

    Returns:
        Markdown, one row per paper.
    """
    rows = [f"| `{paper.name}` | {short_citation(paper.citation)}: {paper.question} |" for paper in papers]
    return "\n".join(["| paper | question |", "|---|---|", *rows]) + "\n"


MACHINES = {
    "smoke": "any, minutes",
    "cpu": "a laptop, overnight",
    "gpu": "one GPU",
    "paper": "a cluster",
}


def tiers_table(papers: Sequence[Paper]) -> str:
    """Return what each tier trains and costs as a Markdown table, by the minutes that every paper's runs.yaml expects.

    Args:
        papers: the papers.

    Returns:
        Markdown, one row per tier.
    """
    rows = ["| tier | machine | trains | networks and seeds | core hours | GPU hours |", "|---|---|---|--:|--:|--:|"]
    for tier in TIERS:
        runs = [run for paper in papers for run in load_runs(paper.name, tier)]
        hours = [(run.resources.minutes * len(run.chunks()) / 60, run.resources) for run in runs]
        cores = sum(time * need.threads for time, need in hours if not need.gpus)
        gpus = sum(time * (need.gpus if need.gpus > 1 else need.gpu_slots / 4) for time, need in hours if need.gpus)
        label = TIER_LABELS[tier].partition(",")[0].partition(":")[0]
        cells = [
            f"{len(runs)} runs, {sum(len(run.seeds) for run in runs)} with seeds",
            *(f"{value:,.1f}" if value else "" for value in (cores, gpus)),
        ]
        rows.append(f"| `{tier}` | {MACHINES[tier]} | {label} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def fill_papers(text: str, papers: Sequence[Paper]) -> str:
    """Return a README with its tables of papers and of tiers written anew; unchanged where it has no place for one.

    Args:
        text: the README.
        papers: the papers.

    Returns:
        The text with each table between its two marks, where it has them.
    """
    for first, last, generated in ((BEGIN_PAPERS, END_PAPERS, papers_table), (BEGIN_TIERS, END_TIERS, tiers_table)):
        before, begin, rest = text.partition(first)
        _, end, after = rest.partition(last)
        text = f"{before}{begin}\n\n{generated(papers)}\n{end}{after}" if begin and end else text
    return text


def fill_readme(text: str, generated: str, where: str) -> str:
    """Return a README with the verdicts between their two marks replaced.

    Args:
        text: the README.
        generated: what `summary` returned.
        where: its path, for messages.

    Returns:
        The text with `generated` between its two marks.

    Raises:
        InputError: it has no such marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{where} has no place for the verdicts: it needs the lines\n{BEGIN}\n{END}")
    return f"{before}{BEGIN}\n\n{generated}\n{END}{after}"


def page(reference: Reference, generated: str) -> str:
    """Return the README of the reference's folder.

    Args:
        reference: description of the committed results.
        generated: what `summary` returned.

    Returns:
        Markdown.
    """
    made = "\n".join(
        f"Tier `{tier}`: promoted on {of_tier.promoted}; made by {', '.join(f'`{commit[:10]}`' for commit in of_tier.commits)}.\n"
        for tier, of_tier in sorted(reference.tiers.items(), key=lambda item: TIERS.index(item[0]))
    )
    return f"""# Reference results

{generated}
{made}
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
