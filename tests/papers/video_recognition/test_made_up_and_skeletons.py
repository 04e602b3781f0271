"""Moving digits differ in order alone; skeletons are read, resampled and split by person."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pytest
import torch

from replications.engine.datasets import load
from replications.errors import DataError
from replications.papers.video_recognition import digits, skeletons
from replications.papers.video_recognition.bleu import bleu_4
from tests.papers.video_recognition.recordings import archive, recordings


@pytest.fixture(scope="module")
def rows() -> datasets.Dataset:
    return load(digits.MOVING_DIGITS, "validation")[0]


def test_a_clip_shows_its_digit_moving_by_one_pixel_a_frame(rows: datasets.Dataset) -> None:
    movement = digits.draw(rows, 40)
    for clip in range(40):
        image = np.array(rows[clip]["image"]).reshape(8, 8) / 16
        x, y = rows[clip]["x"], rows[clip]["y"]
        dx, dy = {"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)}[digits.class_name(movement.labels[clip]).split()[1]]
        for t in range(8):
            expected = np.zeros((16, 16))
            expected[y + t * dy : y + t * dy + 8, x + t * dx : x + t * dx + 8] = image
            np.testing.assert_allclose(movement.frames[clip, t], expected, atol=1e-6)


def test_opposite_directions_visit_the_same_places(rows: datasets.Dataset) -> None:
    """Were right and left told apart by where a digit is, an average over frames could tell them too."""
    movement = digits.draw(rows)
    for first, second in ((0, 1), (2, 3)):
        means = []
        for direction in (first, second):
            chosen = movement.labels % 4 == direction
            means.append(movement.positions[chosen].reshape(-1, 2).mean(axis=0))
            assert movement.positions[chosen].min() == 0
            assert movement.positions[chosen].max() == 8
        np.testing.assert_allclose(means[0], means[1], atol=0.4)  # three standard errors of 200 clips


def test_a_reversed_clip_is_one_of_the_reversed_class(rows: datasets.Dataset) -> None:
    movement = digits.draw(rows, 60)
    steps = np.diff(movement.positions, axis=1)[:, 0]
    for clip, label in enumerate(movement.labels):
        backwards = digits.STEPS[digits.reversed_class(int(label)) % 4]
        assert (-steps[clip] == backwards).all()
        assert digits.reversed_class(int(label)) // 4 == label // 4


def test_a_turning_digit_changes_its_label_where_it_turns(rows: datasets.Dataset) -> None:
    movement = digits.draw(rows, 60, turning=True)
    steps = np.diff(movement.positions, axis=1)
    for clip in range(60):
        for t in range(1, 8):
            assert (steps[clip, t - 1] == digits.STEPS[movement.frame_labels[clip, t] % 4]).all()
    assert movement.positions.min() >= 0
    assert movement.positions.max() <= 8


def test_no_handwritten_digit_is_on_two_sides(rows: datasets.Dataset) -> None:
    images = {split: {tuple(row) for row in load(digits.MOVING_DIGITS, split)[0]["image"]} for split in ("train", "test")}
    images["validation"] = {tuple(row) for row in rows["image"]}
    assert not images["train"] & images["test"]
    assert not images["train"] & images["validation"]
    assert not images["test"] & images["validation"]


def test_resampling_is_linear_interpolation() -> None:
    frames = torch.rand(11, 3, generator=torch.Generator().manual_seed(0))
    for n in (2, 7, 32):
        expected = [np.interp(np.linspace(0, 10, n), np.arange(11), frames[:, i].numpy()) for i in range(3)]
        np.testing.assert_allclose(skeletons.resample(frames, n).numpy(), np.column_stack(expected), atol=1e-6)
    assert skeletons.resample(frames[:1], 4).tolist() == frames[:1].expand(4, 3).tolist()


def test_published_text_files_are_read_and_centred_at_the_hip(tmp_path: Path) -> None:
    rows = skeletons.read_archive(archive(tmp_path / "a.zip", recordings()))
    joints, actions, subjects = skeletons.load_recordings(rows, 5)
    assert actions.tolist() == [0, 0, 0, 19, 19, 19]  # the recording of zeros is left out
    assert subjects.tolist() == [1, 2, 9, 1, 2, 9]
    first = recordings()["a01_s01_e01"][..., :3]
    np.testing.assert_allclose(joints[0].view(5, 20, 3).numpy(), first - first[:, 6:7], atol=1e-5)


def test_a_truncated_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no multiple of 80.*truncated"):
        skeletons.read_archive(archive(tmp_path / "a.zip", recordings(), drop=3))
    rows = skeletons.read_archive(archive(tmp_path / "b.zip", recordings())).to_list()
    rows[0]["joints"] = rows[0]["joints"][:-60]
    with pytest.raises(DataError, match="recording a01 s01 e01 ends after 4 of 5 frames"):
        skeletons.load_recordings(datasets.Dataset.from_list(rows), 5)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match="neither a parquet table nor a ZIP archive"):
        skeletons.read_archive(path)


def test_backwards_motion_is_that_of_the_recording_played_backwards(tmp_path: Path) -> None:
    joints, actions, subjects = skeletons.load_recordings(skeletons.read_archive(archive(tmp_path / "a.zip", recordings())), 5)
    everyone = torch.ones(len(joints), dtype=torch.bool)
    clips = skeletons.make_clips(joints, actions, subjects, everyone, everyone)
    played = skeletons.make_clips(joints.flip(1), actions, subjects, everyone, everyone)
    for stream in ("rgb", "flow"):
        torch.testing.assert_close(clips.backwards[stream], played.streams[stream], atol=1e-5, rtol=1e-5)


def test_bleu_of_a_worked_example() -> None:
    """Precisions 5/6, 3/5, 1/4 and a fourth of 0 give 0; with one word wrong at the end 5/6, 4/5, 3/4, 2/3."""
    reference = ["a", "two", "moves", "to", "the", "left"]
    assert bleu_4([reference], [reference]) == pytest.approx(100)
    assert bleu_4([["a", "two", "moves", "to", "the", "right"]], [reference]) == pytest.approx(
        100 * (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25
    )
    assert bleu_4([["a", "two", "moves", "up", "the", "left"]], [reference]) == 0
    shorter = bleu_4([reference[:5]], [reference])
    assert shorter == pytest.approx(100 * np.exp(1 - 6 / 5))
