"""RIS and CSL-JSON say what BibTeX says, in their own grammar."""

import json
import re
from itertools import pairwise
from typing import Any

import pytest

from replications.paths import ROOT
from replications.presentation.citations import Cited, cite_paper, cite_suite
from replications.presentation.reference_formats import as_csl_json, as_ris, people
from replications.registry.papers import Citation, load_papers
from replications.registry.yaml_models import read_yaml

WORK = Citation.model_validate(
    {
        "title": "Recurrent Models of Visual Attention",
        "authors": ["Volodymyr Mnih", "Heess, Nicolas", "OpenAI"],
        "year": 2014,
        "venue": "Advances in NIPS",
        "arxiv": "1406.6247v1",
    }
)
ALL = [cite_suite(), *(cite_paper(work) for paper in load_papers() for work in (paper.citation, *paper.cites.values()))]


def test_a_conference_paper_as_ris() -> None:
    assert as_ris([cite_paper(WORK)]) == (
        "TY  - CPAPER\nID  - mnih2014recurrent\nAU  - Mnih, Volodymyr\nAU  - Heess, Nicolas\nAU  - OpenAI\n"
        "TI  - Recurrent Models of Visual Attention\nT2  - Advances in NIPS\nPY  - 2014\nM1  - arXiv:1406.6247v1\nER  - \n"
    )


def test_a_conference_paper_as_csl_json() -> None:
    assert json.loads(as_csl_json([cite_paper(WORK)])) == [
        {
            "id": "mnih2014recurrent",
            "type": "paper-conference",
            "title": "Recurrent Models of Visual Attention",
            "author": [{"family": "Mnih", "given": "Volodymyr"}, {"family": "Heess", "given": "Nicolas"}, {"literal": "OpenAI"}],
            "container-title": "Advances in NIPS",
            "issued": {"date-parts": [[2014]]},
            "number": "arXiv:1406.6247v1",
        }
    ]


@pytest.mark.parametrize("item", ALL, ids=lambda item: item.key)
def test_ris_is_lines_of_a_tag_and_a_value_from_ty_to_er(item: Cited) -> None:
    lines = as_ris([item]).splitlines()
    assert all(re.fullmatch(r"[A-Z][A-Z0-9]  - .*", line) for line in lines)
    assert lines[0].startswith("TY  - ")
    assert lines[-1] == "ER  - "
    assert sum(line.startswith("PY  - ") for line in lines) == 1


def test_every_work_stands_once_and_is_dated() -> None:
    items: list[dict[str, Any]] = json.loads(as_csl_json([*ALL, *ALL]))
    assert len(items) == len({item.key for item in ALL})
    assert all(item["issued"]["date-parts"][0][0] > 1900 for item in items)
    assert as_ris([*ALL, *ALL]).count("TY  - ") == len(items)


def test_records_of_ris_are_apart() -> None:
    lines = as_ris(ALL).splitlines()
    assert all(after == "" for line, after in pairwise(lines) if line == "ER  - ")


def test_the_suite_is_cited_as_its_citation_file_says() -> None:
    content = read_yaml(ROOT / "CITATION.cff")
    suite = cite_suite()
    assert suite.fields["title"] == content["title"]
    assert suite.fields["url"] == content["repository-code"]
    assert str(content["version"]) in suite.sentence
    assert json.loads(as_csl_json([suite]))[0]["type"] == "software"


def test_an_organisation_with_and_in_its_name_stays_one() -> None:
    assert people("{Tea Company} and Ada Okafor") == [{"literal": "Tea Company"}, {"family": "Okafor", "given": "Ada"}]
