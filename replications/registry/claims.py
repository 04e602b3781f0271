"""Claims: one falsifiable statement each, and how it is compared."""

from __future__ import annotations

import hashlib
import json
from typing import Literal, Self

from pydantic import Field, model_validator

from replications.registry.schema import EvidenceMark, Identifier, Strict, Tier


class Measure(Strict):
    """One recorded quantity: a value per seed of one run."""

    run: str
    metric: str
    split: str = Field("test", description="Data split that was measured.")
    model: str = Field("", description="Which of several networks of the run.")
    axis: str = Field("", description="Axis of the run's own on which `at` is a position.")
    at: float | None = Field(None, description="Position on `axis`.")
    step: Literal["last"] | int = Field("last", description="Training step of the record; last is the largest.")

    @model_validator(mode="after")
    def _axis_has_a_position(self) -> Self:
        if bool(self.axis) != (self.at is not None):
            raise ValueError("'axis' and 'at' belong together: give both or neither")
        return self


class Term(Measure):
    """A measure with its weight in a contrast."""

    weight: float


class Point(Measure):
    """A measure at a position on the horizontal axis of a trend; with `minus`, the gap between two measures there."""

    x: float
    minus: Measure | None = Field(None, description="Subtracted seed by seed, for gaps and for the crossing of two curves.")


class Items(Strict):
    """Scores of many items (units, cells, images), from the artifacts of one run, seed axis first.

    `scores`, `shuffled` and `untrained` name arrays of shape (seeds, items); `p` names permutation p-values of the
    same shape. An item passes when its score reaches `threshold`, both controls stay below `control`, and its p-value,
    Holm-adjusted over the items of its seed, is at most 0.05.
    """

    run: str
    scores: str
    shuffled: str
    untrained: str
    p: str
    threshold: float
    control: float


class Comparison(Strict):
    """What is compared, and by which margin. The claim gives it once; a tier may override single keys."""

    # value
    measure: Measure | None = None
    published: float | None = None
    margin: float | None = Field(None, gt=0)
    better: Literal["lower", "higher"] | None = None
    # order
    ranking: list[Measure] | None = Field(None, min_length=2, description="From best to worst.")
    contrast: list[Term] | None = Field(None, min_length=1, description="Weighted sum that must reach `by`; instead of `ranking`.")
    by: float = Field(
        0.0,
        description="Smallest difference that counts; negative: not worse by more. On the scale `ratio` the ratio to be reached,"
        " below 1: not worse by more; 0: any ratio above 1.",
    )
    scale: Literal["difference", "ratio"] = "difference"
    # trend
    points: list[Point] | None = Field(None, min_length=2)
    statistic: Literal["slope", "loglog_slope", "semilogx_slope", "crossing", "range_ratio"] | None = None
    level: float = Field(0.0, description="Value at which `crossing` looks for a curve; with `minus` mostly 0.")
    within: tuple[float, float] | None = Field(None, description="Range of the statistic; .inf and -.inf are allowed.")
    # count
    items: Items | None = None
    at_least: float | None = None
    fraction: bool = Field(False, description="`at_least` and `at_most` are shares of all items, not numbers of items.")
    at_most: float | None = None
    # all
    exact: bool = Field(False, description="Counted, not sampled: equal for every seed, judged without an interval.")


class TierTest(Comparison):
    """Where a claim is judged; keys given here replace the claim's own at this tier."""

    proxy: str | None = Field(None, description="What was scaled down, when this tier tests a stand-in.")
    seeds: int | None = Field(None, ge=1, description="Planned seeds at this tier; default: the claim's.")


_NEEDS: dict[str, list[tuple[str, ...]]] = {
    "value": [("measure",), ("published",), ("margin",), ("better",)],
    "order": [("ranking", "contrast")],
    "trend": [("points",), ("statistic",), ("within",)],
    "count": [("items",), ("at_least", "at_most")],
}


class Claim(Comparison):
    """One falsifiable statement of a paper, registered with its margin before the run that judges it."""

    id: Identifier
    claim: str
    location: str = Field(description="Version, table, figure or section.")
    evidence: EvidenceMark
    kind: Literal["value", "order", "trend", "count"]
    reason: str = Field(description="One sentence: why this margin.")
    primary: bool = False
    published_text: str = Field("", description="The published finding in words, where it is no single number.")
    unit: str = ""
    seeds: int = Field(3, ge=2, description="Planned seeds; one never decides.")
    tiers: dict[Tier, TierTest] = Field(default_factory=dict)
    untested: str = Field("", description="Why no tier tests this claim, where none does.")

    @model_validator(mode="after")
    def _complete_at_every_tier(self) -> Claim:
        if not self.tiers and not self.untested:
            raise ValueError("names no tier; say why under 'untested'")
        for tier in self.tiers:
            test = self.at(tier)
            for alternatives in _NEEDS[self.kind]:
                if all(getattr(test, key) is None for key in alternatives):
                    raise ValueError(f"a claim of kind '{self.kind}' needs '{' or '.join(alternatives)}' at tier '{tier}'")
            if fault := self._fault(tier, test):
                raise ValueError(f"at tier '{tier}': {fault}")
        return self

    def _fault(self, tier: str, test: TierTest) -> str:
        """What is wrong between the keys of a complete comparison; empty when nothing is."""
        x = [point.x for point in test.points or []]
        logarithmic = test.statistic in ("loglog_slope", "semilogx_slope")
        faults = {
            "give 'ranking' or 'contrast', not both": test.ranking and test.contrast,
            "a ranking needs 'better'": test.ranking and not test.better,
            f"'by' is {test.by:g}, but a ratio is positive; write 0.9 for 'not worse by more than 10 %'": test.scale == "ratio"
            and test.by < 0,
            "'within' needs the lower bound first": test.within and not test.within[0] < test.within[1],
            f"'{test.statistic}' needs every x above 0": logarithmic and x and min(x) <= 0,
            "'points' need at least two different x": x and len(set(x)) < 2,
            "say under 'proxy' what was scaled down (this tier tests stand-ins), or mark a counted quantity 'exact: true'": (
                tier == "smoke" and not test.exact and not test.proxy
            ),
        }
        return next((text for text, found in faults.items() if found), "")

    def at(self, tier: str) -> TierTest:
        """The comparison in force at a tier: the claim's keys, replaced by those the tier gives."""
        keys = set(Comparison.model_fields)
        merged = {key: getattr(self, key) for key in keys & self.model_fields_set}
        override = self.tiers[tier]  # type: ignore[index]
        merged |= {key: getattr(override, key) for key in override.model_fields_set}
        for one, other in (("ranking", "contrast"), ("contrast", "ranking")):
            if one in override.model_fields_set and other not in override.model_fields_set:
                merged.pop(other, None)
        return TierTest.model_validate(merged | {"seeds": override.seeds or self.seeds})

    def digest(self, tier: str) -> str:
        """Return the hash of what decides the claim at a tier: kind, measures, published value, margin, bounds and seeds.

        Wording, location and reasons are not part of it.
        """
        content = {"kind": self.kind, "evidence": self.evidence} | self.at(tier).model_dump(mode="json")
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def measures(self, tier: str) -> list[Measure | Items]:
        """Everything the claim's rule reads at a tier."""
        test = self.at(tier)
        subtracted = [point.minus for point in test.points or [] if point.minus]
        read: dict[str, list[Measure | Items | None]] = {
            "value": [test.measure],
            "order": [*(test.ranking or test.contrast or [])],
            "trend": [*(test.points or []), *subtracted],
            "count": [test.items],
        }
        return [measure for measure in read[self.kind] if measure]
