"""Handwritten digits that several papers use: MNIST, and scikit-learn's small ones, which need no download."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from replications.engine.datasets import DataSource

if TYPE_CHECKING:
    import datasets

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
