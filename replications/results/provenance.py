"""Provenance of a result: settings, data, packages, hardware, time and cost."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from replications.errors import InputError
from replications.files import replacing
from replications.paths import ROOT
from replications.text_files import read_json

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pandas", "datasets", "scikit-learn", "snakemake", "lightning-fabric")


COST_UNITS = {
    "seconds": "s",
    "train_seconds": "s",
    "examples": "",
    "examples_per_second": "1/s",
    "tokens": "",
    "tokens_per_second": "1/s",
    "flops": "FLOP",
    "flops_per_second": "FLOP/s",
    "utilisation": "",
    "peak_memory": "B",
    "gpu_seconds": "s",
    "gpu_busy": "",
    "energy": "J",
    "resumes": "",
}
"""What `cost` of a provenance file may hold, with units; `utilisation` is counted FLOPs over the device's peak in training,
`gpu_busy` the share of the time in which the device computed anything."""


def lock_digest() -> str | None:
    """Return the hash of `requirements.lock`; None where there is no such file."""
    path = ROOT / "requirements.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else None


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that can change a number, by name."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def cpu_name() -> str:
    """Return the processor's own name where the system tells it, else the architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def hardware() -> dict[str, Any]:
    """Return processor, cores and memory (GiB) of this machine; no host name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {"cpu": cpu_name(), "cores": os.cpu_count(), "memory_gb": round(memory / 2**30, 1), "system": platform.system()}


def now() -> str:
    """Return the time in UTC as ISO 8601 with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_provenance(path: Path, content: dict[str, Any]) -> None:
    """Write provenance or other metadata as JSON, whole or not at all.

    Args:
        path: JSON file to write.
        content: what JSON can hold.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_provenance(path: Path) -> dict[str, Any]:
    """Return the content of a provenance file or other JSON metadata.

    Args:
        path: JSON file to read.

    Returns:
        Key -> value.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing. Run its job again.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}). Delete it and run its job again.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object.")
    return content


def cost_rows(provenance: dict[str, Any], paper: str, run: str) -> list[dict[str, object]]:
    """Return the measured cost of one finished chunk as rows of split 'cost', under the chunk's first seed.

    Args:
        provenance: content of the chunk's provenance file.
        paper: name of the paper.
        run: name of the run.

    Returns:
        One row per measured cost, for `records.frame`.
    """
    base = {"paper": paper, "run": run, "seed": provenance["seeds"][0], "split": "cost", "step": 0}
    cost = {key: value for key, value in provenance["cost"].items() if value is not None}
    return [base | {"metric": key, "value": float(value), "unit": COST_UNITS.get(key, "")} for key, value in sorted(cost.items())]
