"""Planted frauds: a claim edited after its runs, in a commit that is dated before them, is `post hoc` in every face."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from replications.commands.app import app
from replications.commands.results import log_promotion
from replications.registry.papers import load_papers
from replications.results.promotion import promote
from report.build import write_report
from tests.report.conftest import PAPER, forget, only_papers_in, write_derived, write_paper, write_runs

NEEDS = "    requires: [{measure: {run: looks-4, metric: error}, below: 50, reason: Guessing errs more often.}]\n"
SMALLER = "      looks-8: {settings: {looks: 8}, scale: {data: Half of the published fields.}}\n"
FRAUDS = {
    "six-looks": ("paper.yaml", "published: 1.29\n    margin: 0.4", "published: 1.29\n    margin: 0.9"),
    "four-looks": ("paper.yaml", "published: 1.73\n    margin: 0.2", "published: 1.9\n    margin: 0.2"),
    "more-looks-help": ("paper.yaml", NEEDS, ""),
    "eight-looks": ("runs.yaml", ", scale: {data: Half of the published fields.}", ""),
}
"""Claim -> file, text before its run, text after it: a wider margin, another published value, no precondition, a proxy made real."""


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Results and their promoted reference, whose claims were edited afterwards; commits bear a date of long before the runs."""
    package, results = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("edited") / "gpu"
    folder = package / PAPER
    with only_papers_in(package):
        write_paper(package)
        claims, runs = folder / "paper.yaml", folder / "runs.yaml"
        claims.write_text(claims.read_text().replace("    reason: A slope of 0.01", f"{NEEDS}    reason: A slope of 0.01"))
        grid = '"looks-{looks}": {grid: {looks: [4, 6, 8]}}'
        assert grid in runs.read_text()
        runs.write_text(runs.read_text().replace(grid, f'"looks-{{looks}}": {{grid: {{looks: [4, 6]}}}}\n{SMALLER}'.rstrip()))
        commit(package)
        forget()
        write_runs(results)
        reference = results.parent / "reference"
        log_promotion(reference, "gpu", load_papers(), promote(results, reference, load_papers()), "")
        for name, before, after in FRAUDS.values():
            text = (folder / name).read_text()
            assert before in text
            (folder / name).write_text(text.replace(before, after, 1))
        commit(package)
        forget()
        write_derived(results)
        yield results


def commit(folder: Path) -> None:
    """Commit everything, by a clock that stands years before the runs began."""
    past = {"GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}
    identity = ["-c", "user.name=Forger", "-c", "user.email=forger@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "Register the claims"]):
        subprocess.run(["git", "-C", folder, *command], check=True, env=os.environ | past)


def call(*arguments: object) -> str:
    shown = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False, env={"COLUMNS": "300"})
    assert shown.exit_code == 0
    return shown.output


def test_the_terminal_says_it(edited: Path) -> None:
    shown = call("claims", "show", "--tier", "gpu", "--results", edited)
    for claim in FRAUDS:
        (row,) = [
            line
            for line in shown.splitlines()
            if re.search(rf"{PAPER}\.{claim}\b.*(replicated|exceeded|compatible|inconclusive|contra|proxy|\d/\d)", line)
        ]
        assert "post hoc" in row
    rows = {row["id"].partition(".")[2]: row for row in json.loads(call("claims", "show", "--tier", "gpu", "--results", edited, "--json"))}
    assert {claim for claim, row in rows.items() if row["registration"] == "post hoc"} == set(FRAUDS)
    assert all("with the claim's digest" in rows[claim]["post_hoc"] for claim in FRAUDS)


def test_citations_say_it(edited: Path) -> None:
    for claim in FRAUDS:
        assert "Post hoc: looks-" in call("claims", "cite", f"{PAPER}.{claim}", "--tier", "gpu", "--results", edited)


def test_the_readme_counts_it(edited: Path, tmp_path: Path) -> None:
    from replications.presentation.readme import BEGIN, END

    readme = tmp_path / "README.md"
    readme.write_text(f"# Tea\n\n{BEGIN}\n{END}\n", encoding="utf-8")
    call("results", "update-readme", "--results", shutil.copytree(edited.parent / "reference", tmp_path / "reference"), "--out", readme)
    text = readme.read_text(encoding="utf-8")
    assert "of these post hoc" in text
    assert re.search(rf"\| `{PAPER}` \|.*\| {len(FRAUDS)} \|\n", text)


def test_pages_and_pdf_say_it_in_the_row(edited: Path, stamp: datetime, tmp_path: Path) -> None:
    write_report("gpu", "runs", edited, edited, load_papers(), tmp_path, stamp)
    for name in ("index.html", f"{PAPER}.html"):
        bodies = re.split(r"<tbody ", (tmp_path / name).read_text(encoding="utf-8"))
        for claim in FRAUDS:
            rows = [body for body in bodies if f"<code>{claim}</code>" in body]
            assert rows or name == "index.html"
            assert all("<small>post hoc</small>" in row and "<strong>post hoc</strong>" in row for row in rows)
    pdf = subprocess.run(["pdftotext", "-layout", tmp_path / "report.pdf", "-"], capture_output=True, text=True, check=True).stdout
    assert len(re.findall(r"Post hoc: looks-\d", " ".join(pdf.split()))) == len(FRAUDS)
