"""A published table beside ours: numbers as CSV, and the same to read as LaTeX and Markdown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pandas as pd

from replications.files import replacing
from replications.presentation.latex import escape
from replications.registry.outputs import TABLE_KINDS
from replications.registry.scale import proxy_of
from replications.registry.tables import Table, TableMeasure, TableRow, Version
from replications.results.reader import Results
from replications.verdicts.estimates import estimate

RECALLED = "†"
STAND_IN = "*"
EDITED = "‡"
NOTES = {
    RECALLED: f"{RECALLED} recalled, not checked against the paper; it decides nothing.",
    STAND_IN: f"{STAND_IN} measured by us on a scaled-down stand-in.",
    EDITED: f"{EDITED} judged against published values that were edited after the run began, or that the run did not register.",
    "row": f"{STAND_IN} after a label: a row that we added; the paper has none.",
}


class Absence(StrEnum):
    """Why a row has no number of ours."""

    NO_RUN = "not run"
    OTHER_TIER = "not at this tier"
    OTHER_MEASURE = "not measured"
    MISSING = "missing"
    WITHHELD = "withheld"


@dataclass(frozen=True)
class Column:
    """One column of numbers: a measure as one version of the paper gives it, or as ours (`version` None)."""

    measure: TableMeasure
    version: Version | None

    @property
    def label(self) -> str:
        """The version of the paper that gives the numbers, or 'ours'."""
        return self.version.label if self.version else "ours"


@dataclass(frozen=True)
class Cell:
    """One cell as text: a number with its marks, and for ours the half-width and the number of seeds.

    Attributes:
        number: the number; empty where there is none.
        half_width: half-width of the 95 % t-interval over seeds; empty for one seed and for published numbers.
        seeds: number of seeds in words; empty for published numbers.
        fault: what is said in place of a number.
    """

    number: str = ""
    half_width: str = ""
    seeds: str = ""
    fault: str = ""

    @property
    def inline(self) -> str:
        """The cell in one line, for example '1.30 ± 0.12 (3 seeds)'."""
        spread = f" ± {self.half_width}" if self.half_width else ""
        return self.fault or self.number + spread + (f" ({self.seeds})" if self.seeds else "")

    @property
    def detail(self) -> str:
        """What stands below the number."""
        return self.fault or " · ".join(part for part in (self.half_width and f"± {self.half_width}", self.seeds) if part)


@dataclass(frozen=True)
class Comparison:
    """A table beside ours.

    Attributes:
        numbers: one line per row: label, run, then per measure `<version>_<measure>` per version, `ours_<measure>`,
            `half_width_<measure>` (of the 95 % t-interval over seeds) and `seeds_<measure>`; nan where there is none.
        shown: the same as text: label, then `columns`, ours as mean ± half-width (seeds).
        cells: the cells of `shown` behind the label, row by row.
        columns: the columns of `shown` behind the label. One in which nobody has a number is left out, unless a run that
            was planned is missing there; a note says which measures of the paper we do not have.
        absences: of each row, why its cells of ours are empty if they are.
        notes: what the marks in `shown` mean, and what is left out.
    """

    title: str
    location: str
    numbers: pd.DataFrame
    shown: pd.DataFrame
    cells: tuple[tuple[Cell, ...], ...]
    columns: tuple[Column, ...]
    absences: tuple[Absence, ...]
    notes: tuple[str, ...]


def compare(name: str, results: Results) -> Comparison:
    """Put a published table beside our seeds.

    Args:
        name: key of the table in `paper.yaml`.
        results: results of the paper.

    Returns:
        The table with published and our cells.

    Raises:
        InputError: the paper has no table of this name.
    """
    table = results.table(name)
    stand_ins = _stand_ins(results)
    absences = tuple(_absence(row.run, results) for row in table.rows)
    columns = [Column(measure, version) for measure in table.measures.values() for version in (*table.versions.values(), None)]
    numbers: list[dict[str, str | float]] = []
    grid: list[list[Cell]] = []
    for row in table.rows:
        values: dict[str, str | float] = {"label": row.label, "run": row.run or ""}
        cells = []
        marks = (STAND_IN if row.run in stand_ins else "") + (EDITED if row.run and _edited(name, table, row.run, results) else "")
        for key, measure in table.measures.items():
            for version, spec in table.versions.items():
                published = row.value(version, key)
                mark = RECALLED if published is not None and (row.evidence or spec.evidence) == "recalled" else ""
                values[f"{version}_{key}"] = math.nan if published is None else published
                cells.append(Cell() if published is None else Cell(f"{published:.{measure.digits}f}{mark}"))
            ours, cell = _ours(results, row, key, measure, marks=marks)
            values |= {f"{column}_{key}": value for column, value in ours.items()}
            cells.append(cell)
        numbers.append(values)
        grid.append(cells)
    kept = _kept(columns, grid, absences)
    chosen = tuple(columns[i] for i in kept)
    labels = [row.label + (STAND_IN if row.ours_only else "") for row in table.rows]
    shown = pd.DataFrame(
        [[label, *(cells[i].inline for i in kept)] for label, cells in zip(labels, grid, strict=True)],
        columns=["", *(_heading(column, alone=len(table.measures) == 1) for column in chosen)],
    )
    notes = (*_left_out(table, chosen, absences, results.tier), *_notes(table, shown))
    kept_cells = tuple(tuple(cells[i] for i in kept) for cells in grid)
    return Comparison(table.title, table.location, pd.DataFrame(numbers), shown, kept_cells, chosen, absences, notes)


def _edited(name: str, table: Table, run: str, results: Results) -> bool:
    """Return True when a finished run began with other published values of the table than today's, or registered none."""
    if results.integrity(run).faults or not any(row.published for row in table.rows if row.run == run):
        return False
    digests = [chunk.provenance.get("tables") for chunk in results.stored.chunks(run)]
    return any(not isinstance(stored, dict) or stored.get(name) != table.digest for stored in digests)


def _heading(column: Column, *, alone: bool) -> str:
    measure = column.measure
    named = [*([] if alone else [measure.label]), *([measure.unit] if measure.unit else [])]
    return f"{column.label} ({', '.join(named)})" if named else column.label


def _absence(run: str | None, results: Results) -> Absence:
    """Return what an empty cell of ours means in this row: a finished run without the number does not measure it."""
    if run is None:
        return Absence.NO_RUN
    if run not in {plan.name for plan in results.runs()}:
        return Absence.OTHER_TIER
    if results.integrity(run).faults:
        return Absence.WITHHELD
    return Absence.OTHER_MEASURE if results.finished(run) else Absence.MISSING


def _kept(columns: list[Column], grid: list[list[Cell]], absences: tuple[Absence, ...]) -> list[int]:
    """Columns that say something; in a table of ours alone, none of it at this tier, one that says so."""

    def told(i: int) -> bool:
        hole = columns[i].version is None and bool({Absence.MISSING, Absence.WITHHELD} & set(absences))
        return hole or any(cells[i].inline for cells in grid)

    return [i for i in range(len(columns)) if told(i)] or [next(i for i, column in enumerate(columns) if column.version is None)]


def _left_out(table: Table, kept: tuple[Column, ...], absences: tuple[Absence, ...], tier: str) -> list[str]:
    """A sentence on the published measures that have no column of ours."""
    ours = {column.measure.label for column in kept if column.version is None}
    without = [measure.label for measure in table.measures.values() if measure.label not in ours]
    if not without:
        return []
    if all(absence in {Absence.NO_RUN, Absence.OTHER_TIER} for absence in absences):
        return [f"No row of this table is run at tier {tier}."]
    return [f"Not measured here: {', '.join(without)}."]


def _ours(results: Results, row: TableRow, key: str, measure: TableMeasure, *, marks: str) -> tuple[dict[str, float], Cell]:
    """Return mean, half-width and seeds of one cell, and its text; seeds without a finite value are said, not left out."""
    nothing = {"ours": math.nan, "half_width": math.nan, "seeds": 0.0}
    metric = row.metrics.get(key, measure.metric)
    at = measure.at if row.at is None else row.at
    measured = row.run and results.recorded(row.run, metric, measure.split, model=row.model_of(measure), axis=measure.axis, at=at)
    sample = (
        results.final(row.run, metric, measure.split, model=row.model_of(measure), axis=measure.axis, at=at)
        if row.run and measured
        else None
    )
    if sample is None or not len(sample):
        return nothing, Cell()
    lost = sum(not math.isfinite(value) for value in sample)
    if lost:
        return nothing | {"seeds": float(len(sample))}, Cell(fault=f"{lost} of {len(sample)} seeds not finite")
    known = estimate(sample.to_numpy())
    half = known.interval()[1] - known.mean if known.n > 1 else math.nan
    spread = f"{half:.{measure.digits}f}" if known.n > 1 else ""
    cell = Cell(f"{known.mean:.{measure.digits}f}{marks}", spread, f"{known.n} seed{'s' if known.n > 1 else ''}")
    return {"ours": known.mean, "half_width": half, "seeds": float(known.n)}, cell


def _stand_ins(results: Results) -> set[str]:
    """Runs that stand in for larger ones: what a proxy claim reads, and on the smallest tier whatever no other claim reads."""
    read: dict[bool, set[str]] = {True: set(), False: set()}
    for claim in results.paper.claims:
        if results.tier in claim.tiers:
            read[bool(proxy_of(claim, results.tier, results.scales))] |= {measure.run for measure in claim.measures(results.tier)}
    if results.tier != "smoke":
        return read[True]
    return {row.run for table in results.paper.tables.values() for row in table.rows if row.run} - (read[False] - read[True])


def _notes(table: Table, shown: pd.DataFrame) -> tuple[str, ...]:
    cells = shown.iloc[:, 1:].to_numpy().ravel().tolist()
    notes = [NOTES[mark] for mark in (RECALLED, STAND_IN, EDITED) if any(mark in cell for cell in cells)]
    notes += [NOTES["row"]] if any(row.ours_only for row in table.rows) else []
    half = ["Ours: mean over seeds ± half-width of its 95 % t-interval."] if any("±" in cell for cell in cells) else []
    return (*half, *notes, *([table.note] if table.note else []))


def to_markdown(table: Comparison) -> str:
    """Return a table in pipe syntax, with title and notes.

    Args:
        table: what `compare` returned.

    Returns:
        Markdown.
    """
    lines = [[_pipe(column) for column in table.shown.columns], ["---"] + ["---:"] * (table.shown.shape[1] - 1)]
    lines += [[_pipe(cell) for cell in row] for row in table.shown.to_numpy().tolist()]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = "".join(f"\n{_pipe(note)}\n" for note in table.notes)
    return f"**{_pipe(table.title)}** ({_pipe(table.location)})\n\n{body}\n{notes}"


def _pipe(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*")


def to_latex(table: Comparison, label: str) -> str:
    """Return a table as a float for the booktabs package, with caption, label and notes.

    Args:
        table: what `compare` returned.
        label: name under which the text refers to the table.

    Returns:
        LaTeX source.
    """
    rows = [" & ".join(escape(cell) for cell in row) + r" \\" for row in table.shown.to_numpy().tolist()]
    notes = [rf"\par\footnotesize {escape(note)}" for note in table.notes]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.title)} ({escape(table.location)}), beside the replication.}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{l{'r' * (table.shown.shape[1] - 1)}}}",
        r"\toprule",
        " & ".join(escape(column) for column in table.shown.columns) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *notes,
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def write_table(name: str, results: Results, folder: Path) -> Comparison:
    """Write `<name>.csv`, `.tex` and `.md` into a folder, each whole or not at all.

    Args:
        name: key of the table in `paper.yaml`.
        results: results of the paper.
        folder: folder of the paper's tables.

    Returns:
        The table that was written.
    """
    table = compare(name, results)
    texts = {
        "csv": table.numbers.to_csv(index=False, float_format="%.6g", lineterminator="\n"),
        "tex": to_latex(table, f"{results.paper.name}.{name}"),
        "md": to_markdown(table),
    }
    for kind in TABLE_KINDS:
        with replacing(folder / f"{name}.{kind}") as temporary:
            temporary.write_text(texts[kind], encoding="utf-8")
    return table
