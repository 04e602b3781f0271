"""A night on an ordinary machine: what starts first, what shares its memory, and what is said before anything trains."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from replications.registry.configuration import Configuration
from replications.registry.papers import paper_names
from replications.registry.run_grid import load_runs
from tests.workflow.conftest import TOY, run_in
from workflow.jobs import DATA_PRIORITY, training_rules

NIGHT = """
  cpu:
    extends: smoke
    order: written
    resources: {memory_gb: 2}
"""


@pytest.fixture
def night(suite: Path) -> Path:
    """The toy with a tier cpu, on a machine of 3.1 GB."""
    runs = suite / "replications" / "papers" / TOY / "runs.yaml"
    runs.write_text(runs.read_text() + NIGHT)
    set_memory(suite, 3.1)
    return suite


def set_memory(suite: Path, available: float) -> None:
    (suite / "meminfo").write_text(f"MemTotal: 32000000 kB\nMemAvailable: {int(available * 1e9 / 1024)} kB\n")
    module = suite / "replications" / "memory.py"
    module.write_text(module.read_text().replace("/proc/meminfo", str(suite / "meminfo")))


def chunks(suite: Path) -> dict[str, dict]:
    """Provenance of what is finished, by run."""
    files = (suite / "results" / "cpu" / TOY).glob("*/seeds-*/provenance.json")
    return {path.parent.parent.name: json.loads(path.read_text()) for path in files}


@pytest.mark.parametrize("paper", paper_names())
def test_runs_of_tier_cpu_start_as_written_and_take_one_core_each(paper: str) -> None:
    rules = training_rules(Configuration(tier="cpu", papers=[paper]))
    written = list(dict.fromkeys(run.group for run in load_runs(paper, "cpu")))
    assert [rule.runs[0] for rule in rules] == [
        next(run.name for run in load_runs(paper, "cpu") if run.group == group) for group in written
    ]
    assert all(first.priority > second.priority for first, second in pairwise(rules)), "a night cut short leaves whole rows"
    assert {rule.threads for rule in rules} <= {1}
    assert all(100 <= rule.priority < DATA_PRIORITY for rule in rules)


@pytest.mark.parametrize("paper", paper_names())
def test_elsewhere_the_longest_jobs_start_first(paper: str) -> None:
    for rule in training_rules(Configuration(tier="gpu", papers=[paper])):
        minutes = sum(run.resources.minutes for run in load_runs(paper, "gpu") if run.name in rule.runs)
        assert rule.priority == 100 + round(10 * minutes)


@pytest.mark.slow
def test_jobs_share_the_memory_of_a_small_machine_one_after_the_other(night: Path) -> None:
    run_in(night, "snakemake", "--cores", "2", "--config", "tier=cpu", "--", f"present_{TOY}")
    made = chunks(night)
    assert set(made) == {"fair", "loaded", "slow"}
    assert max(made[run]["ended"] for run in ("fair", "loaded")) <= made["slow"]["started"], "2 GB each do not fit into 3.1 GB"


@pytest.mark.slow
def test_a_run_that_states_more_memory_than_there_is_never_starts(night: Path) -> None:
    set_memory(night, 1.5)
    done = run_in(night, "snakemake", "--cores", "2", "--config", "tier=cpu", check=False)
    assert done.returncode != 0
    evening = f"1.5 GB of memory are available; unless it is more later, refused: {TOY} fair, loaded (2 GB); {TOY} slow (2 GB)."
    assert 0 <= done.stderr.find(evening) < done.stderr.find(f"{TOY}: slow (seeds"), "said before the first run starts"
    assert f"{TOY} slow needs 2 GB of memory (resources.memory_gb in runs.yaml), and this machine has 1.5 GB available" in done.stderr
    assert "--ignore-memory" in done.stderr
    assert chunks(night) == {}
    run_in(night, "replications", "run", TOY, "fair", "--tier", "cpu", "--ignore-memory")
    assert set(chunks(night)) == {"fair"}


@pytest.mark.slow
def test_data_that_are_missing_for_one_paper_are_said_before_any_paper_trains(night: Path) -> None:
    other = night / "replications" / "papers" / "coin_spin"
    shutil.copytree(night / "replications" / "papers" / TOY, other, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*other.glob("*.py"), *other.glob("*.yaml")):
        path.write_text(path.read_text().replace(TOY, "coin_spin"))
    data = other / "data.py"
    embedded = 'build=lambda _: datasets.Dataset.from_dict({"text": ["heads", "tails"]}),'
    assert embedded in data.read_text()
    data.write_text(data.read_text().replace(embedded, 'hub="nobody/spins", revision="1",').replace("import datasets\n", ""))
    done = run_in(night, "snakemake", "--cores", "2", "--config", "tier=cpu", check=False)
    assert done.returncode != 0
    missing, trained = done.stderr.find("Two ways to get it"), done.stderr.find(f"{TOY}: fair, loaded (seeds")
    assert 0 <= missing < trained, done.stderr
    assert "data fetch sides" in done.stderr
    assert "set REPLICATIONS_DATA=" in done.stderr
    assert "coin_spin: fair" not in done.stderr, "a paper without its data does not train"
    assert set(chunks(night)) == {"fair", "loaded", "slow"}, "papers that have their data do"
