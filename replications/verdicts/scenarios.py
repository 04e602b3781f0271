"""Situations in which each rule is simulated: where the claim is true, false, on the edge, and the faults that rules must bear.

Every scenario draws what one study would have recorded and has the real rule judge it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from replications.registry.claims import Claim
from replications.verdicts.curve_items import CurveItems, ShareAt
from replications.verdicts.families import adjust
from replications.verdicts.judge import judge
from replications.verdicts.kinds.count import CountClaim
from replications.verdicts.kinds.order import OrderClaim
from replications.verdicts.kinds.trend import TrendClaim
from replications.verdicts.kinds.value import ValueClaim
from replications.verdicts.outcome import ItemArrays, JudgedClaim, Outcome, Samples
from replications.verdicts.verdict import Verdict

Draw = Callable[[np.random.Generator], list[str]]
"""Returns the words of one simulated study; more than one where a whole paper is judged."""


@dataclass(frozen=True)
class Scenario:
    """One situation of one rule.

    Attributes:
        rule: kind of claim, or the rule above kinds.
        situation: what is true, one clause.
        seeds: seeds per run.
        draw: simulates and judges one study.
        wrong: groups of words that would be an error here: `holds`, `contradicted`, both, or none.
        limit: largest rate of each of them that the rule promises.
        right: group of words that is hoped for, where the rule has the power to reach it.
        power: smallest rate of it that is promised.
    """

    rule: str
    situation: str
    seeds: int
    draw: Draw
    wrong: tuple[str, ...] = ()
    limit: float = 0.05
    right: str = ""
    power: float = 0.0

    @property
    def name(self) -> str:
        """Return a name that no other scenario has."""
        return f"{self.rule}: {self.situation}, n = {self.seeds}"


BOTH = ("holds", "contradicted")
GRID = (1.0, 10.0, 100.0, 1000.0)
RUN = {"run": "a", "metric": "error"}


def _claim(kind: type[JudgedClaim], name: str, **keys: Any) -> Any:
    base = {"id": "simulated", "claim": "-", "location": "-", "evidence": "paper", "reason": "-", "untested": "-", "kind": name}
    return kind.model_validate(base | keys)


def _value(**keys: Any) -> ValueClaim:
    return _claim(ValueClaim, "value", **{"measure": RUN, "published": 0.0, "margin": 3.0, "better": "lower"} | keys)


def _order(**keys: Any) -> OrderClaim:
    return _claim(OrderClaim, "order", **{"ranking": [RUN, RUN | {"run": "b"}], "better": "lower"} | keys)


def _trend(statistic: str, within: tuple[float, float], **keys: Any) -> TrendClaim:
    points = [RUN | {"run": f"n{i}", "x": x} for i, x in enumerate(GRID)]
    return _claim(TrendClaim, "trend", points=points, statistic=statistic, range=within, **keys)


def _count(**keys: Any) -> CountClaim:
    items = {"run": "a", "scores": "s", "shuffled": "c", "untrained": "u", "p": "p", "threshold": 0.9, "control": 0.6}
    return _claim(CountClaim, "count", items=items, **keys)


def _sample(values: np.ndarray) -> dict[int, float]:
    return {seed: float(value) for seed, value in enumerate(values)}


def _word(outcome: Outcome) -> list[str]:
    return [outcome.word]


def _values(n: int) -> Iterator[Scenario]:
    claim = _value()

    def at(mean: float) -> Draw:
        return lambda generator: _word(claim.judge_values(_sample(generator.normal(mean, 1, n))))

    yield Scenario("value", "ours is the published one, margin of 3 sd", n, at(0), ("contradicted",), 0.01, "holds", 0.85)
    yield Scenario("value", "ours lies on the worse edge of the margin", n, at(3), ("holds",))
    yield Scenario("value", "ours is 6 sd worse, margin of 3 sd", n, at(6), ("holds",), 0.01, "contradicted", 0.6)
    share = _value(published=5.0, margin=1.0, unit="%")

    def one_test_set(generator: np.random.Generator) -> list[str]:
        # True error 6 %: the edge. All seeds see the same 2,000 items, whose difficulty moves them together.
        errors = 100 * generator.binomial(2000, 0.06) / 2000 + generator.normal(0, 0.1, n)
        return _word(share.judge_values(_sample(errors), 2000))

    yield Scenario("value", "on the worse edge, all seeds on one test set of 2,000", n, one_test_set, ("holds",))


def _orders(n: int) -> Iterator[Scenario]:
    claim = _order()

    def gap(mean: float) -> Draw:
        return lambda g: _word(claim.judge_samples([_sample(g.normal(0, 1, n)), _sample(g.normal(mean, 1, n))]))

    yield Scenario("order", "both are equal", n, gap(0), BOTH)
    yield Scenario("order", "A is better by 4 sd", n, gap(4), ("contradicted",), 0.001, "holds", 0.75)
    yield Scenario("order", "A is worse by 4 sd", n, gap(-4), ("holds",), 0.001, "contradicted", 0.75)
    share = _order(unit="%")

    def one_test_set(generator: np.random.Generator, *, paired: bool) -> list[str]:
        # Both err on 5 % of all possible items; on half of the errors together. Training adds little noise.
        hard, either = generator.random(2000), generator.random((2, 2000))
        wrong = [(hard < 0.025) | (either[i] < 0.0256) for i in range(2)]
        rows = [{seed: wrong[i] ^ (generator.random(2000) < 0.0005) for seed in range(n)} for i in range(2)]
        samples = [{seed: 100 * float(row.mean()) for seed, row in of.items()} for of in rows]
        return _word(share.judge_samples(samples, [2000, 2000], rows if paired else []))

    stored, unstored = partial(one_test_set, paired=True), partial(one_test_set, paired=False)
    yield Scenario("order", "both are equal, one test set of 2,000, items not stored", n, unstored, BOTH)
    yield Scenario("order", "both are equal, one test set of 2,000, items stored", n, stored, BOTH)
    reach = _order(ranking=None, contrast=[RUN | {"weight": 1}], better=None, min_difference=90, unit="%")

    def solved(generator: np.random.Generator) -> list[str]:
        return _word(reach.judge_samples([_sample(np.where(generator.random(n) < 0.7, 100.0, 50.0))]))

    yield Scenario("order", "seeds solve a task (100 %, 7 of 10) or not (50 %): mean 85 %, claimed 90 %", n, solved, ("holds",))

    def noisy(generator: np.random.Generator, *, declared: bool) -> list[str]:
        values = np.where(generator.random(n) < 0.7, 99.0, 50.0) + generator.normal(0, 0.3, n)
        return _word(reach.judge_samples([_sample(values)], may_fail=[declared]))

    noise = "the same with noise (99 ± 0.3 or 50 ± 0.3 %): mean 84 %, claimed 90 %"
    yield Scenario("order", noise, n, partial(noisy, declared=True), ("holds",))
    yield Scenario("order", f"{noise}; not declared that trainings may fail, for comparison", n, partial(noisy, declared=False))
    task = _order(better="higher", unit="%", min_difference=20)

    def learned(generator: np.random.Generator, share: float) -> list[str]:
        a = np.where(generator.random(n) < share, 99.0, 20.0) + generator.normal(0, 0.3, n)
        return _word(task.judge_samples([_sample(a), _sample(generator.normal(20, 2, n))], may_fail=[True, True]))

    edge = partial(learned, share=20 / 79)
    yield Scenario("order", "trainings that may fail: 99 % in 1 of 4, else 20 %, against 20 %; claimed 20 points", n, edge, BOTH)
    every, power = partial(learned, share=1.0), 0.9 if n >= 5 else 0.0
    yield Scenario(
        "order",
        "trainings that may fail, none does: 99 against 20 %, claimed 20 points",
        n,
        every,
        ("contradicted",),
        0.001,
        "holds",
        power,
    )
    ahead = _order(better="higher", unit="%", min_difference=20)

    def both_solve(generator: np.random.Generator) -> list[str]:
        a, b = (np.where(generator.random(n) < p, 100.0, 0.0) for p in (0.6, 0.4))
        return _word(ahead.judge_samples([_sample(a), _sample(b)]))

    yield Scenario("order", "all-or-nothing seeds, 60 against 40 %, claimed 20 points", n, both_solve, BOTH)

    def clear(generator: np.random.Generator) -> list[str]:
        a, b = np.where(generator.random(n) < 0.98, 100.0, 0.0), np.zeros(n)
        return _word(_order(better="higher", unit="%").judge_samples([_sample(a), _sample(b)]))

    yield Scenario("order", "all-or-nothing seeds, 98 against 0 %", n, clear, ("contradicted",), 0.001, "holds", 0.85)


def _trends(n: int) -> Iterator[Scenario]:
    slope = _trend("semilogx_slope", (-np.inf, 0.0))
    flat_line = np.zeros(4)

    def of(claim: TrendClaim, mean: np.ndarray, sd: float, *, log: bool = False) -> Draw:
        def draw(generator: np.random.Generator) -> list[str]:
            curves = mean + generator.normal(0, sd, (n, 4))
            return _word(claim.judge_points([_sample(point) for point in (np.exp(curves) if log else curves).T]))

        return draw

    yield Scenario("slope", "the curve is flat, claimed to fall", n, of(slope, flat_line, 1), BOTH)

    def one_test_set(generator: np.random.Generator, statistic: TrendClaim, *, counted: bool) -> list[str]:
        # Four networks err on 5 % of all possible items, half of the errors together. Training adds little noise.
        hard, either = generator.random(2000), generator.random((4, 2000))
        errors = [100 * float(((hard < 0.025) | (either[i] < 0.0256)).mean()) for i in range(4)]
        points = [_sample(error + generator.normal(0, 0.03, n)) for error in errors]
        items = CurveItems([ShareAt(i, 1.0, point, 2000, {}) for i, point in enumerate(points)])
        return _word(statistic.judge_points(points, items if counted else None))

    same = "the curve is flat, in per cent of one test set of 2,000, items not stored"
    yield Scenario("slope", f"{same}; claimed to fall", n, partial(one_test_set, statistic=slope, counted=True), BOTH)
    yield Scenario("slope", f"{same}; their error left out, for comparison", n, partial(one_test_set, statistic=slope, counted=False))
    through = _trend("crossing", (2.0, 500.0), direction="up", level=5.0)
    yield Scenario("crossing", f"{same}; claimed one upwards", n, partial(one_test_set, statistic=through, counted=True), ("holds",))
    # The seeds spread by 1 at each point; a crossing between the second and the third.
    cross = _trend("crossing", (2.0, 500.0), direction="up")
    up = np.array([-6.0, -3.0, 3.0, 6.0])
    yield Scenario("crossing", "one, upwards, as claimed", n, of(cross, up, 1), ("contradicted",), 0.02, "holds", 0.75)
    power = 0.9 if n >= 5 else 0.0
    yield Scenario("crossing", "one, downwards, claimed upwards", n, of(cross, -up, 1), ("holds",), 0.01, "contradicted", power)
    yield Scenario("crossing", "one, upwards, drowned in noise", n, of(cross, up / 6, 1), ("contradicted",))
    twice = np.array([-6.0, 6.0, 6.0, -6.0])
    yield Scenario("crossing", "two, claimed one upwards", n, of(cross, twice, 1), ("holds",), 0.01, "contradicted", power)
    yield Scenario("crossing", "none, claimed one upwards", n, of(cross, up + 12, 1), ("holds",), 0.01, "contradicted", power)
    yield Scenario("crossing", "no gap at all, noise alone", n, of(cross, flat_line, 1), ("holds",))
    early = np.array([0.0, 6.0, 9.0, 12.0])
    near = _trend("crossing", (0.1, 500.0), direction="up")
    yield Scenario("crossing", "the curve only begins at the level", n, of(near, early, 1), ("holds",))
    edge = np.array([-6.0, 6.0 * (1 - np.log10(2)) / np.log10(2), 12.0, 18.0])
    yield Scenario("crossing", "at the edge of the claimed range", n, of(cross, edge, 0.5), BOTH)
    flat = _trend("range_ratio", (0.0, 1.02))
    claimed = "claimed at most 1.02"
    step = np.log(1.02) * np.array([0.0, 0.0, 0.0, 1.0])
    noisy, quiet = of(flat, flat_line, 0.03, log=True), of(flat, flat_line, 0.003, log=True)
    yield Scenario("range ratio", f"equal means, 3 % noise, {claimed}", n, noisy, ("contradicted",))
    yield Scenario("range ratio", f"equal means, 0.3 % noise, {claimed}", n, quiet, ("contradicted",), 0.01, "holds", 0.7)
    yield Scenario("range ratio", f"exactly 1.02, 1 % noise, {claimed}", n, of(flat, step, 0.01, log=True), BOTH)
    far = of(flat, 10 * step, 0.01, log=True)
    yield Scenario("range ratio", f"1.22, 1 % noise, {claimed}", n, far, ("holds",), 0.001, "contradicted", 0.6)


def _cells(generator: np.random.Generator, good: int, size: int = 50) -> ItemArrays:
    """Return the items of one network: `good` of them track a feature, the scores of the rest pass and their p-values are null."""
    p = generator.random(size)
    p[:good] = 1e-6
    return np.full(size, 0.95), np.full(size, 0.5), np.full(size, 0.5), p


def _counts(n: int) -> Iterator[Scenario]:
    claim = _count(at_least=1)

    def in_share(share: float) -> Draw:
        return lambda g: _word(claim.judge_items({seed: _cells(g, int(g.random() < share)) for seed in range(n)}))

    enough = n >= 5
    yield Scenario("count", "no network has such a unit", n, in_share(0), ("holds",), 0.001, "contradicted", 0.6 if enough else 0)
    yield Scenario("count", "half of all networks have one, claimed most", n, in_share(0.475), BOTH)
    yield Scenario("count", "every network has one", n, in_share(1), ("contradicted",), 0.001, "holds", 0.95 if enough else 0)


def _preconditions(n: int) -> Iterator[Scenario]:
    learned = {"measure": RUN | {"metric": "accuracy"}, "above": 50, "reason": "Guessing gives one half."}
    keys = {"at_most": 0.15, "fraction": True, "tiers": {"gpu": {"seeds": n}}, "untested": ""}
    for needs in ([], [learned]):
        claim = _count(**keys | {"requires": needs})

        def draw(generator: np.random.Generator, claim: CountClaim = claim) -> list[str]:
            # Networks at chance have no readable cells: the claim of absence is empty.
            accuracy = _sample(generator.normal(50, 1, n))
            arrays = {seed: _cells(generator, 0) for seed in range(n)}
            measures = {needed.measure: accuracy for needed in claim.requires if needed.measure}
            return [judge("paper", "gpu", claim, Samples(measures, {claim.items: arrays} if claim.items else {})).verdict]

        if needs:
            yield Scenario("precondition", "absence claimed of networks at chance, which must have learned", n, draw, ("holds",))
        elif n >= 5:
            yield Scenario("precondition", "the same without a precondition, for comparison", n, draw)


def _above_kinds() -> Iterator[Scenario]:
    planned = _order(tiers={"gpu": {"seeds": 5}}, untested="")
    measures = list(planned.reads())

    def best_of_five(generator: np.random.Generator) -> list[str]:
        gaps = np.sort(generator.normal(0, 1, 5))[2:]
        samples = {measures[0]: _sample(np.zeros(3)), measures[1]: _sample(gaps)}
        return [judge("paper", "gpu", planned, Samples(samples)).verdict]  # type: ignore[arg-type]

    yield Scenario("missing seeds", "both are equal, the worst two of five planned seeds are left out", 3, best_of_five, BOTH)
    for primary, size, word in ((True, 10, "primary"), (False, 26, "other")):
        base = _order(tiers={"gpu": {"seeds": 3}}, untested="", primary=primary)

        def paper(generator: np.random.Generator, base: Claim = base, size: int = size) -> list[str]:
            verdicts: list[Verdict] = []
            for _ in range(size):
                values = {measure: _sample(generator.normal(0, 1, 3)) for measure in base.reads()}
                verdicts.append(judge("paper", "gpu", base, Samples(values)))  # type: ignore[arg-type]
            return [verdict.verdict for verdict in adjust(verdicts)]

        yield Scenario("family", f"{size} {word} order claims of a paper, all equal: any decision", 3, paper, BOTH)


def scenarios() -> list[Scenario]:
    """Return all scenarios, by rule and seeds."""
    found: list[Scenario] = []
    for part in (_values, _orders, _trends, _counts, _preconditions):
        for n in (3, 5):
            found += part(n)
    return [*sorted(found, key=lambda scenario: list(dict.fromkeys(s.rule for s in found)).index(scenario.rule)), *_above_kinds()]
