"""A paper's answer: the strongest finding by a fixed rule, and counts that leave nothing out."""

from dataclasses import replace

import pytest

from replications.presentation.answers import answer, group_of, sentence
from replications.verdicts.verdict import Verdict

SIX = Verdict(
    id="glimpses.six",
    paper="glimpses",
    tier="cpu",
    claim="Six glimpses read digits with 1.12 % errors.",
    kind="value",
    primary=True,
    evidence="paper",
    location="Table 1",
    published=1.12,
    published_text="",
    unit="%",
    criterion="error within 0.15 points of 1.12 %",
    ours=1.0834,
    low=1.0211,
    high=1.1457,
    level=0.9,
    p=0.01,
    p_holm=0.01,
    margin=0.15,
    seeds_planned=5,
    seeds_finished=5,
    seeds_needed=None,
    verdict="replicated",
    reason="",
    values=(1.08,),
    proxy="",
    runs=("six",),
)
STAND_IN = replace(
    SIX,
    id="glimpses.more",
    published=None,
    criterion="error lower",
    proxy="smaller images",
    verdict="supported (proxy)",
    claim="More is better.",
)


def test_a_sentence_states_claim_measurement_publication_and_word() -> None:
    assert sentence(SIX) == "Six glimpses read digits with 1.12 % errors. Measured: 1.083 % (1.021 to 1.146), published 1.12 %: replicated."


def test_a_stand_in_says_so_and_prints_the_bound_it_was_judged_by() -> None:
    assert sentence(STAND_IN).endswith("On a small stand-in: 1.083 % (1.021 to 1.146), criterion: error lower: supported (proxy).")


def test_a_verdict_by_a_later_text_says_so() -> None:
    assert sentence(replace(SIX, registration="post hoc")).endswith("replicated (post hoc).")


@pytest.mark.parametrize(
    ("change", "group"),
    [
        ({}, "real"),
        ({"evidence": "ours"}, "ours"),
        ({"proxy": "small"}, "stand-in"),
        ({"verdict": "counted as published"}, "counted"),
        ({"verdict": "not tested", "proxy": "small"}, "untested"),
        ({"verdict": "withheld"}, "untested"),
    ],
)
def test_a_verdict_is_counted_by_what_it_rests_on(change: dict[str, str], group: str) -> None:
    assert group_of(replace(SIX, **change)) == group  # type: ignore[arg-type]  # all changed fields are text


def test_the_finding_is_real_before_primary_before_first_whatever_its_word() -> None:
    secondary = replace(SIX, primary=False, verdict="contradicted")
    assert answer([replace(STAND_IN, primary=True), secondary]).verdict is secondary
    first = replace(SIX, verdict="contradicted")
    assert answer([secondary, first, SIX]).verdict is first
    assert answer([replace(SIX, verdict="not tested")]).finding == ""


def test_the_counts_name_every_claim_once() -> None:
    given = answer([SIX, STAND_IN, replace(SIX, verdict="counted as published"), replace(SIX, verdict="not tested")])
    assert sum(share.count for share in given.shares) == 4
    assert given.tally == "On real scale: 1 replicated. On stand-ins: 1 supported. Counted: 1 as published. 1 not tested."
