"""Tier cpu is for an ordinary machine: no run asks for a GPU, and judged seeds are none that pilots use."""

import pytest

from replications.registry.papers import paper_names
from replications.registry.run_grid import jobs, load_runs

FIRST_PILOT_SEED = 100


@pytest.mark.parametrize("paper", paper_names())
def test_no_run_asks_for_a_gpu_or_judges_a_seed_of_pilots(paper: str) -> None:
    for run in load_runs(paper, "cpu"):
        assert run.resources.gpus == 0, run.name
        assert max(run.seeds) < FIRST_PILOT_SEED, run.name


def test_a_night_is_enough() -> None:
    minutes = sum(job.resources.minutes * job.resources.threads for paper in paper_names() for job in jobs(paper, "cpu"))
    assert minutes <= 30 * 60, "tier cpu is 30 core-hours at most: a night on two cores for what stands, and room for new papers"
