"""The record of what was tried before a tier's runs were judged, `tuning.yaml` beside `paper.yaml`.

Settings that were chosen on judged seeds or by test scores make a verdict easier to reach, so the record stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from replications.errors import InputError, nearest
from replications.registry.papers import Paper
from replications.registry.run_grid import Run, load_runs
from replications.registry.schema import TIERS, Strict, Tier
from replications.registry.yaml_models import read_yaml, validate

FILE = "tuning.yaml"
MISSING = "No tuning record: it is not written down what was tried before these runs."


class Trials(Strict):
    """One round of trials at a tier, and what was chosen by it."""

    what: str = Field(description="What was varied, or that nothing was.")
    runs: list[str] = Field(default_factory=list, description="Runs whose settings were varied; none: all of the tier.")
    trials: int | None = Field(ge=0, description="Number of trainings; null: not recorded.")
    seeds: list[int] | None = Field(description="Seeds that were used; null: not recorded.")
    split: str = Field(description="Data split whose scores chose the settings.")
    test_seen: str = Field(description="Who saw test scores before the runs were judged: nobody, or who and when.")
    values: str = Field("", description="Scores that were compared, or where they stand.")
    chosen: str = Field(description="Settings that were chosen.")
    reason: str = Field(description="Why.")
    overlap: str = Field("", description="Why seeds of the trials are, or may be, among the judged ones; without it they must not be.")


class TuningRecord(Strict):
    """The whole of `tuning.yaml`."""

    tiers: dict[Tier, list[Trials]]


def load_tuning(paper: Paper) -> TuningRecord | None:
    """Return the tuning record of a paper, or None where it has none.

    Args:
        paper: the paper.

    Returns:
        The validated record.

    Raises:
        InputError: the file is not valid, names a run that no tier plans, or has trials on judged seeds without saying why.
    """
    path = paper.folder / FILE
    if not path.is_file():
        return None
    record = validate(TuningRecord, read_yaml(path), str(path))
    grids = {tier: load_runs(paper.name, tier) for tier in TIERS}
    faults = [f"{path}: tiers.{tier}: {fault}" for tier, rounds in record.tiers.items() for fault in tuning_faults(rounds, tier, grids)]
    if faults:
        raise InputError("\n".join(faults))
    return record


def tuning_faults(rounds: Sequence[Trials], tier: Tier, grids: dict[Tier, tuple[Run, ...]]) -> list[str]:
    """Return what is wrong with the record of one tier, one sentence each.

    Args:
        rounds: its rounds of trials.
        tier: the tier whose judged seeds they are compared with.
        grids: the runs of every tier.

    Returns:
        Sentences; empty where the record has no fault.
    """
    planned = {run.name for runs in grids.values() for run in runs}
    faults = []
    for entry in rounds:
        faults += [f"'{entry.what}': no tier plans a run '{run}'. {nearest(run, planned)}" for run in entry.runs if run not in planned]
        judged = {seed for run in grids[tier] if not entry.runs or run.name in entry.runs for seed in run.seeds}
        shared = sorted(judged & set(entry.seeds or ()))
        if shared and not entry.overlap:
            listed = ", ".join(str(seed) for seed in shared)
            faults.append(f"'{entry.what}': seeds {listed} are judged at this tier. Use others for trials, or say why under 'overlap'.")
        if entry.seeds is None and judged and not entry.overlap:
            faults.append(f"'{entry.what}': its seeds are not recorded, so they may be judged ones. Say so under 'overlap'.")
    return faults


def tuning_remark(record: TuningRecord | None, tier: str, *, has_runs: bool) -> str:
    """Return what a verdict says of the tuning of its tier: that there is no record, or how its seeds and the judged ones overlap.

    The smallest tier judges stand-ins alone and needs no record.

    Args:
        record: the paper's tuning record; None where it has none.
        tier: name of the tier.
        has_runs: the tier plans runs of the paper.

    Returns:
        One or more sentences; empty where there is nothing to say.
    """
    rounds = next((rounds for name, rounds in record.tiers.items() if name == tier), None) if record else None
    if rounds is None:
        return MISSING if has_runs and tier != TIERS[0] else ""
    overlaps = [entry.overlap.rstrip(".") for entry in rounds if entry.overlap]
    return f"Tuning: {'; '.join(overlaps)}." if overlaps else ""
