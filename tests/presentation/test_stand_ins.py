"""No statement says more than it was judged by: a tier with a bound of its own has a sentence and a reason of its own."""

from dataclasses import replace

import pytest

from replications.presentation.answers import judged_statement, sentence, stand_in
from replications.registry.claims import Claim
from replications.registry.papers import Paper, load_papers
from replications.registry.run_grid import load_runs
from replications.registry.scale import proxy_of, scales
from replications.verdicts.judge import not_judged
from replications.verdicts.verdict import Verdict
from replications.verdicts.words import PROXY_WORDS

each_paper = pytest.mark.parametrize("paper", load_papers(), ids=lambda paper: paper.name)


def judged(paper: Paper, claim: Claim, tier: str) -> Verdict:
    """A verdict as it would be once a tier's runs are judged, without numbers of ours."""
    proxy = proxy_of(claim, tier, scales(load_runs(paper.name, tier)))
    word = PROXY_WORDS["replicated"] if proxy else "replicated"
    return replace(not_judged(paper.name, tier, claim, ""), verdict=word, proxy=proxy, criterion="BOUND")


@each_paper
def test_a_tier_with_another_bound_has_a_sentence_a_reason_and_a_stand_in_of_its_own(paper: Paper) -> None:
    others = [(claim, tier) for claim in paper.claims for tier in claim.tiers if claim.at(tier).bounds() != claim.bounds()]
    lacking = [
        f"{claim.id} at {tier}"
        for claim, tier in others
        if not (claim.tiers[tier].claim and claim.tiers[tier].reason and claim.proxy(tier))
        or claim.statement(tier) == claim.claim
        or claim.margin_reason(tier) == claim.reason
    ]
    assert lacking == [], "give the tier 'claim', 'reason' and 'proxy'"


@each_paper
def test_a_stand_in_prints_what_it_is_its_own_sentence_its_bound_and_its_reason(paper: Paper) -> None:
    for claim in paper.claims:
        for tier in claim.tiers:
            verdict = judged(paper, claim, tier)
            beside = stand_in(verdict, claim.margin_reason(tier))
            if not verdict.proxy:
                assert (judged_statement(verdict), beside) == (claim.claim.rstrip("."), "")
                continue
            own = claim.tiers[tier].claim or claim.claim
            assert judged_statement(verdict) == f"{own.rstrip('.')} (on a stand-in; criterion: BOUND)"
            for part in (verdict.proxy.rstrip("."), "Criterion: BOUND", claim.tiers[tier].reason or claim.reason):
                assert part in beside
            assert (claim.claim in beside) == (own != claim.claim)
            assert sentence(verdict).startswith(own.rstrip("."))


def test_a_claim_itself_and_one_that_was_not_judged_have_no_bound_in_their_statement() -> None:
    paper = load_papers()[0]
    claim = paper.claims[0]
    verdict = replace(judged(paper, claim, next(iter(claim.tiers))), verdict="not tested", proxy="smaller images")
    assert judged_statement(verdict) == verdict.claim.rstrip(".")
    assert "BOUND" not in stand_in(verdict, "any reason")
