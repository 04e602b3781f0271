"""Consistency of `paper.yaml` with `runs.yaml`: faults that neither file shows alone."""

from __future__ import annotations

from collections.abc import Sequence

from replications.errors import InputError, nearest
from replications.registry.papers import Paper
from replications.registry.run_grid import Run


def claim_faults(paper: Paper, tier: str, runs: Sequence[Run]) -> list[str]:
    """Return the claims that a tier's runs cannot decide: a run is not planned, or with fewer seeds than were registered.

    Args:
        paper: the paper.
        tier: name of the tier.
        runs: the runs that the tier plans.

    Returns:
        One line per fault, naming file, claim and cure; empty where all is well.
    """
    planned = {run.name: len(run.seeds) for run in runs}
    faults = []
    for claim in paper.claims:
        if tier not in claim.tiers:
            continue
        test = claim.at(tier)
        where = f"{paper.folder / 'paper.yaml'}: claims[{claim.id}]"
        for name in dict.fromkeys(measure.run for measure in claim.measures(tier)):
            wanted = 1 if test.counted else claim.planned_seeds(tier)
            if name not in planned:
                faults.append(f"{where}: no run '{name}' at tier {tier}. {nearest(name, planned)}")
            elif planned[name] < wanted:
                cure = f"Give the run more, or the claim 'seeds: {planned[name]}' under tiers.{tier}"
                faults.append(f"{where}: {wanted} seeds are registered at tier {tier}, but run '{name}' has {planned[name]}. {cure}.")
    return faults


def check_claims(paper: Paper, tier: str, runs: Sequence[Run]) -> None:
    """Check that the runs of a tier can decide the claims of a paper.

    Args:
        paper: the paper.
        tier: name of the tier.
        runs: the runs that the tier plans.

    Raises:
        InputError: a claim cannot be decided; every such claim is listed.
    """
    faults = claim_faults(paper, tier, runs)
    if faults:
        raise InputError("\n".join(faults))
