"""What `plan` and `status` say of a tier on processor cores before and while it runs."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from replications.commands.app import app
from replications.registry.papers import paper_names
from replications.registry.run_grid import jobs


def said(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_wall_time_on_cores_is_the_work_shared_among_them_and_at_most_one_longest_job_more(cores: int, tmp_path: Path) -> None:
    row = json.loads(said("plan", "--tier", "cpu", "--cores", cores, "--results", tmp_path, "--json"))[0]
    longest = max(job.resources.minutes for paper in paper_names() for job in jobs(paper, "cpu")) / 60
    assert row["gpu_hours"] == 0
    assert row["core_hours"] / cores <= row["wall_hours"] * (1 + 1e-9)
    assert row["wall_hours"] <= row["core_hours"] / cores + longest


def test_core_hours_add_up_over_papers(tmp_path: Path) -> None:
    rows = json.loads(said("plan", "--tier", "cpu", "--cores", 2, "--results", tmp_path, "--json"))
    papers = [row for row in rows if row["level"] == "paper"]
    assert sum(row["core_hours"] for row in papers) == pytest.approx(rows[0]["core_hours"])
    assert [row["id"] for row in papers if row["core_hours"]] == [paper for paper in paper_names() if jobs(paper, "cpu")]


def test_a_job_on_a_gpu_counts_no_core_hours(tmp_path: Path) -> None:
    row = json.loads(said("plan", "--tier", "gpu", "--results", tmp_path, "--json"))[0]
    assert row["gpu_hours"] > row["core_hours"]


def test_the_last_lines_say_how_long_it_takes_on_these_cores(tmp_path: Path) -> None:
    hours = []
    for cores, words in ((1, "1 core "), (4, "4 cores ")):
        text = said("plan", "--tier", "cpu", "--cores", cores, "--results", tmp_path)
        line = next(line for line in text.splitlines() if "hours in all with" in line)
        assert words in line
        hours.append(float(line.split()[0].replace(",", "")))
    assert all(more > fewer for more, fewer in pairwise(hours))


def test_only_a_tier_with_gpus_speaks_of_them(tmp_path: Path) -> None:
    assert "GPU h" in said("plan", "--tier", "gpu", "--results", tmp_path)
    for command in ("plan", "status"):
        text = said(command, "--tier", "cpu", "--results", tmp_path)
        assert "GPU h" not in text
        assert "GPU-hour" not in text


def test_status_says_when_the_rest_ends_on_these_cores(tmp_path: Path) -> None:
    ends = []
    for cores in (1, 4):
        text = said("status", "--tier", "cpu", "--cores", cores, "--results", tmp_path)
        line = next(line for line in text.splitlines() if line.startswith("jobs without a GPU end in"))
        assert line.endswith(f"hours on {cores} core{'s' if cores > 1 else ''}")
        ends.append(float(line.split()[6].replace(",", "")))
    assert ends[0] > 3 * ends[1]
    assert all(row["cores"] >= 1 for row in json.loads(said("status", "--tier", "cpu", "--results", tmp_path, "--json")))
