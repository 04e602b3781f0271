"""`config/config.yaml`: what to replicate, at which tier, from which source, and where results go."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from replications.errors import nearest
from replications.registry.papers import paper_names
from replications.registry.schema import Strict, Tier


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

    @field_validator("papers")
    @classmethod
    def _papers_exist(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in paper_names():
                raise ValueError(f"no paper is called '{name}'. {nearest(name, paper_names())}")
        return names

    @property
    def chosen(self) -> list[str]:
        """Names of the papers to replicate."""
        return self.papers or paper_names()

    @property
    def runs_folder(self) -> Path:
        """Folder from which records are read: a tier's, made here, or the committed reference, which has one for each tier."""
        return Path(self.results) / (self.tier if self.source == "runs" else "reference")

    @property
    def derived_folder(self) -> Path:
        """Folder that gets verdicts, tables, figures and the report; the committed reference itself is never written."""
        return Path(self.results) / (self.tier if self.source == "runs" else "from-reference")
