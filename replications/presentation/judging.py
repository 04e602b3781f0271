"""The verdicts on a results folder: gathers what the records and git say, and has it judged."""

from __future__ import annotations

from replications.errors import InputError
from replications.registry.claims import Claim, Items, Measure
from replications.registry.scale import proxy_of
from replications.results import store
from replications.results.reader import NotMeasured, Results
from replications.results.version_control import registrations
from replications.verdicts.judge import Registration, Verdict, judge_claims
from replications.verdicts.outcome import ItemArrays, Samples


def judge_paper(results: Results) -> list[Verdict]:
    """Return the verdicts on all claims of a paper at the tier of its results, in the order written."""
    edits = registrations(results.paper.name)
    claims = results.paper.claims
    samples = {claim.id: gather(claim, results) for claim in claims}
    dates = {claim.id: _registration(claim, results, edits.get(claim.id, {})) for claim in claims}
    return judge_claims(results.paper, results.tier, samples, dates)


def gather(claim: Claim, results: Results) -> Samples:
    """Return what the records say about the measures of a claim; nothing where the tier does not test it."""
    values: dict[Measure, dict[int, float]] = {}
    items: dict[Items, dict[int, ItemArrays]] = {}
    sizes: dict[Measure, int] = {}
    missing: dict[Measure | Items, str] = {}
    for measure in claim.measures(results.tier) if results.tier in claim.tiers else ():
        try:
            if isinstance(measure, Items):
                items[measure] = {seed: (a, b, c, d) for seed, (a, b, c, d) in results.by_seed(measure.run, *measure.arrays).items()}
                continue
            values[measure] = {int(seed): float(value) for seed, value in results.values(measure).items()}  # type: ignore[call-overload]
            size = _test_examples(measure, results)
            sizes |= {measure: size} if size else {}
            if not values[measure]:
                missing[measure] = _why_empty(measure, results)
        except NotMeasured:
            missing[measure] = f"run {measure.run} has no results at tier {results.tier}"
        except InputError as error:
            missing[measure] = str(error)
    return Samples(values, items, sizes, missing, proxy_of(claim, results.tier, results.scales))


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


def _registration(claim: Claim, results: Results, edit: dict[str, str]) -> Registration:
    """Return the last edit of the claim's entry, and whether the first of its runs had begun before (text order of ISO 8601 is time order)."""
    runs = {measure.run for measure in claim.measures(results.tier)} if results.tier in claim.tiers else set()
    started = [chunk.provenance["started"] for run in sorted(runs) for chunk in store.chunks(results.folder, results.paper.name, run)]
    date = edit.get("date", "")
    return Registration(edit.get("commit", ""), date, date > min(started) if date and started else None)
