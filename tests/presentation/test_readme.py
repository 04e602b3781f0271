"""The README's generated tables. `results promote` writes them, so that a new paper needs no edit outside its folder."""

import pytest

from replications.paths import ROOT
from replications.presentation.readme import BEGIN_PAPERS, BEGIN_TIERS, fill_papers, tiers_table
from replications.registry.papers import load_papers, paper_names
from replications.registry.run_grid import jobs
from replications.registry.schema import TIERS


def test_the_readme_has_a_place_for_papers_and_tiers_which_is_filled_alike_twice() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert BEGIN_PAPERS in text
    assert BEGIN_TIERS in text
    filled = fill_papers(text, load_papers())
    assert all(f"| `{paper}` |" in filled for paper in paper_names())
    assert fill_papers(filled, load_papers()) == filled


@pytest.mark.parametrize("tier", TIERS)
def test_hours_of_a_tier_are_those_of_its_jobs(tier: str) -> None:
    """Summed over jobs here, over runs in the table: a GPU counts by its quarters."""
    work = [job for paper in paper_names() for job in jobs(paper, tier)]
    minutes = [(run.resources.minutes, run.resources) for job in work for run in job.runs]
    cores = sum(time * need.threads for time, need in minutes if need.gpus == 0) / 60
    gpus = sum(time * (need.gpu_slots / 4 if need.gpus == 1 else need.gpus) for time, need in minutes if need.gpus) / 60
    row = next(line for line in tiers_table(load_papers()).splitlines() if line.startswith(f"| `{tier}` "))
    assert row.endswith(f"| {f'{cores:,.1f}' if cores else ''} | {f'{gpus:,.1f}' if gpus else ''} |")


def test_a_readme_without_a_place_for_tables_stays_as_it_is() -> None:
    assert fill_papers("# Another README\n", load_papers()) == "# Another README\n"
