"""The files around the code: the workflows of .github call what exists, safely; versions agree; nothing points to a place that is not there."""

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from replications.paths import ROOT
from replications.registry.papers import paper_names
from replications.registry.run_grid import load_runs
from replications.source_code import import_closure
from replications.version import __version__

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MACHINE = {"sudo apt-get": "packages of the image's system"}
"""Commands that may start a step although neither the Makefile nor the environment has them, and what for."""


def load(path: Path) -> dict[str, Any]:
    """A workflow. YAML 1.1 reads the key `on` as true, so it is put back."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in content.items()}


def steps() -> list[tuple[str, dict[str, Any]]]:
    return [(f"{path.name}:{name}", step) for path in WORKFLOWS for name, job in load(path)["jobs"].items() for step in job["steps"]]


def commands() -> list[tuple[str, str]]:
    """Every shell command of every step, one each: lines and `&&` taken apart."""
    return [
        (where, re.sub(r"\s#.*$", "", command).strip())
        for where, step in steps()
        for line in step.get("run", "").splitlines()
        for command in line.split("&&")
        if command.strip() and not command.strip().startswith("#")
    ]


def targets() -> set[str]:
    return set(re.findall(r"^([\w./-]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))


def scripts() -> set[str]:
    """Commands that the environment certainly has: the suite's own."""
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"])


def test_there_are_workflows_with_commands() -> None:
    assert WORKFLOWS
    assert len(commands()) > 5


@pytest.mark.parametrize(("where", "command"), commands())
def test_every_command_of_a_workflow_exists(where: str, command: str) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        names = [word for word in words[1:] if "=" not in word]
        assert names, f"{where}: `{command}` names no target"
        assert set(names) <= targets(), f"{where}: the Makefile lacks a target of `{command}`"
    elif words[0].startswith(".venv/bin/"):
        assert words[0].removeprefix(".venv/bin/") in scripts(), where
    else:
        assert " ".join(words[:2]) in MACHINE or (ROOT / words[0]).is_file(), f"{where}: `{command}` is in neither"


def test_runs_that_a_workflow_starts_are_declared() -> None:
    started = [shlex.split(command)[1:] for _, command in commands() if "replications run " in command]
    assert started
    for _, paper, *runs in started:
        assert paper in paper_names()
        assert set(runs) <= {run.name for run in load_runs(paper, "smoke")}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_shell_text_is_built_from_fields_of_an_event(path: Path) -> None:
    """A title or a branch is text by anybody: inside `run:` or a script it would be executed."""
    for name, job in load(path)["jobs"].items():
        for step in job["steps"]:
            texts = [step.get("run", ""), str(step.get("with", {}).get("script", ""))]
            assert not any("${{" in text for text in texts), f"{name}: pass values through `env:`"
    assert "pull_request_target" not in load(path)["on"], "runs foreign code with the repository's rights"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_the_repository_and_nothing_else(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow["jobs"].values())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_job_ends(path: Path) -> None:
    assert all(0 < job["timeout-minutes"] <= 60 for job in load(path)["jobs"].values())


def test_actions_are_pinned_and_say_their_version() -> None:
    texts = [path.read_text(encoding="utf-8") for path in WORKFLOWS]
    used = [line for text in texts for line in re.findall(r"uses: (.+)", text)]
    assert used
    for line in used:
        assert re.fullmatch(r"[\w-]+/[\w/-]+@(?:[0-9a-f]{40} # v\d+\.\d+\.\d+|v\d+\.\d+\.\d+)", line), line
    pins: dict[str, set[str]] = {}
    for line in used:
        pins.setdefault(line.split("@")[0], set()).add(line)
    assert all(len(of_action) == 1 for of_action in pins.values()), "one version of an action everywhere"


def test_a_checkout_leaves_no_credentials_behind() -> None:
    checkouts = [step for _, step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_oldest_supported_python_is_tested() -> None:
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"].removeprefix(">=")
    assert any(
        oldest in job.get("strategy", {}).get("matrix", {}).get("python", []) for path in WORKFLOWS for job in load(path)["jobs"].values()
    )


def test_hooks_are_pinned_and_local_ones_exist() -> None:
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]:
        if repository["repo"] != "local":
            assert re.fullmatch(r"v\d+\.\d+\.\d+", repository["rev"])
            continue
        lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        for hook in repository["hooks"]:
            program = hook["entry"].split()[0].removeprefix(".venv/bin/")
            assert program in scripts() or f"\n{program}==" in lock, hook["id"]


def test_actionlint_is_among_the_hooks_that_ci_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert "actionlint" in {hook["id"] for repository in hooks for hook in repository["hooks"]}
    assert "make hooks" in {command for _, command in commands()}


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem)
def test_issue_forms_have_what_they_need(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        assert set(form) == {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(ids) == len(set(ids))
    assert all("label" in field["attributes"] for field in form["body"] if field["type"] != "markdown")


def test_dependabot_looks_where_there_is_something() -> None:
    for update in yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))["updates"]:
        assert (ROOT / update["directory"].lstrip("/")).is_dir()
        assert update["package-ecosystem"] in {"github-actions", "docker"}, "requirements.lock is part of every run's provenance"


def test_the_development_container_makes_the_environment_of_the_lock() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert container["postCreateCommand"].removeprefix("make ") in targets()
    assert container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"].endswith("/.venv/bin/python")


def test_every_place_says_the_same_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == __version__
    newest = re.search(r"^## (\S+) ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert newest
    assert newest[1] == __version__
    for path in (ROOT / "workflow").rglob("*.yaml"):
        for image in re.findall(r"/replications:([\w.]+)", path.read_text(encoding="utf-8")):
            assert image == __version__, path


@pytest.mark.parametrize("paper", paper_names())
def test_a_release_retrains_nothing(paper: str) -> None:
    assert ROOT / "replications" / "version.py" not in import_closure(f"replications.papers.{paper}.experiment")


def test_places_for_the_owner_are_those_that_the_changelog_lists() -> None:
    files = subprocess.run(["git", "grep", "-lw", "OWNER"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    marked = {name for name in files if not name.startswith("tests/")} - {"CHANGELOG.md"}
    listed = re.findall(r"^- `([^`]+)`: ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n## ")[0], flags=re.MULTILINE)
    assert marked == set(listed)
