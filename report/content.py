"""The content of the report, built once from results: pages and PDF are two renderings of the same objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from replications.errors import InputError, ReplicationError
from replications.presentation import formatting
from replications.presentation.answers import Answer, answer
from replications.presentation.readme import TIER_LABELS
from replications.presentation.verdict_log import History, history
from replications.registry.papers import Paper
from replications.registry.schema import TIERS
from replications.registry.tuning import Trials, load_tuning
from replications.results import version_control
from replications.results.reader import Results
from replications.verdicts.judge import not_judged
from replications.verdicts.verdict import Verdict
from report import prose
from report.claims import NOT_JUDGED, VERDICTS, ClaimContent, claim_of, judged
from report.figures import FigureContent, figures_of
from report.results_folder import PaperResults, Problem, read_paper_results
from report.run_tables import CostRow, ProvenanceRow, TableContent, cost_of, origin_of, table_beside_ours
from report.template_functions import TemplateFunctions

TIER_NOTES: dict[str, str] = {
    "smoke": (
        "This tier shows that the machinery works, not that the papers hold. Everything below was trained in minutes on a CPU, on small"
        " embedded data, with stand-ins for most claims. For evidence about the papers, read a report of a larger tier."
    ),
    "cpu": "Real data at published settings, as far as a processor trains them overnight.",
    "gpu": "Real data on one GPU in under an hour: the headline results, not every published size.",
    "paper": "Published sizes.",
}

EFFECTS = {"better": "better score", "worse": "worse score", "none": "no effect", "unknown": "unknown"}
"""What a deviation from the paper does, in words."""

LATER = ("result", "what was", "easy", "difficult", "discussion", "limit", "reading", "how to read")
"""Beginnings of section titles that stand behind the tables instead of before them."""


@dataclass(frozen=True)
class PaperContent:
    """Content of the report on one paper; `tuning` is None where nobody wrote down what was tried before the runs of this tier."""

    spec: Paper
    results: Results
    verdicts: tuple[Verdict, ...]
    claims: tuple[ClaimContent, ...]
    text: tuple[prose.Section, ...]
    tables: tuple[TableContent, ...]
    figures: tuple[FigureContent, ...]
    exhibits: tuple[FigureContent, ...]
    tuning: tuple[Trials, ...] | None
    costs: tuple[CostRow, ...]
    origins: tuple[ProvenanceRow, ...]
    problems: tuple[Problem, ...]
    planned_runs: int
    finished_runs: int

    @property
    def name(self) -> str:
        """The paper's folder, and its page."""
        return self.spec.name

    @cached_property
    def answer(self) -> Answer:
        """What its verdicts say so far, in two sentences."""
        return answer([claim.verdict for claim in self.claims])

    @property
    def headline(self) -> FigureContent | None:
        """The first drawn figure that the text shows; the first drawn one where the text shows none."""
        drawn = {figure.name: figure for figure in self.figures if figure.drawn and "png" in figure.files}
        shown = [
            block.name for section in self.text for block in section.blocks if isinstance(block, prose.Embed) and block.kind == "figure"
        ]
        return next((drawn[name] for name in [*shown, *drawn] if name in drawn), None)

    def embedded(self, kind: str) -> set[str]:
        """Return the names of the figures, tables or exhibits that the text shows itself.

        Args:
            kind: 'figure', 'table' or 'exhibit'.

        Returns:
            Names.
        """
        return {b.name for section in self.text for b in section.blocks if isinstance(b, prose.Embed) and b.kind == kind}

    def text_around_tables(self) -> tuple[list[prose.Section], list[prose.Section]]:
        """Return the sections before the tables (scope, method) and behind them (results, what was easy and difficult).

        Returns:
            Two lists of sections, in the order written.
        """
        for position, section in enumerate(self.text):
            if section.title.lower().startswith(LATER):
                return list(self.text[:position]), list(self.text[position:])
        return list(self.text), []

    def by_verdict(self) -> dict[str, list[ClaimContent]]:
        """Verdict -> the claims that got it, in the order of the legend, without empty ones."""
        found = {verdict: [claim for claim in self.claims if claim.verdict.verdict == verdict] for verdict in VERDICTS}
        return {verdict: claims for verdict, claims in found.items() if claims}

    def counts(self) -> dict[str, int]:
        """Verdict -> number of claims, as `by_verdict`."""
        return {verdict: len(claims) for verdict, claims in self.by_verdict().items()}


@dataclass(frozen=True)
class Report:
    """The whole report."""

    tiers: tuple[str, ...]
    source: str
    stamp: datetime
    commit: str
    dirty: bool
    papers: tuple[PaperContent, ...]
    facts: tuple[tuple[str, str], ...] = field(default=())

    @property
    def tier(self) -> str:
        """The tier of its results; of the committed reference all that it has, the smallest first."""
        return " and ".join(self.tiers)

    @property
    def tier_note(self) -> str:
        """What results of these tiers can show."""
        if len(self.tiers) == 1:
            return TIER_NOTES[self.tiers[0]]
        each = "; ".join(f"tier {tier}: {TIER_LABELS[tier]}" for tier in self.tiers)
        return f"Every claim is judged at the largest tier that has results for it, and says which. {each[:1].upper()}{each[1:]}."

    @property
    def claims(self) -> tuple[ClaimContent, ...]:
        """The claims of all papers."""
        return tuple(claim for paper in self.papers for claim in paper.claims)

    def counts(self) -> dict[str, int]:
        """Verdict -> number of claims of all papers, in the order of the legend, without zeros."""
        return {verdict: count for verdict in VERDICTS if (count := sum(claim.verdict.verdict == verdict for claim in self.claims))}

    @property
    def year(self) -> str:
        """Year of the newest result, or of the build where there is none."""
        ends = [origin.ended for paper in self.papers for origin in paper.origins if origin.ended]
        return max(ends)[:4] if ends else str(self.stamp.year)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is missing or in doubt, of all papers."""
        return tuple(problem for paper in self.papers for problem in paper.problems)


def build(tier: str, source: str, runs: Path, derived: Path, papers: Sequence[Paper], stamp: datetime) -> Report:
    """Build the content from results.

    Args:
        tier: name of the tier; of the reference, each paper and claim has the largest that there are results of.
        source: 'runs' or 'reference'.
        runs: folder with `<paper>/<run>/seeds-*/`, or the reference, which has one such folder for each tier.
        derived: folder with `<paper>/{figures,tables,exhibits}/`; the same as `runs` unless redrawn. Verdicts are judged here
            from the records, never read from a file.
        papers: specifications of the papers to report.
        stamp: time of the report.

    Returns:
        The content, from which pages, PDF and exports are written.
    """
    read = [Results.read_reference(paper, runs) if source == "reference" else Results.read(paper, tier, runs) for paper in papers]
    built = [_paper(results, derived) for results in read]
    present = {layer.tier for results in read for layer in results.layers}
    tiers, code = tuple(tier for tier in TIERS if tier in present), version_control.code_state()
    report = Report(tiers, source, stamp, code.commit or "", bool(code.dirty), tuple(built))
    return replace(report, facts=_facts(report))


def _paper(results: Results, derived: Path) -> PaperContent:
    paper, found = results.paper, read_paper_results(results)
    problems = list(found.problems)
    verdicts = {verdict.id: verdict for verdict in judged(paper, found, problems)}
    made = _history(results, problems)
    claims = tuple(
        claim_of(claim, verdict, found, made)
        if (verdict := verdicts.get(f"{paper.name}.{claim.id}"))
        else ClaimContent(not_judged(paper.name, results.tier, claim, NOT_JUDGED), claim.reason)
        for claim in paper.claims
    )
    base = derived / paper.name
    figures = figures_of(base / "figures", paper, "figure", problems)
    exhibits = figures_of(base / "exhibits", paper, "exhibit", problems)
    tables = tuple(table_beside_ours(name, found, base / "tables") for name in paper.tables)
    text = _text_of(paper, found, claims, figures, exhibits, problems)
    finished = [run for run in found.runs if set(run.seeds) <= set(found.seeds_of(run.name))]
    return PaperContent(
        spec=paper,
        results=found.results,
        verdicts=tuple(verdicts.values()),
        claims=claims,
        text=text,
        tables=tables,
        figures=figures,
        exhibits=exhibits,
        tuning=_tuning(paper, results.tier, problems),
        costs=tuple(row for run in found.runs if (row := cost_of(run.name, found)) is not None),
        origins=tuple(origin_of(chunk) for chunk in found.chunks),
        problems=tuple(problems),
        planned_runs=len(found.runs),
        finished_runs=len(finished),
    )


def _history(results: Results, problems: list[Problem]) -> History:
    try:
        return history(results.folder)
    except InputError as error:
        problems.append(Problem(results.paper.name, "log of verdicts", str(error)))
        return {}


def _tuning(paper: Paper, tier: str, problems: list[Problem]) -> tuple[Trials, ...] | None:
    try:
        record = load_tuning(paper)
    except InputError as error:
        problems.append(Problem(paper.name, "tuning", str(error)))
        return None
    return next((tuple(rounds) for name, rounds in record.tiers.items() if name == tier), None) if record else None


def _text_of(
    paper: Paper,
    found: PaperResults,
    claims: tuple[ClaimContent, ...],
    figures: tuple[FigureContent, ...],
    exhibits: tuple[FigureContent, ...],
    problems: list[Problem],
) -> tuple[prose.Section, ...]:
    path = paper.folder / "section.md"
    if not path.is_file():
        problems.append(Problem(paper.name, "text", "section.md is missing."))
        return ()
    faults: list[str] = []
    known = {"figure": [f.name for f in figures], "exhibit": [e.name for e in exhibits], "table": list(paper.tables)}
    vocabulary = TemplateFunctions(found.results, {claim.id: claim.verdict.verdict for claim in claims}, known)
    try:
        filled = prose.fill(path.read_text(encoding="utf-8"), vocabulary, path.name, faults)
        problems += [Problem(paper.name, "text", fault) for fault in faults]
        return tuple(prose.sections(filled, path.name))
    except (InputError, UnicodeDecodeError, ReplicationError) as error:
        problems.append(Problem(paper.name, "text", str(error)))
        return ()


def _facts(report: Report) -> tuple[tuple[str, str], ...]:
    """The line under the title: when, where, how much, from which commit."""
    origins = [origin for paper in report.papers for origin in paper.origins]
    costs = [row for paper in report.papers for row in paper.costs]
    devices = sorted({origin.device for origin in origins if origin.device})
    ends = sorted(origin.ended for origin in origins if origin.ended)
    seconds, gpu, joules = (sum(getattr(row, key) for row in costs) for key in ("seconds", "gpu_seconds", "energy"))
    cost = [formatting.duration(seconds) + " of compute" if seconds else "", formatting.duration(gpu) + " of GPU" if gpu else ""]
    cost.append(formatting.energy(joules) if joules else "")
    finished, planned = (sum(getattr(paper, key) for paper in report.papers) for key in ("finished_runs", "planned_runs"))
    commits = sorted({origin.commit for origin in origins})
    made = commits[0][:10] if len(commits) == 1 else f"{len(commits)} commits" if commits else "none"
    changed = any(origin.dirty for origin in origins)
    return (
        ("Tier", report.tier + (" (committed reference results)" if report.source == "reference" else "")),
        ("Last result", ends[-1][:10] if ends else "none"),
        ("Runs", f"{finished} of {planned} finished"),
        ("Hardware", "; ".join(devices) or "unknown"),
        ("Cost", ", ".join(part for part in cost if part) or "unknown"),
        ("Code", made + (" with uncommitted changes" if changed else "")),
    )
