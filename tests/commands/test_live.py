"""The live view of a tier: a line per running job, one for the whole, and Snakemake's errors when it fails."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from replications.commands.app import app
from replications.commands.live import Board, Log, view


def job(state: str, run: str = "tea lady", *, hours: float = 1.0, share: float = 0.0, values: str = "") -> dict[str, Any]:
    left = {"hours": hours, "hours_left": hours * (1 - share), "share": share}
    return {"run": run, "seeds": "0-4", "state": state, "cores": 1, "values": values, **left}


def shown(rows: list[dict[str, Any]], **options: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=140, force_terminal=False)
    console.print(view(rows, 2, **options))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def test_a_running_job_has_a_line_with_bar_time_left_and_last_values_and_the_whole_has_one() -> None:
    rows = [job("done", share=1.0), job("running", share=0.5, values="loss 1.25"), job("waiting", "tea cup")]
    first, whole = shown(rows, step="tea: figures")
    assert [part in first for part in ("tea lady", "seeds 0-4", "━", "30:00 left", "loss 1.25")] == [True] * 5
    assert whole.startswith("1 of 3 jobs done, 1 running, 1 waiting")
    assert "about 1:00:00 left" in whole, "two cores: the half and the whole job run side by side"
    assert whole.endswith("tea: figures")


def test_more_jobs_than_lines_are_counted() -> None:
    lines = shown([job("running", share=0.1)] * 30, height=10)
    assert len(lines) <= 10
    assert lines[-2] == "and 24 more"


def test_a_finished_job_is_read_once() -> None:
    class Job:
        def __init__(self, states: list[str]) -> None:
            self.states = states

        def row(self) -> dict[str, Any]:
            return job(self.states.pop(0))

    board = Board([Job(["running", "done"]), Job(["waiting", "running", "done"])], 2)
    assert [[row["state"] for row in board.rows()] for _ in range(3)] == [["running", "waiting"], ["done", "running"], ["done", "done"]]


def test_the_step_is_read_from_the_log_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("Job 7: tea: figures\n")
    log = Log(path)
    assert log.now() == "tea: figures"
    with path.open("a") as file:
        file.write("3 of 12 steps (25%) done\nJob 8: report\n")
    assert log.now() == "step 3 of 12: report"


@pytest.mark.parametrize(("program", "code"), [("print('fine')", 0), ("print('Job 1: tea'); print('Error in rule tea:'); exit(3)", 1)])
def test_the_output_goes_to_a_file_and_an_error_to_the_screen(program: str, code: int, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "make.log"
    done = CliRunner().invoke(app, ["follow", "--source", "reference", "--log", str(log), "--", sys.executable, "-c", program])
    assert done.exit_code == code
    assert log.read_text()
    assert ("Error in rule tea:" in done.output) == bool(code)
    assert "Job 1" not in done.output.partition("Error in rule")[2]
