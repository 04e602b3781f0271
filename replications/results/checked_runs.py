"""The finished chunks of a paper's runs at one tier, each read once, with what the integrity check says of every run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from replications.errors import InputError
from replications.registry.run_grid import Run
from replications.results import store
from replications.results.integrity import RunIntegrity, check_run
from replications.results.reference import log_fault, promoted_chunks


@dataclass(frozen=True)
class CheckedRuns:
    """Finished chunks of the runs of one paper at one tier.

    Attributes:
        folder: holds `<paper>/<run>/seeds-*/`: a tier's results, or a tier of the committed reference.
        paper: name of the paper.
        tier: name of the tier.
        plans: planned runs by name; a run that is not among them is checked without comparing its settings to a plan.
    """

    folder: Path
    paper: str
    tier: str
    plans: Mapping[str, Run] = field(default_factory=dict)
    _chunks: dict[str, list[store.Chunk]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _integrity: dict[str, RunIntegrity] = field(default_factory=dict, init=False, repr=False, compare=False)

    def chunks(self, run: str) -> list[store.Chunk]:
        """Return the finished chunks of a run, by first seed.

        Args:
            run: name of the run.

        Returns:
            Chunks, without those that lie inside longer ones.

        Raises:
            InputError: chunks overlap.
        """
        if run not in self._chunks:
            self._chunks[run] = store.chunks(self.folder, self.paper, run)
        return self._chunks[run]

    def integrity(self, run: str) -> RunIntegrity:
        """Return what the integrity check of a run says; its faults withhold whatever reads the run.

        Args:
            run: name of the run.

        Returns:
            Faults and remarks; neither where nothing is finished.
        """
        if run not in self._integrity:
            self._integrity[run] = self._check(run)
        return self._integrity[run]

    def _check(self, run: str) -> RunIntegrity:
        try:
            promoted = self.promoted
            mine = None if promoted is None else {name: digest for name, digest in promoted.items() if name.partition("/")[0] == run}
            check = check_run(self.chunks(run), self.tier, self.plans.get(run), mine)
            inner = store.inner_chunks(self.folder, self.paper, run)
        except InputError as error:
            return RunIntegrity((str(error),))
        again = f"{run} has seeds that were run twice: {', '.join(inner)} lies inside a longer chunk and is not read."
        return replace(check, remarks=(*check.remarks, *([again] if inner else ())))

    @cached_property
    def promoted(self) -> dict[str, str] | None:
        """SHA-256 of the provenance of what promotions put here, see `promoted_chunks`. Raises InputError when its list is damaged."""
        return promoted_chunks(self.folder, self.tier, self.paper)

    @cached_property
    def log_fault(self) -> str:
        """What is wrong with the log of verdicts beside the reference; empty for other results."""
        return log_fault(self.folder.parent)
