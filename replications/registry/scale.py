"""What is scaled down behind a claim: its own sentence, or the declared scale of the runs that it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from replications.registry.claims import Claim
from replications.registry.papers import Paper
from replications.registry.run_grid import Run

Scales = Mapping[str, tuple[str, ...]]
"""Run -> what of it is smaller than published, one sentence each."""


def scales(runs: Iterable[Run]) -> Scales:
    """Return the declared scale of each of these runs by name.

    Args:
        runs: runs of one tier.

    Returns:
        Run -> sentences on what is smaller than published; none where nothing is.
    """
    return {run.name: run.scale.sentences for run in runs}


def proxy_of(claim: Claim, tier: str, of_runs: Scales) -> str:
    """Return what is smaller than published behind a claim at a tier; empty where the claim itself is tested.

    Proxy status follows from what is declared, not from the tier's name: the claim's `proxy` at the tier, else the `scale`
    of each run that it reads. Counted quantities do not depend on data or training, so their runs' scale is not theirs.

    Args:
        claim: a claim of the paper.
        tier: name of the tier; one that does not test the claim gives an empty text.
        of_runs: the scale of the runs of that tier.

    Returns:
        The declared text, or the texts of the runs joined.
    """
    if tier not in claim.tiers:
        return ""
    test = claim.at(tier)
    if claim.proxy(tier) or test.counted:
        return claim.proxy(tier)
    sentences = [sentence for measure in test.reads() for sentence in of_runs.get(measure.run, ())]
    return " ".join(dict.fromkeys(sentences))


def claim_digests(paper: Paper, tier: str, run: str, of_runs: Scales) -> dict[str, str]:
    """Return the digest of each claim that reads a run at a tier, by claim id: what its provenance keeps of the registration.

    Args:
        paper: the paper.
        tier: name of the tier.
        run: name of the run.
        of_runs: the scale of the runs of that tier.

    Returns:
        Claim id -> digest as hexadecimal digits.
    """
    readers = [claim for claim in paper.claims if tier in claim.tiers and any(measure.run == run for measure in claim.measures(tier))]
    return {claim.id: claim.digest(tier, proxy=bool(proxy_of(claim, tier, of_runs))) for claim in readers}
