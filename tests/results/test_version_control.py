"""Which code ran: only the suite's own repository answers, and where it does not, the reason is said."""

import os
import subprocess
from pathlib import Path

import pytest

from replications import paths
from replications.results.version_control import code_state


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def repository(folder: Path) -> str:
    """Make a repository with one commit of one module; return the commit."""
    (folder / "replications").mkdir(parents=True)
    (folder / "replications" / "module.py").write_text("x = 1\n")
    (folder / ".gitignore").write_text("__pycache__/\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in the place of the suite, whose path has what a shell or git could misread."""
    folder = tmp_path / "my suite (1) ünï"
    repository(folder)
    monkeypatch.setattr(paths, "ROOT", folder)
    return folder


def test_the_commit_and_edits_of_tracked_files(suite: Path) -> None:
    state = code_state()
    assert (state.commit, state.dirty, state.unknown) == (git(suite, "rev-parse", "HEAD"), False, "")
    (suite / "replications" / "module.py").write_text("x = 2\n")
    assert code_state().dirty is True


def test_code_that_no_commit_holds_counts_as_an_edit_and_other_new_files_do_not(suite: Path) -> None:
    (suite / "notes").write_text("x")
    (suite / "replications" / "__pycache__").mkdir()
    (suite / "replications" / "__pycache__" / "module.pyc").write_text("x")
    assert code_state().dirty is False
    (suite / "replications" / "new.py").write_text("x = 3\n")
    assert code_state().dirty is True


def test_an_archive_inside_another_repository_has_no_commit(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thesis = tmp_path / "thesis"
    repository(thesis)
    unpacked = thesis / "suite"
    (unpacked / "replications").mkdir(parents=True)
    git(thesis, "add", "-A")
    monkeypatch.setattr(paths, "ROOT", unpacked)
    state = code_state()
    assert (state.commit, state.dirty) == (None, None)
    assert f"{unpacked} is no repository of its own but lies inside that of {thesis}" in state.unknown


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CEILING_DIRECTORIES"])
def test_variables_that_a_hook_of_another_repository_sets_do_not_count(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    other = tmp_path / "other"
    repository(other)
    value = {"GIT_DIR": other / ".git", "GIT_INDEX_FILE": other / ".git" / "index", "GIT_CEILING_DIRECTORIES": suite}.get(variable, other)
    commit = git(suite, "rev-parse", "HEAD")
    monkeypatch.setenv(variable, str(value))
    state = code_state()
    assert (state.commit, state.dirty) == (commit, False)


def test_a_worktree_and_a_shallow_clone_answer_for_themselves(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (suite / "replications" / "module.py").write_text("x = 2\n")
    git(suite, "commit", "-qam", "second")
    git(suite, "worktree", "add", "-q", str(tmp_path / "worktree"), "HEAD~1")
    git(tmp_path, "clone", "-q", "--depth", "1", suite.as_uri(), "shallow")
    for folder in (tmp_path / "worktree", tmp_path / "shallow"):
        monkeypatch.setattr(paths, "ROOT", folder)
        assert (code_state().commit, code_state().dirty) == (git(folder, "rev-parse", "HEAD"), False)
        assert code_state().unknown == ""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_repository_of_another_owner_answers_since_its_code_runs_already(suite: Path) -> None:
    commit = git(suite, "rev-parse", "HEAD")
    for path in (suite, suite / ".git"):
        os.chown(path, 12345, 12345)
    refused = subprocess.run(["git", "rev-parse", "HEAD"], cwd=suite, capture_output=True, text=True, check=False)
    assert "dubious ownership" in refused.stderr
    assert (code_state().commit, code_state().dirty) == (commit, False)


def test_where_git_does_not_answer_its_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert "git says: fatal: not a git repository" in code_state().unknown
    git(tmp_path, "init", "-q")
    assert "git says: fatal: Needed a single revision" in code_state().unknown
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_state().unknown == "The commit of the code is not known: there is no git on this machine."
