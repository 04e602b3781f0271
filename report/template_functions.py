"""Functions of a `section.md`: measured numbers, and what is declared: published values, settings, verdicts, works, figures.

What they print is data: it is escaped for Markdown, so that no text of a result can become markup.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from replications.errors import InputError, nearest
from replications.presentation import formatting
from report.measured_numbers import NOT_MEASURED, MeasuredNumbers, escape_markdown, with_unit

EMBED = re.compile("\ue000(figure|table|exhibit):([A-Za-z0-9._-]+)\ue001")
"""What a figure, table or exhibit leaves in the text: its place, between two characters that no text has."""

FUNCTIONS = (
    "value", "mean", "interval", "difference", "ratio", "seeds", "cost", "published", "stated", "setting", "verdict", "cite", "measured",
    "figure", "table", "exhibit",
)  # fmt: skip
"""Names that a template may call."""


@dataclass
class TemplateFunctions(MeasuredNumbers):
    """Functions of a `section.md`: every public method is a function of the template.

    Args:
        results: records of the paper at the tier of the report.
        verdicts: claim id (without the paper) -> the words of its verdict.
        known: kind -> names of the figures, tables and exhibits there are.
    """

    verdicts: dict[str, str]
    known: dict[str, list[str]] = field(default_factory=dict)

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
        return with_unit(formatting.plain(found), spec.measures[key].unit)

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
