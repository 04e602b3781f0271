"""The container files install the lock by the suite's own steps, from files that exist, and agree with each other."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from replications.paths import ROOT

FOLDER = ROOT / "containers"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, arguments), comments left out and continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def sections() -> dict[str, str]:
    """The Apptainer definition: header under '', then every %section."""
    parts = re.split(r"^%(\w+)\n", (FOLDER / "replications.def").read_text(), flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(script: str) -> list[str]:
    """Shell commands of a script, one a line, without indentation."""
    joined = re.sub(r"\\\n\s*", "", script)
    return [re.sub(r"\s+", " ", line).strip() for line in joined.splitlines() if line.strip() and not line.strip().startswith("#")]


def test_every_instruction_is_known_and_in_a_sound_order() -> None:
    names = [name for name, _ in instructions()]
    assert set(names) <= {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "CMD"}
    assert names[0] == "FROM"
    assert names[-1] == "CMD"
    assert names.index("WORKDIR") < names.index("COPY")


def test_the_base_image_is_pinned_to_a_version_that_the_suite_supports() -> None:
    base = dict(instructions())["FROM"]
    minor = re.fullmatch(r"python:3\.(\d+)-slim-\w+", base)
    assert minor, base
    assert int(minor[1]) >= 11
    assert f"From: {base}" in sections()[""]


def test_what_is_copied_exists() -> None:
    copied = [arguments.split()[:-1] for name, arguments in instructions() if name == "COPY"]
    for source in [path for group in copied for path in group]:
        assert (ROOT / source).exists(), source
    for line in commands(sections()["files"]):
        assert (ROOT / line.split()[0]).is_file(), line


def test_docker_and_apptainer_take_the_same_steps() -> None:
    *docker, suite = [re.sub(r"\s+", " ", arguments) for name, arguments in instructions() if name == "RUN"]
    assert suite == "make .venv/.complete", "the suite itself is in the Docker image alone"
    apptainer = [line for line in commands(sections()["post"]) if not line.startswith("cd ")]
    assert docker == apptainer


@pytest.mark.parametrize("script", ["docker", "post", "environment", "runscript"])
def test_every_script_is_valid_shell(script: str) -> None:
    text = "\n".join(arguments for name, arguments in instructions() if name == "RUN") if script == "docker" else sections()[script]
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_the_command_is_a_list_of_words() -> None:
    command = json.loads(dict(instructions())["CMD"])
    assert command[0] == "make"
    assert re.search(rf"^{command[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_the_install_step_needs_nothing_but_the_two_copied_files(tmp_path: Path) -> None:
    for name in ("requirements.lock", "Makefile"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(
        ["make", "--dry-run", ".venv/.packages"], cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--require-hashes" in done.stdout
    assert "requirements.lock" in done.stdout


def test_the_workflow_names_the_image_that_the_definition_builds() -> None:
    named = re.search(r'^container: "(.+)"$', (ROOT / "workflow" / "Snakefile").read_text(), flags=re.MULTILINE)
    assert named
    assert f"apptainer build {named[1]} containers/replications.def" in (FOLDER / "replications.def").read_text()


def test_nothing_made_goes_into_an_image() -> None:
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().split()
    assert {".venv", ".snakemake", "results/*", "logs", "data"} <= set(ignored)
