"""Claims and figures name statements that are listed, and what they name decides nothing."""

from pathlib import Path

import pytest
import yaml

from replications.errors import InputError
from replications.paths import PAPERS
from replications.registry.papers import Paper, load_papers, read_paper
from replications.registry.statements import load_statements, read_statements
from replications.source_code import public_functions

LISTED = load_statements().ids


@pytest.mark.parametrize("paper", load_papers(), ids=lambda paper: paper.name)
def test_claims_and_figures_name_listed_statements(paper: Paper) -> None:
    named = [statement for claim in paper.claims for statement in claim.statements]
    named += [statement for statements in paper.illustrates.values() for statement in statements]
    assert set(named) <= set(LISTED)
    drawn = [name for file in ("figures.py", "exhibits.py") for name in public_functions(paper.folder / file)]
    assert set(paper.illustrates) <= set(drawn)


@pytest.mark.parametrize("paper", load_papers(), ids=lambda paper: paper.name)
def test_the_statements_of_a_claim_are_not_part_of_its_digest(paper: Paper) -> None:
    for claim in paper.claims:
        other = claim.model_copy(update={"statements": [] if claim.statements else LISTED[:1]})
        assert all(claim.digest(tier) == other.digest(tier) for tier in claim.tiers)


def test_an_unknown_statement_is_refused_with_the_nearest(tmp_path: Path) -> None:
    paper = next(PAPERS.glob("*/paper.yaml"))
    read = yaml.safe_load(paper.read_text(encoding="utf-8"))
    read["claims"][0]["statements"] = [LISTED[0] + "x"]
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump(read), encoding="utf-8")
    with pytest.raises(InputError, match=rf"claims\[{read['claims'][0]['id']}\]\.statements: no statement '{LISTED[0]}x'.*{LISTED[0]}"):
        read_paper(tmp_path)


def test_an_id_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "statements.yaml"
    path.write_text("topics: [{title: t, statements: [{id: a, sentence: one}, {id: a, sentence: two}]}]", encoding="utf-8")
    with pytest.raises(InputError, match="statement id 'a' is used twice"):
        read_statements(path)
