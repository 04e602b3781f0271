"""Claims as the report shows them: the registered statement, its verdict, and what would decide it where it is open."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from replications.errors import ReplicationError
from replications.presentation.judging import judge_paper
from replications.presentation.verdict_log import History, history_sentence
from replications.registry.claims import Claim
from replications.registry.papers import Paper
from replications.verdicts.verdict import Verdict
from replications.verdicts.words import WORDS
from report import formatting
from report.results_folder import PaperResults, Problem
from report.run_tables import advice

VERDICTS: dict[str, str] = {word: WORDS[word].meaning for word in sorted(WORDS, key=lambda word: word == "not tested")}
"""Every verdict in the order of the legend, what was not tested last, with what it means."""

EVIDENCE: dict[str, str] = {
    "paper": "checked in the paper's own text",
    "author": "checked in an artefact of the authors",
    "secondary": "from a third party's transcription",
    "derived": "by arithmetic from checked values",
    "recalled": "not checked; decides nothing",
    "ours": "a statement of ours, which the paper does not make",
}


@dataclass(frozen=True)
class ClaimContent:
    """One claim with its verdict. Numbers are in the claim's unit; None where there is none."""

    key: str
    paper: str
    id: str
    text: str
    margin_reason: str
    kind: str
    primary: bool
    location: str
    evidence: str
    published: float | None
    published_text: str
    unit: str
    criterion: str
    ours: float | None
    low: float | None
    high: float | None
    level: float | None
    p: float | None
    p_against: float | None
    p_holm: float | None
    p_fdr: float | None
    margin: float | None
    verdict: str
    reason: str
    seeds_planned: int
    seeds_finished: int
    seeds_needed: int | None
    values: tuple[float, ...]
    proxy: str
    integrity: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    registration: str = ""
    post_hoc: str = ""
    tuning: str = ""
    said_beside: tuple[str, ...] = ()
    made: str = ""
    tier: str = ""
    runs: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    advice: str = ""

    @classmethod
    def unjudged(cls, claim: Claim, base: dict[str, Any]) -> ClaimContent:
        """Return a claim whose verdict could not be computed.

        Args:
            claim: the claim, as it is declared.
            base: the fields that do not depend on a verdict.

        Returns:
            Content with the word 'not tested' and no numbers.
        """
        nothing: dict[str, Any] = dict.fromkeys(
            ("published", "ours", "low", "high", "level", "p", "p_against", "p_holm", "p_fdr", "margin", "seeds_needed")
        )
        known = {name: getattr(claim, name) for name in ("kind", "primary", "location", "evidence", "published_text", "unit")}
        texts: dict[str, Any] = dict.fromkeys(("criterion", "proxy"), "")
        return cls(
            **base, **nothing, **known, **texts, values=(), seeds_planned=claim.seeds, seeds_finished=0,
            verdict="not tested", reason="No verdict could be computed; see what is missing or in doubt.",
        )  # fmt: skip

    @property
    def anchor(self) -> str:
        """Identifier of the claim within its page."""
        return f"claim-{self.id}"

    @property
    def digits(self) -> int:
        """Decimals that the interval supports."""
        spread = (self.high - self.low) / 2 if self.low is not None and self.high is not None else 0.0
        return formatting.digits_for(spread, self.ours or 0.0)

    def shown(self, value: float | None) -> str:
        """Return a number of ours as text, with the decimals that the interval supports.

        Args:
            value: the number, in the claim's unit; None for none.

        Returns:
            Text without unit; empty for None.
        """
        return "" if value is None else formatting.fixed(value, self.digits)

    @property
    def shown_ours(self) -> str:
        """Our estimate with its unit."""
        return "" if self.ours is None else f"{self.shown(self.ours)}{self._unit}"

    @property
    def shown_interval(self) -> str:
        """Our interval, without its unit."""
        return "" if self.low is None or self.high is None else f"{self.shown(self.low)} to {self.shown(self.high)}"

    @property
    def shown_p(self) -> str:
        """The p-value of the claim, that of its contradiction where it is the smaller one, and the smaller one adjusted in its family."""
        shown = [] if self.p is None else [f"p = {self.p:.2g}"]
        if self.p is not None and self.p_against is not None and self.p_against < self.p:
            shown.append(f"against the claim {self.p_against:.2g}")
        shown += [] if self.p_holm is None else [f"after Holm {self.p_holm:.2g}"]
        shown += [] if self.p_fdr is None else [f"after false-discovery adjustment {self.p_fdr:.2g}"]
        return ", ".join(shown)

    @property
    def shown_published(self) -> str:
        """The published value, as a number or in words."""
        return self.published_text if self.published is None else f"{formatting.plain(self.published)}{self._unit}"

    @property
    def shown_seeds(self) -> str:
        """The number of finished seeds, and of planned ones."""
        if self.seeds_finished >= self.seeds_planned:
            return f"{self.seeds_finished} seeds"
        return f"{self.seeds_finished} of {self.seeds_planned} seeds"

    @property
    def shown_margin(self) -> str:
        """The registered margin."""
        return "" if self.margin is None else f"{formatting.plain(self.margin)}{self._unit}"

    @property
    def _unit(self) -> str:
        return f"{formatting.THIN}{self.unit}" if self.unit else ""


def judged(paper: Paper, found: PaperResults, problems: list[Problem]) -> list[Verdict]:
    """Return the verdicts of a paper, judged now from the records.

    Args:
        paper: the paper.
        found: its results.
        problems: where a paper that cannot be judged is noted.

    Returns:
        One verdict per claim; none where the paper cannot be judged.
    """
    try:
        return judge_paper(found.results)
    except ReplicationError as error:
        problems.append(Problem(paper.name, "claims", f"cannot be judged: {error}"))
        return []


def claim_of(paper: Paper, claim: Claim, verdict: Verdict | None, found: PaperResults, made: History | None = None) -> ClaimContent:
    """Return a claim with its verdict and the commands that made what it was judged by.

    Args:
        paper: the paper.
        claim: one of its claims.
        verdict: the verdict on it; None where it could not be judged.
        found: the paper's results.
        made: the rows of the log of verdicts.

    Returns:
        The claim as the report shows it.
    """
    found = found.of_tier(verdict.tier) if verdict else found
    commands = [str(chunk.provenance.get("command", "")) for run in (verdict.runs if verdict else ()) for chunk in found.chunks_of(run)]
    base: dict[str, Any] = {
        "key": f"{paper.name}.{claim.id}",
        "paper": paper.name,
        "id": claim.id,
        "text": claim.claim,
        "margin_reason": claim.reason,
    }
    if verdict is None:
        return ClaimContent.unjudged(claim, base)
    told = advice(verdict.verdict, verdict.seeds_needed, verdict.seeds_finished, verdict.runs, found)
    shared = {f.name for f in fields(ClaimContent)} & {f.name for f in fields(Verdict)} - set(base)
    copied = {name: getattr(verdict, name) for name in shared} | {"said_beside": verdict.said_beside}
    copied["made"] = history_sentence((made or {}).get((verdict.tier, verdict.id), ()), verdict.unit)
    return ClaimContent(**base, **copied, commands=tuple(dict.fromkeys(command for command in commands if command)), advice=told)
