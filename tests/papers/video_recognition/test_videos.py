"""UCF-101 end to end with a few made-up videos: clips, features, splits by recording, and the cache of features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from replications.engine.datasets import load
from replications.errors import DataError
from replications.papers.video_recognition import cnn, ucf
from replications.papers.video_recognition import data as clip_data
from replications.papers.video_recognition.experiment import run
from replications.papers.video_recognition.settings import Settings
from tests.contexts import make_context
from tests.papers.video_recognition.video_files import archive, encoded

N_FRAMES = 9
SETTINGS = Settings(
    data="ucf101", cnn="squeezenet1_1", clip_frames=6, clip_stride=2, n_steps=2, batch_size=4, embedding_size=4, hidden_size=4
)


class MeanColour(nn.Module):
    """A CNN whose three features are the mean colour of an image, to be computed by hand."""

    made = 0

    def __init__(self, name: str) -> None:
        super().__init__()
        MeanColour.made += bool(name)

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.mean((2, 3))


def colours(group: int, label: int) -> np.ndarray:
    """Mean colour of each frame of a video, (frames, 3)."""
    return np.outer(np.arange(N_FRAMES), [group, label, 1]) % 251


def table(groups: list[int], n_frames: int = N_FRAMES) -> datasets.Dataset:
    rows = [
        {
            "image": Image.fromarray(np.full((4, 6, 3), colours(group, label)[t], np.uint8)),
            "video_id": f"v_{'AB'[label]}_g{group:02}",
            "clip_id": f"v_{'AB'[label]}_g{group:02}_c01",
            "frame": t,
            "label": label,
        }
        for group in groups
        for label in (0, 1)
        for t in reversed(range(n_frames))
    ]
    features = datasets.Features(
        {"image": datasets.Image(), "frame": datasets.Value("int64"), "label": datasets.Value("int64")}
        | {name: datasets.Value("string") for name in ("video_id", "clip_id")}
    )
    return datasets.Dataset.from_list(rows, features=features)


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put tables of frames in the place of UCF-101 in a mirror."""

    def put(train: datasets.Dataset, test: datasets.Dataset) -> None:
        folder = tmp_path / "mirror" / "hub" / ucf.UCF101.hub / "data"
        folder.mkdir(parents=True)
        for split, content in (("train", train), ("test", test)):
            content.to_parquet(folder / f"{split}-00000-of-00001.parquet")
        for name, value in {
            "REPLICATIONS_DATA": "mirror",
            "REPLICATIONS_CACHE": "cache",
            "HF_DATASETS_CACHE": "hub-cache",
        }.items():
            monkeypatch.setenv(name, str(tmp_path / value))
        monkeypatch.setitem(ucf.UCF101.__dict__, "splits", {"train": len(train), "test": len(test)})
        monkeypatch.setattr(cnn, "PhotoCnn", MeanColour)
        monkeypatch.setattr(clip_data, "SIDE", 4)
        monkeypatch.setattr(MeanColour, "made", 0)

    return put


def test_clips_hold_the_features_of_their_frames_and_recordings_stay_together(videos: Callable[..., None], tmp_path: Path) -> None:
    videos(table([9, 20, 25]), table([3]))
    loaded = clip_data.load_clips(SETTINGS, make_context(tmp_path / "a", "video_recognition"))
    assert sorted({group % 100 for group in loaded.train.groups.tolist()}) == [9, 20, 25]
    assert sorted({group % 100 for group in loaded.scored.groups.tolist()}) == [3]
    # Clips of a video of 9 frames begin at 0, 2 and 3; those of the scored video of class 0 come first.
    colour = colours(3, 0)
    for clip, start in enumerate((0, 2, 3)):
        np.testing.assert_allclose(loaded.scored.streams["rgb"][clip].numpy(), colour[start : start + 6], atol=0.2)
        moved = 127.5 + np.diff(colour[start : start + 6], axis=0) / 2
        np.testing.assert_allclose(loaded.scored.streams["flow"][clip].numpy(), moved, atol=0.2)
        # Played backwards, both streams show the same six frames in the reverse order.
        turned = colour[start : start + 6][::-1]
        np.testing.assert_allclose(loaded.scored.backwards["rgb"][clip].numpy(), turned, atol=0.2)
        np.testing.assert_allclose(loaded.scored.backwards["flow"][clip].numpy(), 127.5 + np.diff(turned, axis=0) / 2, atol=0.2)
    assert loaded.scored.videos.tolist() == [0, 0, 0, 1, 1, 1]


def test_the_second_run_reads_features_from_the_cache(videos: Callable[..., None], tmp_path: Path) -> None:
    videos(table([9, 25]), table([3]))
    first = clip_data.load_clips(SETTINGS, make_context(tmp_path / "a", "video_recognition"))
    second = clip_data.load_clips(SETTINGS, make_context(tmp_path / "b", "video_recognition"))
    assert MeanColour.made == 1
    for stream in ("rgb", "flow"):
        assert torch.equal(first.train.streams[stream], second.train.streams[stream])


def test_a_trial_uses_no_test_video(videos: Callable[..., None], tmp_path: Path) -> None:
    videos(table([9, 25]), table([3]))
    settings = SETTINGS.model_copy(update={"evaluate_on": "validation"})
    loaded = clip_data.load_clips(settings, make_context(tmp_path / "a", "video_recognition"))
    assert {group % 100 for group in loaded.train.groups.tolist()} == {9}
    assert {group % 100 for group in loaded.scored.groups.tolist()} == {25}


def test_a_run_scores_whole_videos(videos: Callable[..., None], tmp_path: Path) -> None:
    videos(table([9, 25]), table([3]))
    context = make_context(tmp_path / "a", "video_recognition")
    run(SETTINGS, context)
    sizes = [row["value"] for row in context.rows if row["metric"] == "test_examples"]
    assert sizes == [2, 2]  # videos, not their six clips


def test_a_video_shorter_than_a_clip_stops_the_run(videos: Callable[..., None], tmp_path: Path) -> None:
    videos(table([9]), table([3], n_frames=5))
    with pytest.raises(DataError, match="Video v_A_g03_c01 has 5 frames, a clip has 6"):
        clip_data.load_clips(SETTINGS, make_context(tmp_path / "a", "video_recognition"))


def test_a_table_that_lost_its_last_rows_is_refused(videos: Callable[..., None], tmp_path: Path) -> None:
    whole = table([3])
    videos(table([9]), whole)
    incomplete = whole.select(range(len(whole) - 1))
    folder = tmp_path / "mirror" / "hub" / ucf.UCF101.hub / "data"
    incomplete.to_parquet(folder / "test-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"has 17 examples, 18 were declared"):
        load(ucf.UCF101, "test")


def test_video_files_of_the_subset_are_split_by_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are decoded, each video is on the side of its recording, and its clips hold the features of its frames."""
    shades = {"v_A_g03_c01": 40, "v_A_g09_c01": 80, "v_A_g09_c02": 120, "v_B_g03_c01": 160, "v_B_g25_c01": 200}
    contents = {
        name: encoded([np.full((16, 16, 3), shade + t, np.uint8) for t in range(N_FRAMES)], codec="ffv1", pixels="bgr0")
        for name, shade in shades.items()
    }
    (tmp_path / "mirror" / "video").mkdir(parents=True)
    archive(tmp_path / "mirror" / ucf.UCF101_SUBSET.file, contents)
    monkeypatch.setenv("REPLICATIONS_DATA", str(tmp_path / "mirror"))
    monkeypatch.setenv("REPLICATIONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(ucf.UCF101_SUBSET.__dict__, "splits", {"all": len(contents)})
    monkeypatch.setattr(cnn, "PhotoCnn", MeanColour)
    monkeypatch.setattr(clip_data, "SIDE", 4)
    settings = SETTINGS.model_copy(update={"data": "ucf101-subset"})
    loaded = clip_data.load_clips(settings, make_context(tmp_path / "a", "video_recognition"))
    assert sorted(set(loaded.train.groups.tolist())) == [9, 125]
    assert sorted(set(loaded.scored.groups.tolist())) == [3, 103]
    assert loaded.scored.labels[loaded.scored.groups == 103].unique().tolist() == [1]
    first = loaded.train.streams["rgb"][loaded.train.videos == 0]
    np.testing.assert_allclose(first[:, :, 0].numpy(), [[80 + start + t for t in range(6)] for start in (0, 2, 3)], atol=0.2)
