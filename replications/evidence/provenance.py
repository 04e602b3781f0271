"""Where a result comes from: code, commit, settings, data, packages, hardware, time and cost."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from replications.evidence.errors import InputError
from replications.evidence.reading import entry_lines
from replications.evidence.records import frame, replacing
from replications.evidence.spec import PACKAGE

ROOT = PACKAGE.parent
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


def import_closure(module: str) -> list[Path]:
    """Every file of this package that importing `module` reads, found without importing anything.

    Args:
        module: dotted name, for example 'replications.recurrent_attention.experiment'.

    Returns:
        Paths sorted by name; imports inside functions count too.
    """
    found: dict[Path, None] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        path = _module_file(name)
        if path is None or path in found:
            continue
        found[path] = None
        pending += imported_names(path)
    return sorted(found)


def _module_file(name: str) -> Path | None:
    base = ROOT.joinpath(*name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if name.partition(".")[0] == PACKAGE.name and candidate.is_file():
            return candidate
    return None


@functools.cache
def imported_names(path: Path) -> list[str]:
    """Dotted names under this package that a file imports, parents included, found without importing it."""
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    ours = [name for name in names if name.split(".")[0] == PACKAGE.name]
    parents = {".".join(name.split(".")[:depth]) for name in ours for depth in range(1, name.count(".") + 1)}
    return [*ours, *sorted(parents)]


def code_digest(paper: str) -> str:
    """Hash of every file that the paper's experiment imports from this package."""
    digest = hashlib.sha256()
    for path in import_closure(f"{PACKAGE.name}.{paper}.experiment"):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def commit() -> str | None:
    """The checked-out commit, or None outside a repository."""
    return _git("rev-parse", "HEAD")


def dirty() -> bool | None:
    """Whether tracked files differ from the commit; None outside a repository."""
    status = _git("status", "--porcelain", "--untracked-files=no")
    return None if status is None else bool(status)


@functools.cache
def registrations(paper: str) -> dict[str, dict[str, str]]:
    """For each claim, the newest commit that touched its entry in `paper.yaml`, so that its margin can be dated.

    Comments and blank lines are not part of an entry; what it takes from elsewhere by an alias is.

    Returns:
        claim id -> {commit, date}; empty outside a repository. An uncommitted edit counts as commit 'uncommitted'.
    """
    blame = _git("blame", "--line-porcelain", "--", str(PACKAGE / paper / "paper.yaml"))
    if blame is None:
        return {}
    texts: list[str] = []
    edits: list[dict[str, str]] = []
    sha, when = "", ""
    for line in blame.split("\n"):
        if line.startswith("\t"):
            texts.append(line[1:])
            edits.append({"commit": "uncommitted" if set(sha) == {"0"} else sha, "date": when})
        elif line.startswith("committer-time "):
            when = datetime.fromtimestamp(int(line.split()[1]), UTC).isoformat(timespec="seconds")
        elif len(line.partition(" ")[0]) == 40:
            sha = line.partition(" ")[0]
    entries = entry_lines("\n".join(texts), "claims")
    return {claim: max((edits[line] for line in lines), key=lambda edit: edit["date"]) for claim, lines in entries.items()}


def lock_digest() -> str | None:
    """Hash of `requirements.lock`."""
    path = ROOT / "requirements.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else None


def package_versions() -> dict[str, str]:
    """Versions of the packages that can move a number."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def cpu_name() -> str:
    """The processor's own name where the system tells it, else the architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def hardware() -> dict[str, Any]:
    """Processor, cores and memory of this machine (no host name)."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {"cpu": cpu_name(), "cores": os.cpu_count(), "memory_gb": round(memory / 2**30, 1), "system": platform.system()}


def now() -> str:
    """The time, UTC, ISO 8601, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_provenance(path: Path, content: dict[str, Any]) -> None:
    """Write a sidecar as JSON."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_provenance(path: Path) -> dict[str, Any]:
    """Read a sidecar. Raises InputError when it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing. Run its job again.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}). Delete it and run its job again.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object.")
    return content


def cost_records(folder: Path, paper: str, run: str) -> pd.DataFrame:
    """The measured cost of one finished chunk as records: split 'cost', seed of the chunk's first seed."""
    sidecar = read_provenance(folder / "provenance.json")
    base = {"paper": paper, "run": run, "seed": sidecar["seeds"][0], "split": "cost", "step": 0}
    cost = {key: value for key, value in sidecar["cost"].items() if value is not None}
    return frame([base | {"metric": key, "value": float(value), "unit": COST_UNITS.get(key, "")} for key, value in sorted(cost.items())])
