"""How much memory there is for new work, and what is done with a run that needs more."""

from dataclasses import replace
from pathlib import Path

import pytest

from replications import memory
from replications.engine.launch import check_memory, granted
from replications.errors import InputError
from replications.registry.papers import paper_names
from replications.registry.run_grid import load_runs
from replications.registry.runs_yaml import Resources
from workflow import jobs


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8 GB available and no container's limit."""
    info = tmp_path / "meminfo"
    info.write_text("MemTotal:       16000000 kB\nMemAvailable:    7812500 kB\nHugePages_Total:       0\n")
    monkeypatch.setattr(memory, "MEMORY_INFO", info)
    monkeypatch.setattr(memory, "LIMITS", (tmp_path / "memory.max",))
    return tmp_path


def test_memory_is_what_the_kernel_says_within_the_limit_of_the_container(machine: Path) -> None:
    assert memory.available_gb() == pytest.approx(8.0)
    (machine / "memory.max").write_text("max\n")
    assert memory.available_gb() == pytest.approx(8.0)
    (machine / "memory.max").write_text("3000000000\n")
    assert memory.available_gb() == pytest.approx(3.0)
    (machine / "meminfo").unlink()
    assert memory.available_gb() is None, "systems without it are not judged"


@pytest.mark.usefixtures("machine")
def test_jobs_share_what_is_available_unless_the_user_says_how_much() -> None:
    assert jobs.machine_resources(["gpu_slots"]) == {"mem_mb": 8000}
    assert jobs.machine_resources(["mem_mb"]) == {}


def test_a_run_that_needs_more_is_refused_with_both_amounts() -> None:
    run = load_runs(paper_names()[0], "smoke")[0]
    small, large = (replace(run, name=name, resources=Resources(memory_gb=size)) for name, size in (("small", 1), ("large", 6)))
    check_memory([small, large], 6.0)
    check_memory([small, large], None)
    with pytest.raises(InputError, match=rf"{run.paper} large needs 6 GB of memory .* has 5\.9 GB available.*--ignore-memory"):
        check_memory([small, large], 5.9)


def test_memory_that_a_scheduler_granted_is_not_judged_again() -> None:
    assert granted({"SLURM_JOB_ID": "1"})
    assert granted({"TORCHELASTIC_RUN_ID": "1"})
    assert not granted({"HOME": "/root"})
