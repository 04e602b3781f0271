"""House numbers (SVHN): crops around the digits' boxes, shifted anew for every batch.

The box around all digits of a number grows by 30 percent, is cut out and scaled to a square in grey (Goodfellow et al. 2014, section 5.1);
networks see a smaller square of it, in training at a random place, else in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from replications.engine.canvases import uniform_integers
from replications.engine.context import Context
from replications.engine.datasets import DataSource
from replications.engine.fingerprints import column
from replications.engine.images import open_rgb
from replications.errors import DataError
from replications.papers.multiple_objects.canvases import Canvases
from replications.papers.multiple_objects.settings import Settings

GROWTH = 1.3
"""Factor on both sides of the box around all digits."""

SVHN = DataSource(
    name="svhn",
    hub="ufldl-stanford/svhn",
    config="full_numbers",
    revision="main",
    splits={"train": 33_402, "test": 13_068, "extra": 202_353},
    licence="for non-commercial use (as stated on the hub page)",
    citation="Netzer, Wang, Coates, Bissacco, Wu, Ng: Reading digits in natural images with unsupervised feature learning. NIPS Workshop on"
    " Deep Learning and Unsupervised Feature Learning, 2011.",
    note="No copy was at hand: sizes are those of the hub page, the content was compared with nothing, and the revision is not pinned.",
)


@dataclass(frozen=True)
class Numbers:
    """House numbers of one split, on the device.

    Attributes:
        crops: (n, crop_side, crop_side) uint8, grey.
        values: (n, n_digits) int64, the digits from left to right; the number of classes where there is none.
        centres: (n, n_digits, 2) int64, x and y of the middle of each digit's box, in pixels of the crop.
    """

    crops: Tensor
    values: Tensor
    centres: Tensor


def crop(image: Any, boxes: Sequence[Sequence[float]], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut the grown box around all digits out of an image and scale it to a square; what lies beyond the image is left out.

    Args:
        image: of Pillow, in any mode.
        boxes: left, top, width and height of each digit in pixels.
        side: of the square in pixels.

    Returns:
        The square in grey, (side, side) uint8, and x and y of the middle of each box in it, (digits, 2) float.

    Raises:
        DataError: there is no box, the boxes lie outside the image, or the image does not decode.
    """
    from PIL import Image

    grey = open_rgb(image, upright=False).convert("L")
    corners = np.asarray(boxes, dtype=float).reshape(-1, 4)
    if not len(corners):
        raise DataError("it has no digit")
    first, last = corners[:, :2].min(0), (corners[:, :2] + corners[:, 2:]).max(0)
    middle, half = (first + last) / 2, (last - first) * GROWTH / 2
    low, high = np.maximum(middle - half, 0), np.minimum(middle + half, grey.size)
    if (high - low < 1).any():
        raise DataError(f"its digits lie outside its {grey.size[0]}x{grey.size[1]} pixels")
    square = grey.resize((side, side), Image.Resampling.BILINEAR, box=(*low, *high))
    centres = (corners[:, :2] + corners[:, 2:] / 2 - low) * (side / (high - low))
    return np.asarray(square), centres


def boxes_and_labels(digits: Any) -> tuple[list[list[float]], list[int]]:
    """Return the boxes and labels of a row, which copies of the data set hold as one mapping of lists or as a list of mappings.

    Args:
        digits: column 'digits' of a row.

    Returns:
        Left, top, width and height of each digit, and the digits.
    """
    if isinstance(digits, dict):
        return digits["bbox"], digits["label"]
    return [digit["bbox"] for digit in digits], [digit["label"] for digit in digits]


_decoded: dict[tuple[str, int, int], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
"""Crops, digits and centres of whole splits: a process that makes several runs decodes each once."""


def _decode(context: Context, settings: Settings, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return crops, digits and centres of a split of the source, in its order; of longer numbers the first n_digits and one more are kept."""
    loaded = context.load(SVHN, split)
    key = (f"{split}/{context.data[f'{SVHN.name}/{split}']['fingerprint']}", settings.crop_side, settings.n_digits)
    if key in _decoded:
        return _decoded[key]
    n, side, most = len(loaded), settings.crop_side, settings.n_digits + 1
    crops, values = np.zeros((n, side, side), np.uint8), np.full((n, most), settings.n_classes, np.int64)
    centres = np.zeros((n, most, 2), np.int64)
    for row, (image, digits) in enumerate(zip(column(loaded, "image"), column(loaded, "digits"), strict=True)):
        boxes, labels = boxes_and_labels(digits)
        try:
            crops[row], middles = crop(image, boxes, side)
        except DataError as error:
            raise DataError(f"Row {row:,} of {SVHN.name}/{split} is no house number: {error}.") from error
        labels = labels[:most]
        values[row, : len(labels)], centres[row, : len(labels)] = labels, middles[:most].round()
    _decoded[key] = crops, values, centres
    return _decoded[key]


def load_numbers(context: Context, settings: Settings, split: str) -> Numbers:
    """Load the house numbers of a split to the device. The last rows of the source's training split are the validation set.

    Numbers with more than n_digits digits are left out of training; where they would be scored they are an error.

    Args:
        context: of the run.
        settings: of the run.
        split: 'train' (the source's `extra` and the rest of its `train`), 'validation' or 'test'.

    Returns:
        Crops, digits and the middles of their boxes.

    Raises:
        DataError: the data is missing, altered or damaged, or a number to be scored has too many digits.
    """
    if split == "test":
        parts = [part[: settings.n_test] for part in _decode(context, settings, "test")]
    elif split == "validation":
        parts = [part[-settings.n_validation :] for part in _decode(context, settings, "train")]
    else:
        rest = (part[: -settings.n_validation] for part in _decode(context, settings, "train"))
        parts = [np.concatenate(both) for both in zip(_decode(context, settings, "extra"), rest, strict=True)]
    crops, values, centres = parts
    fits = values[:, -1] == settings.n_classes
    if split != "train" and not fits.all():
        raise DataError(
            f"{int((~fits).sum())} of the {len(fits):,} house numbers of split {split} have more than n_digits = {settings.n_digits} digits,"
            " and none that is scored may be left out; set a larger n_digits"
        )
    return Numbers(*(torch.from_numpy(part[fits]).to(context.device) for part in (crops, values[:, :-1], centres[:, :-1])))


class NumberGenerator:
    """Takes crops and shifts them, by uniform random numbers that the caller draws.

    Args:
        settings: of the run.
        numbers: of the training split.
    """

    n_uniforms = 3
    """Random numbers that one image takes: which number, and where its square is cut out."""

    def __init__(self, settings: Settings, numbers: Numbers) -> None:
        self.settings, self.numbers = settings, numbers

    def __call__(self, uniforms: Tensor) -> Canvases:
        """Take house numbers and cut squares out of them.

        Args:
            uniforms: (n, n_uniforms) in [0, 1).

        Returns:
            n images, as float32.
        """
        s = self.settings
        rows = uniform_integers(uniforms[:, 0], len(self.numbers.crops))
        shifts = uniform_integers(uniforms[:, 1:], s.crop_side - s.canvas + 1)
        canvases = _cut(s, self.numbers, rows, shifts)
        return Canvases(canvases.images.float(), canvases.targets, canvases.values, canvases.corners)


def middle_squares(settings: Settings, numbers: Numbers) -> Canvases:
    """Return the square in the middle of every crop.

    Args:
        settings: of the run.
        numbers: of a split that is scored.

    Returns:
        As many images, as uint8.
    """
    rows = torch.arange(len(numbers.crops), device=numbers.crops.device)
    shifts = torch.full((len(rows), 2), (settings.crop_side - settings.canvas) // 2, device=rows.device)
    return _cut(settings, numbers, rows, shifts)


def _cut(settings: Settings, numbers: Numbers, rows: Tensor, shifts: Tensor) -> Canvases:
    """Return squares whose upper left pixels are `shifts` (n, 2), as x and y, of the crops of these rows (n,)."""
    pixels = torch.arange(settings.canvas, device=rows.device)
    x, y = shifts[:, 0, None] + pixels, shifts[:, 1, None] + pixels
    images = numbers.crops[rows[:, None, None], y[:, :, None], x[:, None, :]]
    values = numbers.values[rows]
    targets = torch.cat([values, torch.full_like(values[:, :1], settings.n_classes)], dim=1)
    return Canvases(images, targets, values, numbers.centres[rows] - shifts[:, None] - settings.digit // 2)
