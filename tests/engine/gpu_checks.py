"""Checks of code for a GPU on a machine without one, for the tests of every paper (see `pretended_gpu.py`)."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from replications.paths import ROOT
from tests.workflow.conftest import environment


def on_pretended_gpu(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.engine.pretended_gpu", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def check_runs(paper: str, runs: Sequence[str], folder: Path) -> None:
    """Train runs of the smoke tier on the pretended device, which refuses what a GPU refuses."""
    on_pretended_gpu(paper, "smoke", str(folder), *runs)
    for run in runs:
        assert list((folder / paper / run).glob("seeds-*/records.parquet")), run
