"""Whole runs, small: what they record, that they resume exactly, and that seeds do not depend on their company."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from replications.engine.context import Context
from replications.errors import CheckpointError, InputError, Preempted
from replications.papers.show_and_tell import experiment, trainer, vision
from replications.papers.show_and_tell.settings import Settings
from replications.papers.show_and_tell.vision import SceneCnn
from replications.papers.show_and_tell.vocabulary import Vocabulary
from replications.results.records import frame
from tests.contexts import make_context

TINY: dict[str, Any] = {
    "decoder": {"embed_size": 12, "hidden_size": 12, "attention_size": 6},
    "dropout": 0.2,
    "train_share": 0.02,
    "validation_images": 6,
    "test_images": 8,
    "batch_size": 16,
    "epochs": 1,
    "min_count": 2,
    "beam_size": 2,
    "evaluations": 2,
    "max_length": 8,
}


@pytest.fixture(autouse=True)
def _untrained_cnn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pretraining is tested elsewhere; here any fixed CNN will do."""
    monkeypatch.setenv("REPLICATIONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(vision, "scene_cnn", lambda context: SceneCnn(torch.Generator().manual_seed(0)).requires_grad_(False))


def _context(folder: Path, seeds: tuple[int, ...] = (0, 1)) -> Context:
    return make_context(folder, "show_and_tell", seeds, checkpoint_seconds=0.0)


def _run(folder: Path, seeds: tuple[int, ...] = (0, 1), **options: Any) -> Context:
    context = _context(folder, seeds)
    merged = TINY | options | {"decoder": TINY["decoder"] | options.get("decoder", {})}
    experiment.run(Settings.model_validate(merged), context)
    return context


def _values(context: Context) -> pd.DataFrame:
    return frame(context.rows)


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {
        "broken": True,
        "samples": 4,
        "beam_sizes": [1],
        "list_beam": 4,
        "n_best": 3,
        "retrieval_images": 4,
        "neighbours": ["a", "zebra"],
    },
    "attention": {"decoder": {"attention": True}, "samples": 3},
    "ensemble": {"ensemble_size": 2},
    "joint": {"cnn_training": "from_start"},
    "late": {"cnn_training": "late", "late_start": 0.5},
    "scheduled": {"scheduled_sampling": 0.5},
    "sgd": {"optimiser": "sgd", "schedule": "constant", "learning_rate": 0.5},
    "transfer": {"dataset": "sketches", "transfer": ["scenes"]},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_killed_run_continues_to_the_same_records_and_artifacts(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _run(tmp_path / "whole", **VARIANTS[name])
    steps = 0
    original = trainer.caption_loss

    def dying(*arguments: Any) -> Any:
        nonlocal steps
        steps += torch.is_grad_enabled()
        if steps == 6:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(trainer, "caption_loss", dying)
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path / "killed", **VARIANTS[name])
    again = _run(tmp_path / "killed", **VARIANTS[name])
    assert again.resumes == 1
    # On some processors two equal runs differ in the last digit of single precision, depending on where in memory a matrix lies.
    pd.testing.assert_frame_equal(_values(whole), _values(again), rtol=1e-5)
    assert whole.arrays.keys() == again.arrays.keys()
    for key, array in whole.arrays.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(array, again.arrays[key], rtol=1e-3, atol=1e-5, err_msg=key)
        else:
            assert np.array_equal(array, again.arrays[key]), key


def test_a_signal_saves_and_the_same_command_continues(tmp_path: Path) -> None:
    context = _context(tmp_path)
    context.control.stop.signal = "SIGTERM"
    with pytest.raises(Preempted, match="state saved"):
        experiment.run(Settings.model_validate(TINY), context)
    assert _run(tmp_path).resumes == 1


def test_a_seed_is_the_same_alone_and_in_company_and_differs_from_others(tmp_path: Path) -> None:
    together, alone = _values(_run(tmp_path / "a", (0, 1))), _values(_run(tmp_path / "b", (1,)))
    mine = together[together["seed"] == 1].reset_index(drop=True)
    pd.testing.assert_series_equal(mine["metric"], alone["metric"])
    np.testing.assert_allclose(mine["value"], alone["value"], rtol=1e-3)
    loss = together[together["metric"] == "loss"]
    assert not np.allclose(loss[loss["seed"] == 0]["value"], loss[loss["seed"] == 1]["value"])


def test_the_loss_falls_and_padding_is_rare(tmp_path: Path) -> None:
    records = _values(_run(tmp_path, epochs=12, learning_rate=0.02, batch_size=32))
    loss = records[records["metric"] == "loss"].groupby("step")["value"].mean()
    assert loss.iloc[-3:].mean() < 0.75 * loss.iloc[0]
    assert records[records["metric"] == "padding_waste"]["value"].max() <= 10


@pytest.mark.parametrize("mode", ["random", "nearest", "human"])
def test_baselines_score_without_training(mode: str, tmp_path: Path) -> None:
    records = _values(_run(tmp_path, mode=mode))
    test = records[records["split"] == "test"].set_index(["metric", "seed"])["value"]
    assert 0 < test["bleu_1", 0] <= 100
    assert (test["chair_i", 0] == 0) == (mode == "human")
    if mode == "human":
        assert test["bleu_4", 0] > test["bleu_4_uncorrected", 0]
        assert test["bleu_1", 0] != test["bleu_1_uncorrected", 0]


def test_scores_at_every_beam_size_stand_on_an_axis_and_those_of_the_last_weights_are_a_model(tmp_path: Path) -> None:
    records = _values(_run(tmp_path, beam_sizes=[1, 3]))
    bleu = records[(records["metric"] == "bleu_4") & (records["split"] == "test") & (records["seed"] == 0)]
    best, last = bleu[bleu["model"] == ""], bleu[bleu["model"] == "last"]
    assert best["axis"].tolist() == ["", "beam_size", "beam_size", "beam_size"]
    assert best["at"].dropna().tolist() == [1, 2, 3]
    assert best.set_index("at")["value"][2] == best[best["axis"] == ""]["value"].item()
    assert last["at"].tolist() == [3]


@pytest.mark.parametrize("mode", ["train", "nearest"])
def test_validation_images_are_scored_only_when_asked_and_change_nothing_else(mode: str, tmp_path: Path) -> None:
    without = _values(_run(tmp_path / "without", mode=mode, beam_sizes=[1]))
    scored = _values(_run(tmp_path / "with", mode=mode, beam_sizes=[1], score_validation=True))
    of_images = scored["split"].eq("validation") & ~scored["metric"].isin(["perplexity", "best_step"])
    pd.testing.assert_frame_equal(without, scored[~of_images].reset_index(drop=True), check_exact=True)
    captions = scored[of_images & (scored["seed"] == 0)]
    assert {"bleu_1", "bleu_4", "rouge_l", "cider", "chair_i"} <= set(captions["metric"])
    if mode == "train":
        assert captions[captions["metric"] == "bleu_4"]["at"].dropna().tolist() == [1, 2]


def test_greedy_captions_of_validation_images_score_as_a_beam_of_one_and_change_nothing_else(tmp_path: Path) -> None:
    without = _values(_run(tmp_path / "without"))
    greedy = _values(_run(tmp_path / "greedy", greedy_validation_images=TINY["validation_images"]))
    whole = _values(_run(tmp_path / "whole", beam_sizes=[1], score_validation=True))
    added = greedy["split"].eq("validation") & greedy["axis"].eq("beam_size")
    pd.testing.assert_frame_equal(without, greedy[~added].reset_index(drop=True), check_exact=True)
    expected = whole[whole["split"].eq("validation") & whole["at"].eq(1)].set_index(["metric", "seed"])["value"]
    found = greedy[added].set_index(["metric", "seed"])["value"]
    assert found.to_dict() == {key: expected[key] for key in found.index}
    assert ("bleu_4", 1) in found.index


def test_a_moving_cnn_is_counted_forward_always_and_backward_once_it_learns(tmp_path: Path) -> None:
    convolutions = 576 * 3 * 16 + 144 * 16 * 32 + 36 * 32 * 64
    one_image = 2 * 9 * (convolutions + 64 * (SceneCnn.n_what + SceneCnn.n_where))  # 9: cells, and pixels under a filter

    frozen, joint, late = (_run(tmp_path / name, **VARIANTS.get(name, {})).cost for name in ("frozen", "joint", "late"))
    looking = one_image * frozen["examples"]
    assert joint["flops"] - frozen["flops"] == pytest.approx(3 * looking)
    assert late["flops"] - frozen["flops"] == pytest.approx(2 * looking, rel=0.05)  # half of the updates, rounded to whole ones


def test_what_the_figures_read_is_kept(tmp_path: Path) -> None:
    arrays = _run(tmp_path, **VARIANTS["plain"]).arrays
    assert arrays["gallery_captions"].shape == (2, 4)
    assert arrays["gallery_images"].shape == (4, 3, 48, 48)
    assert arrays["gallery_lists"].shape == arrays["gallery_novel"].shape == (2, 4, 3)
    assert arrays["neighbours"].shape == (2, 2)
    assert arrays["neighbours"][0, 0].count(" ") == 4
    assert arrays["neighbours"][0, 1] == ""


def test_the_gallery_is_drawn_without_seeing_a_caption() -> None:
    from replications.papers.show_and_tell.samples import gallery_rows

    assert np.array_equal(gallery_rows(100, 7), gallery_rows(100, 7))
    assert len(set(gallery_rows(100, 7))) == 7


def test_a_beam_larger_than_the_vocabulary_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="beam_size 5000 is not possible"):
        _run(tmp_path, beam_sizes=[5000])
    assert not list(tmp_path.glob("*.checkpoint"))


def test_a_vocabulary_that_changed_since_the_checkpoint_is_named_and_the_state_is_kept(tmp_path: Path) -> None:
    context = _context(tmp_path)
    context.control.stop.signal = "SIGTERM"
    with pytest.raises(Preempted):
        experiment.run(Settings.model_validate(TINY), context)
    before = (tmp_path / "train.checkpoint").read_bytes()
    context.control.checkpoints.save("other", {"vocabulary": Vocabulary(["x"]).state_dict()})
    with pytest.raises(CheckpointError, match=r"The vocabulary differs .* the checkpoint has 4 words .* Restore the captions"):
        Vocabulary(["y", "z"]).load_state_dict(context.control.checkpoints.load("other", torch.device("cpu"))["vocabulary"])
    assert (tmp_path / "train.checkpoint").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cnn": "squeezenet1_1"}, "rendered scenes need cnn 'scene'"),
        ({"dataset": "flickr8k"}, "rendered scenes need cnn 'scene'"),
        ({"transfer": ["flickr8k"]}, "of the same kind"),
        ({"dataset": "sketches", "broken": True}, "broken is a test split of dataset 'scenes' only"),
        ({"decoder": {"attention": True, "image": "every_step"}}, "attention reads the image at every step already"),
        ({"decoder": {"attention": True, "cell": "tanh"}}, "attention has the library's LSTM"),
        ({"decoder": {"attention": True}, "cnn_training": "late"}, "trained on a frozen CNN"),
        ({"ensemble_size": 2, "cnn_training": "late"}, "an ensemble shares one frozen CNN"),
        ({"list_beam": 3, "n_best": 5}, "list_beam 3 is smaller than n_best 5"),
    ],
)
def test_settings_that_contradict_each_other_are_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.model_validate(options)
