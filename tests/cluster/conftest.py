"""Scenarios on a running lab cluster. All start together and mostly wait, so that the whole takes a few minutes on two cores."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from replications.paths import ROOT
from tests.workflow.conftest import TOY, copy_suite, environment, run_in

LAB = ROOT.parent / "shared" / "slurm"
START = "bash ../shared/slurm/start-slurm.sh"
PATIENCE = 600
AT_ONCE = 5
"""Scenarios that run side by side on two cores."""

RUNS = """
tiers:
  smoke:
    seeds: 3
    runs:
      fair: {location: Table 1, expected: 0.5, group: coins, settings: {bias: 0.5}}
      loaded: {group: coins, settings: {bias: 0.9}}
      slow: {settings: {bias: 0.5, n_steps: 500, pause: 0.1}}
  gpu:
    seeds: 2
    runs:
      two: {settings: {bias: 0.5}, resources: {gpus: 2, memory_gb: 3}}
      machines: {settings: {bias: 0.5}, resources: {gpus: 4, nodes: 2, memory_gb: 3}}
      three: {settings: {bias: 0.5}, resources: {gpus: 3}}
      tiny-{bias}-{n_steps}:
        group: tiny-{bias}
        grid: {bias: [0.1, 0.2, 0.3, 0.4, 0.5], n_steps: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
               21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40]}
"""
SITE = {
    "# slurm_account: .*": "slurm_account: lab",
    "# slurm_partition: .*": "slurm_partition: main",
    "# resources: .*": 'resources: ["runtime=55", "mem_mb=3900"]',
    "mem_mb: .*": "mem_mb: 1000",
    "--signal=TERM@120": "--signal=TERM@120 --exclude=node4",
}
"""A site's keys; node4 is the one that crashes."""


@dataclass
class Head:
    """A head process in its own copy of the suite."""

    suite: Path
    said: str = ""
    code: int | None = None
    calls: list[tuple[float, str]] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    patience: float = PATIENCE

    def start(self, *arguments: str, tier: str = "smoke") -> None:
        """Run the workflow through the shipped profile, with the site's keys filled in and every scheduler command counted."""
        quick = ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"]
        profile = ["--workflow-profile", "workflow/profiles/slurm", "--config", f"tier={tier}", *quick]
        variables = environment(PATH=f"{self.suite / 'bin'}:{os.environ['PATH']}", HOME=str(self.suite))
        # A shell lets what it starts in the background ignore SIGINT, and these tests with all that they start.
        command = ["env", "--default-signal=INT", sys.executable, "-m", "snakemake", *profile, *arguments]
        self.process = subprocess.Popen(command, cwd=self.suite, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self) -> "Head":
        assert self.process
        try:
            self.said, _ = self.process.communicate(timeout=self.patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.said, _ = self.process.communicate()
        self.code = self.process.returncode
        counted = self.suite / "calls"
        lines = counted.read_text().splitlines() if counted.exists() else []
        self.calls = [(float(line.split()[0]), line.split()[1]) for line in lines]
        return self

    def end(self) -> None:
        """Leave nothing running when a scenario failed."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.finish()

    def job(self) -> str:
        """Id of the newest submitted job, once there is one."""
        return wait_for(lambda: re.findall(r"submitted with SLURM jobid (\d+)", self.log()), "a submitted job")[-1]

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted((self.suite / ".snakemake" / "log").glob("*.log")))

    def state(self, run: str) -> Path:
        return self.suite / "results" / "smoke" / TOY / run / ".state" / "seeds-0-2"

    def training_log(self, run: str) -> str:
        found = sorted((self.suite / "logs" / "smoke" / TOY).glob(f"*{run}*.log"))
        return found[0].read_text() if found else ""

    def steps(self, run: str) -> int:
        """Training steps that a run says it has done, every five seconds."""
        try:
            return int(json.loads((self.state(run) / "progress.json").read_text())["done"])
        except (OSError, ValueError):
            return 0


def wait_for(ask: Callable[[], object], what: str, seconds: float = 300, tell: Callable[[], str] = str) -> object:
    """The first true answer; when there is none in time, the error ends with what `tell` says."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.3)
    raise AssertionError(f"waited {seconds:.0f} s for {what}\n{tell()}")


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def fate(job: str) -> str:
    """What Slurm says of a job and of the nodes."""
    return slurm("scontrol", "show", "job", job) + slurm("sinfo", "-N", "-l")


def records(suite: Path, run: str, *, tier: str = "smoke", seeds: str = "0-2") -> pd.DataFrame:
    return pd.read_parquet(suite / "results" / tier / TOY / run / f"seeds-{seeds}" / "records.parquet")


def fill_in_site(suite: Path) -> None:
    """Write the lab's keys into the shipped profile, as a site would."""
    profile = suite / "workflow" / "profiles" / "slurm" / "config.yaml"
    text = profile.read_text()
    for pattern, replacement in SITE.items():
        text, found = re.subn(pattern, replacement, text)
        assert found == 1, pattern
    profile.write_text(text)


@pytest.fixture(scope="session")
def cluster() -> Path:
    """The scripts of the running lab."""
    try:
        answer = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        answer = ""
    if "is UP" not in answer or not (LAB / "node.sh").exists():
        pytest.skip(f"No lab Slurm is running here. Start one with: {START}")
    return LAB


@pytest.fixture(scope="session")
def base(cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the suite for a cluster: the toy's runs, the site's keys, its data fetched, scheduler commands counted."""
    suite = copy_suite(tmp_path_factory.mktemp("cluster") / "suite")
    (suite / "replications" / "papers" / TOY / "runs.yaml").write_text(RUNS)
    fill_in_site(suite)
    for name in ("sbatch", "squeue", "sacct", "scontrol", "sinfo", "sacctmgr", "scancel"):
        real = shutil.which(name)
        if real:
            counter = suite / "bin" / name
            counter.parent.mkdir(exist_ok=True)
            counter.write_text(
                f'#!/bin/sh\nfolder=$(dirname "$(dirname "$0")")\necho "$(date +%s.%N) {name}" >> "$folder/calls"\nexec {real} "$@"\n'
            )
            counter.chmod(0o755)
    for tier in ("smoke", "gpu"):
        run_in(suite, "snakemake", "--cores", "1", "--config", f"tier={tier}", "--until", f"data_{TOY}")
    return suite


@pytest.fixture(scope="session")
def local(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the same runs give without a cluster. The pause only makes a run slow, so it is left out."""
    suite = tmp_path_factory.mktemp("local") / "suite"
    shutil.copytree(base, suite)
    runs = suite / "replications" / "papers" / TOY / "runs.yaml"
    runs.write_text(runs.read_text().replace("pause: 0.1", "pause: 0"))
    run_in(suite, "replications", "run", TOY, "fair", "loaded", "slow", "--threads", "1")
    run_in(suite, "replications", "run", TOY, "two", "--tier", "gpu", "--threads", "1", "--device", "cpu")
    return suite


@pytest.fixture(scope="session")
def playing(base: Path, local: Path, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Head]]]:
    """Every scenario that a chosen test asks for, under way."""
    from tests.cluster.scenarios import SCENARIOS

    def play(name: str) -> Head:
        heads: list[Head] = []

        def head(suffix: str = "") -> Head:
            suite = base.parent / f"{name}{suffix}"
            shutil.copytree(base, suite, symlinks=True)
            heads.append(Head(suite))
            return heads[-1]

        try:
            return SCENARIOS[name](head)
        finally:
            for one in heads:
                one.end()

    wanted = {item.callspec.params.get("head") for item in request.session.items if hasattr(item, "callspec")}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(play, name) for name in SCENARIOS if name in wanted}


@pytest.fixture
def head(playing: dict[str, Future[Head]], request: pytest.FixtureRequest) -> Head:
    """The finished head process of the scenario that the test names."""
    return playing[request.param].result()
