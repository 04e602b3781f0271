"""A claim is dated by the newest commit that touched its own entry."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from replications import paths
from replications.results import version_control

CLAIMS = """short: Tea
claims:
  - id: first
    margin: 0.3
  - id: second
    margin: 0.5
deviations: []
"""


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A paper file in a repository of its own."""
    folder = tmp_path / "package" / "tea"
    folder.mkdir(parents=True)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "PAPERS", tmp_path / "package")
    version_control.registrations.cache_clear()
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    yield folder / "paper.yaml"
    version_control.registrations.cache_clear()


def commit(path: Path, text: str, date: str) -> str:
    path.write_text(text, encoding="utf-8")
    names = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
    environment = os.environ | names | {"GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
    root = str(paths.ROOT)
    subprocess.run(["git", "-C", root, "add", "."], check=True)
    subprocess.run(["git", "-C", root, "-c", "commit.gpgsign=false", "commit", "-qm", "Edit"], check=True, env=environment)
    version_control.registrations.cache_clear()
    return subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def test_only_the_edited_claim_gets_a_new_date(paper: Path) -> None:
    old = commit(paper, CLAIMS, "2026-01-01T10:00:00+02:00")
    new = commit(paper, CLAIMS.replace("margin: 0.5", "margin: 0.9"), "2026-02-01T00:00:00Z")
    found = version_control.registrations("tea")
    assert found["first"] == {"commit": old, "date": "2026-01-01T08:00:00+00:00"}
    assert found["second"] == {"commit": new, "date": "2026-02-01T00:00:00+00:00"}


def test_an_edit_without_commit_is_called_uncommitted(paper: Path) -> None:
    commit(paper, CLAIMS, "2026-01-01T00:00:00Z")
    paper.write_text(CLAIMS.replace("margin: 0.3", "margin: 0.9"), encoding="utf-8")
    found = version_control.registrations("tea")
    assert found["first"]["commit"] == "uncommitted"
    assert found["first"]["date"] > found["second"]["date"]


WRITTEN_OTHERWISE = """claims:
  # Which was first?
  - claim: A statement
      of two lines.
    id: first
    margin: &margin 0.3
  # A comment in front of the second.
  - {kind: value, id: "second",
     margin: 0.5}
  -
    margin: *margin
    reason: |
      Of two
      lines.

    id: third
"""


@pytest.mark.parametrize(
    ("line", "claims"),
    [
        ("      of two lines.", {"first"}),
        ("  # Which was first?", set()),
        ("  # A comment in front of the second.", set()),
        ("    margin: &margin 0.3", {"first", "third"}),
        ("     margin: 0.5}", {"second"}),
        ("      lines.", {"third"}),
        ("    id: third", {"third"}),
    ],
)
def test_an_edit_dates_the_claim_that_holds_the_line_however_it_is_written(paper: Path, line: str, claims: set[str]) -> None:
    commit(paper, WRITTEN_OTHERWISE, "2026-01-01T00:00:00Z")
    lines = WRITTEN_OTHERWISE.splitlines()
    lines[lines.index(line)] += " # edited" if "#" not in line and not line.endswith(".") else " Edited."
    new = commit(paper, "\n".join(lines) + "\n", "2026-02-01T00:00:00Z")
    found = version_control.registrations("tea")
    assert set(found) == {"first", "second", "third"}
    assert {claim for claim, edit in found.items() if edit["commit"] == new} == claims


def test_without_a_repository_nothing_is_claimed(tmp_path: Path) -> None:
    version_control.registrations.cache_clear()
    assert version_control.registrations("nowhere") == {}
