"""On a real Slurm: the same records as without one, whatever happens to the jobs on the way."""

import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.cluster.conftest import Head, records
from tests.workflow.conftest import TOY

pytestmark = pytest.mark.cluster


def plays(scenario: str) -> pytest.MarkDecorator:
    """The test's `head` is the one of this scenario."""
    return pytest.mark.parametrize("head", [scenario], indirect=True)


def sidecar(head: Head, run: str, tier: str = "smoke", seeds: str = "0-2") -> dict:
    return json.loads((head.suite / "results" / tier / TOY / run / f"seeds-{seeds}" / "provenance.json").read_text())


def submitted(head: Head) -> list[str]:
    return re.findall(r"submitted with SLURM jobid (\d+)", head.said)


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=True)


@plays("whole_tier")
def test_the_whole_tier_through_sbatch_gives_the_records_of_this_machine(head: Head, local: Path) -> None:
    assert head.code == 0, head.said
    assert len(submitted(head)) == 2, "one job per group; everything else is local"
    for run in ("fair", "loaded", "slow"):
        same(records(head.suite, run), records(local, run))
    assert (head.suite / "results" / "smoke" / "report" / "index.html").stat().st_size > 10_000


@plays("cancelled")
def test_a_cancelled_job_saves_resumes_and_ends_with_equal_records(head: Head, local: Path) -> None:
    assert head.code == 0, head.said
    assert len(submitted(head)) == 2
    assert "continuing at step" in head.training_log("slow")
    assert sidecar(head, "slow")["resumes"] == 1
    same(records(head.suite, "slow"), records(local, "slow"))
    first = next((head.suite / "logs" / "slurm").rglob(f"{submitted(head)[0]}.log")).read_text()
    assert "stopped by SIGTERM" in first, "the log of the failed job is kept and says why"


@plays("out_of_time")
def test_a_job_out_of_time_is_warned_saves_and_resumes_with_more(head: Head, local: Path) -> None:
    assert head.code == 0, head.said
    assert len(submitted(head)) == 2
    first = next((head.suite / "logs" / "slurm").rglob(f"{submitted(head)[0]}.log")).read_text()
    assert "stopped by SIGTERM" in first
    assert "continuing at step" in head.training_log("slow")
    same(records(head.suite, "slow"), records(local, "slow"))


@plays("crashed")
def test_a_job_whose_node_dies_is_queued_again_by_slurm_and_resumes(head: Head, local: Path) -> None:
    assert head.code == 0, head.said
    assert "continuing at step" in head.training_log("slow")
    assert sidecar(head, "slow")["resumes"] == 1
    same(records(head.suite, "slow"), records(local, "slow"))


@plays("several_gpus")
def test_several_gpus_are_a_team_on_one_machine_and_on_two(head: Head, local: Path) -> None:
    assert head.code == 0, head.said
    assert sidecar(head, "two", "gpu", "0-1")["processes"] == 2
    assert sidecar(head, "machines", "gpu", "0-1")["processes"] == 4
    same(records(head.suite, "two", tier="gpu", seeds="0-1"), records(local, "two", tier="gpu", seeds="0-1"))


@plays("too_many_gpus")
def test_more_gpus_than_a_node_has_is_one_clear_message(head: Head) -> None:
    assert head.code != 0
    assert "Requested node configuration is not available" in head.said
    assert f"train_{TOY}_three" in head.said


@plays("two_users")
def test_two_users_in_two_folders_do_not_disturb_each_other(head: Head, local: Path) -> None:
    assert head.code == 0, head.said
    assert len(submitted(head)) == 1, "its job was not taken away with the first user's"
    same(records(head.suite, "slow"), records(local, "slow"))
    first = head.suite.with_name("two_users-first")
    assert not (first / "results" / "smoke" / TOY / "slow" / "seeds-0-2" / "records.parquet").exists()


@plays("two_hundred_runs")
def test_two_hundred_tiny_runs_do_not_hammer_the_scheduler(head: Head, capsys: pytest.CaptureFixture[str]) -> None:
    assert head.code == 0, head.said
    assert len(submitted(head)) == 5
    assert len(list((head.suite / "results" / "gpu" / TOY).glob("tiny-*/seeds-0-1/records.parquet"))) == 200
    minutes = max(1.0, (head.calls[-1][0] - head.calls[0][0]) / 60)
    counts = Counter(name for _, name in head.calls)
    with capsys.disabled():
        told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        print(f"\n200 runs in {minutes:.1f} minutes: {told}; {len(head.calls) / minutes:.0f} calls a minute")
    assert len(head.calls) / minutes < 30
