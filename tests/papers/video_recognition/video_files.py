"""Small video files, encoded here, and the archive in which the subset of UCF-101 is published."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np

N_FRAMES = 12


def drifting(n: int = N_FRAMES, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Frames of coarse noise that moves to the right: no two alike, and large enough for damage to fall into a frame."""
    cells = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return [np.roll(cells.repeat(8, 0).repeat(8, 1), 4 * number, axis=1) for number in range(n)]


def encoded(frames: Sequence[np.ndarray] | np.ndarray, container: str = "avi", codec: str = "mpeg4", pixels: str = "yuv420p") -> bytes:
    """A video file of the frames; by default as those of UCF-101, MPEG-4 in AVI."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode())
    return file.getvalue()


def archive(path: Path, contents: Mapping[str, bytes]) -> Path:
    """An archive of video files by name, v_<class>_g<group>_c<clip>."""
    with tarfile.open(path, "w:gz") as file:
        for name, content in contents.items():
            entry = tarfile.TarInfo(f"UCF101_subset/train/{name.split('_')[1]}/{name}.avi")
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return path
