"""A paper's answer in two sentences: how many of its claims hold on what, and the strongest single finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from replications.presentation.formatting import digits_for, fixed, plain
from replications.verdicts.verdict import Verdict
from replications.verdicts.words import WORDS

UNTESTED = ("not tested", "withheld")
"""Words of claims that nothing was judged from."""

GROUPS: dict[str, str] = {
    "real": "On real scale",
    "ours": "Statements of ours",
    "stand-in": "On stand-ins",
    "counted": "Counted",
    "untested": "",
}
"""What a verdict rests on, the strongest first -> how its counts are introduced."""

SHORT = {
    "supported (proxy)": "supported",
    "contradicted (proxy)": "contradicted",
    "counted as published": "as published",
}
"""Words as they stand behind the name of their group."""


@dataclass(frozen=True)
class Share:
    """A part of a paper's claims.

    Attributes:
        group: one of `GROUPS`.
        word: the verdict's word.
        count: number of claims.
    """

    group: str
    word: str
    count: int


@dataclass(frozen=True)
class Answer:
    """What a paper's results say so far.

    Attributes:
        tally: counts of verdicts, in a sentence.
        finding: the strongest judged claim in a sentence that can be quoted; empty where nothing is judged.
        verdict: the verdict that `finding` states; None where nothing is judged.
        shares: parts of the claims in the order of `GROUPS` and of the words, without empty ones.
    """

    tally: str
    finding: str
    verdict: Verdict | None
    shares: tuple[Share, ...]


def group_of(verdict: Verdict) -> str:
    """Return what a verdict rests on.

    Args:
        verdict: the verdict on one claim.

    Returns:
        One of `GROUPS`.
    """
    if verdict.verdict in UNTESTED:
        return "untested"
    if verdict.proxy:
        return "stand-in"
    if verdict.verdict in ("counted as published", "differs"):
        return "counted"
    return "ours" if verdict.evidence == "ours" else "real"


def answer(verdicts: Sequence[Verdict]) -> Answer:
    """Return the answer that the verdicts of one paper give.

    The finding is taken by a fixed rule, so that nobody chooses the one that looks best: the group of `GROUPS` that comes first, in
    it primary claims, in these the one that is declared first.

    Args:
        verdicts: one per claim, in the order of declaration.

    Returns:
        Counts and the strongest finding.
    """
    counts = Counter((group_of(verdict), verdict.verdict) for verdict in verdicts)
    shares = tuple(Share(group, word, counts[group, word]) for group in GROUPS for word in WORDS if counts[group, word])
    judged = [verdict for verdict in verdicts if group_of(verdict) != "untested"]
    groups = list(GROUPS)
    strongest = min(judged, key=lambda verdict: (groups.index(group_of(verdict)), not verdict.primary), default=None)
    return Answer(_tally(shares), "" if strongest is None else sentence(strongest), strongest, shares)


def _tally(shares: Sequence[Share]) -> str:
    parts = []
    for group, title in GROUPS.items():
        found = [f"{share.count} {SHORT.get(share.word, share.word)}" for share in shares if share.group == group]
        if found:
            parts.append(f"{title}: {', '.join(found)}." if title else f"{', '.join(found)}.".capitalize())
    return " ".join(parts)


def judged_statement(verdict: Verdict) -> str:
    """Return the statement that a verdict is on: at a stand-in with the bound that it was judged by, so that it says no more than that.

    Args:
        verdict: the verdict on one claim.

    Returns:
        Plain text without a full stop.
    """
    claim = verdict.claim.rstrip(".")
    if not verdict.proxy or verdict.verdict in UNTESTED:
        return claim
    return f"{claim} (on a stand-in{f'; criterion: {verdict.criterion}' if verdict.criterion else ''})"


def stand_in(verdict: Verdict, reason: str) -> str:
    """Return what a stand-in is, by which bound it was judged and why, and which claim it stands for; empty for the claim itself.

    Args:
        verdict: the verdict on one claim.
        reason: why the bound in force was chosen.

    Returns:
        Sentences.
    """
    if not verdict.proxy:
        return ""
    parts = [f"Stand-in: {verdict.proxy.rstrip('.')}."]
    parts += [f"Criterion: {verdict.criterion}. {reason}"] if verdict.criterion and verdict.verdict not in UNTESTED else []
    parts += [f"The full claim, not tested here: {verdict.stands_for}"] if verdict.stands_for else []
    return " ".join(parts)


def sentence(verdict: Verdict) -> str:
    """Return a verdict as one quotable statement: the claim, what was measured, what was published or required, the word.

    A stand-in is judged by a bound of its own, so the bound stands in the sentence.

    Args:
        verdict: the verdict on one claim.

    Returns:
        Plain text that ends with the word of the verdict.
    """
    unit = f" {verdict.unit}" if verdict.unit else ""
    measured = []
    if verdict.ours is not None:
        spread = (verdict.high - verdict.low) / 2 if verdict.low is not None and verdict.high is not None else 0.0
        digits = digits_for(spread, verdict.ours)
        interval = (
            f" ({fixed(verdict.low, digits)} to {fixed(verdict.high, digits)})"
            if verdict.low is not None and verdict.high is not None
            else ""
        )
        measured.append(f"{fixed(verdict.ours, digits)}{unit}{interval if spread > 0 else ''}")
    if verdict.published is not None:
        measured.append(f"published {plain(verdict.published)}{unit}")
    elif verdict.criterion:
        measured.append(f"criterion: {verdict.criterion}")
    where = "On a small stand-in" if verdict.proxy else "Counted" if group_of(verdict) == "counted" else "Measured"
    late = f" ({verdict.registration})" if verdict.registration else ""
    return f"{verdict.claim.rstrip('.')}. {where}: {', '.join(measured)}: {verdict.verdict}{late}."
