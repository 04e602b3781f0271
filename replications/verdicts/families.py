"""Adjustment of a paper's verdicts for their number, in both directions, and claims that wait for others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from replications.verdicts.estimates import ALPHA
from replications.verdicts.multiplicity import false_discovery_rate, holm
from replications.verdicts.verdict import Verdict
from replications.verdicts.words import CONTRADICTED, POSITIVE


def decision_p(verdict: Verdict) -> float | None:
    """Return the p-value of what a verdict says or would say first: of the claim, or of its contradiction.

    Args:
        verdict: a verdict before adjustment.

    Returns:
        The p-value of its word's direction, of the nearer one where it is open; None where nothing was tested.
    """
    p_values = [p for p in (verdict.p, verdict.p_against) if p is not None]
    if not p_values:
        return None
    if verdict.verdict in POSITIVE:
        return verdict.p
    return verdict.p_against if verdict.verdict in CONTRADICTED else min(p_values)


def adjust(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts, adjusted for their number: a decision whose adjusted p-value exceeds 0.05 stays open.

    Primary claims by Holm's method (family-wise error), all others of the paper by Benjamini and Hochberg's (share of
    false decisions). Both families hold every claim that was tested at the tier, proxies included, with the p-value of the
    direction that is decided. So among claims that all are false at most 5 % of papers have one that holds, and among claims
    that all are true at most 5 % one that is contradicted (Shaffer 1980 for directional decisions by Holm's method,
    Benjamini and Yekutieli 2005 by theirs).

    Args:
        verdicts: of all claims of a paper at one tier.

    Returns:
        One verdict for each given, in the same order.
    """
    adjusted = list(verdicts)
    for primary, method in ((True, holm), (False, false_discovery_rate)):
        p_values = {i: decision_p(v) for i, v in enumerate(adjusted) if v.primary == primary}
        family = {i: p for i, p in p_values.items() if p is not None}
        for i, p in zip(family, method(list(family.values())), strict=True):
            adjusted[i] = _adjust(adjusted[i], float(p), len(family))
    return adjusted


def _adjust(verdict: Verdict, p: float, family: int) -> Verdict:
    adjusted = dataclasses.replace(verdict, p_holm=p) if verdict.primary else dataclasses.replace(verdict, p_fdr=p)
    if verdict.verdict not in (*POSITIVE, *CONTRADICTED) or p <= ALPHA:
        return adjusted
    which = "tested primary claims (Holm)" if verdict.primary else "other tested claims (false-discovery rate)"
    reason = f"{verdict.reason} Adjusted for the paper's {family} {which}, p = {p:.3f} exceeds 0.05, so it stays open."
    return dataclasses.replace(adjusted, verdict="inconclusive", reason=reason)


def withdraw_unmet(verdicts: Sequence[Verdict], required: Mapping[str, Sequence[str]]) -> list[Verdict]:
    """Return the verdicts, those withdrawn to `not tested` whose required claims do not hold at this tier.

    They stay in the family that was adjusted for, since what holds is known only after the tests.

    Args:
        verdicts: adjusted, of all claims of a paper at one tier.
        required: verdict id -> ids of the claims that must hold; without circles, as the registry checks.

    Returns:
        One verdict for each given, in the same order.
    """
    of = {verdict.id: verdict for verdict in verdicts}

    def settled(name: str) -> Verdict:
        verdict = of[name]
        unmet = [needed for needed in map(settled, required.get(name, ())) if needed.verdict not in POSITIVE]
        if not unmet or verdict.verdict in ("not tested", "withheld"):
            return verdict
        why = "; ".join(f"'{needed.id.partition('.')[2]}' must hold first, and it is {needed.verdict}" for needed in unmet)
        return dataclasses.replace(verdict, verdict="not tested", reason=f"Not tested: the claim {why}.", seeds_needed=None)

    return [settled(verdict.id) for verdict in verdicts]
