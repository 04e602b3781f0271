"""Frames of video files. The decoder is an optional package: data sets that are stored as frames do not need it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from replications.errors import DataError, InputError
from replications.papers.video_recognition.clips import check_complete, stack_frames

Decoder = Callable[[bytes], tuple[Iterable[np.ndarray], int]]
"""Function from the content of a video file to its frames, uint8 (height, width, 3) each, and the number its header declares (0: none)."""


def decode_with_pyav(content: bytes) -> tuple[Iterable[np.ndarray], int]:
    """Return the frames of a video with PyAV, one after the other.

    Args:
        content: of the file.

    Returns:
        Frames, uint8 (height, width, 3), and the number of frames that the header declares; 0: none.

    Raises:
        InputError: PyAV is not installed.
    """
    try:
        import av
    except ImportError:
        raise InputError(
            "Video files are decoded with PyAV, which is not installed. Run `.venv/bin/uv pip install av`, or use data that is stored as"
            " frames (`data: ucf101` in runs.yaml)."
        ) from None
    container: Any = av.open(io.BytesIO(content))
    frames = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
    return frames, int(container.streams.video[0].frames)


def read_video(content: bytes, name: str, decode: Decoder = decode_with_pyav) -> np.ndarray:
    """Return all frames of a video file.

    Args:
        content: of the file.
        name: of the video, for messages.
        decode: the decoder.

    Returns:
        uint8 (frames, height, width, 3).

    Raises:
        DataError: the file is empty, damaged or truncated, or its frames differ in size.
        InputError: the decoder is not installed.
    """
    if not content:
        raise DataError(f"Video {name} is an empty file. Remove it and fetch it again.")
    frames: list[np.ndarray] = []
    try:
        decoded, declared = decode(content)
        for frame in decoded:
            frames.append(frame)
    except InputError:
        raise
    except Exception as error:  # each decoder and container has its own kinds
        raise DataError(f"Video {name} cannot be decoded beyond frame {len(frames)}: {error}. It is damaged; fetch it again.") from error
    check_complete(range(len(frames)), name, declared)
    return stack_frames(frames, name)
