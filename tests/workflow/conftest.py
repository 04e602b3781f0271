"""A copy of the suite whose only paper is a small one, so that the workflow's promises are tested in seconds."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from replications.paths import PAPERS, ROOT
from replications.registry.papers import paper_names

Command = Callable[..., subprocess.CompletedProcess[str]]

TOY = "coin_toss"
PAPER_NAMES = paper_names()
"""The real papers, found before any test can put others in their place."""


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "REPLICATIONS_DATA")}
    return kept | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | changes


def copy_suite(target: Path) -> Path:
    """Everything but results, environment and history, with the toy as its only paper."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        anywhere = {"__pycache__"}
        at_top = {".git", ".venv", "results", "logs", ".snakemake", "tests"} if Path(folder) == ROOT else set()
        return {*anywhere, *at_top, *(PAPER_NAMES if Path(folder) == PAPERS else ())} & set(names)

    shutil.copytree(ROOT, target, ignore=left_out)
    toy = target / "replications" / "papers" / TOY
    shutil.copytree(ROOT / "tests" / "workflow" / TOY, toy, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def run_in(suite: Path, *arguments: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module in a copy of the suite."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=suite,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    return done


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A fresh copy."""
    return copy_suite(tmp_path / "suite")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A copy whose smoke tier has run, made once for all workers. Tests copy it again before they change it."""
    shared = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    target = shared / "finished" / "suite"
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            made = copy_suite(shared / "unfinished" / "suite")
            run_in(made, "snakemake", "--cores", "2")
            target.parent.mkdir()
            made.rename(target)
    return target
