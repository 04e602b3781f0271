"""The set-up runs on systems whose tools are not GNU's: the recipes use what POSIX describes."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from replications.paths import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


def make(*arguments: str, **variables: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env={"PATH": os.defpath} | variables, capture_output=True, text=True, check=True).stdout


def lines_of_uv() -> list[str]:
    """uv's requirement and its hashes in the lock, found line by line."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("uv=="))
    end = next(number for number, line in enumerate(lines) if number > start and not line.startswith(" "))
    return lines[start:end]


def test_uv_is_taken_from_the_lock_with_its_hashes(tmp_path: Path) -> None:
    (recipe,) = re.findall(r"^\t@(.*requirements\.lock) > \.venv/uv-from-lock\.txt$", MAKEFILE, flags=re.MULTILINE)
    done = subprocess.run(["sh", "-c", recipe], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == lines_of_uv()
    assert len(lines_of_uv()) > 2


def test_no_recipe_needs_a_tool_that_differs_between_systems() -> None:
    """BSD's sed has other expressions, and macOS has no `timeout`; what runs a Slurm, which is Linux, may use it."""
    recipes = re.findall(r"^\t@?-?(.*)$", MAKEFILE, flags=re.MULTILINE)
    assert [line for line in recipes if re.search(r"\b(sed|readlink|realpath|nproc|xargs|stat|date)\b", line)] == []
    assert all("cluster" in line for line in recipes if line.startswith("timeout"))


def test_help_lists_every_target_that_says_what_it_does() -> None:
    described = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, flags=re.MULTILINE))
    assert {line.split()[0] for line in make("help").splitlines()} == described


@pytest.mark.parametrize("home", [None, "", "/nonexistent"])
def test_without_a_home_folder_tools_get_one_in_the_clone(home: str | None) -> None:
    asked = ["--eval", 'asked: ; @printf "%s" "$$HOME"', "asked"]
    assert make(*asked, **({} if home is None else {"HOME": home})) == str(ROOT / ".snakemake" / "home")


def test_a_home_folder_that_can_be_written_stays(tmp_path: Path) -> None:
    assert make("--eval", 'asked: ; @printf "%s" "$$HOME"', "asked", HOME=str(tmp_path)) == str(tmp_path)


def test_packages_that_an_environment_module_names_are_not_handed_on() -> None:
    asked = ["--eval", 'asked: ; @printf "%s" "$$PYTHONPATH$$PYTHONHOME"', "asked"]
    assert make(*asked, PYTHONPATH="/apps/python", PYTHONHOME="/apps") == ""
