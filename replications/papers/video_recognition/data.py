"""The data of a run: clips as features of their frames, in three parts that share no recording."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.context import Context
from replications.engine.datasets import DataSource, cache_folder, load
from replications.files import replacing
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
    videos = list(ucf.videos_of_subset(loaded[0]) if settings.data == "ucf101-subset" else ucf.videos_of_frames(loaded))
    notes = [note["fingerprint"] for note in context.data.values()]
    features = features_of_videos(videos, settings.cnn, notes, context.device)
    validation = ucf.validation_groups(settings.official_split)
    clips: dict[str, list[tuple[ucf.Video, Streams]]] = {"train": [], "scored": []}
    for (video, _), of_frames in zip(videos, features, strict=True):
        on_test = ucf.part_of(video.group, settings.official_split) == "test"
        if settings.evaluate_on == "validation" and on_test:
            continue
        is_scored = on_test if settings.evaluate_on == "test" else video.group in validation
        clips["scored" if is_scored else "train"].append((video, clips_of_video(settings, of_frames, video.name)))
    names = sorted({video.label for side in clips.values() for video, _ in side})
    return ClipData(_ucf_clips(clips["train"], names), _ucf_clips(clips["scored"], names), tuple(names))


Streams = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Appearance, motion and motion backwards, float16 (..., steps, features)."""


def features_of_videos(
    videos: Sequence[tuple[ucf.Video, Callable[[], np.ndarray]]], name: str, data_digests: Sequence[str], device: torch.device
) -> list[Streams]:
    """Return the features of all frames of videos, from the cache where an earlier run computed them.

    Args:
        videos: with the functions that read their frames, uint8 (frames, height, width, 3).
        name: of the CNN.
        data_digests: fingerprints of the data, part of the cache's key.
        device: of the CNN.

    Returns:
        Features of each video, (frames, features).

    Raises:
        DataError: a video is damaged, or the CNN's weights are not available.
    """
    key = hashlib.sha256("\0".join([*data_digests, name, str(SIDE), torch.__version__]).encode()).hexdigest()[:20]
    path = cache_folder() / "features" / f"videos.{key}.npz"
    if not path.is_file():
        network = cnn.PhotoCnn(name).to(device)
        computed = [frame_features(network, torch.from_numpy(read()), device) for _, read in videos]
        columns = {
            stream: np.concatenate(parts) for stream, parts in zip(("rgb", "forward", "backward"), zip(*computed, strict=True), strict=True)
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            lengths = np.array([len(parts[0]) for parts in computed])
            np.savez(
                file, allow_pickle=False, lengths=lengths, rgb=columns["rgb"], forward=columns["forward"], backward=columns["backward"]
            )
    with np.load(path) as stored:
        ends = np.cumsum(stored["lengths"])
        # Motion has one step less in each video.
        shorter = ends - np.arange(1, len(ends) + 1)
        cut = [np.split(stored[stream], to[:-1]) for stream, to in (("rgb", ends), ("forward", shorter), ("backward", shorter))]
    return list(zip(*cut, strict=True))


@torch.no_grad()
def frame_features(network: nn.Module, pixels: Tensor, device: torch.device) -> Streams:
    """Return the features of a video's frames; each passes through the CNN once, in few batches.

    Args:
        network: from pixels to features.
        pixels: uint8 (frames, height, width, 3).
        device: of the network.

    Returns:
        (frames, features), and motion one step shorter.
    """
    parts = pixels.permute(0, 3, 1, 2).split(64)
    small = torch.cat([functional.interpolate(part.to(device).float(), (SIDE, SIDE), mode="bilinear") for part in parts])
    # As the paper stores flow: shifted to the middle grey of an image.
    motion = small.diff(dim=0) / 2
    inputs = (small, 127.5 + motion, 127.5 - motion.flip(0))
    rgb, forward, backward = (torch.cat([network(part) for part in images.split(64)]).half().cpu().numpy() for images in inputs)
    return rgb, forward, backward


def clips_of_video(settings: Settings, features: Streams, name: str) -> Streams:
    """Cut the features of a video's frames into clips.

    Args:
        settings: of the run.
        features: (frames, features), and motion one step shorter.
        name: of the video, for messages.

    Returns:
        (clips, steps, features), and motion one step shorter.

    Raises:
        DataError: the video is shorter than a clip.
    """
    rgb, forward, backward = features
    length, stride = settings.clip_frames, settings.clip_stride
    appearance, motion = ucf.cut(rgb, length, stride, name), ucf.cut(forward, length - 1, stride, name)
    # Cut in the order of the video and turned round clip by clip: the last clip begins where the video's end demands, not a stride after the
    # one before, so that clips cut from the end would not be those of the other stream.
    turned = ucf.cut(backward[::-1], length - 1, stride, name)[:, ::-1]
    return appearance, motion, np.ascontiguousarray(turned)


def _ucf_clips(videos: list[tuple[ucf.Video, Streams]], names: list[str]) -> Clips:
    counts = torch.tensor([len(streams[0]) for _, streams in videos])
    appearance, forward, backward = (torch.from_numpy(np.concatenate([streams[i] for _, streams in videos])) for i in range(3))
    labels = torch.tensor([names.index(video.label) for video, _ in videos])
    groups = torch.tensor([names.index(video.label) * 100 + video.group for video, _ in videos])
    return Clips(
        {"rgb": appearance, "flow": forward},
        {"rgb": appearance.flip(1), "flow": backward},
        labels.repeat_interleave(counts),
        torch.arange(len(videos)).repeat_interleave(counts),
        groups.repeat_interleave(counts),
    )
