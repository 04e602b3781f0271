"""The content of `runs.yaml` as it is written: entries with grids, tiers that extend others, resources and scale."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from replications.registry.schema import Strict, Tier


class Resources(Strict):
    """Resources of one job of a run: the expected cost of one seed chunk on the tier's usual machine."""

    minutes: float = Field(5, gt=0)
    memory_gb: float = Field(2, gt=0, description="Of all its processes on one machine.")
    gpus: int = Field(0, ge=0, description="In all; more than one train the run together, with an unchanged global batch.")
    nodes: int = Field(1, ge=1, description="Machines that the GPUs are spread over, in equal parts.")
    gpu_slots: int = Field(4, ge=1, le=4, description="Quarters of one GPU that the job fills; small ones share it.")
    threads: int = Field(1, ge=1, description="Cores of each process; there is one process per GPU.")

    @model_validator(mode="after")
    def _gpus_spread_equally(self) -> Resources:
        if self.nodes > 1 and (self.gpus < self.nodes or self.gpus % self.nodes):
            raise ValueError(f"{self.gpus} GPUs cannot be spread equally over {self.nodes} nodes")
        return self


class Scale(Strict):
    """What is smaller than published, one sentence for each kind; empty: as published. A claim that reads such a run is a proxy."""

    data: str = ""
    parameters: str = ""
    training: str = ""
    hardware: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return what is declared, in the order of the keys."""
        return tuple(text for text in (self.data, self.parameters, self.training, self.hardware) if text)


class RunEntry(Strict):
    """One entry under `runs:`. A name with {fields} and a `grid` stands for every combination."""

    location: str = Field("", description="Where the paper reports it.")
    expected: float | None = Field(None, description="The published value, for orientation and checked against the claims.")
    settings: dict[str, Any] = Field(default_factory=dict)
    grid: dict[str, list[Any]] = Field(default_factory=dict, description="Grid variables: each value makes a run, and is its label.")
    labels: dict[str, str | int | float | bool] = Field(default_factory=dict, description="Further labels by which figures select the run.")
    seeds: int | None = Field(None, ge=1)
    seeds_per_job: int | None = Field(None, ge=1)
    group: str | None = Field(None, description="Runs of one group share a process, in the order written; may have {fields} too.")
    resources: dict[str, Any] = Field(default_factory=dict)
    scale: dict[str, str] = Field(default_factory=dict, description="What is smaller than published (see `Scale`), over the tier's.")


class TierRuns(Strict):
    """The runs of one tier. `extends` takes over another tier's entries, which the ones here update key by key."""

    extends: Tier | None = None
    seeds: int = Field(3, ge=1)
    first_seed: int = Field(0, ge=0, description="The judged seeds begin here, so that pilots can use others.")
    seeds_per_job: int | None = Field(None, ge=1, description="None: all seeds of a run in one job.")
    settings: dict[str, Any] = Field(default_factory=dict)
    order: Literal["longest", "written"] = Field(
        "longest",
        description="Which jobs start first: the longest, so that all end early; or as written, so that a tier cut short leaves whole rows.",
    )
    resources: dict[str, Any] = Field(default_factory=dict)
    scale: dict[str, str] = Field(default_factory=dict, description="What is smaller than published at this tier (see `Scale`).")
    include: list[str] | None = Field(None, description="Entries of the extended tier that this one keeps, in this order; default: all.")
    exclude: list[str] = Field(default_factory=list, description="Entries of the extended tier that this one leaves out.")
    runs: dict[str, RunEntry] = Field(default_factory=dict)


class RunGrid(Strict):
    """The whole of `runs.yaml`."""

    settings: dict[str, Any] = Field(default_factory=dict, description="Common to every tier and run.")
    tiers: dict[Tier, TierRuns]
