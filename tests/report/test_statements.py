"""The page on lectures shows every statement once, with the claims that name it and their verdicts, and what shows it."""

import dataclasses
import re
from datetime import datetime
from pathlib import Path

import pytest

from replications.registry.papers import load_papers
from replications.registry.statements import StatementList, load_statements
from report.build import write_report
from report.content import Report, build
from report.statements import StatementContent, summary, topics_of


@pytest.fixture(scope="module")
def report(finished: Path, stamp: datetime) -> Report:
    return build("gpu", "runs", finished, finished, load_papers(), stamp)


@pytest.fixture(scope="module")
def page(finished: Path, stamp: datetime, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("report")
    write_report("gpu", "runs", finished, finished, load_papers(), out, stamp)
    return (out / "statements.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def entries(report: Report) -> dict[str, StatementContent]:
    return {entry.statement.id: entry for topic in topics_of(report) for entry in topic.statements}


def row(page: str, statement: str) -> str:
    """Return the table row of a statement."""
    return page[page.index(f'<tr id="statement-{statement}">') :].partition("</tr>")[0]


def test_every_statement_stands_once_in_the_order_listed(page: str) -> None:
    assert re.findall(r'<tr id="statement-([^"]+)"', page) == load_statements().ids == ["look-a", "look-b", "look-c", "look-d", "look-e"]


def test_a_statement_links_the_claims_that_name_it_with_their_verdicts(page: str, report: Report) -> None:
    verdicts = {claim.id: claim.verdict.verdict for claim in report.claims}
    for statement, claims in {"look-a": ["six-looks", "eight-looks"], "look-b": ["eight-looks"], "look-c": ["large-fields"]}.items():
        shown = row(page, statement)
        assert sorted(re.findall(r'href="lantern_reading\.html#claim-([^"]+)"', shown)) == sorted(claims)
        assert all(f"<span>{verdicts[claim]}</span>" in shown for claim in claims)
        assert "Not tested here" not in shown


def test_a_statement_that_no_claim_names_is_called_not_tested(page: str) -> None:
    for statement in ("look-d", "look-e"):
        assert "Not tested here." in row(page, statement)
        assert "#claim-" not in row(page, statement)


def test_drawn_figures_and_exhibits_are_linked_and_undrawn_ones_are_not(page: str) -> None:
    assert re.findall(r'#((?:figure|exhibit)-[^"]+)"', row(page, "look-d")) == ["figure-error_by_looks", "exhibit-looking"]
    assert "Shown in" not in row(page, "look-e")


def test_the_summary_counts_every_statement_by_how_far_it_is_tested(report: Report, entries: dict[str, StatementContent]) -> None:
    assert {name: entry.status for name, entry in entries.items()} == {
        "look-a": "judged", "look-b": "judged", "look-c": "waiting", "look-d": "shown", "look-e": "none",
    }  # fmt: skip
    assert [count for count, _ in summary(topics_of(report))] == [2, 1, 1, 1]


def test_a_paper_that_the_report_leaves_out_is_named(report: Report) -> None:
    without = dataclasses.replace(report, papers=())
    entries = {entry.statement.id: entry for topic in topics_of(without) for entry in topic.statements}
    assert entries["look-a"].elsewhere == ("Lantern reading",)
    assert entries["look-d"].elsewhere == ()


def test_without_a_list_there_is_nothing_to_show(report: Report) -> None:
    assert topics_of(report, StatementList()) == ()
