"""Video files: what is decoded from clips that are encoded here, and what is refused."""

from __future__ import annotations

import contextlib
import io
import sys
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from replications.errors import DataError, InputError
from replications.papers.video_recognition import ucf
from replications.papers.video_recognition.decoding import decode_with_pyav, read_video
from tests.papers.video_recognition.video_files import N_FRAMES, archive, drifting, encoded


@pytest.mark.parametrize(
    ("container", "codec", "pixels"),
    [("avi", "ffv1", "bgr0"), ("matroska", "ffv1", "bgr0"), ("avi", "mpeg4", "yuv420p"), ("mp4", "mpeg4", "yuv420p")],
)
def test_every_frame_is_read_in_order(container: str, codec: str, pixels: str) -> None:
    """The lossless codec gives back the very pixels; each frame of the lossy one is nearest to the frame that was encoded."""
    frames = np.stack(drifting())
    video = read_video(encoded(frames, container, codec, pixels), "v_a")
    assert video.shape == frames.shape
    assert video.dtype == np.uint8
    distance = np.abs(video[:, None].astype(int) - frames[None].astype(int)).mean((2, 3, 4))
    assert distance.argmin(1).tolist() == list(range(N_FRAMES))
    assert codec != "ffv1" or np.array_equal(video, frames)


def test_frames_that_are_stored_out_of_order_are_read_as_they_are_shown() -> None:
    """B-frames are stored after a later frame that they refer to."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as output:
        stream = output.add_stream("mpeg4", rate=25, options={"bf": "2"})
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        for number in range(N_FRAMES):
            grey = np.full((32, 32, 3), 20 * number, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        output.mux(stream.encode())
    with av.open(io.BytesIO(file.getvalue())) as stored:
        kinds = {frame.pict_type for frame in stored.decode(video=0)}
    assert av.video.frame.PictureType.B in kinds
    means = read_video(file.getvalue(), "v_a").mean((1, 2, 3))
    assert np.round(means / 20).tolist() == list(range(N_FRAMES))


@pytest.mark.parametrize("container", ["avi", "mp4"])
def test_a_truncated_file_is_refused_wherever_it_ends(container: str) -> None:
    content = encoded(drifting(), container)
    last_frame_ends = content.rindex(b"idx1" if container == "avi" else b"moov")
    for end in np.linspace(1, last_frame_ends - 8, 40, dtype=int):
        with pytest.raises(
            DataError, match=r"v_a (cannot be decoded beyond frame \d+: .*truncated|ends after \d+ of 12 frames|has no frames)"
        ):
            read_video(content[:end], "v_a")


def test_a_hole_in_a_frame_is_refused_and_not_filled_in() -> None:
    """Most holes a decoder alone fills with what was there before: it says nothing, and gives as many frames as the header declares."""
    content = encoded(drifting())
    filled_in = 0
    for at in np.linspace(content.index(b"movi") + 100, content.rindex(b"idx1") - 60, 10, dtype=int):
        damaged = content[:at] + bytes(40) + content[at + 40 :]
        with contextlib.suppress(av.error.InvalidDataError), av.open(io.BytesIO(damaged)) as container:
            filled_in += len(list(container.decode(video=0))) == N_FRAMES
        with pytest.raises(DataError, match=r"v_a (cannot be decoded beyond frame \d+: .*damaged|ends after \d+ of 12 frames)"):
            read_video(damaged, "v_a")
    assert filled_in > 3


def test_sound_and_text_are_no_videos() -> None:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(8000))
    with pytest.raises(
        DataError, match=r"v_a cannot be decoded beyond frame 0: it holds no video stream\. It is damaged, truncated or no video"
    ):
        read_video(sound.getvalue(), "v_a")
    with pytest.raises(DataError, match=r"v_a cannot be decoded beyond frame 0: .*Invalid data"):
        read_video(b"<html>404 Not Found</html>", "v_a")


def test_frames_that_change_in_size_are_refused() -> None:
    """Single images in a stream, each with a size of its own."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuvj420p"
        for number, side in enumerate((16, 16, 32)):
            codec = av.CodecContext.create("mjpeg", "w")
            codec.height, codec.width, codec.pix_fmt, codec.time_base = side, side, "yuvj420p", Fraction(1, 25)
            image = av.VideoFrame.from_ndarray(np.zeros((side, side, 3), np.uint8), format="rgb24")
            for packet in [*codec.encode(image), *codec.encode()]:
                packet.stream, packet.pts, packet.dts = stream, number, number
                output.mux(packet)
    with pytest.raises(DataError, match=r"v_a: frame 2 has the shape \(32, 32, 3\), frame 0 has \(16, 16, 3\)"):
        read_video(file.getvalue(), "v_a")


def test_videos_of_the_subset_are_decoded_one_by_one(tmp_path: Path) -> None:
    """From the archive to frames; the file of one video says nothing about the others."""
    whole = encoded(drifting())
    contents = {"v_Archery_g09_c01": whole, "v_Archery_g10_c01": whole[: len(whole) // 2], "v_Bowling_g01_c02": b""}
    (first, read), (_, read_truncated), (_, read_empty) = ucf.videos_of_subset(
        ucf.read_subset(archive(tmp_path / "videos.tar.gz", contents))
    )
    assert (first.name, first.label, first.group) == ("v_Archery_g09_c01", "Archery", 9)
    assert read().shape == (N_FRAMES, 48, 64, 3)
    with pytest.raises(DataError, match="Video v_Archery_g10_c01 cannot be decoded"):
        read_truncated()
    with pytest.raises(DataError, match="Video v_Bowling_g01_c02 is an empty file"):
        read_empty()


def frames(n: int, side: int = 4) -> Iterator[np.ndarray]:
    for number in range(n):
        yield np.full((side, side, 3), number, np.uint8)


def test_a_whole_video_is_read() -> None:
    assert read_video(b"x", "v_a", lambda _: (frames(3), 3)).shape == (3, 4, 4, 3)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(DataError, match="v_a is an empty file"):
        read_video(b"", "v_a")


def test_a_video_that_ends_early_is_refused() -> None:
    with pytest.raises(DataError, match=r"v_a ends after 3 of 5 frames\. The file is truncated"):
        read_video(b"x", "v_a", lambda _: (frames(3), 5))
    with pytest.raises(DataError, match="v_a has no frames"):
        read_video(b"x", "v_a", lambda _: (frames(0), 0))


def test_a_decoder_that_fails_says_at_which_frame() -> None:
    def damaged(_: bytes) -> tuple[Iterator[np.ndarray], int]:
        def some() -> Iterator[np.ndarray]:
            yield from frames(2)
            raise ValueError("invalid packet")

        return some(), 4

    with pytest.raises(DataError, match="v_a cannot be decoded beyond frame 2: invalid packet"):
        read_video(b"x", "v_a", damaged)


def test_without_a_decoder_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"The package av is not installed; it comes with requirements.lock"):
        read_video(b"x", "v_a", decode_with_pyav)
