"""What paper.yaml, runs.yaml and the figures say of each other."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replications.papers.show_and_tell import exhibits, figures
from replications.papers.show_and_tell.grammar import KIND_OF
from replications.papers.show_and_tell.images import absent_words
from replications.papers.show_and_tell.settings import Settings
from replications.presentation.exhibits import page
from replications.presentation.figure_writer import Figure
from replications.registry.checks import check_claims
from replications.registry.papers import load_paper
from replications.registry.run_grid import Run, load_runs, run_folder
from replications.registry.scale import proxy_of, scales
from replications.registry.schema import Tier
from replications.results.reader import NotMeasured, Results
from replications.results.store import write_chunk
from replications.verdicts.kinds.order import OrderClaim
from replications.verdicts.kinds.value import ValueClaim
from tests.factories import provenance_of

PAPER = load_paper("show_and_tell")
PER_SEED = (
    "gallery_captions gallery_cider gallery_lists gallery_novel gallery_attention lengths neighbours "
    "worst_captions worst_images worst_kinds worst_cider worst_references broken_captions broken_images broken_kinds broken_absent"
).split()
"""Artifacts whose first axis is the seed."""
FIGURES = [
    f for name, f in inspect.getmembers(figures, inspect.isfunction) if not name.startswith("_") and f.__module__ == figures.__name__
]


@pytest.mark.parametrize("tier", ["smoke", "cpu", "gpu", "paper"])
def test_every_claim_can_be_decided_by_the_planned_runs(tier: Tier) -> None:
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


@pytest.mark.parametrize("tier", ["cpu", "gpu"])
def test_only_photographs_without_a_small_cnn_are_no_proxy(tier: Tier) -> None:
    of_runs = scales(load_runs("show_and_tell", tier))
    real = {claim.id for claim in PAPER.claims if tier in claim.tiers and not proxy_of(claim, tier, of_runs)}
    assert real == {"flickr8k-human-bleu1"}


def test_tier_cpu_keeps_to_its_budget_and_to_seeds_that_no_pilot_used() -> None:
    runs = load_runs("show_and_tell", "cpu")
    assert sum(run.resources.minutes * len(run.chunks()) for run in runs) <= 160  # core-minutes
    assert {run.resources.threads for run in runs} == {1}
    assert min(seed for run in runs for seed in run.seeds) == 10
    assert len(next(run for run in runs if run.name == "flickr8k-nic").seeds) == 5


def test_variants_at_tier_cpu_differ_from_nic_in_what_they_vary_alone() -> None:
    runs = {run.name: run.settings_as(Settings).model_dump() for run in load_runs("show_and_tell", "cpu")}
    measured = {"beam_sizes", "list_beam", "samples", "neighbours"}
    differing = {
        name: {key for key, value in settings.items() if value != runs["flickr8k-nic"][key]} - measured
        for name, settings in runs.items()
        if settings["mode"] == "train"
    }
    assert differing == {
        "flickr8k-nic": set(),
        "flickr8k-plain": {"dropout"},
        "flickr8k-every-step": {"decoder"},
        "flickr8k-quarter": {"train_share", "epochs"},
        "flickr8k-tanh": {"decoder"},
    }


def _results(folder: Path, tier: Tier = "smoke") -> Results:
    """Made-up records and artifacts of a tier, in the form in which runs leave them."""
    generator = np.random.default_rng(0)
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
    for run in load_runs("show_and_tell", tier):
        for seeds in run.chunks():
            _write_chunk(run_folder(folder, run, seeds), run, seeds, generator, arrays)
    return Results.read(PAPER, tier, folder)


def _write_chunk(folder: Path, run: Run, seeds: tuple[int, ...], generator: np.random.Generator, arrays: dict[str, np.ndarray]) -> None:
    metrics = ["bleu_1", "bleu_4", "cider", "perplexity", "chair_i"]
    by_beam_size = ["bleu_4", "cider", "length_mean", "memorised"]
    base: dict[str, Any] = {"paper": "show_and_tell", "run": run.name, "unit": "", "step": 0}
    rows = [
        base | {"seed": seed, "split": split, "metric": metric, "value": float(generator.uniform(5, 60))}
        for seed in seeds
        for split in (("test", "broken", "scenes", "sketches") if run.settings_as(Settings).cnn == "scene" else ("test",))
        for metric in metrics
    ]
    rows += [
        base | {"seed": seed, "split": "test", "metric": metric, "axis": "beam_size", "at": beam, "value": float(generator.uniform(5, 60))}
        for seed in seeds
        for metric in by_beam_size
        for beam in (1, 3, 20)
    ]
    rows += [
        base | {"seed": seed, "split": "validation", "step": step, "metric": "perplexity", "value": 9.0 - step / 99}
        for seed in seeds
        for step in (50, 99)
    ]
    own = arrays | {"seeds": np.array(seeds)} | {name: array[: len(seeds)] for name, array in arrays.items() if name in PER_SEED}
    write_chunk(folder, rows, own, provenance_of(run, seeds))


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


NOT_AT_CPU = {"attention_by_word", "hallucination", "missing_company", "transfer_matrix"}
"""Figures of rendered scenes, several data sets and soft attention, which tier cpu does not have."""


def test_figures_of_tier_cpu_are_drawn_from_one_chunk_per_seed(tmp_path: Path) -> None:
    results = _results(tmp_path, "cpu")
    for function in FIGURES:
        if function.__name__ in NOT_AT_CPU:
            with pytest.raises(NotMeasured):
                function(results)
            continue
        figure = function(results)
        figure.canvas.draw_without_rendering()
        assert len(figure.data), function.__name__
    curves = figures.learning_curves(results)
    legend = curves.canvas.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()].count("NIC") == 1
    assert exhibits.caption_explorer(results).data


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
