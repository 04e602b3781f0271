"""Where the statements of lectures are tested: read from the claims' own declarations, never typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replications.registry.papers import load_papers
from replications.registry.statements import Statement, StatementList, load_statements
from report.claims import ClaimContent
from report.content import PaperContent, Report
from report.figures import FigureContent


@dataclass(frozen=True)
class Illustration:
    """A figure or exhibit that shows a statement without judging it."""

    paper: PaperContent
    kind: str
    item: FigureContent


@dataclass(frozen=True)
class StatementContent:
    """One statement, and what the report has on it.

    Attributes:
        statement: the statement as it is listed.
        claims: the claims that test it, those that were judged first.
        shown: drawn figures and exhibits that show it.
        elsewhere: short names of papers that test it and are not in this report.
    """

    statement: Statement
    claims: tuple[tuple[PaperContent, ClaimContent], ...]
    shown: tuple[Illustration, ...]
    elsewhere: tuple[str, ...]

    @property
    def status(self) -> str:
        """How far the statement is tested: a key of `STATUSES`."""
        if any(claim.verdict.verdict != "not tested" for _, claim in self.claims):
            return "judged"
        if self.claims:
            return "waiting"
        return "elsewhere" if self.elsewhere else "shown" if self.shown else "none"


STATUSES: dict[str, str] = {
    "judged": "tested by claims with a verdict",
    "waiting": "tested by claims that these results do not judge yet",
    "elsewhere": "tested in a paper that is not in this report",
    "shown": "shown in a figure, not judged",
    "none": "not tested here",
}
"""Status of a statement -> in words, in the order of the page's summary."""


@dataclass(frozen=True)
class TopicContent:
    """The statements of one lecture."""

    title: str
    statements: tuple[StatementContent, ...]


def topics_of(report: Report, listed: StatementList | None = None) -> tuple[TopicContent, ...]:
    """Return every listed statement with the claims, figures and exhibits of a report that name it.

    Args:
        report: the content of the report.
        listed: the statements; None: those of the suite.

    Returns:
        Topics in the order written, each statement once; empty where no statements are listed.
    """
    topics = (load_statements() if listed is None else listed).topics
    return tuple(TopicContent(topic.title, tuple(_content(report, statement) for statement in topic.statements)) for topic in topics)


def _content(report: Report, statement: Statement) -> StatementContent:
    claims = [
        (paper, claim)
        for paper in report.papers
        for spec, claim in zip(paper.spec.claims, paper.claims, strict=True)
        if statement.id in spec.statements
    ]
    shown = [
        Illustration(paper, kind, item)
        for paper in report.papers
        for kind, items in (("figure", paper.figures), ("exhibit", paper.exhibits))
        for item in items
        if item.drawn and statement.id in paper.spec.illustrates.get(item.name, ())
    ]
    reported = {paper.name for paper in report.papers}
    others = [paper for paper in load_papers() if paper.name not in reported] if not claims else []
    elsewhere = [paper.short for paper in others if any(statement.id in claim.statements for claim in paper.claims)]
    judged_first = sorted(claims, key=lambda pair: pair[1].verdict.verdict == "not tested")
    return StatementContent(statement, tuple(judged_first), tuple(shown), tuple(elsewhere))


def summary(topics: Sequence[TopicContent]) -> list[tuple[int, str]]:
    """Return how many statements have each status.

    Args:
        topics: what `topics_of` returned.

    Returns:
        Number and status in words, in the order of `STATUSES`, without zeros.
    """
    found = [content.status for topic in topics for content in topic.statements]
    return [(found.count(status), words) for status, words in STATUSES.items() if status in found]
