"""What a verdict prints: published, ours and criterion are one quantity, in one unit and with its natural sign, whatever the rule tests."""

import re
from typing import Any

import pytest

from replications.registry.claims import Claim, Measure
from replications.registry.papers import load_papers
from replications.registry.schema import Tier
from replications.verdicts.judge import judge
from replications.verdicts.kinds.count import CountClaim
from replications.verdicts.kinds.order import OrderClaim
from replications.verdicts.kinds.trend import TrendClaim
from replications.verdicts.kinds.value import ValueClaim
from replications.verdicts.outcome import JudgedClaim, Samples
from replications.verdicts.quantity import Quantity, is_share
from replications.verdicts.verdict import Verdict

CASES = [(paper.name, claim, tier) for paper in load_papers() for claim in paper.claims for tier in claim.tiers]


def order(*terms: tuple[str, float], metric: str = "error", **keys: Any) -> OrderClaim:
    contrast = [{"run": run, "metric": metric, "weight": weight} for run, weight in terms]
    return OrderClaim.model_validate(_COMMON | {"kind": "order", "contrast": contrast} | keys)


def ranking(better: str, *metrics: str, **keys: Any) -> OrderClaim:
    measures = [{"run": f"run-{i}", "metric": metric} for i, metric in enumerate(metrics)]
    return OrderClaim.model_validate(_COMMON | {"kind": "order", "ranking": measures, "better": better} | keys)


def trend(statistic: str, within: tuple[float, float], *points: tuple[float, str], **keys: Any) -> TrendClaim:
    listed = [{"run": "a", "metric": metric, "x": x} for x, metric in points]
    return TrendClaim.model_validate(_COMMON | {"kind": "trend", "points": listed, "statistic": statistic, "range": within} | keys)


_COMMON: dict[str, Any] = {
    "id": "tea",
    "claim": "The lady tells.",
    "location": "Chapter 2",
    "evidence": "paper",
    "reason": "Because.",
    "tiers": {"gpu": {}},
}


def verdict_on(claim: OrderClaim | ValueClaim, *values: dict[int, float]) -> Verdict:
    measures = [measure for measure in claim.reads() if isinstance(measure, Measure)]
    return judge("tea", "gpu", claim, Samples(values=dict(zip(measures, values, strict=True))))


def test_a_measure_that_must_stay_below_a_bound_is_printed_as_itself() -> None:
    found = verdict_on(order(("lady", -1), min_difference=-90.0, unit="%"), {0: 30.0, 1: 36.0, 2: 33.0})
    assert found.verdict == "replicated"
    assert found.criterion == "error at most 90 %"
    assert (found.metric, found.unit, found.margin) == ("error", "%", 90.0)
    assert found.ours == pytest.approx(33.0)
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < 33.0 < found.high < 90.0
    assert found.values == (30.0, 36.0, 33.0)
    assert "lady: the value is 33 %" in found.reason
    assert "-" not in found.reason


def test_a_mean_that_must_stay_below_a_bound_too() -> None:
    claim = order(("lady", -0.5), ("lord", -0.5), metric="lstm_wins", min_difference=-0.75)
    found = verdict_on(claim, {0: 0.5, 1: 0.25, 2: 0.25}, {0: 0.0, 1: 0.5, 2: 0.25})
    assert claim.criterion == "mean LSTM wins at most 75 %"
    assert found.values == pytest.approx((25.0, 37.5, 25.0))
    assert found.unit == "%"


@pytest.mark.parametrize(
    ("claim", "criterion"),
    [
        (ranking("lower", "error", "error", min_difference=10.0, unit="%"), "error at least 10 points lower"),
        (ranking("lower", "error", "error", min_difference=-1.0, unit="%"), "error at most 1 point higher"),
        (ranking("higher", "bleu_4", "bleu_4", min_difference=-0.5), "BLEU 4 at most 0.5 lower"),
        (ranking("higher", "accuracy", "accuracy", min_difference=0.1), "accuracy at least 10 points higher"),
        (ranking("lower", "loss", "loss", unit="nats"), "loss lower"),
        (ranking("lower", "right", "wrong", min_difference=2.0), "right at least 2 lower than wrong"),
        (ranking("lower", "seconds", "seconds", min_difference=20.0, scale="ratio"), "seconds lower by a factor of at least 20"),
        (ranking("lower", "loss", "loss", min_difference=0.8, scale="ratio"), "loss higher by a factor of at most 1.25"),
        (order(("lady", 1.0), ("lord", -1.0), min_difference=5.0, unit="BLEU"), "error at least 5 BLEU higher"),
        (order(("lord", -1.0), ("lady", 1.0), unit="%"), "error not lower"),
        (order(("a", 1), ("b", -0.5), ("c", -0.5), min_difference=-1.0, unit="%"), "weighted difference in error at most 1 point below 0"),
        (trend("loglog_slope", (1.9, 2.1), (10, "flops"), (20, "flops")), "growth exponent (log-log slope) of FLOPs between 1.9 and 2.1"),
        (trend("loglog_slope", (-3.0, -2.0), (1, "errors"), (2, "errors_rare")), "errors rare as a share of errors between 12.5 and 25 %"),
        (trend("range_ratio", (0.999, 1.001), (1, "size"), (9, "size")), "ratio of largest to smallest size at most 1.001"),
        (trend("slope", (0.0, float("inf")), (1, "error"), (9, "error"), unit="% per cup"), "slope of error at least 0 % per cup"),
    ],
)
def test_criteria_are_words(claim: JudgedClaim, criterion: str) -> None:
    assert claim.criterion == criterion


def test_shares_are_percentages_in_every_number() -> None:
    found = verdict_on(ranking("higher", "success", "success", min_difference=0.2), {0: 0.9, 1: 0.8, 2: 0.95}, {0: 0.1, 1: 0.2, 2: 0.15})
    assert (found.unit, found.margin) == ("points", 20.0)
    assert found.values == pytest.approx((80.0, 60.0, 80.0))
    measure = {"run": "lady", "metric": "accuracy"}
    value = ValueClaim.model_validate(_COMMON | {"kind": "value", "measure": measure, "published": 0.5, "margin": 0.02, "better": "higher"})
    assert value.criterion == "accuracy within 2 points of 50 %"
    assert verdict_on(value, {0: 0.5, 1: 0.51, 2: 0.49}).published == 50.0
    assert not is_share(["accuracy"], "%")


def test_printed_numbers_lead_back_to_those_of_the_rule() -> None:
    for quantity in (Quantity(), Quantity(factor=-100.0), Quantity(factor=100.0, base=2.0)):
        assert quantity.judged(quantity.shown(-1.5)) == pytest.approx(-1.5)
    assert str(Quantity(factor=-1.0).shown(0.0)) == "0.0"


@pytest.mark.parametrize(("paper", "claim", "tier"), CASES, ids=[f"{paper}.{claim.id}-{tier}" for paper, claim, tier in CASES])
def test_published_ours_and_criterion_of_every_claim_agree(paper: str, claim: Claim, tier: Tier) -> None:
    test = claim.at(tier)
    assert isinstance(test, JudgedClaim)
    quantity, criterion = test.quantity, test.criterion
    assert quantity.name, paper
    assert not re.search(r"[≥≤<>±\[\]]|\binf\b|\bsum\b", criterion)
    if isinstance(test, TrendClaim):
        assert quantity.factor > 0, "a slope has its own sign"
    else:
        assert not re.search(r"(^|\s)-\d", criterion), "no bound is printed with a sign that only the rule has"
    if isinstance(test, ValueClaim):
        assert criterion.endswith(f" of {quantity.text(test.published or 0.0)}")
    if isinstance(test, OrderClaim):
        bound = test.min_difference
        assert quantity.factor > 0 or bound <= 0, "what must stay below a bound has a bound that is not below 0"
        if test.scale == "difference" and bound:
            assert re.search(rf" {re.escape(quantity.text(bound).removeprefix('-'))}( |$)", criterion)
    if isinstance(test, CountClaim) and test.fraction:
        assert quantity.unit == "%"
