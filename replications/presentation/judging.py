"""The verdicts on a results folder: gathers what the records and their provenance say, and has it judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from replications.errors import InputError
from replications.registry.claims import Claim, Items, Measure
from replications.registry.scale import proxy_of
from replications.registry.tuning import load_tuning, tuning_remark
from replications.results import store
from replications.results.between_runs import differences
from replications.results.integrity import place
from replications.results.reader import NotMeasured, Results
from replications.verdicts.judge import judge_claims
from replications.verdicts.outcome import ItemArrays, Samples
from replications.verdicts.verdict import Basis, Verdict


def judge_paper(results: Results) -> list[Verdict]:
    """Return the verdicts on all claims of a paper, in the order written.

    Args:
        results: records of the paper at one tier; of the committed reference those of smaller tiers as well. Each claim is then
            judged at the largest tier that has two seeds or more of what the claim reads.

    Returns:
        One verdict per claim, adjusted for their number.
    """
    claims = results.paper.claims
    samples = {claim.id: gather(claim, results) for claim in claims}
    tuning = tuning_remark(load_tuning(results.paper), results.tier, has_runs=bool(results.scales))
    bases = {claim.id: replace(basis_of(claim, results), tuning=tuning) for claim in claims}
    bases = {claim.id: _with_required(claim, results.tier, bases) for claim in claims}
    verdicts = judge_claims(results.paper, results.tier, samples, bases)
    for smaller in results.smaller:
        others = judge_paper(smaller)
        verdicts = [other if _is_judged(other) and not _is_judged(mine) else mine for mine, other in zip(verdicts, others, strict=True)]
    return verdicts


def _is_judged(verdict: Verdict) -> bool:
    """Return True where the tier of a verdict says something about the claim: it is withheld, or not for want of seeds open."""
    return verdict.verdict != "not tested" and (verdict.verdict == "withheld" or verdict.ours is not None or verdict.seeds_finished >= 2)


def gather(claim: Claim, results: Results) -> Samples:
    """Return what the records say about the measures of a claim; nothing where the tier does not test it.

    Args:
        claim: a claim of the paper, as it is declared.
        results: records of the paper at one tier.

    Returns:
        Values by seed of each measure, test set sizes, wrong items, and why a measure has no values.
    """
    values: dict[Measure, dict[int, float]] = {}
    items: dict[Items, dict[int, ItemArrays]] = {}
    sizes: dict[Measure, int] = {}
    units: dict[Measure, str] = {}
    missing: dict[Measure | Items, str] = {}
    for measure in claim.measures(results.tier) if results.tier in claim.tiers else ():
        try:
            if isinstance(measure, Items):
                items[measure] = {seed: (a, b, c, d) for seed, (a, b, c, d) in results.by_seed(measure.run, *measure.arrays).items()}
                continue
            values[measure] = {int(seed): float(value) for seed, value in results.values(measure).items()}  # type: ignore[call-overload]
            units |= {measure: results.unit(measure)} if claim.kind == "trend" and values[measure] else {}
            size = _test_examples(measure, results)
            sizes |= {measure: size} if size else {}
            if not values[measure]:
                missing[measure] = _why_empty(measure, results)
        except NotMeasured:
            missing[measure] = f"run {measure.run} has no results at tier {results.tier}"
        except InputError as error:
            missing[measure] = str(error)
    wrong = {measure: _wrong_items(measure, results, size) for measure, size in sizes.items()} if claim.kind in ("order", "trend") else {}
    failing = {run.name for run in results.runs() if run.settings.solves_or_fails} if results.planned is not None else set()
    may_fail = frozenset(measure for measure in values if measure.run in failing)
    return Samples(values, items, sizes, missing, proxy_of(claim, results.tier, results.scales), wrong, units, may_fail)


def _why_empty(measure: Measure, results: Results) -> str:
    if not results.finished(measure.run):
        return f"run {measure.run} has no results at tier {results.tier}"
    return f"run {measure.run} recorded no {measure.metric} at step {measure.step}"


def _test_examples(measure: Measure, results: Results) -> int | None:
    """Return the size of the test set where the run recorded it, the smallest over seeds."""
    if not results.recorded(measure.run, "test_examples", measure.split):
        return None
    sizes = results.final(measure.run, "test_examples", measure.split)
    return int(sizes.min()) if len(sizes) and sizes.min() >= 1 else None


def _wrong_items(measure: Measure, results: Results, size: int) -> dict[int, np.ndarray]:
    """Return which test items each seed got wrong, boolean of shape (items,); empty where the run did not store it.

    The artifact `wrong_<metric>_<split>`, with `_<model>` behind it for one of several networks, holds them packed to bits.
    """
    name = "_".join(part for part in ("wrong", measure.metric, measure.split, measure.model) if part)
    if measure.axis:
        return {}
    try:
        packed = results.by_seed(measure.run, name)
    except (InputError, NotMeasured):
        return {}
    return {seed: np.unpackbits(row, count=size).astype(bool) for seed, (row,) in packed.items() if row.size == -(-size // 8)}


def basis_of(claim: Claim, results: Results) -> Basis:
    """Return whether the chunks that a claim reads are what their runs wrote, and with which text of the claim those began.

    Args:
        claim: a claim of the paper, as it is declared today.
        results: records of the paper at one tier; nothing is said where the claim is not judged at that tier.

    Returns:
        Integrity faults, remarks and the state of the registration.
    """
    if results.tier not in claim.tiers:
        return Basis()
    runs = dict.fromkeys(measure.run for measure in claim.measures(results.tier))
    checks = [results.integrity(run) for run in runs]
    faults = tuple(fault for check in checks for fault in check.faults)
    if faults:
        return Basis(integrity=faults)
    by_run = {run: results.stored.chunks(run) for run in runs}
    chunks = [chunk for of_run in by_run.values() for chunk in of_run]
    today = claim.digest(results.tier, proxy=bool(proxy_of(claim, results.tier, results.scales)))
    registration, reason = _registration(claim, today, chunks)
    remarks = (
        [remark for check in checks for remark in check.remarks]
        + list(differences(by_run))
        + _copies(runs, results)
        + _gone(chunks, results)
    )
    remarks += [results.stored.log_fault] if chunks and results.stored.log_fault else []
    return Basis(remarks=tuple(remarks), registration=registration, post_hoc=reason)


def _with_required(claim: Claim, tier: str, bases: Mapping[str, Basis]) -> Basis:
    """Return the basis of a claim, post hoc where a claim that it requires is: whoever edits that one decides whether this is tested."""
    basis = bases[claim.id]
    required = [needed.claim for needed in claim.at(tier).requires if needed.claim] if tier in claim.tiers else []
    late = [name for name in required if bases[name].registration == "post hoc"]
    if not late or basis.integrity:
        return basis
    reason = f"{basis.post_hoc} It requires {', '.join(late)}, which {'is' if len(late) == 1 else 'are'} post hoc.".strip()
    return replace(basis, registration="post hoc", post_hoc=reason)


def _gone(chunks: Sequence[store.Chunk], results: Results) -> list[str]:
    """Return the sentence on claims that were registered when the chunks began and are no longer declared."""
    declared = {claim.id for claim in results.paper.claims}
    registered = {str(name) for chunk in chunks for name in _digests(chunk)}
    gone = sorted(registered - declared)
    return [f"The runs began with claims that paper.yaml no longer has: {', '.join(gone)}."] if gone else []


def _digests(chunk: store.Chunk) -> Mapping[str, object]:
    digests = chunk.provenance.get("claims")
    return digests if isinstance(digests, dict) else {}


def _copies(runs: Iterable[str], results: Results) -> list[str]:
    """Return for each run whose records are those of another that one of them is a copy, or their settings have no effect."""
    return [
        f"The records of {run} are those of {', '.join(sorted(results.same_records[run]))} up to rounding: one is a copy of the other, or the"
        " settings in which they differ had no effect."
        for run in runs
        if run in results.same_records
    ]


def _registration(claim: Claim, today: str, chunks: Sequence[store.Chunk]) -> tuple[str, str]:
    """Return 'post hoc', 'not registered' or nothing, and the reason: the digests that the chunks carry against today's."""
    later, unknown = [], []
    for chunk in chunks:
        where, began = place(chunk), str(chunk.provenance.get("started", ""))[:10]
        digests = chunk.provenance.get("claims")
        if not isinstance(digests, dict):
            unknown.append(where)
        elif claim.id not in digests:
            later.append(f"{where} began on {began}, when this claim did not exist or did not read it.")
        elif digests[claim.id] != today:
            later.append(f"{where} began on {began} with the claim's digest {digests[claim.id]}; today's is {today}.")
    if unknown:
        later.append(f"{', '.join(unknown)} carr{'ies' if len(unknown) == 1 else 'y'} no digest of the claim.")
    return ("not registered" if unknown and len(later) == 1 else "post hoc" if later else ""), " ".join(later)
