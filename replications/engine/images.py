"""Images as people have them, turned into 8 bits per channel: deep grey, palettes, one bit, orientation, damaged files."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from replications.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of 16-bit grey."""
_ORIENTATION = 0x0112
_TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}
"""EXIF's orientation -> the transposition that undoes it; 1 is upright."""


def open_rgb(source: Image.Image | Path | IO[bytes], *, upright: bool) -> Image.Image:
    """Return an image with 8 bits for each of red, green and blue; transparency is dropped.

    Args:
        source: a Pillow image, or a path or file that Pillow opens.
        upright: turn it as its metadata (EXIF) says. Pipelines of published data sets ignore that entry.

    Returns:
        The image in RGB.

    Raises:
        DataError: it does not decode, is larger than Pillow admits (a decompression bomb), or its values have no known range;
            the message does not name the image.
    """
    from PIL import Image

    try:
        image = source if isinstance(source, Image.Image) else Image.open(source)
        image.load()
        turn = _TURNS.get(_orientation(image)) if upright else None
        image = eight_bits(image).convert("RGB")
        return image.transpose(Image.Transpose[turn]) if turn else image
    except DataError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds for damaged files; a bomb's is an Exception of its own
        raise DataError(f"it does not decode as an image ({error or type(error).__name__})") from error


def _orientation(image: Image.Image) -> Any:
    """Return EXIF's orientation, 1 (upright) where there is none that can be read: damaged metadata is no damaged image."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow raises what its parsers raise
        return 1


def eight_bits(image: Image.Image) -> Image.Image:
    """Return an image with at most 8 bits per channel: 16-bit grey is scaled, where `convert` would clip it to white.

    Args:
        image: of any of Pillow's modes.

    Returns:
        The image itself where it has 8 bits; grey ('L') for deeper grey and for 1 bit.

    Raises:
        DataError: values without a known range: 32-bit integers, floating point, and deep grey of other than 16 bits.
    """
    from PIL import Image

    if image.mode == "1":
        return image.convert("L")
    if image.mode in _DEEP or (image.mode == "I" and image.format in ("PNG", "PPM")):  # which Pillow scales to 0..65535
        _check_depth(image)
        return Image.fromarray(np.rint(np.asarray(image).astype(np.float64) / 257).clip(0, 255).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DataError(f"its values ('{image.mode}') have no known range; store it with 8 or 16 bits per channel")
    return image


def _check_depth(image: Image.Image) -> None:
    """Refuse a TIFF of 12 bits, which Pillow hands out as 16 without scaling it."""
    tags = getattr(image, "tag_v2", None)
    bits = tags.get(258, (16,)) if tags is not None else (16,)
    if tuple(bits)[:1] != (16,):
        raise DataError(f"it has {bits[0]} bits per channel; store it with 8 or 16")


def without_palette(value: Any) -> Any:
    """Return the colours of an image instead of the numbers of its palette's entries, and grey instead of 1 bit.

    Args:
        value: a Pillow image; anything else is returned unchanged.

    Returns:
        The image in RGB, or RGBA where the palette has transparent entries; images of other modes unchanged.
    """
    mode = getattr(value, "mode", None)
    if mode == "1":
        return value.convert("L")
    if mode in ("P", "PA"):
        return value.convert("RGBA" if mode == "PA" or "transparency" in value.info else "RGB")
    return value


def as_array(value: Any) -> np.ndarray:
    """Return one image of a data set as an array of bytes.

    Args:
        value: a Pillow image, or an array or nested list of integers.

    Returns:
        uint8 (height, width) for grey, (height, width, channels) otherwise.

    Raises:
        DataError: a value does not fit 8 bits, or has no known range.
    """
    from PIL import Image

    if isinstance(value, Image.Image):
        image = without_palette(eight_bits(value))
        return np.asarray(image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGB"))
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or (array.size and not 0 <= array.min() <= array.max() <= 255):
        raise DataError(f"its values ({array.dtype}) are not integers from 0 to 255; store it with 8 bits per channel")
    return array.astype(np.uint8)
