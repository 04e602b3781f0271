"""Difference of two results folders: verdicts, estimates and intervals, seeds, and the cost of each paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from replications.presentation.judging import judge_paper
from replications.registry.papers import Paper
from replications.results.promotion import tier_of
from replications.results.reader import Results
from replications.verdicts.quantity import number, span
from replications.verdicts.verdict import Verdict
from replications.verdicts.words import WORDS

COSTS = {"seconds": "s", "gpu_seconds": "s", "energy": "J", "flops": "FLOP"}
"""What is compared of each paper's cost, summed over its runs, with units."""


@dataclass(frozen=True)
class Side:
    """One of the two folders: its verdicts by claim, and each paper's cost."""

    folder: Path
    tier: str
    verdicts: dict[str, Verdict]
    costs: dict[tuple[str, str], float]


@dataclass(frozen=True)
class Change:
    """One line of the difference; `before` or `after` is empty where only one folder has it.

    Attributes:
        kind: what differs.
        id: the claim, or the paper for a cost.
        ratio: after over before, of a cost.
    """

    kind: Literal["verdict", "estimate", "seeds", "cost"]
    id: str
    what: str
    before: str
    after: str
    ratio: float | None = None


def read_side(folder: Path, papers: Sequence[Paper]) -> Side:
    """Return the verdicts on one folder, judged now by the claims as they are registered, and its costs.

    Args:
        folder: results of one tier.
        papers: the papers to judge.

    Returns:
        Verdicts by id, and costs by paper and metric.

    Raises:
        InputError: nothing is finished there, or a file is damaged.
    """
    tier = tier_of(folder)
    read = {paper.name: Results.read(paper, tier, folder) for paper in papers}
    verdicts = [verdict for results in read.values() for verdict in judge_paper(results)]
    costs = {
        (name, metric): float(rows["value"].sum())
        for name, results in read.items()
        for metric in COSTS
        if len(rows := results.select(split="cost", metric=metric))
    }
    return Side(folder, tier, {verdict.id: verdict for verdict in verdicts}, costs)


def compare(before: Side, after: Side) -> list[Change]:
    """Return changed verdicts first, then estimates whose verdict stands, then numbers of seeds, then every paper's cost.

    Args:
        before: the older results.
        after: the newer results.

    Returns:
        One entry per difference; none where both are equal.
    """
    found = []
    for id in {**before.verdicts, **after.verdicts}:
        found += _claim(id, before.verdicts.get(id), after.verdicts.get(id))
    order = ("verdict", "estimate", "seeds")
    found.sort(key=lambda change: order.index(change.kind))
    for paper, metric in {**before.costs, **after.costs}:
        old, new = before.costs.get((paper, metric)), after.costs.get((paper, metric))
        was, now = ("" if value is None else number(value, COSTS[metric]) for value in (old, new))
        found.append(Change("cost", paper, metric.replace("_", " "), was, now, new / old if old and new is not None else None))
    return found


def _claim(id: str, old: Verdict | None, new: Verdict | None) -> list[Change]:
    if old is None or new is None or old.verdict != new.verdict:
        return [Change("verdict", id, "verdict", _said(old), _said(new))]
    changes = []
    if _estimate(old) != _estimate(new):
        changes.append(Change("estimate", id, "estimate", _estimate(old), _estimate(new)))
    if old.seeds_finished != new.seeds_finished:
        changes.append(Change("seeds", id, "seeds", str(old.seeds_finished), str(new.seeds_finished)))
    return changes


def _said(verdict: Verdict | None) -> str:
    """A verdict with the estimate it rests on; nothing for a claim that is not there."""
    if verdict is None:
        return ""
    estimate = _estimate(verdict)
    return f"{WORDS[verdict.verdict].symbol} {verdict.verdict}" + (f": {estimate}" if estimate else "")


def _estimate(verdict: Verdict) -> str:
    if verdict.ours is None:
        return ""
    interval = "" if verdict.low is None or verdict.high is None else f" ({span(verdict.low, verdict.high)})"
    return number(verdict.ours, verdict.unit) + interval


def headline(changes: Sequence[Change]) -> str:
    """Return the difference in one sentence.

    Args:
        changes: what `compare` returned.

    Returns:
        A sentence that counts changed verdicts and moved estimates.
    """
    verdicts, estimates = (sum(change.kind == kind for change in changes) for kind in ("verdict", "estimate"))
    return f"{verdicts} verdict{'' if verdicts == 1 else 's'} changed, {estimates} estimate{'' if estimates == 1 else 's'} moved."


def markdown(before: Side, after: Side, changes: Sequence[Change]) -> str:
    """Return the difference as Markdown for a pull request.

    Args:
        before: the older results.
        after: the newer results.
        changes: what `compare` returned.

    Returns:
        Markdown that ends with a line break.
    """
    lines = [f"**{headline(changes)}** Before: `{before.folder}` (tier {before.tier}), after: `{after.folder}` (tier {after.tier}).", ""]
    for title, kinds in (("Claims", ("verdict", "estimate", "seeds")), ("Cost", ("cost",))):
        chosen = [change for change in changes if change.kind in kinds]
        if chosen:
            ratio = kinds == ("cost",)
            lines += [f"| {title} | | before | after |" + (" ratio |" if ratio else ""), "|---|---|---|---|" + ("--:|" if ratio else "")]
            lines += [
                f"| `{change.id}` | {change.what} | {_cell(change.before)} | {_cell(change.after)} |"
                + (f" {change.ratio:.2f} |" if change.ratio is not None else " |" if ratio else "")
                for change in chosen
            ]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|") or "not there"
