"""Handwritten digits that several papers use: MNIST, and scikit-learn's small ones, which need no download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from replications.engine.context import Context
from replications.engine.datasets import DataSource, images_and_labels

if TYPE_CHECKING:
    import datasets

N_VALIDATION = 10_000
"""Training digits of MNIST that are left for validation, so that 50,000 remain, as in Mnih et al. 2014."""
DIGITS_SPLITS = {"train": (0, 1197), "validation": (1197, 1437), "test": (1437, 1797)}
"""Rows of scikit-learn's digits by split; the file is ordered by writer, so the test digits are by other writers."""


def _embedded(split: str) -> datasets.Dataset:
    """Return rows of scikit-learn's digits as 'image' (8, 8) 0..255 and 'label'."""
    import datasets
    from sklearn.datasets import load_digits

    bunch = load_digits()
    first, last = DIGITS_SPLITS[split]
    images = np.round(bunch.images[first:last] * (255 / 16)).astype(np.uint8)  # 16 grey levels become 0..255
    features = datasets.Features({"image": datasets.Array2D((8, 8), "uint8"), "label": datasets.Value("int64")})
    return datasets.Dataset.from_dict({"image": list(images), "label": bunch.target[first:last].tolist()}, features=features)


MNIST = DataSource(
    name="mnist",
    hub="ylecun/mnist",
    revision="77f3279092a1c1579b2250db8eafed0ad422088c",
    config="mnist",
    splits={"train": 60_000, "test": 10_000},
    fingerprints={"train": "f81fc297973e38be", "test": "7dd25b7c8f6925d8"},
    licence="MIT (as stated on the hub page); original by LeCun, Cortes and Burges",
    citation="LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition. Proceedings of the IEEE, 1998.",
    note="Checked against the checksums of the four original files.",
)
DIGITS = DataSource(
    name="digits",
    splits={split: last - first for split, (first, last) in DIGITS_SPLITS.items()},
    fingerprints={"train": "40038b98942411b2", "validation": "a5adf583fe6e447e", "test": "c44b527804781ca0"},
    build=_embedded,
    licence="CC BY 4.0 (UCI), shipped with scikit-learn (BSD-3-Clause)",
    citation="Alpaydin, Kaynak: Optical Recognition of Handwritten Digits. UCI Machine Learning Repository, 1998.",
)


@dataclass(frozen=True)
class Digits:
    """Digits of one split, on the device.

    Attributes:
        images: (n, side, side) uint8.
        labels: (n,) int64.
    """

    images: Tensor
    labels: Tensor

    def first(self, n: int) -> Digits:
        """Return the first n digits, or all when there are fewer.

        Args:
            n: largest number of digits.

        Returns:
            Views of the images and labels.
        """
        return Digits(self.images[:n], self.labels[:n])

    def of_classes(self, n: int) -> Digits:
        """Return the digits 0..n-1.

        Args:
            n: number of classes, 1 to 10.

        Returns:
            Their images and labels, in the same order.
        """
        used = self.labels < n
        return Digits(self.images[used], self.labels[used])


_decoded: dict[str, tuple[np.ndarray, np.ndarray]] = {}


def _decode(context: Context, source: DataSource, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of one split; a process that makes several runs decodes each split once."""
    loaded = context.load(source, split)
    key = f"{source.name}/{split}/{context.data[f'{source.name}/{split}']['fingerprint']}"
    if key not in _decoded:
        _decoded[key] = images_and_labels(loaded, "image", "label")
    return _decoded[key]


def load_digits(context: Context, dataset: str, split: str) -> Digits:
    """Load the digits of one split to the device; MNIST's last 10,000 training digits are the validation set.

    Args:
        context: of the run.
        dataset: 'mnist' or 'digits'.
        split: 'train', 'validation' or 'test'.

    Returns:
        Images and labels of the split.

    Raises:
        DataError: the data is missing, altered or incomplete.
    """
    if dataset == "digits":
        images, labels = _decode(context, DIGITS, split)
    else:
        images, labels = _decode(context, MNIST, "test" if split == "test" else "train")
        cut = len(images) - N_VALIDATION
        part = {"train": slice(0, cut), "validation": slice(cut, None), "test": slice(None)}[split]
        images, labels = images[part], labels[part]
    return Digits(torch.from_numpy(images).to(context.device), torch.from_numpy(labels).to(context.device))
