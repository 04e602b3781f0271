"""What is refused: clips that are too short, frames of different sizes, missing frames, splits that leak."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from replications.errors import DataError
from replications.papers.video_recognition import ucf
from replications.papers.video_recognition.clips import Clips, check_complete, check_groups, clip_starts, stack_frames


def clips(groups: list[int]) -> Clips:
    n = len(groups)
    streams = {"rgb": torch.zeros(n, 2, 1), "flow": torch.zeros(n, 1, 1)}
    return Clips(streams, streams, torch.zeros(n, dtype=torch.long), torch.arange(n), torch.tensor(groups))


def test_clips_cover_a_video_to_its_last_frame() -> None:
    """16 frames with stride 8, the last clip from the video's end (section 4.1)."""
    assert clip_starts(40, 16, 8, "v") == [0, 8, 16, 24]
    assert clip_starts(43, 16, 8, "v") == [0, 8, 16, 24, 27]
    assert clip_starts(16, 16, 8, "v") == [0]


def test_a_video_shorter_than_a_clip_is_refused() -> None:
    with pytest.raises(DataError, match=r"Video v_a has 15 frames, a clip has 16\. Lower clip_frames"):
        clip_starts(15, 16, 8, "v_a")


def test_frames_of_different_sizes_are_refused() -> None:
    with pytest.raises(DataError, match=r"v_a: frame 1 has the shape \(4, 6, 3\), frame 0 has \(4, 5, 3\)"):
        stack_frames([np.zeros((4, 5, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)], "v_a")


@pytest.mark.parametrize("numbers", [[0, 1, 3], [2, 3, 4]])
def test_a_missing_frame_is_refused(numbers: list[int]) -> None:
    with pytest.raises(DataError, match=r"v_a: frame \d is missing"):
        check_complete(numbers, "v_a")


def test_a_frame_given_twice_is_not_called_a_missing_one() -> None:
    with pytest.raises(DataError, match="v_a has two frames with the number 1"):
        check_complete([0, 1, 1, 2], "v_a")


def test_complete_videos_may_count_from_zero_or_one() -> None:
    check_complete([0, 1, 2], "v", 3)
    check_complete([1, 2, 3], "v")


def test_a_recording_on_both_sides_is_refused() -> None:
    check_groups(clips([1, 1, 2]), clips([3, 4]), "split")
    with pytest.raises(DataError, match=r"split: recordings \[2\] have clips among the training and the scored ones"):
        check_groups(clips([1, 1, 2]), clips([2, 4]), "split")


@pytest.mark.parametrize("official_split", [1, 2, 3])
def test_official_splits_keep_recordings_together(official_split: int) -> None:
    parts = {group: ucf.part_of(group, official_split) for group in range(1, 26)}
    assert sum(part == "test" for part in parts.values()) == 7
    assert all(parts[group] == "train" for group in ucf.validation_groups(official_split))
    assert len(set(ucf.validation_groups(official_split))) == 6


def test_every_recording_but_the_last_four_is_tested_once() -> None:
    tested = [group for split in (1, 2, 3) for group in range(1, 26) if ucf.part_of(group, split) == "test"]
    assert tested == list(range(1, 22))


def test_a_name_without_a_recording_is_refused() -> None:
    with pytest.raises(DataError, match="no group g01 to g25"):
        ucf.group_of("v_Archery_c03")


def test_frames_are_put_together_by_video_and_number() -> None:
    videos = ucf.index_frames(["v_A_g02", "v_A_g01", "v_A_g02"], ["c01", "c01", "c01"], [1, 0, 0], [5, 5, 5])
    assert [(video.name, video.group, video.rows) for video in videos] == [("v_A_g01_c01", 1, (1,)), ("v_A_g02_c01", 2, (2, 0))]
    with pytest.raises(DataError, match="v_A_g02_c01: frame 1 is missing"):
        ucf.index_frames(["v_A_g02"] * 2, ["c01"] * 2, [0, 2], [5, 5])


def test_an_archive_of_videos_is_read_without_unpacking(tmp_path: Path) -> None:
    path = tmp_path / "videos.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("x/train/Archery/v_Archery_g09_c01.avi", "x/README"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            archive.addfile(entry, io.BytesIO(b"abc"))
    rows = ucf.read_subset(path)
    assert rows.to_list() == [{"name": "v_Archery_g09_c01", "label": "Archery", "video": b"abc"}]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="cannot be read as an archive of videos"):
        ucf.read_subset(path)
