"""The test set's error of a trend: equal to that of the same statement written as a difference of two measures."""

import math
from typing import Any

import numpy as np
import pytest

from replications.registry.claims import Measure
from replications.verdicts.curve_items import CurveItems, ShareAt, gradient_at
from replications.verdicts.evidence_of_means import contrast_evidence, statistic_evidence
from replications.verdicts.kinds.trend import TrendClaim
from replications.verdicts.outcome import LEVEL, Sample, Samples
from replications.verdicts.trends import loglog_slope

FIRST, SECOND = {0: 5.0, 1: 5.1, 2: 4.9}, {0: 6.2, 1: 6.4, 2: 6.0}


def trend(statistic: str, within: tuple[float, float], **keys: Any) -> TrendClaim:
    points = [{"run": name, "metric": "error", "x": x} for name, x in (("a", 1), ("b", 10))]
    base = {"id": "tested", "claim": "-", "location": "-", "evidence": "paper", "reason": "-", "untested": "-", "kind": "trend"}
    return TrendClaim.model_validate(base | {"points": points, "statistic": statistic, "range": within} | keys)


def samples(claim: TrendClaim, unit: str, size: int, wrong: dict[str, dict[int, np.ndarray]] | None = None) -> Samples:
    values: dict[Measure, Sample] = {point: (FIRST if point.run == "a" else SECOND) for point in claim.points or ()}
    items = {point: wrong[point.run] for point in claim.points or ()} if wrong else {}
    return Samples(values, test_examples=dict.fromkeys(values, size), units=dict.fromkeys(values, unit), wrong=items)


def test_a_slope_per_decade_over_one_decade_has_the_interval_of_the_difference() -> None:
    claim = trend("semilogx_slope", (0, math.inf))
    found = claim.judge(samples(claim, "%", 2000))
    assert (found.low, found.high) == pytest.approx(
        contrast_evidence([SECOND, FIRST], [1, -1], "%", [2000, 2000]).interval(LEVEL), rel=1e-6
    )
    assert "with the error of the test items" in found.reason
    bare = claim.judge(samples(claim, "nats", 2000))
    assert (bare.low, bare.high) == pytest.approx(contrast_evidence([SECOND, FIRST], [1, -1]).interval(LEVEL))
    assert (bare.word, found.word) == ("replicated", "inconclusive"), "2,000 items cannot tell 5 from 6.2 % for certain"


def test_stored_items_make_the_interval_narrower() -> None:
    generator = np.random.default_rng(0)
    hard = generator.random(2000) < 0.05
    wrong = {"a": dict.fromkeys(range(3), hard), "b": dict.fromkeys(range(3), hard | (generator.random(2000) < 0.012))}
    claim = trend("semilogx_slope", (0, math.inf))
    paired, unpaired = claim.judge(samples(claim, "%", 2000, wrong)), claim.judge(samples(claim, "%", 2000))
    expected = contrast_evidence([SECOND, FIRST], [1, -1], "%", [2000, 2000], [wrong["b"], wrong["a"]])
    assert (paired.low, paired.high) == pytest.approx(expected.interval(LEVEL), rel=1e-6)
    assert (paired.low or 0) > (unpaired.low or 0)


def test_a_range_ratio_has_the_interval_of_the_ratio() -> None:
    claim = trend("range_ratio", (1, 2))
    found = claim.judge(samples(claim, "%", 2000))
    low, high = contrast_evidence([SECOND, FIRST], [1, -1], "%", [2000, 2000], ratio=True).interval(LEVEL)
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-3)


def test_a_gap_counts_the_items_of_both_measures_and_a_crossing_those_beside_it() -> None:
    gap = CurveItems([ShareAt(0, 1.0, FIRST, 2000, {}), ShareAt(0, -1.0, SECOND, 2000, {})])
    difference = contrast_evidence([FIRST, SECOND], [1, -1], "%", [2000, 2000]).item_error
    assert gap.error(np.array([1.0, 0.0])) == pytest.approx(difference)
    claim = trend("crossing", (2, 9), direction="up", level=5.5)
    found = claim.judge(samples(claim, "%", 100_000))
    per_seed = [(5.5 - a) / (b - a) for a, b in zip(FIRST.values(), SECOND.values(), strict=True)]
    # Where two points lie at 0 and 1, the crossing c of a level moves by -(1 - c) / (b - a) with the first and -c / (b - a) with the second.
    c = 0.5 / 1.2
    items = CurveItems([ShareAt(0, 1.0, FIRST, 100_000, {}), ShareAt(1, 1.0, SECOND, 100_000, {})])
    expected = statistic_evidence(per_seed, items.error(np.array([-(1 - c) / 1.2, -c / 1.2]))).interval(LEVEL)
    assert [math.log10(end or 0) for end in (found.low, found.high)] == pytest.approx(expected, rel=1e-4)


def test_derivatives_are_those_of_the_formula_and_none_gives_no_certainty() -> None:
    x, y = np.array([1.0, 10.0]), np.array([5.0, 6.2])
    found = gradient_at(lambda curve: float(loglog_slope(x, curve[None])[0]), y)
    assert found == pytest.approx([-1 / (5.0 * math.log(10)), 1 / (6.2 * math.log(10))])
    items = CurveItems([ShareAt(0, 1.0, FIRST, 2000, {})])
    assert items.error(np.array([math.nan, 0.0])) == math.inf
    assert CurveItems().error(found) == 0
