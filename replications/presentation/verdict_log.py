"""The log of verdicts beside the reference: one row per claim and promotion that added or changed a chunk it reads.

Rows are only ever added, so that a fifth try can be seen as the fifth.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from pydantic import ConfigDict

from replications.errors import InputError
from replications.files import replacing
from replications.presentation.judging import judge_paper
from replications.registry.scale import proxy_of
from replications.registry.schema import Strict
from replications.results.reader import Results
from replications.results.reference import find_log
from replications.verdicts.quantity import Quantity
from replications.verdicts.verdict import Verdict

BEFORE = (
    "Before the log existed, the reference of tier smoke was made five times, and three claims changed their word on the way;"
    " those makings have no rows."
)


class LoggedVerdict(Strict):
    """One row of the log.

    Attributes:
        date: day of the promotion, ISO 8601.
        tier: tier of the chunks.
        commit: commits that made the chunks which the claim reads, separated by blanks.
        claim: `<paper>.<claim>`.
        digest: digest of the claim by which it was judged.
        verdict: its word.
        ours: our value in the terms of the rule, which do not change when it is printed otherwise; None where there is none.
        low: lower end of its interval, likewise.
        high: upper end.
        seeds: finished seeds.
        reason: why a chunk that existed was made again; empty when chunks were only added.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: str
    tier: str
    commit: str
    claim: str
    digest: str
    verdict: str
    ours: float | None
    low: float | None
    high: float | None
    seeds: int
    reason: str

    @classmethod
    def of(cls, verdict: Verdict, results: Results, date: str, reason: str) -> Self:
        """Return the row of a verdict.

        Args:
            verdict: a verdict of the paper.
            results: the records that it was judged from.
            date: day of the promotion.
            reason: why chunks were made again.

        Returns:
            The row, not yet written.
        """
        claim = results.paper.claim(verdict.id.partition(".")[2])
        ours = None if verdict.ours is None else verdict.quantity.judged(verdict.ours)
        ends = [] if verdict.low is None or verdict.high is None else sorted(map(verdict.quantity.judged, (verdict.low, verdict.high)))
        chunks = [chunk for run in verdict.runs for chunk in results.stored.chunks(run)]
        return cls(
            date=date,
            tier=verdict.tier,
            commit=" ".join(sorted({chunk.commit[:10] for chunk in chunks})),
            claim=verdict.id,
            digest=claim.digest(verdict.tier, proxy=bool(proxy_of(claim, verdict.tier, results.scales))),
            verdict=verdict.verdict,
            ours=ours,
            low=ends[0] if ends else None,
            high=ends[1] if ends else None,
            seeds=verdict.seeds_finished,
            reason=reason,
        )


COLUMNS = list(LoggedVerdict.model_fields)


def log_rows(results: Results, changed: Iterable[str], date: str, reason: str) -> list[LoggedVerdict]:
    """Return a row for each claim of a paper that reads a run whose chunks were added or changed.

    Args:
        results: the paper's records as the reference holds them now.
        changed: names of those runs.
        date: day of the promotion, ISO 8601.
        reason: why existing chunks were made again.

    Returns:
        Rows in the order of the claims.
    """
    runs = set(changed)
    return [LoggedVerdict.of(verdict, results, date, reason) for verdict in judge_paper(results) if runs & set(verdict.runs)]


def read_log(path: Path) -> list[LoggedVerdict]:
    """Return the rows of a log in the order written; none where there is no file.

    Args:
        path: the log.

    Returns:
        One entry per row.

    Raises:
        InputError: the file is damaged; its line is named.
    """
    if not path.is_file():
        return []
    rows: list[LoggedVerdict] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                empty_is_none = {name: row[name] or None for name in ("ours", "low", "high")}
                rows.append(LoggedVerdict.model_validate(row | empty_is_none))
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:  # what csv, the decoder and pydantic raise
        raise InputError(f"{path}, line {len(rows) + 2}: not a row of the log ({error}). Restore the file from git.") from None
    return rows


def append_log(path: Path, rows: Sequence[LoggedVerdict]) -> None:
    """Add rows to the end of a log, whole or not at all; what is there stays as it is.

    Args:
        path: the log; made where there is none.
        rows: the new rows.

    Raises:
        InputError: the file is damaged.
    """
    read_log(path)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    if not before:
        writer.writeheader()
    writer.writerows(row.model_dump() for row in rows)
    with replacing(path) as temporary:
        temporary.write_text(before + text.getvalue(), encoding="utf-8", newline="")


History = dict[tuple[str, str], list[LoggedVerdict]]
"""(tier, claim) -> its rows, oldest first."""


def history(folder: Path) -> History:
    """Return the rows of each tier and claim, by both names, from the log of the reference to which a results folder belongs.

    Args:
        folder: results of one tier, either a run's (`results/<tier>`) or the reference's (`results/reference/<tier>`).

    Returns:
        (tier, claim) -> its rows, oldest first.
    """
    path = find_log(folder)
    claims: History = {}
    for row in read_log(path) if path else []:
        claims.setdefault((row.tier, row.claim), []).append(row)
    return claims


def history_sentence(rows: Sequence[LoggedVerdict], quantity: Quantity | None = None) -> str:
    """Return how often a verdict was made for the reference and what changed, for example 'Made 2 times: ...'; empty without rows.

    Args:
        rows: its rows, oldest first.
        quantity: how our value is printed; None: as it is.

    Returns:
        One or two sentences.
    """
    if not rows:
        return ""
    made, shown = [], quantity or Quantity()
    for row in rows:
        value = "" if row.ours is None else f" ({shown.text(row.ours)})"
        made.append(f"{row.date} {row.verdict}{value}" + (f", because: {row.reason.rstrip('.')}" if row.reason else ""))
    changed = sum(a.digest != b.digest for a, b in itertools.pairwise(rows))
    texts = f" The claim's text changed {'once' if changed == 1 else f'{changed} times'} in between." if changed else ""
    return f"Made {'once' if len(rows) == 1 else f'{len(rows)} times'}: {'; '.join(made)}.{texts}"
