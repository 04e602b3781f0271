"""Images as people have them: the right 8-bit values, or an error that says what is wrong."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from replications.engine.images import as_array, open_rgb
from replications.errors import DataError


def stored(image: Image.Image, kind: str = "PNG", **options: Any) -> io.BytesIO:
    """The image as a file in memory."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    buffer.seek(0)
    return buffer


def rgb_of(file: io.BytesIO) -> list[int]:
    return [int(v) for v in np.asarray(open_rgb(file, upright=True))[0, 0]]


def grey16(value: int) -> Image.Image:
    return Image.fromarray(np.full((4, 4), value, np.uint16))


# 65535 / 257 = 255, so that white stays white.
@pytest.mark.parametrize(("deep", "right"), [(0, 0), (300, 1), (128 * 257, 128), (65535, 255)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled(deep: int, right: int, kind: str) -> None:
    assert rgb_of(stored(grey16(deep), kind)) == [right] * 3
    assert as_array(Image.open(stored(grey16(deep), kind)))[0, 0] == right


def test_16_bit_portable_graymaps_are_scaled() -> None:
    assert rgb_of(io.BytesIO(b"P5 1 1 65535\n" + struct.pack(">H", 128 * 257))) == [128] * 3


def test_one_bit_is_black_and_white() -> None:
    assert rgb_of(stored(Image.new("1", (4, 4), 1))) == [255] * 3
    assert as_array(Image.new("1", (4, 4), 1)).tolist() == [[255] * 4] * 4


def test_a_palette_is_its_colours_and_not_their_numbers() -> None:
    image = Image.new("P", (2, 2))
    image.putpalette([250, 0, 7] + [0] * 765)
    assert as_array(image)[0, 0].tolist() == [250, 0, 7]
    assert rgb_of(stored(image)) == [250, 0, 7]


def test_four_colours_of_print_are_three_of_a_screen() -> None:
    assert as_array(Image.new("CMYK", (1, 1), (255, 0, 0, 0)))[0, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_values_without_a_known_range_are_refused(mode: str) -> None:
    with pytest.raises(DataError, match="no known range; store it with 8 or 16 bits"):
        open_rgb(stored(Image.new(mode, (2, 2), 7), "TIFF"), upright=True)


def test_12_bits_are_refused_instead_of_shown_nearly_black() -> None:
    entries = [(256, 3, 2), (257, 3, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 1), (279, 4, 3)]
    directory = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack("<HHI", tag, kind, 1) + (struct.pack("<HH", value, 0) if kind == 3 else struct.pack("<I", value))
    with pytest.raises(DataError, match="12 bits per channel"):
        open_rgb(io.BytesIO(b"II*\0" + struct.pack("<I", 12) + b"\xff\xff\xff\0" + directory + b"\0" * 4), upright=True)


@pytest.mark.parametrize("values", [[[0, 256]], [[-1, 0]], [[0.5, 1.0]], [[None]]])
def test_arrays_that_do_not_fit_8_bits_are_refused(values: list[list[Any]]) -> None:
    with pytest.raises(DataError, match="not integers from 0 to 255"):
        as_array(values)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_stand_upright(kind: str, orientation: int) -> None:
    drawn = Image.new("RGB", (8, 4), "white")
    drawn.paste((255, 0, 0), (0, 0, 2, 4))
    exif = drawn.getexif()
    exif[0x0112] = orientation
    data = stored(drawn, kind, exif=exif).getvalue()
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert np.array_equal(np.asarray(open_rgb(io.BytesIO(data), upright=True)), expected)
    assert expected.shape == ((8, 4, 3) if orientation > 4 else (4, 8, 3))


def test_orientation_is_ignored_where_published_pipelines_ignore_it() -> None:
    drawn = Image.new("RGB", (8, 4), "white")
    exif = drawn.getexif()
    exif[0x0112] = 6
    assert open_rgb(stored(drawn, "JPEG", exif=exif), upright=False).size == (8, 4)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_metadata_is_no_damaged_image() -> None:
    drawn = stored(Image.new("RGB", (8, 4), "red"), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert open_rgb(drawn, upright=True).size == (8, 4)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_decompression_bomb_is_an_error_like_every_damaged_file() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(DataError, match=r"does not decode as an image .*decompression bomb"):
        open_rgb(io.BytesIO(bomb), upright=True)
