"""What may go wrong around a run, each with nothing lost and one clear message; and how `status` and `plan` show a tier."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import TOY, environment, run_in

SLOW = ["replications", "run", TOY, "slow", "--checkpoint-seconds", "0", "--threads", "1", "--device", "cpu"]


def begin(suite: Path, *more: str) -> subprocess.Popen[str]:
    """Start the slow run, and wait until it has saved something new."""
    state = suite / "results" / "smoke" / TOY / "slow" / ".state" / "seeds-0-2" / "train.checkpoint"
    before = state.read_bytes() if state.exists() else b""
    process = subprocess.Popen([sys.executable, "-m", *SLOW, *more], cwd=suite, env=environment(), stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        time.sleep(0.1)
        if state.exists() and state.read_bytes() != before:
            return process
    process.kill()
    raise AssertionError(process.communicate()[1])


@pytest.fixture
def slow(suite: Path) -> Path:
    """The toy's slow run, made longer than any test waits."""
    runs = suite / "replications" / "papers" / TOY / "runs.yaml"
    runs.write_text(runs.read_text().replace("n_steps: 60", "n_steps: 5000"))
    return suite


def row(suite: Path, run: str) -> dict:
    rows = json.loads(run_in(suite, "replications", "status", "--json").stdout)
    return next(row for row in rows if row["run"] == f"{TOY} {run}")


@pytest.mark.slow
def test_two_jobs_never_write_the_same_run_and_status_follows_the_one_that_does(slow: Path) -> None:
    assert row(slow, "slow")["state"] == "waiting"
    first = begin(slow)
    try:
        second = run_in(slow, *SLOW, check=False)
        assert second.returncode == 1
        assert f"is being written by another job (process {first.pid} on " in second.stderr
        assert "Two jobs must not write the same run" in second.stderr
        assert "Traceback" not in second.stderr
        running = row(slow, "slow")
        assert running["state"] == "running"
        assert re.fullmatch(r"train [\d,]+/5,000", running["progress"])
        assert running["values"].startswith("loss ")
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    assert row(slow, "slow")["state"] == "stopped", "the lock of a killed job is free"


@pytest.mark.slow
def test_a_full_disk_keeps_the_state_saved_before(slow: Path) -> None:
    before = begin(slow)
    before.send_signal(signal.SIGTERM)
    before.communicate(timeout=60)
    state = slow / "results" / "smoke" / TOY / "slow" / ".state" / "seeds-0-2" / "train.checkpoint"
    saved, size = state.read_bytes(), state.stat().st_size

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    limited = subprocess.run(
        [sys.executable, "-m", *SLOW], cwd=slow, env=environment(), preexec_fn=small_files, capture_output=True, text=True, check=False
    )
    assert limited.returncode == 1
    assert "Checkpoint not saved" in limited.stderr
    assert "Free space" in limited.stderr
    assert state.read_bytes() == saved
    failed = row(slow, "slow")
    assert failed["state"] == "failed"
    assert "Checkpoint not saved" in failed["note"]

    again = begin(slow)
    again.send_signal(signal.SIGTERM)
    assert "continuing at step" in again.communicate(timeout=60)[1]
    assert row(slow, "slow")["resumes"] >= 1


@pytest.mark.slow
def test_clocks_of_two_machines_may_differ_by_hours(finished: Path, tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    shutil.copytree(finished, suite, symlinks=True)
    chunks = list((suite / "results" / "smoke" / TOY).glob("*/seeds-*/*"))
    assert chunks
    for hours in (-5, 5):
        moved = time.time() + 3600 * hours
        for path in chunks:
            os.utime(path, (moved, moved))
        planned = run_in(suite, "snakemake", "--dry-run", "--quiet", "host")
        assert f"train_{TOY}" not in planned.stdout + planned.stderr
    assert row(suite, "fair")["state"] == "done"


def test_a_plan_and_a_status_without_results(suite: Path) -> None:
    rows = json.loads(run_in(suite, "replications", "plan", "--tier", "smoke", "--gpus", "0", "--budget", "0", "--json").stdout)
    assert [row["level"] for row in rows] == ["tier", "paper", "claim"]
    assert rows[0]["jobs"] == 2
    assert rows[0]["rests_on"] == "expected"
    assert rows[2]["id"] == f"{TOY}.fair"
    assert rows[2]["decided"] is True, "a claim whose runs need no GPU costs no GPU-hours"
    said = run_in(suite, "replications", "status").stdout
    assert "3 waiting of 3; 0 resumed" in said
    assert run_in(suite, "replications", "status", "--paper", "coin_tos", check=False).returncode == 2


@pytest.mark.slow
def test_two_processes_train_one_run_and_stop_and_resume_together(slow: Path) -> None:
    team = begin(slow, "--processes", "2", "--threads", "2")
    time.sleep(1)
    team.send_signal(signal.SIGUSR1)
    _, said = team.communicate(timeout=90)
    assert team.returncode != 0
    assert "stopped by SIGUSR1" in said
    process = begin(slow, "--processes", "2", "--threads", "2")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=90)
    assert said.count("continuing at step") == 1, "one process of the two speaks"


@pytest.mark.slow
def test_thousands_of_jobs_are_planned(suite: Path) -> None:
    runs = suite / "replications" / "papers" / TOY / "runs.yaml"
    steps = ", ".join(str(i) for i in range(1, 61))
    many = f"  paper:\n    seeds: 50\n    seeds_per_job: 1\n    runs:\n      many-{{n_steps}}: {{grid: {{n_steps: [{steps}]}}}}\n"
    runs.write_text(runs.read_text() + many)
    done = run_in(suite, "snakemake", "--dry-run", "--quiet", "rules", "host", "reason", "--config", "tier=paper")
    planned = re.search(r"^total +(\d+)$", done.stdout + done.stderr, flags=re.MULTILINE)
    assert planned is not None
    assert int(planned[1]) >= 3000


@pytest.mark.slow
def test_a_trial_runs_everything_briefly_and_names_what_fails(suite: Path) -> None:
    rows = json.loads(run_in(suite, "replications", "trial", "--tier", "smoke", "--device", "cpu", "--json", "--out", "kept").stdout)
    assert [(row["run"], row["error"]) for row in rows] == [("fair", ""), ("loaded", ""), ("slow", "")]
    assert rows[2]["steps"] == 60
    assert rows[2]["ms_per_step"] == pytest.approx(1e3 * 64 * 3 / (0.05 * 989e12))
    assert rows[2]["minutes"] == pytest.approx(60 * rows[2]["ms_per_step"] / 60e3)
    assert not (suite / "results").exists(), "a trial is not a result"
    made = (suite / "kept" / TOY / "slow" / "seeds-0-2" / "provenance.json").stat().st_mtime_ns
    again = json.loads(run_in(suite, "replications", "trial", "--tier", "smoke", "--device", "cpu", "--json", "--out", "kept").stdout)
    assert (again[2]["steps"], again[2]["PFLOP"]) == (rows[2]["steps"], rows[2]["PFLOP"])
    assert (suite / "kept" / TOY / "slow" / "seeds-0-2" / "provenance.json").stat().st_mtime_ns == made, "what is kept is not made again"
    refused = run_in(suite, "replications", "results", "promote", "kept", "--partial", check=False)
    assert refused.returncode == 2
    assert "trials, which are not results: fair, loaded, slow" in refused.stderr
    experiment = suite / "replications" / "papers" / TOY / "experiment.py"
    experiment.write_text(experiment.read_text().replace('context.artifact("heads", model.heads)', "_ = 1 / (settings.bias - 0.9)"))
    done = run_in(suite, "replications", "trial", "--tier", "smoke", "--device", "cpu", check=False)
    assert done.returncode == 1
    assert "1 of 3 runs failed: loaded." in done.stderr
    assert f"{TOY} loaded: ZeroDivisionError" in done.stderr
