"""paper.yaml and runs.yaml agree, and what is drawn from nothing says so."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from replications.errors import InputError
from replications.papers.recurrent_attention import exhibits, figures
from replications.papers.recurrent_attention.settings import Settings
from replications.registry.papers import load_paper
from replications.registry.run_grid import expand, jobs, load_runs
from replications.registry.schema import TIERS
from replications.results.reader import NotMeasured, Results

NAME = "recurrent_attention"
PAPER = load_paper(NAME)


def published() -> dict[str, float]:
    """Run -> published error, of Catch the share of balls caught: arXiv v1 where it has the row, else NIPS."""
    values: dict[str, float] = {}
    for table in PAPER.tables.values():
        for row in table.rows:
            value = row.value("v1", "error") or row.value("nips", "error")
            if row.run and value:
                values[row.run] = value
    return values


@pytest.mark.parametrize("tier", ["gpu", "paper"])
def test_every_published_row_has_a_run_that_expects_its_value(tier: str) -> None:
    expected = {run.name: run.expected for run in load_runs(NAME, tier) if run.expected is not None}
    assert expected == published()


def test_the_paper_tier_trains_as_published_whatever_the_gpu_tier_does() -> None:
    for run in load_runs(NAME, "paper"):
        settings = run.settings_as(Settings)
        if settings.experiment == "accuracy":
            assert (settings.optimiser, settings.batch_size, settings.n_steps) == ("sgd", 20, 1_000_000), run.name


def test_claims_of_values_equal_the_tables() -> None:
    cells = {
        (version, row.run): row.value(version, "error")
        for table in PAPER.tables.values()
        for row in table.rows
        for version in table.versions
    }
    values = [claim for claim in PAPER.claims if claim.kind == "value" and claim.evidence == "paper"]
    assert len(values) == 31
    for claim in values:
        assert claim.measure is not None
        version = "nips" if claim.location.startswith("NIPS") else "v1"
        assert claim.published == cells[version, claim.measure.run], claim.id


def test_one_result_cannot_equal_both_versions_of_a_value_unless_the_versions_agree_within_the_test_set() -> None:
    by_run: dict[str, list[tuple[float, float]]] = {}
    for claim in PAPER.claims:
        if claim.kind == "value" and claim.measure:
            by_run.setdefault(claim.measure.run, []).append((claim.published, claim.margin))
    for run, values in by_run.items():
        if len(values) == 2:
            (one, _), (other, _) = values
            gap, error = abs(one - other), 100 * (one / 100 * (1 - one / 100) / 10_000) ** 0.5
            assert all(margin < gap for _, margin in values) or gap < error, run


@pytest.mark.parametrize("tier", TIERS)
def test_every_claim_of_a_tier_reads_runs_that_the_tier_has(tier: str) -> None:
    names = {run.name for run in load_runs(NAME, tier)}
    for claim in PAPER.claims:
        if tier in claim.tiers:
            for measure in claim.measures(tier):
                assert measure.run in names, claim.id


def test_margins_of_values_are_wider_than_two_standard_errors_of_a_test_set_of_our_own() -> None:
    for claim in PAPER.claims:
        if claim.kind == "value" and claim.measure and not claim.shared_test_set and not claim.counted:
            assert claim.published is not None
            assert claim.margin is not None
            p = claim.published / 100
            assert claim.margin > 2 * 100 * (p * (1 - p) / 10_000) ** 0.5, claim.id


def test_smoke_runs_share_no_name_with_published_rows() -> None:
    # Else 8x8 digits would stand in the tables beside MNIST.
    assert not {run.name for run in load_runs(NAME, "smoke")} & published().keys()


def test_smoke_imports_torch_twice_at_most() -> None:
    assert len(jobs(NAME, "smoke")) <= 2


def test_zero_seeds_are_refused() -> None:
    content = {"tiers": {"smoke": {"seeds": 0, "runs": {"a": {}}}}}
    with pytest.raises(InputError, match="seeds"):
        expand(NAME, "smoke", content, Path("runs.yaml"))


def drawings() -> list[Callable[[Results], object]]:
    modules = (figures, exhibits)
    return [
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    ]


@pytest.mark.parametrize("function", drawings(), ids=lambda function: function.__name__)
def test_without_results_every_figure_and_exhibit_says_what_is_missing(function: Callable[[Results], object], tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="needs"):
        function(Results.read(PAPER, "gpu", tmp_path))
    assert inspect.getdoc(function)
