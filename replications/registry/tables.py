"""Published tables, whole: every version and every row."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import Field, model_validator

from replications.errors import nearest
from replications.registry.schema import EvidenceMark, Strict


class Version(Strict):
    """One published version of a table: versions of a paper can differ in every row."""

    label: str
    evidence: EvidenceMark


class TableMeasure(Strict):
    """One measured quantity of a table; ours is read from the records of the row's run."""

    label: str
    metric: str = Field(description="Metric in our records.")
    split: str = "test"
    model: str = Field("", description="Which of several networks of the runs; else the row's.")
    axis: str = Field("", description="Axis of the runs' own on which `at` is a position.")
    at: float | None = Field(None, description="Position on `axis`.")
    unit: str = ""
    better: Literal["lower", "higher"]
    digits: int = 2


class TableRow(Strict):
    """One row. `published` maps version, then measure, to a value; one measure alone needs no inner mapping."""

    label: str
    published: dict[str, float | dict[str, float]] = Field(default_factory=dict)
    run: str | None = Field(None, description="Our run of this row; none where we have no counterpart.")
    model: str = Field("", description="Which of several networks of the run.")
    at: float | None = Field(None, description="Position of the row on the measures' axis, where it is not the measure's own.")
    metrics: dict[str, str] = Field(default_factory=dict, description="Measure to our metric, where it differs.")
    evidence: EvidenceMark | None = Field(None, description="Overrides the version's mark for this row.")
    ours_only: bool = Field(False, description="A row we added; the paper has none.")

    def model_of(self, measure: TableMeasure) -> str:
        """Return the network that a cell of this row is of: the measure's, else the row's.

        Args:
            measure: a measure of the table.

        Returns:
            Name of the network; empty where the run has one alone.
        """
        return measure.model or self.model

    def value(self, version: str, measure: str) -> float | None:
        """Return the published value, or None where the paper gives none.

        Args:
            version: key of a published version.
            measure: key of a measure of the table.

        Returns:
            The value in the measure's unit.
        """
        cell = self.published.get(version)
        return cell.get(measure) if isinstance(cell, dict) else cell


class Table(Strict):
    """A published table, whole: every row, also those we cannot run."""

    title: str
    location: str
    measures: dict[str, TableMeasure] = Field(min_length=1)
    versions: dict[str, Version] = Field(default_factory=dict, description="Printings that give values; none for a table of ours alone.")
    rows: list[TableRow] = Field(min_length=1)
    note: str = ""

    @property
    def digest(self) -> str:
        """Hash of the published values by row, version and measure; labels of columns, notes and our own rows are not part of it."""
        values = [[row.label, row.run, row.published] for row in self.rows if not row.ours_only]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    @model_validator(mode="after")
    def _columns_can_be_told_apart(self) -> Table:
        labels = [measure.label for measure in self.measures.values()]
        twice = [label for label in labels if labels.count(label) > 1]
        if twice:
            raise ValueError(f"two measures have the label '{twice[0]}'; readers and columns tell measures apart by it")
        return self

    @model_validator(mode="after")
    def _published_cells_are_declared(self) -> Table:
        for row in self.rows:
            for version, cell in row.published.items():
                if version not in self.versions:
                    raise ValueError(f"row '{row.label}': version '{version}'. {nearest(version, self.versions)}")
                if isinstance(cell, dict):
                    for measure in cell:
                        if measure not in self.measures:
                            raise ValueError(f"row '{row.label}': measure '{measure}'. {nearest(measure, self.measures)}")
                elif len(self.measures) > 1:
                    raise ValueError(f"row '{row.label}': several measures, so write {{measure: value}} for '{version}'")
            if not row.published and not row.ours_only:
                raise ValueError(f"row '{row.label}' has no published value; mark it ours_only: true")
        return self
