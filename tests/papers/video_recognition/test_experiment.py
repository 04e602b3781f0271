"""Runs of this paper: seeds are independent of their company, a stopped run ends as an uninterrupted one, claims can be decided."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from replications.errors import DataError, InputError, Preempted
from replications.papers.video_recognition import skeletons
from replications.papers.video_recognition.clips import Clips
from replications.papers.video_recognition.data import load_clips
from replications.papers.video_recognition.experiment import run
from replications.papers.video_recognition.settings import Settings
from replications.registry.checks import check_claims
from replications.registry.papers import load_paper
from replications.registry.run_grid import load_runs
from replications.registry.schema import TIERS
from replications.registry.tuning import load_tuning
from replications.registry.yaml_models import validate
from tests.contexts import make_context
from tests.papers.video_recognition.recordings import archive, recordings

PAPER = "video_recognition"
FEW = {
    "n_steps": 4,
    "n_train": 64,
    "n_test": 64,
    "pretrain_steps": 3,
    "word_steps": 3,
    "batch_size": 8,
    "embedding_size": 8,
    "hidden_size": 8,
}
SMALL = {
    "average": Settings(head="average", **FEW),
    "lstm": Settings(head="lstm", dropout=0.5, frame_dropout=0.3, clip_norm=1.0, **FEW),
    "transformer": Settings(head="transformer", **FEW),
    "frames": Settings(data="turning-digits", task="label-frames", **FEW),
    "sentences": Settings(task="describe", **FEW),
}


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"clip_frames": 12}, "clip_frames 12: clips of data 'digits' have 8 frames"),
        ({"data": "ucf101"}, "cnn still-cnn is trained on 16x16 digits; with data 'ucf101' set cnn to squeezenet1_1 or resnet50"),
        ({"task": "label-frames"}, "clips of data 'digits' have no labels of frames; set data to turning-digits"),
        ({"data": "skeletons", "task": "describe"}, "there are no sentences about clips of data 'skeletons'; set data to digits"),
        ({"head": "transformer", "hidden_size": 30}, "hidden_size 30 must be a multiple of 4"),
        ({"clip_length": 8}, "clip_length"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_with_what_to_change(update: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(Settings, update, "runs.yaml")


def records(folder: Path, settings: Settings, seeds: tuple[int, ...]) -> pd.DataFrame:
    context = make_context(folder, PAPER, seeds)
    run(settings, context)
    return pd.DataFrame(context.rows)


@pytest.mark.parametrize("name", ["lstm", "sentences"])
def test_a_seed_gives_the_same_records_alone_and_in_company(name: str, tmp_path: Path) -> None:
    together = records(tmp_path / "both", SMALL[name], (0, 1))
    alone = records(tmp_path / "one", SMALL[name], (1,))
    together = together[together["seed"] == 1]
    pd.testing.assert_frame_equal(together.reset_index(drop=True), alone.reset_index(drop=True), rtol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_a_stopped_training_ends_with_the_records_of_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    whole = records(tmp_path / "whole", SMALL[name], (0, 1))
    stopped = make_context(tmp_path / "stopped", PAPER, (0, 1))
    stopped.control.stop.signal = "SIGTERM"  # stops after the first update
    with pytest.raises(Preempted):
        run(SMALL[name], stopped)
    pd.testing.assert_frame_equal(records(tmp_path / "stopped", SMALL[name], (0, 1)), whole, check_exact=True)


def test_shuffled_frames_change_no_clip_for_the_average_and_most_clips_for_the_lstm(tmp_path: Path) -> None:
    apart = {}
    for head in ("average", "lstm"):
        table = records(tmp_path / head, SMALL[head], (0, 1)).reset_index()
        apart[head] = table[(table["metric"] == "clips_apart") & (table["model"] == "rgb")]["value"]
        assert len(apart[head]) == 2
    assert (apart["average"] == 0).all()
    assert (apart["lstm"] > 0.5).all()


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror with a few recordings in the place of MSR Action3D."""
    file = tmp_path / "mirror" / skeletons.MSR_ACTION3D.file
    file.parent.mkdir(parents=True)
    archive(file, recordings())
    monkeypatch.setenv("REPLICATIONS_DATA", str(tmp_path / "mirror"))
    changed = {"splits": {"all": 7}, "fingerprints": {}}
    for name, value in changed.items():
        monkeypatch.setitem(skeletons.MSR_ACTION3D.__dict__, name, value)


@pytest.mark.usefixtures("people")
def test_people_who_are_scored_do_not_train(tmp_path: Path) -> None:
    settings = Settings(data="skeletons", clip_frames=4)
    data = load_clips(settings, make_context(tmp_path, PAPER))
    assert set(data.train.groups.tolist()) == {1, 9}
    assert set(data.scored.groups.tolist()) == {2}
    trial = load_clips(settings.model_copy(update={"evaluate_on": "validation"}), make_context(tmp_path, PAPER))
    assert set(trial.train.groups.tolist()) == {1}
    assert set(trial.scored.groups.tolist()) == {9}


@pytest.mark.usefixtures("people")
def test_a_split_that_leaks_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clips = skeletons.make_clips

    def everyone(joints: Tensor, actions: Tensor, subjects: Tensor, chosen: Tensor, scale_from: Tensor) -> Clips:
        return make_clips(joints, actions, subjects, torch.ones_like(chosen), scale_from)

    monkeypatch.setattr(skeletons, "make_clips", everyone)
    with pytest.raises(DataError, match=r"recordings \[1, 2, 9\] have clips among the training and the scored ones"):
        load_clips(Settings(data="skeletons", clip_frames=4), make_context(tmp_path, PAPER))


@pytest.mark.parametrize("tier", TIERS)
def test_every_claim_can_be_decided_by_the_planned_runs(tier: str) -> None:
    check_claims(load_paper(PAPER), tier, load_runs(PAPER, tier))


def test_settings_were_not_chosen_on_judged_seeds() -> None:
    tuning = load_tuning(load_paper(PAPER))
    assert tuning is not None
    assert all(not trials.overlap for tier in tuning.tiers.values() for trials in tier)
