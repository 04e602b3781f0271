"""What paper.yaml, runs.yaml and the figures say of each other."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

from replications.papers.show_and_tell import exhibits, figures
from replications.papers.show_and_tell.grammar import KIND_OF
from replications.papers.show_and_tell.images import absent_words
from replications.presentation.exhibits import page
from replications.presentation.figure_writer import Figure
from replications.registry.checks import check_claims
from replications.registry.papers import load_paper
from replications.registry.run_grid import load_runs
from replications.registry.scale import proxy_of, scales
from replications.results.reader import NotMeasured, Results
from replications.results.store import write_chunk
from replications.verdicts.kinds.order import OrderClaim
from replications.verdicts.kinds.value import ValueClaim
from tests.factories import provenance_of

PAPER = load_paper("show_and_tell")
FIGURES = [
    f for name, f in inspect.getmembers(figures, inspect.isfunction) if not name.startswith("_") and f.__module__ == figures.__name__
]


@pytest.mark.parametrize("tier", ["smoke", "gpu", "paper"])
def test_every_claim_can_be_decided_by_the_planned_runs(tier: str) -> None:
    check_claims(PAPER, tier, load_runs("show_and_tell", tier))


def test_expected_values_of_runs_are_those_of_the_published_tables() -> None:
    published: dict[str, set[float]] = {}
    for table in PAPER.tables.values():
        for row in table.rows:
            for version in table.versions:
                for measure in table.measures:
                    value = row.value(version, measure)
                    if row.run and value is not None:
                        published.setdefault(row.run, set()).add(value)
    for tier in ("gpu", "paper"):
        for run in load_runs("show_and_tell", tier):
            if run.expected is not None:
                assert run.expected in published[run.name], run.name


def test_every_run_of_a_table_is_planned_at_some_tier() -> None:
    planned = {run.name for tier in ("smoke", "gpu", "paper") for run in load_runs("show_and_tell", tier)}
    assert {row.run for table in PAPER.tables.values() for row in table.rows if row.run} <= planned


def _published_of_claims(run: str) -> dict[str, float | None]:
    """Published value of each claim on the test split of one run, by metric."""
    values = [claim for claim in PAPER.claims if isinstance(claim, ValueClaim) and claim.measure]
    return {c.measure.metric: c.published for c in values if c.measure and (c.measure.run, c.measure.split) == (run, "test")}


@pytest.mark.parametrize(("table", "run"), [("table-4", "flickr8k-nic"), ("table-5", "flickr30k-nic")])
def test_every_column_of_a_ranking_table_is_judged(table: str, run: str) -> None:
    row = next(row for row in PAPER.tables[table].rows if row.run == run)
    claimed = _published_of_claims(run)
    assert {metric: claimed[metric] for metric in PAPER.tables[table].measures} == {
        metric: row.value("v2", metric) for metric in PAPER.tables[table].measures
    }


def test_all_six_columns_are_judged_against_mnlm() -> None:
    mnlm = next(row for row in PAPER.tables["table-4"].rows if row.label == "MNLM")
    bounds = {}
    for claim in PAPER.claims:
        if claim.id.startswith("beats-mnlm-"):
            assert isinstance(claim, OrderClaim)
            assert claim.contrast
            bounds[claim.contrast[0].metric] = claim.contrast[0].weight * claim.min_difference
    assert bounds == {metric: mnlm.value("v2", metric) for metric in PAPER.tables["table-4"].measures}


def test_every_row_of_table_1_is_judged_but_for_meteor() -> None:
    for row in PAPER.tables["table-1"].rows:
        if row.run:
            claimed = _published_of_claims(row.run)
            assert claimed["bleu_4"] == row.value("v2", "bleu_4"), row.label
            assert claimed["cider"] == row.value("v2", "cider"), row.label


@pytest.mark.parametrize(("wide", "word"), [(-5.0, "contradicted"), (3.0, "replicated")])
def test_a_small_beam_does_not_suffice_where_the_wide_one_is_worse_than_greedy(wide: float, word: str) -> None:
    claim = PAPER.claim("small-beams-suffice").at("gpu")
    assert isinstance(claim, OrderClaim)
    noise = {0: -0.05, 1: 0.0, 2: 0.06}
    small, large, greedy = (
        {seed: 20.0 + gain + delta * sign for seed, delta in noise.items()} for gain, sign in ((3, 1), (wide, 2), (0, -1))
    )
    assert claim.judge_samples([small, large, greedy]).word == word


def test_only_photographs_without_a_small_cnn_are_no_proxy_at_tier_gpu() -> None:
    of_runs = scales(load_runs("show_and_tell", "gpu"))
    real = {claim.id for claim in PAPER.claims if "gpu" in claim.tiers and not proxy_of(claim, "gpu", of_runs)}
    assert real == {"flickr8k-human-bleu1"}


def _results(folder: Path) -> Results:
    """Made-up records and artifacts of the smoke tier, in the form in which runs leave them."""
    generator = np.random.default_rng(0)
    metrics = [
        "bleu_1",
        "bleu_4",
        "cider",
        "perplexity",
        "chair_i",
    ]
    by_beam_size = ["bleu_4", "cider", "length_mean", "memorised"]
    text = np.array([["a red ball is left of a moon", "", "two objects", "a box"]] * 3)
    images = generator.integers(0, 255, (4, 3, 48, 48)).astype(np.uint8)
    kinds = np.array(["ball box", "star", "", "box"])
    several = np.stack([images] * 3)
    arrays = {
        "seeds": np.arange(3),
        "gallery_rows": np.arange(4),
        "gallery_images": images,
        "gallery_kinds": kinds,
        "gallery_references": np.array([["a ball .", "a <b>box</b>", "", "", ""]] * 4),
        "gallery_captions": text,
        "gallery_cider": generator.random((3, 4)),
        "gallery_lists": np.array([[["a ball", "a moon"]] * 4] * 3),
        "gallery_novel": generator.random((3, 4, 2)) > 0.5,
        "gallery_attention": generator.random((3, 4, 20, 36)).astype(np.float16),
        "lengths": generator.integers(5, 12, (3, 30)),
        "reference_lengths": generator.integers(5, 14, 150),
        "neighbour_words": np.array(["car"]),
        "neighbours": np.array([["van cab"]] * 3),
    }
    for name in ("worst", "broken"):
        arrays |= {f"{name}_captions": text, f"{name}_images": several, f"{name}_kinds": np.stack([kinds] * 3)}
    arrays |= {"worst_cider": generator.random((3, 4)), "worst_references": np.array([[["a ball"] * 5] * 4] * 3), "broken_absent": text}
    for run in load_runs("show_and_tell", "smoke"):
        base = {"paper": "show_and_tell", "run": run.name, "unit": ""}
        rows = [
            base | {"seed": seed, "split": split, "step": 0, "metric": metric, "value": float(generator.uniform(5, 60))}
            for seed in range(3)
            for split in ("test", "broken", "scenes", "sketches")
            for metric in metrics
        ]
        rows += [
            {
                **base,
                "step": 0,
                "seed": seed,
                "split": "test",
                "metric": metric,
                "axis": "beam_size",
                "at": beam,
                "value": float(generator.uniform(5, 60)),
            }
            for seed in range(3)
            for metric in by_beam_size
            for beam in (1, 3, 20)
        ]
        rows += [
            base | {"seed": s, "split": "validation", "step": t, "metric": "perplexity", "value": 9.0 - t / 99}
            for s in range(3)
            for t in (50, 99)
        ]
        chunk = folder / "show_and_tell" / run.name / "seeds-0-2"
        write_chunk(chunk, rows, arrays, provenance_of(run, (0, 1, 2)))
    return Results.read(PAPER, "smoke", folder)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return _results(tmp_path_factory.mktemp("results"))


@pytest.mark.parametrize("function", FIGURES, ids=lambda function: function.__name__)
def test_every_figure_is_drawn_and_describes_itself(function: object, results: Results) -> None:
    figure = function(results)
    assert isinstance(figure, Figure)
    figure.canvas.draw_without_rendering()
    assert figure.alt
    assert len(figure.data)
    assert function.__doc__


def test_figures_without_their_runs_say_so(tmp_path: Path) -> None:
    empty = Results.read(PAPER, "smoke", tmp_path)
    for function in FIGURES:
        with pytest.raises(NotMeasured):
            function(empty)


def test_absent_objects_are_marked_and_present_ones_are_not() -> None:
    words = "a hoop and a crescent above the box".split()
    marked = [word for word, wrong in zip(words, absent_words(words, "ring box"), strict=True) if wrong]
    assert marked == ["crescent"]
    assert not any(absent_words(words, ""))
    assert KIND_OF["crescent"] == "moon"


def test_the_explorer_is_one_page_that_needs_no_network(results: Results) -> None:
    exhibit, html = page(exhibits.caption_explorer, results)
    assert "<b>box" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert len(html) < 3_000_000
    run = exhibit.data[0]
    item = run["groups"][0]["items"][0]
    assert item["captions"][0]["words"][2] == "ball"
    assert item["captions"][0]["absent"] == [word == "moon" for word in item["captions"][0]["words"]]
    assert len(item["captions"][0]["maps"][0]) == 36
    for needed in ('data-theme="dark"', "light-dark(", "ArrowRight", "aria-pressed", ":focus-visible"):
        assert needed in html
