"""MSR Action3D: skeletons of ten subjects who make twenty movements, as a small stand-in for real video.

The joints of a frame stand for what a CNN sees in it, and their differences between frames for optical flow.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from replications.engine.datasets import DataSource
from replications.errors import DataError
from replications.papers.video_recognition.clips import Clips

if TYPE_CHECKING:
    import datasets

ACTIONS = (
    "high arm wave", "horizontal arm wave", "hammer", "hand catch", "forward punch", "high throw", "draw x", "draw tick", "draw circle",
    "hand clap", "two hand wave", "side boxing", "bend", "forward kick", "side kick", "jogging", "tennis swing", "tennis serve", "golf swing",
    "pick up and throw",
)  # fmt: skip
N_JOINTS, HIP = 20, 6
TRAIN_SUBJECTS, VALIDATION_SUBJECT = (1, 3, 5, 7, 9), 9
"""Subjects that train in the usual cross-subject protocol; the last of them is the validation part of trials."""
LONGEST = 200
"""Frames above which a recording is left out: one of 936 frames holds more than its movement."""
_NAME = re.compile(r"a(\d\d)_s(\d\d)_e(\d\d)_skeleton3D\.txt$")


def read_archive(path: Path) -> datasets.Dataset:
    """Read the recordings from a table (parquet), or from a ZIP archive of the text files as published.

    Args:
        path: file of either kind, told apart by its first bytes.

    Returns:
        Rows with action, subject, take, n_frames, joints (frames x 20 x 3, flattened) and confidence, in the order of the first three.

    Raises:
        DataError: the file is neither, or holds no recording.
    """
    import datasets
    import pyarrow.parquet

    if path.read_bytes()[:4] == b"PAR1":
        return datasets.Dataset(pyarrow.parquet.read_table(path))
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is neither a parquet table nor a ZIP archive. Remove it and fetch it again.")
    rows = []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            match = _NAME.search(name)
            if match and "Real3D" in name:
                numbers = np.array(archive.read(name).split(), dtype=np.float32)
                if not numbers.size or numbers.size % (4 * N_JOINTS):
                    raise DataError(
                        f"{path}: {name} has {numbers.size} numbers, no multiple of {4 * N_JOINTS} (20 joints of x, y, z and confidence)."
                        " The recording is truncated; remove the archive and fetch it again."
                    )
                values = numbers.reshape(-1, N_JOINTS, 4)
                action, subject, take = map(int, match.groups())
                rows.append(
                    {
                        "action": action,
                        "subject": subject,
                        "take": take,
                        "n_frames": len(values),
                        "joints": values[..., :3].ravel(),
                        "confidence": values[..., 3].ravel(),
                    }
                )
    if not rows:
        raise DataError(f"{path} holds no recording of MSR Action3D (files a01_s01_e01_skeleton3D.txt). Fetch it again.")
    features = datasets.Features(
        {name: datasets.Value("int8") for name in ("action", "subject", "take")}
        | {"n_frames": datasets.Value("int16")}
        | {name: datasets.List(datasets.Value("float32")) for name in ("joints", "confidence")}
    )
    return datasets.Dataset.from_list(rows, features=features)


MSR_ACTION3D = DataSource(
    name="msr-action3d",
    splits={"all": 567},
    fingerprints={"all": "8cbeb6f71e45eea8"},
    address="https://codeload.github.com/yavuzKomecoglu/MSR-Action-Recognition/zip/46d870ff14f157f87ce431def3c12af350bdc87f",
    file="skeletons/msr-action3d.parquet",
    read=read_archive,
    licence="research use (Microsoft Research)",
    citation="Li, Zhang and Liu 2010, Action recognition based on a bag of 3D points",
    note="567 recordings of 20 actions by 10 subjects, from a copy that was not compared with the original; a recording of zeros and one of"
    " 936 frames are left out when read.",
)


def resample(frames: Tensor, n: int) -> Tensor:
    """Return a recording with another number of frames, between which positions are interpolated.

    >>> resample(torch.tensor([[0.0], [2.0]]), 3).flatten().tolist()
    [0.0, 1.0, 2.0]

    Args:
        frames: (frames, features).
        n: frames of the result.

    Returns:
        (n, features); first and last frame are kept.
    """
    at = torch.linspace(0, len(frames) - 1, n, dtype=torch.float64)
    low = at.floor().long().clamp(max=max(0, len(frames) - 2))
    share = (at - low).to(frames.dtype).unsqueeze(1)
    return frames[low] * (1 - share) + frames[(low + 1).clamp(max=len(frames) - 1)] * share


def load_recordings(rows: datasets.Dataset, n_frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the usable recordings at one length, relative to the hip.

    Args:
        rows: of `MSR_ACTION3D`.
        n_frames: frames of each recording after resampling.

    Returns:
        Joints, float32 (recordings, frames, 60) in metres; actions from 0, int64 (recordings,); subjects, int64 (recordings,).

    Raises:
        DataError: a recording does not have the frames that it declares.
    """
    joints, actions, subjects = [], [], []
    for row in rows:
        values = np.asarray(row["joints"], dtype=np.float32)
        if values.size != row["n_frames"] * N_JOINTS * 3:
            name = f"a{row['action']:02} s{row['subject']:02} e{row['take']:02}"
            frames = values.size // (N_JOINTS * 3)
            raise DataError(
                f"MSR Action3D, recording {name} ends after {frames} of {row['n_frames']} frames. The copy is truncated; fetch it again."
            )
        if row["n_frames"] > LONGEST or not values.any():
            continue
        places = torch.from_numpy(values).view(-1, N_JOINTS, 3)
        joints.append(resample((places - places[:, HIP : HIP + 1]).flatten(1), n_frames))
        actions.append(row["action"] - 1)
        subjects.append(row["subject"])
    return torch.stack(joints), torch.tensor(actions), torch.tensor(subjects)


def make_clips(joints: Tensor, actions: Tensor, subjects: Tensor, chosen: Tensor, scale_from: Tensor) -> Clips:
    """Return positions and differences of some recordings as the two streams of clips.

    Args:
        joints: (recordings, frames, 60).
        actions: (recordings,).
        subjects: (recordings,).
        chosen: which recordings, bool (recordings,).
        scale_from: the training recordings, by whose mean and deviation the streams are scaled, bool (recordings,).

    Returns:
        One clip a recording.
    """
    training = joints[scale_from].flatten(0, 1)
    spread = training.std(0).clamp_min(1e-3)
    differences = joints.diff(dim=1)
    # One scale for all joints: a coordinate that hardly moves must not be blown up to the size of a moving one.
    unit = differences[scale_from].std()
    positions, motion = (joints[chosen] - training.mean(0)) / spread, differences[chosen] / unit
    return Clips(
        {"rgb": positions, "flow": motion},
        {"rgb": positions.flip(1), "flow": -motion.flip(1)},
        actions[chosen],
        torch.arange(int(chosen.sum())),
        subjects[chosen],
    )
