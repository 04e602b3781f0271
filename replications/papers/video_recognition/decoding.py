"""Frames of video files, decoded by PyAV, whose wheels hold all codecs that they need."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from replications.errors import DataError, InputError
from replications.papers.video_recognition.clips import check_complete, stack_frames

Decoder = Callable[[bytes], tuple[Iterable[np.ndarray], int]]
"""Function from the content of a video file to its frames, uint8 (height, width, 3) each, and the number its header declares (0: none)."""


def decode_with_pyav(content: bytes) -> tuple[Iterable[np.ndarray], int]:
    """Return the frames of a video with PyAV, one after the other, in the order in which they are shown.

    Args:
        content: of the file, in any container and codec that FFmpeg reads.

    Returns:
        Frames, uint8 (height, width, 3), and the number of frames that the header declares; 0: none. While they are read, a frame of which
        a part is damaged raises a ValueError: codecs fill the hole with what was there before, which only looks like a video.

    Raises:
        InputError: PyAV is not installed.
        ValueError: the file holds no video, such as one of sound alone.
    """
    try:
        import av
    except ImportError:
        raise InputError("The package av is not installed; it comes with requirements.lock. Run `make report` to set up .venv.") from None
    container: Any = av.open(io.BytesIO(content))
    if not container.streams.video:
        raise ValueError("it holds no video stream")
    stream = container.streams.video[0]

    def frames() -> Iterator[np.ndarray]:
        with container:
            for packet in container.demux(stream):
                for frame in packet.decode():
                    if packet.is_corrupt or frame.is_corrupt:
                        raise ValueError("a part of the frame is missing")
                    yield frame.to_ndarray(format="rgb24")

    return frames(), int(stream.frames)


def read_video(content: bytes, name: str, decode: Decoder = decode_with_pyav) -> np.ndarray:
    """Return all frames of a video file.

    Args:
        content: of the file.
        name: of the video, for messages.
        decode: the decoder.

    Returns:
        uint8 (frames, height, width, 3).

    Raises:
        DataError: the file is empty, damaged, truncated or no video, or its frames differ in size.
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
        raise DataError(
            f"Video {name} cannot be decoded beyond frame {len(frames)}: {error}. It is damaged, truncated or no video; fetch it again."
        ) from error
    check_complete(range(len(frames)), name, declared)
    return stack_frames(frames, name)
