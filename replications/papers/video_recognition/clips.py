"""Clips: stacks of frames, cut out of videos, with the checks that a bad recording fails."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from replications.errors import DataError

STREAMS = ("rgb", "flow")
"""Appearance and motion, the two inputs of Donahue et al. 2015, section 4.1."""


@dataclass(frozen=True)
class Clips:
    """Features of the frames of clips, for both streams.

    Attributes:
        streams: stream -> float32, or float16 to save memory, (clips, steps, features). Motion has one step less where it is a difference of frames.
        backwards: the same for the clips played backwards, in which motion is not only reversed but has the other sign.
        labels: class of each clip, int64 (clips,).
        videos: video of each clip, int64 (clips,), from 0 without gaps; the scores of a video are the mean over its clips.
        groups: recording of each clip (a subject, or a group of UCF-101), int64 (clips,): no recording is on two sides of a split.
        frame_labels: class of each step of the RGB stream, int64 (clips, steps); None where a clip has one class.
    """

    streams: dict[str, Tensor]
    backwards: dict[str, Tensor]
    labels: Tensor
    videos: Tensor
    groups: Tensor
    frame_labels: Tensor | None = None

    def to(self, device: torch.device) -> Clips:
        """Return the clips on a device.

        Args:
            device: where a run trains.

        Returns:
            A copy, or the same tensors where they are there already.
        """

        def moved(streams: dict[str, Tensor]) -> dict[str, Tensor]:
            return {name: tensor.to(device) for name, tensor in streams.items()}

        frame_labels = None if self.frame_labels is None else self.frame_labels.to(device)
        return Clips(
            moved(self.streams),
            moved(self.backwards),
            self.labels.to(device),
            self.videos.to(device),
            self.groups.to(device),
            frame_labels,
        )

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.labels)


def clip_starts(n_frames: int, clip_frames: int, stride: int, video: str) -> list[int]:
    """Return where the clips of a video begin: every `stride` frames, the last one at the video's end (section 4.1).

    >>> clip_starts(30, 16, 8, "v")
    [0, 8, 14]

    Args:
        n_frames: frames of the video.
        clip_frames: frames of a clip.
        stride: frames between two beginnings.
        video: its name, for messages.

    Returns:
        First frames, ascending.

    Raises:
        DataError: the video is empty, or shorter than a clip.
    """
    if n_frames == 0:
        raise DataError(f"Video {video} has no frames. The file is empty or damaged; fetch it again.")
    if n_frames < clip_frames:
        raise DataError(
            f"Video {video} has {n_frames} frames, a clip has {clip_frames}. Lower clip_frames in runs.yaml, or leave the video out of the data."
        )
    last = n_frames - clip_frames
    return sorted({*range(0, last + 1, stride), last})


def stack_frames(frames: Sequence[np.ndarray], video: str) -> np.ndarray:
    """Return the frames of a video as one array.

    Args:
        frames: uint8, one (height, width, channels) or (height, width) each.
        video: its name, for messages.

    Returns:
        uint8 (frames, ...).

    Raises:
        DataError: there is no frame, or two of them differ in size.
    """
    if not frames:
        raise DataError(f"Video {video} has no frames. The file is empty or damaged; fetch it again.")
    for number, frame in enumerate(frames):
        if frame.shape != frames[0].shape:
            raise DataError(
                f"Video {video}: frame {number} has the shape {frame.shape}, frame 0 has {frames[0].shape}. All frames of a video must have"
                " one size; convert the video, or leave it out of the data."
            )
    return np.stack(frames)


def check_complete(numbers: Sequence[int], video: str, n_declared: int | None = None) -> None:
    """Refuse a video of which frames are missing.

    Args:
        numbers: numbers of its frames, ascending; the first may be 0 or 1.
        video: its name, for messages.
        n_declared: frames that its header declares, where it has one.

    Raises:
        DataError: no frame, a gap, a number given twice, or fewer frames than declared.
    """
    if not numbers:
        raise DataError(f"Video {video} has no frames. The file is empty or damaged; fetch it again.")
    twice = next((number for number, following in itertools.pairwise(numbers) if number == following), None)
    if twice is not None:
        raise DataError(
            f"Video {video} has two frames with the number {twice}. Two videos share its name, or the copy is damaged; fetch it again."
        )
    expected = range(int(numbers[0]), int(numbers[0]) + len(numbers))
    if numbers[0] not in (0, 1) or list(numbers) != list(expected):
        missing = next((wanted for wanted, found in zip(expected, numbers, strict=True) if wanted != found), int(numbers[0]) - 1)
        raise DataError(f"Video {video}: frame {missing} is missing. The copy is incomplete; fetch it again.")
    if n_declared and len(numbers) < n_declared:
        raise DataError(f"Video {video} ends after {len(numbers)} of {n_declared} frames. The file is truncated; fetch it again.")


def check_groups(train: Clips, test: Clips, what: str) -> None:
    """Refuse a split that leaks: clips of one recording on both sides.

    Args:
        train: training clips.
        test: clips that are scored.
        what: name of the split, for messages.

    Raises:
        DataError: a recording is on both sides.
    """
    shared = sorted(set(train.groups.tolist()) & set(test.groups.tolist()))
    if shared:
        raise DataError(
            f"{what}: recordings {shared[:5]} have clips among the training and the scored ones, so that scores would be too high."
            " Split by recording (subject, group), not by clip."
        )
