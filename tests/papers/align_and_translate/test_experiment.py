"""Whole runs, small: that they resume exactly, that seeds do not depend on their company, and what is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from replications.errors import Preempted
from replications.papers.align_and_translate import experiment, trainer
from replications.papers.align_and_translate.alignment_analysis import compare_with_known, count_scores, near_diagonal
from replications.papers.align_and_translate.evaluation import length_bins
from replications.papers.align_and_translate.settings import Network, Settings
from replications.registry.checks import check_claims
from replications.registry.papers import load_paper
from replications.registry.run_grid import load_runs
from replications.registry.scale import proxy_of, scales
from replications.registry.schema import TIERS
from replications.results.records import frame
from tests.contexts import make_context

PAPER = "align_and_translate"
TINY: dict[str, Any] = {
    "dataset": "made-up",
    "max_words": 8,
    "vocabulary_size": 30,
    "train_pairs": 400,
    "validation_pairs": 6,
    "test_pairs": 12,
    "network": {"embed_size": 4, "hidden_size": 6, "alignment_size": 4, "maxout_size": 3},
    "optimiser": "adam",
    "learning_rate": 0.01,
    "init": "scaled",
    "batch_size": 4,
    "sorted_batches": 3,
    "n_steps": 6,
    "evaluations": 3,
    "beam_size": 2,
    "length_bin": 4,
    "short_at": 4,
    "long_at": 8,
}
ENCDEC = {"context": "last", "encoder": "forward"}


def _settings(**options: Any) -> Settings:
    merged = TINY | options | {"network": TINY["network"] | options.get("network", {})}
    return Settings.model_validate(merged)


def _run(folder: Path, seeds: tuple[int, ...] = (0, 1), **options: Any) -> pd.DataFrame:
    context = make_context(folder, PAPER, seeds, checkpoint_seconds=0.0)
    experiment.run(_settings(**options), context)
    return frame(context.rows)


VARIANTS: dict[str, dict[str, Any]] = {
    "search": {"samples": 3, "dropout": 0.2},
    "encdec": {"network": ENCDEC, "samples": 2},
    "published": {"optimiser": "adadelta", "learning_rate": 1.0, "init": "published"},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_killed_run_continues_to_the_same_records(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _run(tmp_path / "whole", **VARIANTS[name])
    stopped = make_context(tmp_path / "stopped", PAPER, (0, 1), checkpoint_seconds=0.0)
    real = trainer.Trainer.update

    def update(self: trainer.Trainer, step: int) -> Any:
        if step == 3:
            stopped.control.stop.signal = "SIGTERM"
        return real(self, step)

    monkeypatch.setattr(trainer.Trainer, "update", update)
    with pytest.raises(Preempted):
        experiment.run(_settings(**VARIANTS[name]), stopped)
    monkeypatch.setattr(trainer.Trainer, "update", real)
    pd.testing.assert_frame_equal(_run(tmp_path / "stopped", **VARIANTS[name]), whole, check_exact=True)


def test_a_seed_gives_the_same_results_alone_and_in_company(tmp_path: Path) -> None:
    together, alone = _run(tmp_path / "a", (0, 1), dropout=0.3), _run(tmp_path / "b", (1,), dropout=0.3)
    together = together[together["seed"] == 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(together, alone.reset_index(drop=True), rtol=1e-4)


def test_training_on_single_phrases_at_least_halves_the_loss(tmp_path: Path) -> None:
    options = {
        "max_words": 4,
        "n_steps": 150,
        "batch_size": 16,
        "train_pairs": None,
        "network": {"hidden_size": 32, "embed_size": 16, "maxout_size": 16},
    }
    rows = _run(tmp_path, (0,), **options, test_pairs=2)
    loss = rows[(rows["metric"] == "cross_entropy") & (rows["split"] == "train")].sort_values("step")["value"]
    assert loss.iloc[-1] < 0.5 * loss.iloc[0]


def test_lengths_fall_into_the_nearest_bin() -> None:
    assert length_bins([1, 2, 14, 15, 24, 25], 10).tolist() == [0, 0, 10, 20, 20, 30]


def test_near_the_diagonal_of_a_worked_case() -> None:
    """Five words against three: positions 0, 1/4, ..., 1 against 0, 1/2, 1; near is a distance of at most 0.2."""
    wanted = [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert near_diagonal(5, 3).astype(int).tolist() == wanted


def test_comparison_with_the_known_alignment_by_hand() -> None:
    """Three of five words right; two steps back in truth, one of them made; chance is (3/4 + 2/3) / 5."""
    result = compare_with_known([np.array([2, 1, 1]), np.array([0, 1])], [[2, 1, 0], [0, 1]], [4, 3])
    assert result["alignment_accuracy"] == pytest.approx(100 * 4 / 5)
    assert result["steps_back"] == pytest.approx(50)
    assert result["alignment_chance"] == pytest.approx(100 * (3 / 4 + 2 / 3) / 5)


@pytest.mark.parametrize("n_words", [1, 5, 12])
def test_scores_are_one_for_each_pair_of_words_and_none_without_attention(n_words: int) -> None:
    assert count_scores(Network(), n_words) == n_words**2
    assert count_scores(Network.model_validate(ENCDEC), n_words) == 0


@pytest.mark.parametrize("tier", TIERS)
def test_every_claim_can_be_decided_by_the_planned_runs(tier: str) -> None:
    check_claims(load_paper(PAPER), tier, load_runs(PAPER, tier))


@pytest.mark.parametrize("tier", TIERS)
def test_other_data_than_published_make_every_claim_a_proxy_but_the_counted(tier: str) -> None:
    paper, of_runs = load_paper(PAPER), scales(load_runs(PAPER, tier))
    for claim in paper.claims:
        if tier in claim.tiers:
            assert bool(proxy_of(claim, tier, of_runs)) is not claim.counted, claim.id


def test_expected_values_of_runs_are_those_of_table_1() -> None:
    table = {row.run: row.value("iclr", "all") for row in load_paper(PAPER).tables["table-1"].rows if row.run}
    for run in load_runs(PAPER, "paper"):
        assert run.expected == table[run.name]


def test_figure_2_as_table_and_as_file_agree() -> None:
    paper = load_paper(PAPER)
    digitised = pd.read_csv(paper.folder / "figure_2.csv").set_index("words")
    for row in paper.tables["figure-2"].rows:
        if not row.ours_only:
            for name, measure in paper.tables["figure-2"].measures.items():
                assert digitised.loc[measure.at, row.label] == row.value("iclr", name)


def test_networks_that_are_compared_at_equal_updates_have_them() -> None:
    for tier, pairs in {"cpu": ("bible", 30, 50), "gpu": ("bible", 30, 50), "smoke": ("made-up", 8, 18)}.items():
        runs = {run.name: run.settings_as(Settings) for run in load_runs(PAPER, tier)}
        name, *lengths = pairs
        for longest in lengths:
            search, encdec = runs[f"{name}-search-{longest}"], runs[f"{name}-encdec-{longest}"]
            same = {"network", "samples"}
            assert search.model_dump(exclude=same) == encdec.model_dump(exclude=same)
