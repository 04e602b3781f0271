"""The identity of a chunk: the seeds of one run that train in one job."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chunk:
    """Seeds of one run that share a job; they train together or one after the other, as the experiment decides.

    Attributes:
        paper: folder of the paper.
        run: name of the run.
        tier: name of the tier.
        seeds: in the order in which values are recorded.
    """

    paper: str
    run: str
    tier: str
    seeds: tuple[int, ...]

    def __str__(self) -> str:
        """Return paper and run, the beginning of every message about the chunk."""
        return f"{self.paper} {self.run}"
