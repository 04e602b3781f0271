"""The reader of results: records and artifacts of one paper at one tier, for figures, verdicts and reports."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from replications.errors import InputError, ReplicationError, nearest
from replications.registry.claims import Measure
from replications.registry.papers import Paper
from replications.registry.run_grid import Run, load_runs
from replications.registry.scale import Scales, scales
from replications.registry.schema import TIERS
from replications.registry.tables import Table
from replications.results import store
from replications.results.checked_runs import CheckedRuns
from replications.results.equal_records import same_records
from replications.results.integrity import RunIntegrity
from replications.results.reference import tiers_of_paper


class NotMeasured(ReplicationError):
    """A figure or exhibit needs runs that this tier does not have, or that are not finished."""


@dataclass(frozen=True)
class Results:
    """Records and artifacts of one paper at one tier.

    `folder` holds `<paper>/<run>/seeds-*/`: a tier's results, or the committed reference. `used` gathers the runs whose
    records or artifacts were given out, so that whatever is made of them can name exactly those. `planned` holds the names
    of the runs that any tier plans, so that a misspelt or renamed run is an error; None accepts every name. `scales` says
    what of each run of the tier is smaller than published. Runs that fail the integrity check have no records, artifacts or
    values for anybody who asks. `smaller` are the results of smaller tiers, which judge the
    claims that this tier does not, where the committed reference is read. `judged_seeds` are the planned seeds of each run; records of
    others are not given out, and runs that are not named have no plan. `checked` are the chunks that `records` were gathered from.
    """

    paper: Paper
    tier: str
    folder: Path
    records: pd.DataFrame = field(repr=False)
    planned: frozenset[str] | None = field(default=None, repr=False)
    scales: Scales = field(default_factory=dict, repr=False)
    smaller: tuple[Results, ...] = field(default=(), repr=False)
    judged_seeds: Mapping[str, tuple[int, ...]] = field(default_factory=dict, repr=False)
    checked: CheckedRuns | None = field(default=None, repr=False, compare=False)
    used: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def read(cls, paper: Paper, tier: str, folder: Path) -> Results:
        """Return what is finished of a paper's runs at a tier, gathered from their chunks.

        Args:
            paper: the paper.
            tier: name of the tier.
            folder: folder of the tier's results.

        Returns:
            The results; runs without a finished chunk have no records.
        """
        runs = load_runs(paper.name, tier)
        stored = CheckedRuns(folder, paper.name, tier, {run.name: run for run in runs})
        collected = store.collect(stored.chunks, list(stored.plans))
        planned = frozenset(run.name for name in TIERS for run in load_runs(paper.name, name))
        seeds = {run.name: run.seeds for run in runs}
        return cls(paper, tier, folder, collected, planned, scales(runs), judged_seeds=seeds, checked=stored)

    @classmethod
    def read_reference(cls, paper: Paper, folder: Path) -> Results:
        """Return the committed results of a paper at the largest tier that has any, with those of smaller tiers in `smaller`.

        Args:
            paper: the paper.
            folder: the reference.

        Returns:
            The results of the largest tier.

        Raises:
            InputError: there are no reference results.
        """
        largest, *smaller = (cls.read(paper, tier, place) for tier, place in tiers_of_paper(folder, paper.name))
        return replace(largest, smaller=tuple(smaller))

    @cached_property
    def stored(self) -> CheckedRuns:
        """The finished chunks of the runs, with their integrity."""
        if self.checked is not None:
            return self.checked
        plans = {plan.name: plan for plan in self.runs()} if self.planned is not None else {}
        return CheckedRuns(self.folder, self.paper.name, self.tier, plans)

    @property
    def layers(self) -> tuple[Results, ...]:
        """These results, then those of smaller tiers."""
        return (self, *self.smaller)

    def of_tier(self, tier: str) -> Results:
        """Return the results of one of the tiers that are read here.

        Args:
            tier: name of a tier of `layers`.

        Returns:
            These results, or those of a smaller tier.

        Raises:
            InputError: that tier is not read here.
        """
        for layer in self.layers:
            if layer.tier == tier:
                return layer
        raise InputError(
            f"{self.paper.name}: no results of tier {tier} are read here. {nearest(tier, [layer.tier for layer in self.layers])}"
        )

    def unused(self) -> Results:
        """Return a copy with an empty access log."""
        copied = copy.copy(self)  # shares what was read and checked once
        object.__setattr__(copied, "used", set())
        return copied

    def runs(self) -> tuple[Run, ...]:
        """Return the planned runs, finished or not."""
        return load_runs(self.paper.name, self.tier)

    def integrity(self, run: str) -> RunIntegrity:
        """Return what the integrity check of a run says; its faults withhold whatever reads the run.

        Args:
            run: name of a run.

        Returns:
            Faults and remarks; neither where nothing is finished.
        """
        return self.stored.integrity(run)

    def finished(self, run: str) -> bool:
        """Return True when any seed of the run is recorded and not withheld.

        Args:
            run: name of a run.

        Returns:
            False where nothing is finished, or a fault withholds it.

        Raises:
            InputError: no tier plans the run.
        """
        self.check_run(run)
        return run in self._by_run

    def need(self, *runs: str) -> None:
        """Check that all of these runs have records.

        Raises:
            NotMeasured: one has none.
        """
        missing = [self._why_not(run) for run in runs if not self.finished(run)]
        if missing:
            raise NotMeasured(f"needs {', '.join(missing)}")

    def _why_not(self, run: str) -> str:
        faults = self.integrity(run).faults
        return f"{run}, whose records are withheld ({faults[0].rstrip('.')})" if faults else run

    def select(
        self,
        *,
        run: str | None = None,
        metric: str | None = None,
        split: str | None = None,
        model: str | None = None,
        axis: str | None = None,
        at: float | None = None,
    ) -> pd.DataFrame:
        """Return the records that match every given key, in stored order.

        Args:
            run: name of a run that some tier plans.
            metric: name of a metric; likewise `split`, `model`, `axis`. None: any.
            split: data split. None: any.
            model: network of the run. None: any.
            axis: axis of the run's own. None: any.
            at: position on the axis. None: any.

        Returns:
            Records; empty where the run is not finished.

        Raises:
            InputError: no tier plans the run, or the run is finished and recorded nothing of that metric, split, model, axis or
                position.
                Costs (split 'cost') depend on the machine and may be missing.
        """
        if run is not None:
            self.check_run(run)
        rows = self.sound_records if run is None else self._by_run.get(run, self.records.iloc[:0])
        for column, value in (("metric", metric), ("split", split), ("model", model), ("axis", axis), ("at", at)):
            if value is None:
                continue
            matching = rows[rows[column] == value]
            if run is not None and len(rows) and not len(matching) and split != "cost":
                names = {str(name) for name in rows[column]}
                what = f"{metric}: " if metric and column != "metric" else ""
                raise InputError(f"{self.paper.name} {run}: {what}no {column} '{value}' is recorded. {nearest(str(value), names)}")
            rows = matching
        self.used.update(rows["run"].unique())
        return rows

    def check_run(self, run: str) -> None:
        """Check that some tier plans a run of this name.

        Args:
            run: name of a run.

        Raises:
            InputError: no tier plans it; the nearest name is given.
        """
        if self.planned is not None and run not in self.planned:
            raise InputError(f"{self.paper.name} plans no run '{run}' at any tier. {nearest(run, self.planned)}")

    def recorded(self, run: str, metric: str, split: str = "test", *, model: str = "", axis: str = "", at: float | None = None) -> bool:
        """Return True when the run is finished and recorded this metric on this split, of this model and at this position.

        Args:
            run: name of a run that some tier plans.
            metric: name of the metric.
            split: data split.
            model: network of the run; empty for a run with one.
            axis: axis of the run's own; empty for none.
            at: position on the axis.

        Returns:
            False where the run is not finished or recorded no such value.
        """
        self.check_run(run)
        return len(self._positions(Measure(run=run, metric=metric, split=split, model=model, axis=axis, at=at))) > 0

    def _found(self, measure: Measure) -> np.ndarray:
        """Return the places of a measure's records, of all steps; raises what `select` raises where the run has none."""
        self.check_run(measure.run)
        rows = self._positions(measure)
        if len(rows):
            self.used.add(measure.run)
        else:
            keys = measure.model_dump(include={"run", "metric", "split", "model", "axis", "at"})
            self.select(**keys)
        return rows

    def _positions(self, measure: Measure) -> np.ndarray:
        """Return the places of a measure's records among `sound_records`, in stored order."""
        rows = self._places.get((measure.run, measure.metric, measure.split))
        if rows is None:
            return np.empty(0, dtype=np.int64)
        columns = self._columns
        match = (columns["model"][rows] == measure.model) & (columns["axis"][rows] == measure.axis)
        chosen: np.ndarray = rows[match if measure.at is None else match & (columns["at"][rows] == measure.at)]
        return chosen

    @cached_property
    def _places(self) -> dict[tuple[str, str, str], np.ndarray]:
        """Places of records by run, metric and split. A report asks for thousands of values, and a search of all records takes milliseconds."""
        places: dict[Any, Any] = self.sound_records.groupby(["run", "metric", "split"], observed=True).indices
        return places

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        """Columns of the records as arrays."""
        return {name: self.sound_records[name].to_numpy() for name in ("model", "axis", "at", "unit", "seed", "step", "value")}

    @cached_property
    def _by_run(self) -> dict[str, pd.DataFrame]:
        """Records of each run. A report asks for a thousand values, one run each."""
        return {str(run): rows for run, rows in self.sound_records.groupby("run", sort=False, observed=True)}

    @cached_property
    def sound_records(self) -> pd.DataFrame:
        """Records of the runs that pass the integrity check, of planned seeds: whoever adds seeds could choose among them."""
        withheld = {run for run in self.records["run"].unique() if self.integrity(str(run)).faults}
        left_out = self.records["run"].isin(withheld)
        for run, seeds in self.judged_seeds.items():
            left_out |= (self.records["run"] == run) & ~self.records["seed"].isin(seeds)
        return self.records[~left_out] if left_out.any() else self.records

    @cached_property
    def same_records(self) -> dict[str, set[str]]:
        """The runs whose records are those of other runs, each with those others, without runs in which nothing is random."""
        counted = [run.name for run in self.runs() if run.settings.deterministic] if self.judged_seeds else []
        return same_records(self.records[~self.records["run"].isin(counted)])

    def values(self, measure: Measure) -> pd.Series[float]:
        """Return one value per seed, indexed by seed; empty when the run is not finished.

        Args:
            measure: what is read: run, metric, split, and where it matters model, axis and position.

        Returns:
            Values in the metric's stored unit, the last step's where there are several.

        Raises:
            InputError: see `select`.
        """
        rows = self._found(measure)
        seeds, steps, values = (self._columns[name][rows] for name in ("seed", "step", "value"))
        if measure.step != "last":
            chosen = steps == measure.step
            seeds, steps, values = seeds[chosen], steps[chosen], values[chosen]
        order = np.lexsort((steps, seeds))  # by seed, then step; of equal ones the order stored
        seeds, values = seeds[order], values[order]
        last = np.append(seeds[1:] != seeds[:-1], np.ones(min(1, len(seeds)), dtype=bool))
        return pd.Series(values[last], index=pd.Index(seeds[last], name="seed"), name="value")

    def unit(self, measure: Measure) -> str:
        """Return the unit of the recorded values of a measure.

        Args:
            measure: what is read, as for `values`.

        Returns:
            The stored unit; empty for none, and where nothing is recorded.
        """
        rows = self._found(measure)
        return str(self._columns["unit"][rows[0]]) if len(rows) else ""

    def final(
        self, run: str, metric: str, split: str = "test", *, model: str = "", axis: str = "", at: float | None = None
    ) -> pd.Series[float]:
        """Return the last value per seed of one metric of one run, indexed by seed; empty where nothing is recorded.

        Args:
            run: name of a run that some tier plans.
            metric: name of the metric.
            split: data split.
            model: network of the run; empty for a run with one.
            axis: axis of the run's own; empty for none.
            at: position on the axis.

        Returns:
            Values in the metric's stored unit.
        """
        return self.values(Measure(run=run, metric=metric, split=split, model=model, axis=axis, at=at))

    def labels(self, run: str) -> dict[str, Any]:
        """Return the labels of a run: those stored when it was trained, else those that the plan gives it.

        Args:
            run: name of a run.

        Returns:
            Grid variable -> value.
        """
        self.check_run(run)
        stored = [] if self.integrity(run).faults else [chunk.labels for chunk in self.stored.chunks(run)]
        planned = {plan.name: plan.labels for plan in self.runs()}
        return next((labels for labels in stored if labels), planned.get(run, {}))

    def artifacts(self, run: str, seed: int | None = None) -> dict[str, np.ndarray]:
        """Return the artifacts of the chunk that holds a seed, by name.

        Args:
            run: name of the run.
            seed: one of its seeds; None: the smallest one that is finished, because a tier's seeds may begin anywhere.

        Returns:
            Name -> array, as the run stored it.

        Raises:
            NotMeasured: the run is not finished for this seed.
        """
        for chunk in self._chunks(run):
            if seed is None or seed in chunk.seeds:
                self.used.add(run)
                return chunk.artifacts()
        raise NotMeasured(f"needs {run}" if seed is None else f"needs {run} (seed {seed})")

    def _chunks(self, run: str) -> list[store.Chunk]:
        """Return the chunks of a planned run. Raises NotMeasured when they are withheld."""
        self.check_run(run)
        if self.integrity(run).faults:
            raise NotMeasured(f"needs {self._why_not(run)}")
        return self.stored.chunks(run)

    def by_seed(self, run: str, *names: str) -> dict[int, tuple[np.ndarray, ...]]:
        """Return named artifacts of a run, cut along their leading seed axis.

        Args:
            run: name of the run.
            names: artifacts whose first axis is the seed.

        Returns:
            Seed -> one array per name.

        Raises:
            NotMeasured: the run is not finished.
            InputError: an artifact is missing or has another number of seeds than its chunk.
        """
        by_seed: dict[int, tuple[np.ndarray, ...]] = {}
        for chunk in self._chunks(run):
            arrays, seeds = {name: array for prefix in names for name, array in chunk.artifacts(prefix).items()}, chunk.seeds
            for name in names:
                if name not in arrays:
                    raise InputError(f"{chunk.folder / store.ARTIFACTS} has no artifact '{name}'. {nearest(name, chunk.artifacts())}")
                if len(arrays[name]) != len(seeds):
                    raise InputError(f"Artifact '{name}' of {chunk.folder} has {len(arrays[name])} rows for {len(seeds)} seeds.")
            judged = self.judged_seeds.get(run, seeds)
            by_seed |= {seed: tuple(arrays[name][i] for name in names) for i, seed in enumerate(seeds) if seed in judged}
        if not by_seed:
            raise NotMeasured(f"needs {run}")
        self.used.add(run)
        return by_seed

    def table(self, name: str) -> Table:
        """Return a published table.

        Args:
            name: key of the table in `paper.yaml`.

        Returns:
            The table as it is declared.

        Raises:
            InputError: the paper has none of this name.
        """
        if name not in self.paper.tables:
            raise InputError(f"{self.paper.name} has no table '{name}'.")
        return self.paper.tables[name]
