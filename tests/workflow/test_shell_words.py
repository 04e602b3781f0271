"""What a user configures is never shell text: every rule quotes it, or the configuration refuses it before anything runs."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from replications.errors import InputError
from replications.paths import ROOT
from replications.registry.configuration import Configuration
from replications.registry.yaml_models import validate
from tests.workflow.conftest import TOY, run_in

RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
HOSTILE = 'my $(touch ran) `touch ran`; touch ran & "it\'s" *'


def shell_text(path: Path) -> str:
    """The strings below every `shell:` of a file of rules."""
    blocks = re.findall(r"^ *shell:\n((?:^ *\".*\"\n)+)", path.read_text() + "\n", flags=re.MULTILINE)
    assert len(blocks) == path.read_text().count("shell:\n")
    return "".join(blocks)


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_every_value_in_a_shell_command_is_quoted(path: Path) -> None:
    values = re.findall(r"\{[^{}]+\}", shell_text(path))
    assert [value for value in values if not value.endswith(":q}")] == []


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_no_job_finds_modules_in_the_working_folder(path: Path) -> None:
    text = shell_text(path)
    assert text.count("python") == text.count("python -P -m ")


@pytest.mark.slow
def test_the_command_of_every_rule_gets_configured_folders_as_one_word_each(suite: Path, tmp_path: Path) -> None:
    """The commands that a dry run prints are run by the shell, with a `python` that only notes its arguments."""
    results, state = f"results {HOSTILE}", f"state {HOSTILE}"
    configured = [f"results={results}", f"state={state}"]
    printed = run_in(suite, "snakemake", "--dry-run", "--printshellcmds", "--cores", "1", "--config", *configured).stdout
    commands = dict(re.findall(r"^Job \d+: (.*)\nShell command: (.*)$", printed, flags=re.MULTILINE))
    trained = [f"{TOY}: fair, loaded (seeds 0-2)", f"{TOY}: slow (seeds 0-2)"]
    others = [f"{TOY}: data", f"{TOY}: verdicts, tables, figures and exhibits", "claims of all papers", "report"]
    assert sorted(commands) == sorted(trained + others)

    (tmp_path / "bin").mkdir()
    recorder, noted = tmp_path / "bin" / "python", tmp_path / "noted"
    recorder.write_text(f"#!/bin/sh\nfor word in \"$@\"; do printf '%s\\n' \"$word\"; done > '{noted}'\n")
    recorder.chmod(0o755)
    where = tmp_path / "where"
    (where / "logs" / "smoke" / TOY).mkdir(parents=True)
    for job, command in commands.items():
        environment = {"PATH": f"{recorder.parent}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-c", command], cwd=where, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (job, done.stderr)
        words = noted.read_text().splitlines()
        configured_words = [word for word in words if "touch" in word]
        assert configured_words, job
        assert all(word.startswith((results, state)) for word in configured_words), (job, configured_words)
        assert ("--state" in words) == (job in trained)
    assert sorted(path.name for path in where.iterdir()) == ["logs"], "the shell ran or wrote something that was configured"


@pytest.mark.slow
def test_the_shell_of_a_job_reads_no_start_up_file(suite: Path, tmp_path: Path) -> None:
    start_up = tmp_path / "modules.sh"
    start_up.write_text(f"touch '{tmp_path}/ran'\n")
    run_in(suite, "snakemake", "--cores", "1", "--until", f"data_{TOY}", BASH_ENV=str(start_up))
    assert len(list((suite / "results" / "smoke" / TOY).glob("data-*.json"))) == 1, "the job's shell has run"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["results", "state"])
@pytest.mark.parametrize("folder", ["a{paper}", "a}", "two\nlines", "bell\a", "-o", "--config", "~nobody-of-this-name/x"])
def test_a_folder_that_cannot_be_passed_on_is_refused_with_its_key(key: str, folder: str) -> None:
    with pytest.raises(InputError, match=rf"config\.yaml: {key}: "):
        validate(Configuration, {key: folder}, "config.yaml")


def test_a_home_folder_is_put_in_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = validate(Configuration, {"results": "~/res", "state": "~"}, "config.yaml")
    assert config.results == f"{tmp_path}/res"
    assert config.state == str(tmp_path)


def test_a_paper_named_twice_is_replicated_once() -> None:
    first = Configuration().chosen[0]
    assert Configuration(papers=[first, first]).chosen == [first]
