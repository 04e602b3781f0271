"""Functions of a `section.md`: each prints a number, a setting or a verdict from the results.

What they print is data: it is escaped for Markdown, so that no text of a result can become markup.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from replications.errors import InputError, nearest
from replications.presentation import formatting
from replications.results.reader import Results
from replications.verdicts.contrasts import contrast
from replications.verdicts.estimates import Estimate, estimate

NOT_MEASURED = Markup("*not measured at this tier*")
EMBED = re.compile("\ue000(figure|table|exhibit):([A-Za-z0-9._-]+)\ue001")
"""What a figure, table or exhibit leaves in the text: its place, between two characters that no text has."""

FUNCTIONS = (
    "value", "mean", "interval", "difference", "ratio", "seeds", "cost", "published", "stated", "setting", "verdict", "cite", "measured",
    "figure", "table", "exhibit",
)  # fmt: skip
"""Names that a template may call."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$&])")


def escape_markdown(text: object) -> Markup:
    """Return text that Markdown shows as it is.

    Args:
        text: anything that has a text.

    Returns:
        Markdown.
    """
    return Markup(_SPECIAL.sub(r"\\\1", str(text)))  # noqa: S704 (escaped here)


@dataclass
class TemplateFunctions:
    """Functions of a `section.md`: every public method is a function of the template.

    Args:
        results: records of the paper at the tier of the report.
        verdicts: claim id (without the paper) -> the words of its verdict.
        known: kind -> names of the figures, tables and exhibits there are.
    """

    results: Results
    verdicts: dict[str, str]
    known: dict[str, list[str]] = field(default_factory=dict)

    def _unit(self, run: str, metric: str, split: str) -> str:
        rows = self.results.select(run=run, metric=metric, split=split)
        return str(rows["unit"].iloc[0]) if len(rows) else ""

    def _final(self, run: str, metric: str, split: str, model: str = "", axis: str = "", at: float | None = None) -> list[float]:
        return [float(v) for v in self.results.final(run, metric, split, model=model, axis=axis, at=at) if math.isfinite(v)]

    def _digits(self, known: Estimate) -> int:
        """Decimals that the 95 % interval supports, or three significant digits of a single value."""
        low, high = known.interval()
        return formatting.digits_for((high - low) / 2 if known.n > 1 else 0.0, known.mean)

    def _with_unit(self, text: str, unit: str) -> Markup:
        return escape_markdown(f"{text}\u00a0{unit}" if unit else text)

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
        return self._with_unit(formatting.fixed(known.mean, shown), self._unit(run, metric, split) if unit is None else unit)

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
        return self._with_unit(text, self._unit(run, metric, split) if unit is None else unit)

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
        return self._with_unit(formatting.fixed(known.mean, shown), self._unit(run, metric, split) if unit is None else unit)

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

    def published(self, table: str, row: str, version: str, measure: str | None = None) -> Markup:
        """Return a number of a published table, as the paper gives it.

        Args:
            table: key of the table in `paper.yaml`.
            row: label of the row.
            version: key of the published version.
            measure: key of the measure; None: the first one.

        Returns:
            Number and unit.

        Raises:
            InputError: there is no such table, row, version or measure, or no number there.
        """
        spec = self.results.table(table)
        rows = {entry.label: entry for entry in spec.rows}
        if row not in rows:
            raise InputError(f"table '{table}' has no row '{row}'. {nearest(row, rows)}")
        if version not in spec.versions:
            raise InputError(f"table '{table}' has no version '{version}'. {nearest(version, spec.versions)}")
        key = measure or next(iter(spec.measures))
        if key not in spec.measures:
            raise InputError(f"table '{table}' has no measure '{key}'. {nearest(key, spec.measures)}")
        found = rows[row].value(version, key)
        if found is None:
            raise InputError(f"table '{table}', row '{row}': version '{version}' gives no {key}.")
        return self._with_unit(formatting.plain(found), spec.measures[key].unit)

    def stated(self, value: object, where: str) -> Markup:
        """Return a number that the paper's text states outside its tables.

        Args:
            value: number or text.
            where: names the place and is shown behind the number.

        Returns:
            Number and place.
        """
        return escape_markdown(f"{value} ({where})")

    def setting(self, run: str, name: str) -> Markup:
        """Return a setting of one of our runs; dots reach into nested settings.

        Args:
            run: name of the run.
            name: name of the setting, for example 'schedule.warmup_steps'.

        Returns:
            The value as text.

        Raises:
            InputError: the run has no such setting.
        """
        plans = {plan.name: plan for plan in self.results.runs()}
        if run not in plans:
            return NOT_MEASURED
        current: Any = plans[run].settings.model_dump(mode="json")
        for part in name.split("."):
            if not isinstance(current, dict) or part not in current:
                choices = current if isinstance(current, dict) else []
                raise InputError(f"run '{run}' has no setting '{name}'. {nearest(part, choices)}")
            current = current[part]
        text = f"{current:g}" if isinstance(current, float) else " x ".join(map(str, current)) if isinstance(current, list) else current
        return escape_markdown(text)

    def verdict(self, claim: str) -> Markup:
        """Return the verdict of a claim as a link to it.

        Args:
            claim: id of the claim without the paper's name.

        Returns:
            A link in Markdown.
        """
        self.results.paper.claim(claim)
        return Markup(f"[{escape_markdown(self.verdicts.get(claim, 'not tested'))}](#claim-{claim})")  # noqa: S704

    def figure(self, name: str) -> Markup:
        """Show a figure here instead of under 'Figures'; stands in a paragraph of its own.

        Args:
            name: name of the figure.

        Returns:
            A mark that `report.prose.sections` replaces.
        """
        return self._embed("figure", name)

    def table(self, name: str) -> Markup:
        """Show a published table beside ours here; stands in a paragraph of its own.

        Args:
            name: key of the table in `paper.yaml`.

        Returns:
            A mark that `report.prose.sections` replaces.
        """
        return self._embed("table", name)

    def exhibit(self, name: str) -> Markup:
        """Show an interactive exhibit here; stands in a paragraph of its own.

        Args:
            name: name of the exhibit.

        Returns:
            A mark that `report.prose.sections` replaces.
        """
        return self._embed("exhibit", name)

    def _embed(self, kind: str, name: str) -> Markup:
        if name not in self.known.get(kind, []):
            raise InputError(f"there is no {kind} '{name}'. {nearest(name, self.known.get(kind, []))}")
        return Markup(f"\ue000{kind}:{name}\ue001")  # noqa: S704

    def cite(self, key: str) -> Markup:
        """Return a work of `cites:` in paper.yaml (or `paper`, the replicated one) as author and year.

        Args:
            key: key of the work.

        Returns:
            Text in Markdown.

        Raises:
            InputError: paper.yaml cites no such work.
        """
        works = {"paper": self.results.paper.citation} | dict(self.results.paper.cites)
        if key not in works:
            raise InputError(f"paper.yaml cites no work '{key}'. {nearest(key, works)}")
        work = works[key]
        names = [author.split(",")[0] if "," in author else author.split()[-1] for author in work.authors]
        who = names[0] if len(names) == 1 else f"{names[0]} and {names[1]}" if len(names) == 2 else f"{names[0]} et al."
        return Markup(f"[{escape_markdown(f'{who} {work.year}')}](#cite-{key})")  # noqa: S704

    def measured(self, *runs: str) -> bool:
        """Return True when all these runs have results at this tier."""
        return all(self.results.finished(run) for run in runs)

    def functions(self, faults: list[str] | None = None) -> dict[str, Callable[..., Any]]:
        """Name -> function, for the template.

        Args:
            faults: where wrong calls are noted, which then print their fault; without it they raise InputError.

        Returns:
            Name -> function.
        """
        return {name: getattr(self, name) if faults is None else _noting(getattr(self, name), faults) for name in FUNCTIONS}


def _noting(function: Callable[..., Any], faults: list[str]) -> Callable[..., Any]:
    def call(*arguments: object, **options: object) -> Any:
        try:
            return function(*arguments, **options)
        except InputError as error:
            faults.append(f"section.md: {error}")
            return Markup("**{}**").format(escape_markdown(f"[{error}]"))

    return call
