"""What a paper folder declares: `paper.yaml` (citation, published tables, claims, deviations) and its discovery.

The models are the schema: an unknown key, a wrong type or a missing value is one message that names the file, the
key, what was expected and the nearest valid key. `runs.yaml` is read by `evidence.runs`.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from replications.evidence.errors import InputError, nearest
from replications.evidence.reading import read_yaml, validate

PACKAGE = Path(__file__).resolve().parent.parent
TIERS = ("smoke", "gpu", "paper")

Tier = Literal["smoke", "gpu", "paper"]
EvidenceMark = Literal["paper", "author", "secondary", "derived", "recalled"]
"""How the transcription of a published value was checked: in the paper's own text, in an author's artefact, in a
third party's transcription, by arithmetic from checked values, or not at all. Recalled values decide nothing."""

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:[-_.][a-z0-9]+)*$")]


class Strict(BaseModel):
    """Immutable, and no key that was not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RunSettings(Strict):
    """What a paper's `settings.Settings` is made of: every field with a default or a description of what to give."""

    def rehearsed(self) -> Self:
        """For a rehearsal: the same networks, batches and recipe, and little to evaluate on. Default: as they are."""
        return self

    def in_fp32(self) -> Self:
        """For a rehearsal on a machine that does not multiply bf16 itself: products in fp32. Default: as they are."""
        return self


class Citation(Strict):
    """How the replicated paper is cited."""

    title: str
    authors: list[str] = Field(min_length=1)
    year: int
    venue: str
    kind: Literal["inproceedings", "article", "misc"] = Field("inproceedings", description="BibTeX entry type; misc for a preprint.")
    arxiv: str | None = Field(None, description="Identifier with version, for example 1406.6247v1.")
    url: str | None = None


class Version(Strict):
    """One published version of a table: versions of a paper can differ in every row."""

    label: str
    evidence: EvidenceMark


class TableMeasure(Strict):
    """One measured quantity of a table; ours is read from the records of the row's run."""

    label: str
    metric: str = Field(description="Metric in our records.")
    split: str = "test"
    unit: str = ""
    better: Literal["lower", "higher"]
    digits: int = 2


class TableRow(Strict):
    """One row. `published` maps version, then measure, to a value; one measure alone needs no inner mapping."""

    label: str
    published: dict[str, float | dict[str, float]] = Field(default_factory=dict)
    run: str | None = Field(None, description="Our run of this row; none where we have no counterpart.")
    metrics: dict[str, str] = Field(default_factory=dict, description="Measure to our metric, where it differs.")
    evidence: EvidenceMark | None = Field(None, description="Overrides the version's mark for this row.")
    ours_only: bool = Field(False, description="A row we added; the paper has none.")

    def value(self, version: str, measure: str) -> float | None:
        """The published value, or None where the paper gives none."""
        cell = self.published.get(version)
        return cell.get(measure) if isinstance(cell, dict) else cell


class Table(Strict):
    """A published table, whole: every row, also those we cannot run."""

    title: str
    location: str
    measures: dict[str, TableMeasure] = Field(min_length=1)
    versions: dict[str, Version] = Field(default_factory=dict, description="Printings that give values; none for a table of ours alone.")
    rows: list[TableRow] = Field(min_length=1)
    note: str = ""

    @model_validator(mode="after")
    def _columns_can_be_told_apart(self) -> Table:
        labels = [measure.label for measure in self.measures.values()]
        twice = [label for label in labels if labels.count(label) > 1]
        if twice:
            raise ValueError(f"two measures have the label '{twice[0]}'; readers and columns tell measures apart by it")
        return self

    @model_validator(mode="after")
    def _published_cells_are_declared(self) -> Table:
        for row in self.rows:
            for version, cell in row.published.items():
                if version not in self.versions:
                    raise ValueError(f"row '{row.label}': version '{version}'. {nearest(version, self.versions)}")
                if isinstance(cell, dict):
                    for measure in cell:
                        if measure not in self.measures:
                            raise ValueError(f"row '{row.label}': measure '{measure}'. {nearest(measure, self.measures)}")
                elif len(self.measures) > 1:
                    raise ValueError(f"row '{row.label}': several measures, so write {{measure: value}} for '{version}'")
            if not row.published and not row.ours_only:
                raise ValueError(f"row '{row.label}' has no published value; mark it ours_only: true")
        return self


class Measure(Strict):
    """One recorded quantity: a value per seed of one run."""

    run: str
    metric: str
    split: str = "test"
    step: Literal["last"] | int = Field("last", description="Step of the record; last is the largest.")


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


class Deviation(Strict):
    """One entry of the ledger: what differs from the paper, and which way that should move the result."""

    what: str
    paper: str
    ours: str
    effect: Literal["better", "worse", "none", "unknown"] = Field(description="Expected effect on our score.")
    reason: str


class Paper(Strict):
    """The whole of `paper.yaml`, and where it was read."""

    name: str = Field(description="The folder's name; given by discovery, not written in the file.")
    short: str = Field(description="A few words for headings, for example 'Recurrent attention'.")
    question: str = Field(description="What the replication asks, one sentence.")
    citation: Citation
    cites: dict[Identifier, Citation] = Field(default_factory=dict, description="Other works the text cites.")
    tables: dict[Identifier, Table] = Field(default_factory=dict)
    claims: list[Claim] = Field(min_length=1)
    deviations: list[Deviation] = Field(default_factory=list)

    @model_validator(mode="after")
    def _claim_ids_are_unique(self) -> Paper:
        ids = [claim.id for claim in self.claims]
        for claim_id in ids:
            if ids.count(claim_id) > 1:
                raise ValueError(f"claim id '{claim_id}' is used twice")
            if claim_id in self.tables:
                raise ValueError(f"'{claim_id}' names a claim and a table, so that a citation of it would be ambiguous")
        return self

    @property
    def folder(self) -> Path:
        """Where the paper lives."""
        return PACKAGE / self.name

    def claim(self, claim_id: str) -> Claim:
        """The claim of this id. Raises InputError with the nearest one."""
        for claim in self.claims:
            if claim.id == claim_id:
                return claim
        raise InputError(f"{self.name} has no claim '{claim_id}'. {nearest(claim_id, [c.id for c in self.claims])}")


def paper_names() -> list[str]:
    """Every folder of the package that holds a `paper.yaml`, sorted."""
    return sorted(path.parent.name for path in PACKAGE.glob("*/paper.yaml"))


def read_paper(folder: Path) -> Paper:
    """Read and validate `paper.yaml` of one folder."""
    path = folder / "paper.yaml"
    return validate(Paper, read_yaml(path) | {"name": folder.name}, str(path))


@functools.cache
def load_paper(name: str) -> Paper:
    """The paper of this name. Raises InputError with the nearest name when there is none."""
    if name not in paper_names():
        raise InputError(f"No paper is called '{name}'. {nearest(name, paper_names())}")
    return read_paper(PACKAGE / name)


def load_papers(names: list[str] | None = None) -> list[Paper]:
    """The named papers, or all of them."""
    return [load_paper(name) for name in names or paper_names()]
