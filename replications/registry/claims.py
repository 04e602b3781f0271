"""Claims: one falsifiable statement each, and what its comparison reads.

A claim is an instance of the class of its kind. Kinds are found as papers are: each file of `verdicts/kinds/` declares the
keys of one kind and the rule that judges it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from replications import paths
from replications.errors import nearest
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

    @property
    def arrays(self) -> tuple[str, str, str, str]:
        """Return the names of the four arrays, in the order in which a rule takes them."""
        return self.scores, self.shuffled, self.untrained, self.p


class Precondition(Strict):
    """What must hold before a claim is tested: another claim of the paper, or a comparison of one measure with a number.

    A claim of absence ("no more than a few cells are readable") would otherwise pass with a model that learned nothing.
    """

    claim: Identifier | None = Field(None, description="Claim of the same paper that must hold at the same tier.")
    measure: Measure | None = Field(None, description="Measure whose mean over seeds must lie above or below a number.")
    above: float | None = Field(None, description="The mean must exceed it (one-sided t-test at 0.05 over seeds).")
    below: float | None = Field(None, description="The mean must be smaller (one-sided t-test at 0.05 over seeds).")
    reason: str = Field("", description="One sentence: why this number, for example what chance gives.")

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        bounds = (self.above is not None) + (self.below is not None)
        if (self.claim is None) == (self.measure is None):
            raise ValueError("a precondition names a 'claim' or a 'measure', not both")
        if bounds != (self.measure is not None):
            raise ValueError("a precondition on a measure gives 'above' or 'below', one of them; one on a claim gives neither")
        if self.measure and not self.reason:
            raise ValueError("a precondition on a measure says under 'reason' why this number")
        return self


class TierOverride(Strict):
    """Changes of a claim at one tier.

    Besides the fields here, the keys of the claim's kind may be given; they replace the claim's own.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    proxy: str | None = Field(None, description="What was scaled down, when this tier tests a stand-in.")
    seeds: int | None = Field(None, ge=1, description="Planned seeds at this tier; default: the claim's.")
    claim: str = Field("", description="The statement judged at this tier, where it is judged by another bound; wording, decides nothing.")
    reason: str = Field("", description="Why this tier's bound, where it has one of its own; decides nothing.")
    first_look: bool = Field(False, description="Fewer finished seeds than planned may decide, as a first look that was announced.")


class Claim(Strict):
    """One falsifiable statement of a paper, registered with its margin before the run that judges it.

    Each kind is a subclass that adds the keys of its comparison. `at(tier)` gives the comparison in force at a tier.
    """

    required: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Keys that a complete comparison has; of the alternatives in one tuple at least one."""

    id: Identifier
    claim: str
    location: str = Field(description="Version, table, figure or section.")
    evidence: EvidenceMark
    kind: str
    reason: str = Field(description="One sentence: why this margin.")
    primary: bool = False
    published_text: str = Field("", description="The published finding in words, where it is not a single number.")
    unit: str = ""
    seeds: int = Field(3, ge=2, description="Planned seeds; one never decides.")
    counted: bool = Field(False, description="Counted, not sampled: equal for every seed, judged without an interval.")
    requires: list[Precondition] = Field(default_factory=list, description="What must hold first; otherwise the claim is not tested.")
    tiers: dict[Tier, TierOverride] = Field(default_factory=dict)
    untested: str = Field("", description="Why no tier tests this claim, where none does.")
    statements: list[Identifier] = Field(
        default_factory=list, description="Ids in statements.yaml of the lecture statements that this claim tests; they decide nothing."
    )

    @classmethod
    def comparison_keys(cls) -> frozenset[str]:
        """Return the keys that a tier may replace: those of the kind, `counted` and `requires`."""
        return frozenset(cls.model_fields) - frozenset(Claim.model_fields) | {"counted", "requires"}

    def reads(self) -> list[Measure | Items]:
        """Return what the comparison reads; of a comparison in force, see `at`.

        Raises:
            NotImplementedError: the class of the kind does not define it.
        """
        raise NotImplementedError

    def measures(self, tier: str) -> list[Measure | Items]:
        """Return what the comparison in force at a tier reads, then what its preconditions read.

        Args:
            tier: name of the tier.

        Returns:
            Measures or items, each once.

        Raises:
            KeyError: the tier does not test the claim.
        """
        test = self.at(tier)
        return list(dict.fromkeys([*test.reads(), *(needed.measure for needed in test.requires if needed.measure)]))

    def bounds(self) -> tuple[object, ...]:
        """Return the numbers that the comparison is judged by; of a comparison in force, see `at`.

        Raises:
            NotImplementedError: the class of the kind does not define it.
        """
        raise NotImplementedError

    def faults(self) -> list[str]:
        """Return what is wrong between the keys of a complete comparison, one sentence each."""
        return []

    @model_validator(mode="after")
    def _complete_at_every_tier(self) -> Self:
        if not self.tiers and not self.untested:
            raise ValueError("names no tier; say why under 'untested'")
        for tier, override in self.tiers.items():
            for key in override.model_extra or {}:
                if key not in self.comparison_keys():
                    choices = {*self.comparison_keys(), *TierOverride.model_fields}
                    raise ValueError(f"tiers.{tier}.{key}: unknown key. {nearest(key, choices)}")
            self._check(tier)
        return self

    def _check(self, tier: str) -> None:
        try:
            test = self.at(tier)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"at tier '{tier}': {where}: {first['msg'].removeprefix('Value error, ')}") from None
        for alternatives in self.required:
            if all(getattr(test, key) is None for key in alternatives):
                raise ValueError(f"a claim of kind '{self.kind}' needs '{' or '.join(alternatives)}' at tier '{tier}'")
        faults = test.faults()
        if tier == "smoke" and not test.counted and not test.proxy(tier):
            faults.append("say under 'proxy' what was scaled down (this tier tests stand-ins), or mark a counted quantity 'counted: true'")
        if faults:
            raise ValueError(f"at tier '{tier}': {faults[0]}")

    def proxy(self, tier: str) -> str:
        """Return what is scaled down at a tier; empty when the claim itself is tested there.

        Args:
            tier: name of the tier.

        Returns:
            The declared text of the stand-in.
        """
        return (self.tiers[tier].proxy or "") if tier in self.tiers else ""

    def statement(self, tier: str) -> str:
        """Return the statement that is judged at a tier: its own where it has another bound, else the claim's.

        Args:
            tier: name of the tier.

        Returns:
            One sentence.
        """
        return (self.tiers[tier].claim if tier in self.tiers else "") or self.claim

    def margin_reason(self, tier: str) -> str:
        """Return why the bound in force at a tier was chosen.

        Args:
            tier: name of the tier.

        Returns:
            The tier's own reason where it gives one, else the claim's.
        """
        return (self.tiers[tier].reason if tier in self.tiers else "") or self.reason

    def planned_seeds(self, tier: str) -> int:
        """Return the number of seeds that are planned at a tier.

        Args:
            tier: name of the tier.

        Returns:
            Number of seeds, at least 1.
        """
        override = self.tiers.get(tier)  # type: ignore[call-overload]
        return (override.seeds if override else None) or self.seeds

    def at(self, tier: str) -> Self:
        """Return the comparison in force at a tier: the claim, with its keys replaced by those that the tier gives.

        Args:
            tier: name of the tier.

        Returns:
            A copy of the claim, of the same kind.

        Raises:
            KeyError: the tier does not test the claim.
        """
        override = self.tiers[tier]  # type: ignore[index]
        update = {key: value for key, value in (override.model_extra or {}).items() if key in self.comparison_keys()}
        if not update:
            return self
        own = {key: getattr(self, key) for key in self.model_fields_set}
        merged = {key: value for key, value in own.items() if key not in self.replaced_by(update)} | update
        # Validated without tiers, which are checked once, in the claim itself.
        changed = type(self).model_validate(merged | {"tiers": {}, "untested": self.untested or "-"})
        return changed.model_copy(update={"tiers": self.tiers, "untested": self.untested})

    def replaced_by(self, update: dict[str, Any]) -> set[str]:  # noqa: ARG002 (kinds with alternatives use it)
        """Return further keys that give way when a tier gives those of `update`, where a kind has alternatives.

        Args:
            update: the keys that a tier gives, with their values.

        Returns:
            Names of keys; empty where the kind has no alternatives.
        """
        return set()

    def digest(self, tier: str, *, proxy: bool | None = None) -> str:
        """Return the hash of what decides the claim at a tier: kind, measures, published value, margin, bounds, seeds and proxy status.

        Wording, location and reasons are not part of it. Keys at their default are left out, so that a key which is added
        later changes no digest.

        Args:
            tier: a tier that tests the claim.
            proxy: whether a stand-in is tested there, where the runs' declared scale says so; None: what the claim itself says.

        Returns:
            16 hexadecimal digits.

        Raises:
            KeyError: the tier does not test the claim.
        """
        test = self.at(tier)
        content = test.model_dump(mode="json", include=set(self.comparison_keys()), exclude_defaults=True)
        for needed in content.get("requires", []):
            needed.pop("reason", None)
        content |= {"kind": self.kind, "evidence": self.evidence, "seeds": self.planned_seeds(tier)}
        flags = {
            "primary": self.primary,
            "proxy": bool(self.proxy(tier)) if proxy is None else proxy,
            "first_look": self.tiers[tier].first_look,  # type: ignore[index]
        }
        content |= {name: True for name, value in flags.items() if value}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@functools.cache
def claim_kinds() -> dict[str, type[Claim]]:
    """Return the class of each kind of claim by its name, from the files of `verdicts/kinds/`."""
    names = sorted(path.stem for path in (paths.PACKAGE / "verdicts" / "kinds").glob("[a-z]*.py"))
    return {name: importlib.import_module(f"replications.verdicts.kinds.{name}").KIND for name in names}
