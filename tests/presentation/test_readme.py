"""The README's generated tables. `results promote` writes them, so that a new paper needs no edit outside its folder."""

from collections.abc import Callable

import pytest

from replications.paths import ROOT
from replications.presentation.judging import judge_paper
from replications.presentation.readme import BEGIN_PAPERS, BEGIN_TIERS, fill_papers, summary, tiers_table
from replications.registry.papers import Paper, load_papers, paper_names
from replications.registry.run_grid import jobs
from replications.registry.schema import TIERS
from replications.results.reader import Results
from replications.results.reference import PromotedTier, Reference


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


def test_real_counted_and_stand_in_verdicts_and_statements_of_ours_are_counted_apart(
    finish: Callable[..., None], make_paper: Callable[..., Paper], read: Callable[..., Results]
) -> None:
    finish("lady", error=[1.3, 1.25, 1.35, 1.31, 1.2])
    small = {"tiers": {"gpu": {"proxy": "Few cups."}}}
    paper = make_paper(
        {}, {"counted": True, "measure": {"run": "sizes", "metric": "error"}}, small, small | {"published": 1.6}, {"evidence": "ours"}
    )
    finish("sizes", error=[1.29])
    text = summary(Reference(tiers={"gpu": PromotedTier(promoted="2026-01-02", commits=[])}), judge_paper(read(paper)))
    of_papers, of_ours = (table(part) for part in text.split("Statements of ours, which the papers do not make, are counted apart:"))
    assert of_papers == {
        "✓ replicated": "1",
        "= counted as published": "1",
        "(✓) supported (proxy)": "1",
        "? inconclusive (proxy)": "1",
        "of these not registered": "4",
    }
    assert of_ours == {"✓ replicated": "1", "of these not registered": "1"}


def table(text: str) -> dict[str, str]:
    """The one row of counts in a text, by its heads."""
    heads, row = ([cell.strip() for cell in line.split("|")[2:-1]] for line in text.splitlines() if line.startswith(("| paper", "| `tea`")))
    return dict(zip(heads, row, strict=True))
