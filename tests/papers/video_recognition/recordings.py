"""A few made-up recordings in the form in which MSR Action3D is published."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np


def archive(path: Path, recordings: dict[str, np.ndarray], *, drop: int = 0) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, values in recordings.items():
            numbers = values.ravel()[: values.size - drop]
            file.writestr(f"repo/MSRAction3DSkeletonReal3D/{name}_skeleton3D.txt", " ".join(f"{number:g}" for number in numbers))
    return path


def recordings() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    values = {f"a{a:02}_s{s:02}_e01": np.round(rng.normal(size=(5, 20, 4)), 3) for a in (1, 20) for s in (1, 2, 9)}
    values["a13_s09_e02"] = np.zeros((4, 20, 4))
    return values
