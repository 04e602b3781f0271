"""Claims as the report shows them: the registered statement, its verdict, and what would decide it where it is open."""

from __future__ import annotations

from dataclasses import dataclass

from replications.errors import ReplicationError
from replications.presentation import formatting
from replications.presentation.answers import judged_statement, stand_in
from replications.presentation.judging import judge_paper
from replications.presentation.verdict_log import History, history_sentence
from replications.registry.claims import Claim
from replications.registry.papers import Paper
from replications.verdicts.verdict import Verdict
from replications.verdicts.words import WORDS
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


NOT_JUDGED = "No verdict could be computed; see what is missing or in doubt."
"""Reason of the verdict on a claim of a paper whose results cannot be read."""


@dataclass(frozen=True)
class ClaimContent:
    """One claim: its verdict, and what the report says of it besides.

    Attributes:
        verdict: the word with all its numbers, in the claim's unit.
        margin_reason: why the margin is what it is.
        promoted: the claim's rows in the log of verdicts, in a sentence; empty where it has none.
        commands: commands that made the chunks it was judged by.
        advice: what would decide it, where it is open.
    """

    verdict: Verdict
    margin_reason: str
    promoted: str = ""
    commands: tuple[str, ...] = ()
    advice: str = ""

    @property
    def id(self) -> str:
        """Name of the claim within its paper; `verdict.id` has the paper's name before it."""
        return self.verdict.id.removeprefix(f"{self.verdict.paper}.")

    @property
    def anchor(self) -> str:
        """Identifier of the claim within its page."""
        return f"claim-{self.id}"

    @property
    def statement(self) -> str:
        """The statement that was judged; at a stand-in with its bound."""
        return judged_statement(self.verdict)

    @property
    def stand_in(self) -> str:
        """What stands in for the claim at this tier, judged by which bound and why; empty for the claim itself."""
        return stand_in(self.verdict, self.margin_reason)

    @property
    def evidence(self) -> str:
        """How the published value was checked, in words; empty where it was read in the paper itself."""
        mark = self.verdict.evidence
        return "" if mark == "paper" else f"{mark}: {EVIDENCE[mark]}"

    @property
    def digits(self) -> int:
        """Decimals that the interval supports."""
        spread = (self.verdict.high - self.verdict.low) / 2 if self.verdict.low is not None and self.verdict.high is not None else 0.0
        return formatting.digits_for(spread, self.verdict.ours or 0.0)

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
        return "" if self.verdict.ours is None else f"{self.shown(self.verdict.ours)}{self._unit}"

    @property
    def shown_interval(self) -> str:
        """Our interval, without its unit."""
        return (
            ""
            if self.verdict.low is None or self.verdict.high is None
            else f"{self.shown(self.verdict.low)} to {self.shown(self.verdict.high)}"
        )

    @property
    def shown_p(self) -> str:
        """The p-value of the claim, that of its contradiction where it is the smaller one, and the smaller one adjusted in its family."""
        shown = [] if self.verdict.p is None else [f"p = {self.verdict.p:.2g}"]
        if self.verdict.p is not None and self.verdict.p_against is not None and self.verdict.p_against < self.verdict.p:
            shown.append(f"against the claim {self.verdict.p_against:.2g}")
        shown += [] if self.verdict.p_holm is None else [f"after Holm {self.verdict.p_holm:.2g}"]
        shown += [] if self.verdict.p_fdr is None else [f"after false-discovery adjustment {self.verdict.p_fdr:.2g}"]
        return ", ".join(shown)

    @property
    def shown_published(self) -> str:
        """The published value, as a number or in words."""
        return self.verdict.published_text if self.verdict.published is None else f"{formatting.plain(self.verdict.published)}{self._unit}"

    @property
    def shown_seeds(self) -> str:
        """The number of finished seeds, and of planned ones."""
        if self.verdict.seeds_finished >= self.verdict.seeds_planned:
            return f"{self.verdict.seeds_finished} seeds"
        return f"{self.verdict.seeds_finished} of {self.verdict.seeds_planned} seeds"

    @property
    def shown_margin(self) -> str:
        """The registered margin."""
        return "" if self.verdict.margin is None else f"{formatting.plain(self.verdict.margin)}{self._unit}"

    @property
    def _unit(self) -> str:
        return f"{formatting.THIN}{self.verdict.unit}" if self.verdict.unit else ""


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


def claim_of(claim: Claim, verdict: Verdict, found: PaperResults, made: History | None = None) -> ClaimContent:
    """Return a claim with its verdict and the commands that made what it was judged by.

    Args:
        claim: one of the paper's claims.
        verdict: the verdict on it.
        found: the paper's results.
        made: the rows of the log of verdicts.

    Returns:
        The claim as the report shows it.
    """
    found = found.of_tier(verdict.tier)
    commands = [str(chunk.provenance.get("command", "")) for run in verdict.runs for chunk in found.chunks_of(run)]
    return ClaimContent(
        verdict,
        claim.margin_reason(verdict.tier),
        promoted=history_sentence((made or {}).get((verdict.tier, verdict.id), ()), verdict.quantity),
        commands=tuple(dict.fromkeys(command for command in commands if command)),
        advice=advice(verdict.verdict, verdict.seeds_needed, verdict.seeds_finished, verdict.runs, found),
    )
