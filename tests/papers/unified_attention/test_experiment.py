"""Runs of this paper: canvases, seeds that are independent of their company, a stopped run that ends as an uninterrupted one, scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from replications.engine.digits import Digits
from replications.errors import InputError, Preempted
from replications.papers.unified_attention.data import Canvases, CanvasGenerator
from replications.papers.unified_attention.evaluation import Evaluation
from replications.papers.unified_attention.experiment import run
from replications.papers.unified_attention.model import Outcome, UnifiedAttentionModel
from replications.papers.unified_attention.settings import Settings
from replications.registry.checks import check_claims
from replications.registry.papers import load_paper
from replications.registry.run_grid import load_runs
from replications.registry.schema import TIERS
from replications.registry.tuning import load_tuning
from tests.contexts import make_context

PAPER = "unified_attention"
FEW: dict[str, object] = {
    "dataset": "digits",
    "n_classes": 3,
    "canvas": 24,
    "grid": 3,
    "n_validation": 20,
    "n_test": 30,
    "glimpses": 3,
    "glimpse_side": 4,
    "scales": 2,
    "glimpse_size": 6,
    "hidden_size": 5,
    "q_size": 4,
    "batch_size": 8,
    "n_steps": 4,
    "evaluations": 2,
    "clip_norm": 1.0,
}
SMALL = {
    "unified": Settings.model_validate(FEW | {"shown": 3}),
    "cluttered ram": Settings.model_validate(FEW | {"model": "ram", "clutter": 2, "clutter_side": 4}),
    "random cell": Settings.model_validate(FEW | {"model": "random-cell"}),
    "q alone": Settings.model_validate(FEW | {"model": "q-only"}),
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
        run(SMALL["unified"], make_context(tmp_path, PAPER, ()))


@pytest.mark.parametrize("tier", TIERS)
def test_every_claim_can_be_decided_by_the_planned_runs(tier: str) -> None:
    check_claims(load_paper(PAPER), tier, load_runs(PAPER, tier))


def test_settings_were_not_chosen_on_judged_seeds() -> None:
    tuning = load_tuning(load_paper(PAPER))
    assert tuning is not None
    assert all(not trials.overlap for tier in tuning.tiers.values() for trials in tier)


def canvases(n: int, **settings: object) -> tuple[Settings, Canvases]:
    """Digits are squares of 8x8 pixels whose brightness, 20 times the class plus 20, tells what they are."""
    made = Settings.model_validate(FEW | settings)
    labels = torch.arange(10)
    digits = Digits((20 * labels + 20).to(torch.uint8)[:, None, None].expand(-1, 8, 8).contiguous(), labels)
    generate = CanvasGenerator(made, digits)
    return made, generate(torch.rand(n, generate.n_uniforms, generator=torch.Generator().manual_seed(0)))


def test_every_canvas_holds_its_digit_where_it_says_and_all_places_are_reached() -> None:
    _, made = canvases(4000)
    for image, label, (x, y) in zip(made.images[:300], made.labels.tolist(), made.corners.tolist(), strict=False):
        expected = torch.zeros(24, 24)
        expected[y : y + 8, x : x + 8] = 20 * label + 20
        torch.testing.assert_close(image, expected)
    assert len({tuple(corner) for corner in made.corners.tolist()}) == 17 * 17


def test_clutter_is_patches_of_digits_added_and_clipped() -> None:
    _, plain = canvases(300)
    _, cluttered = canvases(300, clutter=30, clutter_side=4)
    assert cluttered.images.max() == 255
    added = cluttered.images.count_nonzero((1, 2)) - plain.images.count_nonzero((1, 2))
    assert added.min() > 0
    assert added.max() <= 30 * 16


def test_shares_are_those_of_glimpses_and_cells_counted_one_by_one() -> None:
    settings, made = canvases(50)
    draw = torch.Generator().manual_seed(1)
    locations = 2 * torch.rand(2, 3, 50, 2, generator=draw) - 1
    cells = torch.randint(9, (2, 2, 50), generator=draw)
    outcome = Outcome(torch.zeros(2, 50, 10), *(torch.zeros(2, 2, 50) for _ in range(2)), torch.zeros(2, 2, 50, 9), cells, locations)
    network = UnifiedAttentionModel(settings, [torch.Generator(), torch.Generator()])
    found = Evaluation(network, settings, made, list, 2).shares(outcome)
    for seed in range(2):
        on = np.zeros((3, 50), dtype=bool)
        in_cell = np.zeros((2, 50), dtype=bool)
        for i, (left, top) in enumerate(made.corners.tolist()):
            for t in range(3):
                x, y = ((locations[seed, t, i] + 1) * 12).tolist()
                on[t, i] = left <= x < left + 8 and top <= y < top + 8
            for t in range(2):
                in_cell[t, i] = int(cells[seed, t, i]) == (top + 4) // 8 * 3 + (left + 4) // 8
        assert float(found["glimpses_on_digit"][seed]) == pytest.approx(100 * on[1:].mean())
        assert float(found["digit_found"][seed]) == pytest.approx(100 * on.any(0).mean())
        assert float(found["cells_on_digit"][seed]) == pytest.approx(100 * in_cell.mean())


def test_updates_to_the_level_are_those_of_the_first_validation_below_it(tmp_path: Path) -> None:
    rows = records(tmp_path / "low", SMALL["unified"].model_copy(update={"level": 0.001}), (0, 1)).set_index("metric")
    assert rows.loc["updates_to_level", "value"].tolist() == [4, 4], "all updates where no validation is below"
    rows = records(tmp_path / "high", SMALL["unified"].model_copy(update={"level": 99.9}), (0, 1))
    first = rows[(rows["metric"] == "error") & (rows["split"] == "validation") & (rows["value"] < 99.9)].groupby("seed")["step"].min()
    assert rows[rows["metric"] == "updates_to_level"]["value"].tolist() == first.tolist() == [2, 2]


def test_an_untrained_network_is_at_chance_and_takes_random_cells_as_often_as_they_hold_the_digit(tmp_path: Path) -> None:
    untrained = SMALL["random cell"].model_copy(update={"n_steps": 1, "learning_rate": 1e-9, "n_test": 900})
    rows = records(tmp_path, untrained, (0, 1, 2)).set_index("metric")
    assert rows.loc["error", "value"].tail(3).between(55, 100).all()
    assert rows.loc["cells_on_digit", "value"].between(8, 14).all()  # one of nine


def test_stored_glimpses_belong_to_the_stored_canvases(tmp_path: Path) -> None:
    context = make_context(tmp_path, PAPER, (0, 1))
    run(SMALL["unified"], context)
    arrays = context.arrays
    assert arrays["shown_images"].shape == (3, 24, 24)
    assert arrays["shown_locations"].shape == (2, 3, 3, 2)
    assert arrays["shown_q"].shape == (2, 2, 3, 9)
    np.testing.assert_array_equal(arrays["shown_q"].argmax(-1), arrays["shown_cells"])
    wrong = np.unpackbits(arrays["wrong_error_test"], axis=1, count=30).astype(bool)
    np.testing.assert_array_equal(arrays["shown_probabilities"].argmax(-1) != arrays["shown_labels"], wrong[:, :3])
