"""The data of a run: clips as features of their frames, in three parts that share no recording."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.context import Context
from replications.engine.datasets import DataSource, load
from replications.papers.video_recognition import cnn, digits, skeletons, ucf
from replications.papers.video_recognition.clips import Clips, check_groups
from replications.papers.video_recognition.settings import Settings

if TYPE_CHECKING:
    import datasets

SOURCES = [digits.MOVING_DIGITS, skeletons.MSR_ACTION3D, ucf.UCF101_SUBSET, ucf.UCF101]
SIDE = 224
"""Side of the frames that an ImageNet CNN sees."""


@dataclass(frozen=True)
class ClipData:
    """What a run trains on and what it is scored on.

    Attributes:
        train: training clips.
        scored: clips of the test set, or of the validation part in trials.
        class_names: name of each class.
        partner: class of the clip played backwards, int64 (classes,); None where classes are no such pairs.
        stills: the object shown by each class, int64 (classes,); None where no object tells classes apart.
        frames: float32 (clips, frames, 16, 16), images of the first scored clips; None where there are none to show.
    """

    train: Clips
    scored: Clips
    class_names: tuple[str, ...]
    partner: Tensor | None = None
    stills: Tensor | None = None
    frames: np.ndarray | None = None


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """List the data sets that a run loads.

    Args:
        settings: of the run.

    Returns:
        Source and split.
    """
    if settings.data == "skeletons":
        return [(skeletons.MSR_ACTION3D, "all")]
    if settings.data == "ucf101-subset":
        return [(ucf.UCF101_SUBSET, "all")]
    if settings.data == "ucf101":
        return [(ucf.UCF101, "train"), (ucf.UCF101, "test")]
    return [(digits.MOVING_DIGITS, split) for split in ("train", settings.evaluate_on)]


def load_clips(settings: Settings, context: Context) -> ClipData:
    """Load the data of a run, compute the features of all frames, and check that no recording is on two sides.

    Args:
        settings: of the run.
        context: loads and notes the sources.

    Returns:
        Training and scored clips, on the device.

    Raises:
        DataError: a data set is missing, damaged, or would leak.
    """
    loaded = [context.load(source, split) for source, split in needs(settings)]
    if settings.data == "skeletons":
        data = _skeletons(settings, loaded[0])
    elif settings.data in ("ucf101", "ucf101-subset"):
        data = _ucf(settings, context, loaded)
    else:
        data = _digits(settings, *loaded)
    check_groups(data.train, data.scored, f"{context.chunk}, {settings.evaluate_on} part")
    place = context.device
    return ClipData(
        data.train.to(place),
        data.scored.to(place),
        data.class_names,
        None if data.partner is None else data.partner.to(place),
        None if data.stills is None else data.stills.to(place),
        data.frames,
    )


def _digits(settings: Settings, train_rows: datasets.Dataset, scored_rows: datasets.Dataset) -> ClipData:
    turning = settings.data == "turning-digits"
    train, scored = digits.draw(train_rows, settings.n_train, turning=turning), digits.draw(scored_rows, settings.n_test, turning=turning)
    network = _still_cnn(settings.n_train, settings.pretrain_steps)
    numbers = range(digits.N_CLASSES)
    return ClipData(
        _digit_clips(train, network, turning=turning, first_group=0),
        _digit_clips(scored, network, turning=turning, first_group=len(train.labels)),
        tuple(map(digits.class_name, numbers)),
        torch.tensor([digits.reversed_class(number) for number in numbers]),
        torch.tensor([number // len(digits.DIRECTIONS) for number in numbers]),
        scored.frames[:64],
    )


@functools.lru_cache(maxsize=1)
def _still_cnn(n_train: int | None, n_steps: int) -> cnn.StillCnn:
    """Return the CNN of made-up clips; the runs of a job train it once."""
    rows, _ = load(digits.MOVING_DIGITS, "train")
    images, labels = digits.stills(digits.draw(rows, n_train))
    return cnn.pretrain(torch.from_numpy(images), torch.from_numpy(labels), n_steps)


def _digit_clips(movement: digits.Movement, network: nn.Module, *, turning: bool, first_group: int) -> Clips:
    """Return the features of drawn clips. Motion is the difference of two frames, in the place of optical flow."""
    frames = torch.from_numpy(movement.frames)
    appearance = cnn.features_of(network, frames)
    motion = frames.diff(dim=1)
    numbers = torch.arange(len(frames))
    return Clips(
        {"rgb": appearance, "flow": cnn.features_of(network, motion)},
        {"rgb": appearance.flip(1), "flow": cnn.features_of(network, -motion.flip(1))},
        torch.from_numpy(movement.labels),
        numbers,
        numbers + first_group,
        torch.from_numpy(movement.frame_labels) if turning else None,
    )


def _skeletons(settings: Settings, rows: datasets.Dataset) -> ClipData:
    joints, actions, subjects = skeletons.load_recordings(rows, settings.clip_frames)
    training = torch.isin(subjects, torch.tensor(skeletons.TRAIN_SUBJECTS))
    scored = ~training
    if settings.evaluate_on == "validation":
        scored = subjects == skeletons.VALIDATION_SUBJECT
        training = training & ~scored
    parts = [skeletons.make_clips(joints, actions, subjects, part, training) for part in (training, scored)]
    return ClipData(parts[0], parts[1], skeletons.ACTIONS)


def _ucf(settings: Settings, context: Context, loaded: list[datasets.Dataset]) -> ClipData:
    videos = ucf.videos_of_subset(loaded[0]) if settings.data == "ucf101-subset" else ucf.videos_of_frames(loaded)
    network = cnn.PhotoCnn(settings.cnn).to(context.device)
    validation = ucf.validation_groups(settings.official_split)
    clips: dict[str, list[tuple[ucf.Video, tuple[Tensor, Tensor, Tensor]]]] = {"train": [], "scored": []}
    for video, read in videos:
        on_test = ucf.part_of(video.group, settings.official_split) == "test"
        if settings.evaluate_on == "validation":
            if on_test:
                continue
            side = "scored" if video.group in validation else "train"
        else:
            side = "scored" if on_test else "train"
        clips[side].append((video, video_features(settings, network, read, video.name, context.device)))
    names = sorted({video.label for side in clips.values() for video, _ in side})
    return ClipData(_ucf_clips(clips["train"], names), _ucf_clips(clips["scored"], names), tuple(names))


@torch.no_grad()
def video_features(
    settings: Settings, network: nn.Module, read: Callable[[], np.ndarray], name: str, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the features of a video's clips; each frame passes through the CNN once, all frames of the video in few batches.

    Args:
        settings: of the run.
        network: from pixels to features.
        read: returns the frames, uint8 (frames, height, width, 3).
        name: of the video, for messages.
        device: of the network.

    Returns:
        Appearance (clips, steps, features), motion and motion backwards, one step shorter.

    Raises:
        DataError: the video is damaged, or shorter than a clip.
    """
    pixels = torch.from_numpy(read()).permute(0, 3, 1, 2)
    small = torch.cat([functional.interpolate(part.to(device).float(), (SIDE, SIDE), mode="bilinear") for part in pixels.split(64)])
    # As the paper stores flow: shifted to the middle grey of an image.
    motion = [(small.diff(dim=0) * sign / 2 + 127.5).flip(0) if sign < 0 else small.diff(dim=0) / 2 + 127.5 for sign in (1, -1)]
    appearance, forward, backward = (torch.cat([network(part) for part in images.split(64)]).cpu().numpy() for images in (small, *motion))
    length, stride = settings.clip_frames, settings.clip_stride
    of_motion = [torch.from_numpy(ucf.cut(features, length - 1, stride, name)) for features in (forward, backward)]
    # The backward clips follow the forward ones from the video's end.
    return torch.from_numpy(ucf.cut(appearance, length, stride, name)), of_motion[0], of_motion[1].flip(0)


def _ucf_clips(videos: list[tuple[ucf.Video, tuple[Tensor, Tensor, Tensor]]], names: list[str]) -> Clips:
    counts = torch.tensor([len(features[0]) for _, features in videos])
    appearance, forward, backward = (torch.cat([features[i] for _, features in videos]) for i in range(3))
    labels = torch.tensor([names.index(video.label) for video, _ in videos])
    groups = torch.tensor([names.index(video.label) * 100 + video.group for video, _ in videos])
    return Clips(
        {"rgb": appearance, "flow": forward},
        {"rgb": appearance.flip(1), "flow": backward},
        labels.repeat_interleave(counts),
        torch.arange(len(videos)).repeat_interleave(counts),
        groups.repeat_interleave(counts),
    )
