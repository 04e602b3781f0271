"""The smoke tier of every paper through sbatch, beside the same tier made without a cluster. Ten to twenty minutes: `make test-cluster-papers`."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from replications.paths import ROOT
from replications.registry.papers import paper_names
from replications.registry.run_grid import Run, load_runs, run_folder
from tests.cluster.conftest import Head, fill_in_site

pytestmark = pytest.mark.cluster_papers

CLOCK = "time"
"""Split of what a clock measured, which no two runs share."""


def counted(path: Path) -> pd.DataFrame:
    """The records of one chunk that do not rest on a clock."""
    found = pd.read_parquet(path / "records.parquet")
    return found[found["split"] != CLOCK].reset_index(drop=True)


@pytest.fixture(scope="module")
def submitted(cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Head:
    """The finished head process of `snakemake --config tier=smoke` through the shipped profile, in a copy of this checkout."""
    if not (ROOT / "results" / "smoke" / "report" / "index.html").exists():
        pytest.skip("There is no local tier to compare with. Make it first: make report")
    suite = tmp_path_factory.mktemp("papers") / "suite"
    shutil.copytree(ROOT, suite, ignore=shutil.ignore_patterns(".venv", "results", "logs", ".snakemake", "__pycache__"), symlinks=True)
    shutil.copytree(ROOT / "results" / "reference", suite / "results" / "reference")
    fill_in_site(suite)
    head = Head(suite, patience=3000)
    head.start()
    return head.finish()


def test_every_job_went_through_sbatch_and_the_report_is_whole(submitted: Head) -> None:
    assert submitted.code == 0, submitted.said[-6000:]
    groups = {(run.paper, run.group) for run in every_run()}
    assert len(re.findall(r"submitted with SLURM jobid (\d+)", submitted.said)) == len(groups)
    assert (submitted.suite / "results" / "smoke" / "report" / "report.pdf").stat().st_size > 100_000


def every_run() -> list[Run]:
    return [run for paper in paper_names() for run in load_runs(paper, "smoke")]


@pytest.mark.parametrize("run", every_run(), ids=lambda run: f"{run.paper}-{run.name}")
def test_records_are_those_of_this_machine_without_a_cluster(submitted: Head, run: Run) -> None:
    for seeds in run.chunks():
        here, there = (run_folder(folder / "results" / "smoke", run, seeds) for folder in (ROOT, submitted.suite))
        pd.testing.assert_frame_equal(counted(there), counted(here), check_exact=True)
