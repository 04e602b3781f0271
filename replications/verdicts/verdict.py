"""A verdict: the word on one claim with all numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass, field

from replications.verdicts.quantity import Quantity
from replications.verdicts.words import WORDS


@dataclass(frozen=True)
class Basis:
    """What a verdict rests on besides the numbers: whether its records can be trusted, and what was registered when.

    Attributes:
        integrity: faults of the chunks that the claim reads, one sentence each; any of them withholds the verdict.
        remarks: what a reader should know of the chunks and does not withhold it, one sentence each (uncommitted code, several commits).
        registration: 'post hoc' when a run began with another text of the claim, 'not registered' when it stored none; else empty.
        post_hoc: the reason for either; empty when every run carries today's text.
        tuning: how the settings of the tier were chosen, or that this is not recorded; empty where nothing is to be said.
    """

    integrity: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    registration: str = ""
    post_hoc: str = ""
    tuning: str = ""


@dataclass(frozen=True)
class Verdict:
    """The verdict on one claim from the records of one tier, with the numbers behind it.

    Attributes:
        id: `<paper>.<claim>`.
        claim: the statement that is judged at the tier.
        evidence: how the published value was checked.
        published: published value of a `value` claim, in `unit`.
        published_text: the published finding in words.
        metric: what `published`, `ours`, `low`, `high`, `margin` and `values` are, in `unit` and with their natural sign.
        quantity: how these follow from the numbers of the rule.
        criterion: what would have to be true of `metric`, in words.
        ours: our mean, difference, ratio, statistic or mean count.
        low: lower end of its interval at `level`; of the range over seeds when `level` is None.
        high: upper end.
        level: level of the interval; None when nothing was sampled.
        p: p-value of the claim (null: it is false); of the better side for `exceeded`.
        p_holm: p-value of the decision (of the claim, or of its contradiction), adjusted over the paper's tested primary claims by
            Holm's method; None for others.
        margin: margin or bound in force.
        seeds_planned: seeds that were registered for the tier.
        seeds_finished: seeds of the measure that has fewest.
        seeds_needed: seeds that would probably decide an open verdict.
        verdict: one of `words.WORDS`.
        reason: the sentence a reader gets.
        values: `ours` per seed, empty where seeds do not pair.
        proxy: what was scaled down; empty when the claim itself is tested.
        runs: the runs that it reads.
        integrity: why the verdict is withheld, one sentence per fault; empty when the records are what the runs wrote.
        remarks: what is to be said of the records besides, one sentence each.
        registration: 'post hoc', 'not registered' or empty, see `Basis`.
        post_hoc: the reason for it.
        tuning: how the tier's settings were chosen, or that this is not recorded.
        p_against: p-value of the contradiction (null: the claim is not contradicted).
        p_fdr: p-value of the decision, adjusted over the paper's other tested claims by Benjamini and Hochberg's method; None for
            primary ones.
        stands_for: the registered claim, where the tier judges another statement in its place; empty where it is the claim itself.
    """

    id: str
    paper: str
    tier: str
    claim: str
    kind: str
    primary: bool
    evidence: str
    location: str
    published: float | None
    published_text: str
    unit: str
    criterion: str
    ours: float | None
    low: float | None
    high: float | None
    level: float | None
    p: float | None
    p_holm: float | None
    margin: float | None
    seeds_planned: int
    seeds_finished: int
    seeds_needed: int | None
    verdict: str
    reason: str
    values: tuple[float, ...]
    proxy: str
    runs: tuple[str, ...]
    integrity: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    registration: str = ""
    post_hoc: str = ""
    tuning: str = ""
    p_against: float | None = None
    p_fdr: float | None = None
    stands_for: str = ""
    metric: str = ""
    quantity: Quantity = field(default_factory=Quantity)

    @property
    def symbol(self) -> str:
        """Symbol of the verdict's word."""
        return WORDS[self.verdict].symbol

    @property
    def said_beside(self) -> tuple[str, ...]:
        """What every reader of the verdict is told beside its word: faults, later texts of the claim, state of the code, tuning."""
        late = [f"{self.registration.capitalize()}: {self.post_hoc}"] if self.registration else []
        return (*self.integrity, *late, *self.remarks, *([self.tuning] if self.tuning else []))

    @property
    def shape(self) -> str:
        """Shape of the verdict's word."""
        return WORDS[self.verdict].shape
