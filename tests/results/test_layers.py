"""The committed reference holds several tiers; each claim is judged at the largest one that has its seeds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from replications.errors import InputError
from replications.presentation.judging import judge_paper
from replications.registry import run_grid
from replications.registry.papers import Paper
from replications.results.reader import Results
from replications.results.reference import tiers_of_paper

DESCRIPTION = '{"tiers": {"smoke": {"promoted": "2026-01-02", "commits": []}, "gpu": {"promoted": "2026-01-02", "commits": []}}}\n'


@pytest.fixture
def reference(tmp_path: Path, discovered: None, finish: Callable[..., None], make_paper: Callable[..., Paper]) -> Path:
    """A reference whose tier smoke has the run of both claims, and whose tier gpu has one seed of it."""
    plan = "{seeds: 3, runs: {lady: {}}}"
    (tmp_path / "tea" / "runs.yaml").write_text(f"tiers: {{smoke: {plan}, gpu: {plan}}}\n", encoding="utf-8")
    run_grid.load_runs.cache_clear()
    folder = tmp_path / "reference"
    finish("lady", error=[1.0, 1.1, 1.2], changes={"tier": "smoke"})
    folder.mkdir()
    (tmp_path / "results").rename(folder / "smoke")
    finish("lady", error=[1.0])
    (tmp_path / "results").rename(folder / "gpu")
    (folder / "reference.json").write_text(DESCRIPTION, encoding="utf-8")
    return folder


def test_the_largest_tier_with_chunks_of_the_paper_is_read_first(reference: Path) -> None:
    assert [tier for tier, _ in tiers_of_paper(reference, "tea")] == ["gpu", "smoke"]
    assert tiers_of_paper(reference, "coffee") == [("gpu", reference / "gpu")], "no chunk anywhere: the largest tier"


def test_one_seed_of_a_larger_tier_judges_nothing_and_two_do(
    reference: Path, make_paper: Callable[..., Paper], finish: Callable[..., None], tmp_path: Path
) -> None:
    paper = make_paper()
    results = Results.read_reference(paper, reference)
    assert (results.tier, [layer.tier for layer in results.smaller]) == ("gpu", ["smoke"])
    assert [verdict.tier for verdict in judge_paper(results)] == ["smoke"]
    finish("lady", first=1, error=[1.1])
    (tmp_path / "results" / "tea" / "lady" / "seeds-1-1").rename(reference / "gpu" / "tea" / "lady" / "seeds-1-1")
    (verdict,) = judge_paper(Results.read_reference(paper, reference))
    assert (verdict.tier, verdict.seeds_finished) == ("gpu", 2)


def test_a_tier_that_was_not_read_is_an_error(reference: Path, make_paper: Callable[..., Paper]) -> None:
    results = Results.read_reference(make_paper(), reference)
    assert results.of_tier("smoke").tier == "smoke"
    with pytest.raises(InputError, match="no results of tier paper are read here"):
        results.of_tier("paper")
