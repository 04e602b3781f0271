"""Runs of this paper: seeds are independent of their company, a stopped run ends as an uninterrupted one, scores are what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from replications.errors import InputError, Preempted
from replications.papers.multiple_objects.answers import answer_names, answered_until_end
from replications.papers.multiple_objects.canvases import Canvases, pair_number
from replications.papers.multiple_objects.evaluation import Evaluation
from replications.papers.multiple_objects.experiment import run
from replications.papers.multiple_objects.networks import build
from replications.papers.multiple_objects.settings import Settings
from replications.registry.checks import check_claims
from replications.registry.papers import load_paper
from replications.registry.run_grid import load_runs
from replications.registry.schema import TIERS
from replications.registry.tuning import load_tuning
from tests.contexts import make_context

PAPER = "multiple_objects"
FEW: dict[str, object] = {
    "dataset": "digits",
    "n_classes": 3,
    "canvas": 24,
    "n_validation": 20,
    "n_test": 30,
    "glimpse_side": 4,
    "glimpse_size": 6,
    "hidden_size": 5,
    "classifier_size": 5,
    "context_side": 12,
    "context_filters": (2, 2, 2),
    "cnn_filters": (2, 2),
    "cnn_size": 4,
    "batch_size": 8,
    "n_steps": 4,
    "evaluations": 2,
    "samples": 2,
    "clip_norm": 1.0,
}
SMALL = {
    "pairs": Settings.model_validate(FEW | {"shown": 3}),
    "ram": Settings.model_validate(FEW | {"model": "ram", "training_samples": 2}),
    "sums by cnn": Settings.model_validate(FEW | {"task": "sums", "model": "cnn"}),
    "sequence": Settings.model_validate(FEW | {"task": "sequence", "glimpses": 2, "fewest_digits": 1}),
}


def records(folder: Path, settings: Settings, seeds: tuple[int, ...]) -> pd.DataFrame:
    context = make_context(folder, PAPER, seeds)
    run(settings, context)
    return pd.DataFrame(context.rows)


@pytest.mark.parametrize("name", SMALL)
def test_a_seed_gives_the_same_records_alone_and_in_company(name: str, tmp_path: Path) -> None:
    together = records(tmp_path / "both", SMALL[name], (0, 1))
    alone = records(tmp_path / "one", SMALL[name], (1,))
    together = together[together["seed"] == 1]
    pd.testing.assert_frame_equal(together.reset_index(drop=True), alone.reset_index(drop=True), rtol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_a_stopped_training_ends_with_the_records_of_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    whole = records(tmp_path / "whole", SMALL[name], (0, 1))
    stopped = make_context(tmp_path / "stopped", PAPER, (0, 1))
    stopped.control.stop.signal = "SIGTERM"
    with pytest.raises(Preempted):
        run(SMALL[name], stopped)
    pd.testing.assert_frame_equal(records(tmp_path / "stopped", SMALL[name], (0, 1)), whole)


def test_without_seeds_the_run_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no seeds\. Give at least one"):
        run(SMALL["pairs"], make_context(tmp_path, PAPER, ()))


@pytest.mark.parametrize("tier", TIERS)
def test_every_claim_can_be_decided_by_the_planned_runs(tier: str) -> None:
    check_claims(load_paper(PAPER), tier, load_runs(PAPER, tier))


def test_settings_were_not_chosen_on_judged_seeds() -> None:
    tuning = load_tuning(load_paper(PAPER))
    assert tuning is not None
    assert all(not trials.overlap for tier in tuning.tiers.values() for trials in tier)


def test_one_wrong_target_makes_a_canvas_wrong_and_what_follows_the_end_does_not_count() -> None:
    settings = SMALL["sequence"]
    targets = torch.tensor([[0, 1, 3], [2, 3, 3]])  # 3 is the end
    answers = torch.tensor([[[0, 1, 3], [2, 3, 0]], [[0, 2, 3], [2, 0, 3]]])
    canvases = Canvases(torch.zeros(2, 24, 24), targets, torch.tensor([[0, 1], [2, 3]]), torch.zeros(2, 2, 2, dtype=torch.long))
    network = build(settings, [torch.Generator(), torch.Generator()])
    scored = Evaluation(network, settings, canvases, lambda _: [], 2)
    logits = torch.nn.functional.one_hot(answers, 4).float().transpose(1, 2)
    assert scored.wrong(logits).tolist() == [[False, False], [True, True]]


def test_an_untrained_network_is_at_chance_and_its_context_is_not_in_the_answer(tmp_path: Path) -> None:
    untrained = SMALL["pairs"].model_copy(update={"n_steps": 1, "learning_rate": 1e-9, "n_test": 600})
    rows = records(tmp_path, untrained, (0, 1, 2)).set_index("metric")
    assert rows.loc["error", "value"].tail(3).between(60, 95).all()
    assert (rows.loc["context_in_answer", "value"] == 0).all()


def test_answers_have_the_names_of_what_they_stand_for() -> None:
    pairs = answer_names(SMALL["pairs"])
    assert all(
        pairs[int(pair_number(torch.tensor(a), torch.tensor(b)))] == f"{min(a, b)} and {max(a, b)}" for a in range(3) for b in range(3)
    )
    assert answer_names(SMALL["sums by cnn"]) == ["0", "1", "2", "3", "4"]
    assert answer_names(SMALL["sequence"]) == ["0", "1", "2", "end"]
    assert answered_until_end(["1", "end", "2"]) == ["1"]
    assert answered_until_end(["1", "2"]) == ["1", "2"]


def test_stored_glimpses_belong_to_the_stored_canvases(tmp_path: Path) -> None:
    context = make_context(tmp_path, PAPER, (0, 1))
    run(SMALL["pairs"], context)
    arrays = context.arrays
    assert arrays["shown_images"].shape == (3, 24, 24)
    assert arrays["shown_locations"].shape == (2, 4, 3, 2)
    wrong = np.unpackbits(arrays["wrong_error_test"], axis=1, count=30).astype(bool)
    answered = arrays["shown_probabilities"][:, 0].argmax(-1)
    np.testing.assert_array_equal(answered != arrays["shown_targets"][:, 0], wrong[:, :3])
