"""`config/config.yaml`: what to replicate, at which tier, from which source, and where results go."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from replications import paths
from replications.errors import nearest
from replications.registry.papers import paper_names
from replications.registry.schema import Strict, Tier

UNUSABLE = re.compile(r"[{}\x00-\x1f\x7f]")
"""Characters that no configured folder may have: Snakemake takes braces for wildcards, and control characters end a line or a name."""


def folder_path(text: str) -> str:
    """Return a configured folder as a path that means the same to Snakemake, to a shell and to Python.

    Args:
        text: as configured; a leading `~` stands for a home folder.

    Returns:
        The path, with `~` replaced. It may hold spaces and characters that a shell reads: the rules quote it.

    Raises:
        ValueError: a character cannot be used, the path reads as an option, or the home folder is not known.
    """
    if match := UNUSABLE.search(text):
        raise ValueError(f"a folder cannot have {match[0]!r} in its path; choose another")
    if text.startswith("-"):
        raise ValueError(f"'{text}' reads as an option; write './{text}'")
    try:
        path = str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:
        raise ValueError(f"the home folder in '{text}' is not known here; write the whole path") from None
    return path


def reference_folder(results: Path) -> Path:
    """Return the folder of the committed reference.

    Args:
        results: folder of results; a reference of its own comes first.

    Returns:
        `results/reference`; where there is none, as in a working folder elsewhere, the suite's own.
    """
    own, committed = results / "reference", paths.ROOT / "results" / "reference"
    return committed if committed.is_dir() and not own.is_dir() else own


NAME = r"^[\w.,-]*$"
"""Names that a scheduler gives: of partitions, several of them joined by commas, and of qualities of service."""


class Configuration(Strict):
    """Every key of `config/config.yaml`; `config/schemas/config.json` is generated from it."""

    tier: Tier = Field(
        "smoke", description="How much compute: smoke (CPU, minutes), cpu (CPU, a night), gpu (one GPU), paper (published size)."
    )
    papers: list[str] = Field(default_factory=list, description="Papers to replicate; empty means all.")
    source: Literal["runs", "reference"] = Field("runs", description="runs: train here; reference: redraw committed results without a GPU.")
    results: str = Field("results", min_length=1, description="Folder that gets everything, relative to the working folder.")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda|cuda:\d+)$", description="auto takes a GPU where there is one.")
    state: str = Field(
        "", description="Folder for the state of unfinished runs where the results' own does not outlive a job; empty: beside the results."
    )
    gpu_model: str = Field(
        "", pattern=r"^[\w.]*$", description="Kind of GPU that cluster jobs ask for, as the scheduler names it; empty: any."
    )

    gpu_partition: str = Field("", pattern=NAME, description="Slurm partition of jobs on GPUs; empty: the profile's `slurm_partition`.")
    gpu_qos: str = Field("", pattern=NAME, description="Slurm quality of service of jobs on GPUs; empty: the profile's `qos`.")
    gpu_constraint: str = Field(
        "",
        pattern=r"^[\w.,:&|*()\[\]-]*$",
        description="Node features that jobs on GPUs require, as in `sbatch --constraint`; empty: the profile's `constraint`.",
    )

    @field_validator("papers")
    @classmethod
    def _papers_exist(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in paper_names():
                raise ValueError(f"no paper is called '{name}'. {nearest(name, paper_names())}")
        return list(dict.fromkeys(names))

    @field_validator("results", "state")
    @classmethod
    def _folders_are_usable(cls, text: str) -> str:
        return folder_path(text)

    @property
    def chosen(self) -> list[str]:
        """Names of the papers to replicate."""
        return self.papers or paper_names()

    @property
    def runs_folder(self) -> Path:
        """Folder from which records are read: a tier's, made here, or the committed reference, which has one for each tier."""
        results = Path(self.results)
        return results / self.tier if self.source == "runs" else reference_folder(results)

    @property
    def derived_folder(self) -> Path:
        """Folder that gets verdicts, tables, figures and the report; the committed reference itself is never written."""
        return Path(self.results) / (self.tier if self.source == "runs" else "from-reference")
