"""Numbers of a `section.md` that our runs measured: means, intervals, differences, costs.

What they print is data: it is escaped for Markdown, so that no text of a result can become markup.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from markupsafe import Markup

from replications.presentation import formatting
from replications.results.reader import Results
from replications.verdicts.contrasts import contrast
from replications.verdicts.estimates import Estimate, estimate

NOT_MEASURED = Markup("*not measured at this tier*")

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$&])")


def escape_markdown(text: object) -> Markup:
    """Return text that Markdown shows as it is.

    Args:
        text: anything that has a text.

    Returns:
        Markdown.
    """
    return Markup(_SPECIAL.sub(r"\\\1", str(text)))  # noqa: S704 (escaped here)


def with_unit(text: str, unit: str) -> Markup:
    """Return a number and its unit, which a line break does not separate.

    Args:
        text: the number.
        unit: its unit; empty for none.

    Returns:
        Markdown.
    """
    return escape_markdown(f"{text}\u00a0{unit}" if unit else text)


@dataclass
class MeasuredNumbers:
    """Functions that print measured numbers: every public method is a function of the template.

    Args:
        results: records of the paper at the tier of the report.
    """

    results: Results

    def _unit(self, run: str, metric: str, split: str) -> str:
        rows = self.results.select(run=run, metric=metric, split=split)
        return str(rows["unit"].iloc[0]) if len(rows) else ""

    def _final(self, run: str, metric: str, split: str, model: str = "", axis: str = "", at: float | None = None) -> list[float]:
        return [float(v) for v in self.results.final(run, metric, split, model=model, axis=axis, at=at) if math.isfinite(v)]

    def _digits(self, known: Estimate) -> int:
        """Decimals that the 95 % interval supports, or three significant digits of a single value."""
        low, high = known.interval()
        return formatting.digits_for((high - low) / 2 if known.n > 1 else 0.0, known.mean)

    def value(
        self,
        run: str,
        metric: str,
        *,
        split: str = "test",
        model: str = "",
        axis: str = "",
        at: float | None = None,
        digits: int | None = None,
        scale: float = 1.0,
        unit: str | None = None,
    ) -> Markup:
        """Return the mean over the seeds of the last recorded value, with its unit.

        Args:
            run: name of the run.
            metric: name of the metric.
            split: data split.
            model: network of the run; empty for a run with one.
            axis: axis of the run's own; empty for none.
            at: position on the axis.
            digits: decimals; None: those that the spread supports.
            scale: factor on the value.
            unit: printed behind it; None: the recorded one.

        Returns:
            Number and unit, or what stands in place of a number that is not there.
        """
        values = [scale * v for v in self._final(run, metric, split, model, axis, at)]
        if not values:
            return NOT_MEASURED
        known = estimate(values)
        shown = self._digits(known) if digits is None else digits
        return with_unit(formatting.fixed(known.mean, shown), self._unit(run, metric, split) if unit is None else unit)

    mean = value

    def interval(
        self,
        run: str,
        metric: str,
        *,
        split: str = "test",
        model: str = "",
        axis: str = "",
        at: float | None = None,
        digits: int | None = None,
        scale: float = 1.0,
        unit: str | None = None,
        level: float = 0.95,
    ) -> Markup:
        """Return the t-interval of the mean over seeds, `low to high`; the words 'one seed' where there is no interval.

        Args:
            run: name of the run.
            metric: name of the metric.
            split: data split.
            model: network of the run; empty for a run with one.
            axis: axis of the run's own; empty for none.
            at: position on the axis.
            digits: decimals; None: those that the spread supports.
            scale: factor on the values.
            unit: printed behind it; None: the recorded one.
            level: coverage, 0..1.

        Returns:
            Both ends and the unit.
        """
        values = [scale * v for v in self._final(run, metric, split, model, axis, at)]
        if not values:
            return NOT_MEASURED
        low, high = estimate(values).interval(level)
        if not math.isfinite(low):
            return escape_markdown("no interval from one seed")
        shown = formatting.digits_for((high - low) / 2) if digits is None else digits
        text = f"{formatting.fixed(low, shown)} to {formatting.fixed(high, shown)}"
        return with_unit(text, self._unit(run, metric, split) if unit is None else unit)

    def _pair(self, run: str, other: str, metric: str, split: str) -> list[dict[int, float]] | None:
        """The finite values per seed of both runs, or None where one has none."""
        samples = [self.results.final(name, metric, split) for name in (run, other)]
        finite = [{int(str(seed)): float(v) for seed, v in sample.items() if math.isfinite(v)} for sample in samples]
        return finite if all(finite) else None

    def difference(
        self, run: str, other: str, metric: str, *, split: str = "test", digits: int | None = None, unit: str | None = None
    ) -> Markup:
        """Return the mean of `run` minus the mean of `other`, seed by seed where seeds pair.

        Args:
            run: name of a run.
            other: name of the run that is taken off.
            metric: name of the metric.
            split: data split.
            digits: decimals; None: those that the spread supports.
            unit: printed behind it; None: the recorded one.

        Returns:
            Number and unit.
        """
        samples = self._pair(run, other, metric, split)
        if samples is None:
            return NOT_MEASURED
        known = contrast(samples, (1, -1)).estimate
        shown = self._digits(known) if digits is None else digits
        return with_unit(formatting.fixed(known.mean, shown), self._unit(run, metric, split) if unit is None else unit)

    def ratio(self, run: str, other: str, metric: str, *, split: str = "test", digits: int = 2) -> Markup:
        """Return the mean of `run` over the mean of `other`.

        Args:
            run: name of a run.
            other: name of the run in the denominator.
            metric: name of the metric.
            split: data split.
            digits: decimals.

        Returns:
            Number without unit.
        """
        samples = self._pair(run, other, metric, split)
        if samples is None:
            return NOT_MEASURED
        means = [sum(sample.values()) / len(sample) for sample in samples]
        return escape_markdown(formatting.fixed(means[0] / means[1], digits) if means[1] else "undefined")

    def seeds(self, run: str) -> Markup:
        """Return the number of finished seeds of a run.

        Args:
            run: name of the run.

        Returns:
            Number of seeds, 0 or more.
        """
        rows = self.results.select(run=run)
        count = rows[rows["split"] != "cost"]["seed"].nunique()
        return escape_markdown(count) if count else NOT_MEASURED

    def cost(self, run: str, metric: str) -> Markup:
        """Return a cost of a run over all its seeds: seconds, flops, examples_per_second, peak_memory, energy, ...

        A speed comes without its `1/s`: the sentence says what is counted and that it is a second's.

        Args:
            run: name of the run.
            metric: name of the cost.

        Returns:
            Number and unit.
        """
        rows = self.results.select(run=run, metric=metric, split="cost")["value"]
        if not len(rows):
            return NOT_MEASURED
        most = metric.endswith("_per_second") or metric in {"peak_memory", "utilisation"}
        value = float(rows.max() if most else rows.sum())
        shown = {"peak_memory": formatting.memory, "seconds": formatting.duration, "train_seconds": formatting.duration}
        shown |= {"gpu_seconds": formatting.duration, "energy": formatting.energy}
        unit = str(self._unit(run, metric, "cost")).removesuffix("1/s")
        return escape_markdown(shown[metric](value) if metric in shown else formatting.scaled(value, unit))

    def measured(self, *runs: str) -> bool:
        """Return True when all these runs have results at this tier."""
        return all(self.results.finished(run) for run in runs)
