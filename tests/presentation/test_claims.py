"""Verdicts survive their CSV unchanged, and a damaged file is refused by line and column."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replications.errors import InputError
from replications.presentation.claims_csv import COLUMNS, read_claims_csv, to_object, to_rows, write_claims_csv
from replications.presentation.judging import judge_paper
from replications.registry.papers import Paper
from replications.results.reader import Results
from replications.verdicts.verdict import Verdict
from replications.verdicts.words import WORDS

finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=20)
verdicts = st.builds(
    Verdict,
    **dict.fromkeys(("id", "paper", "tier", "claim", "kind", "evidence", "location", "published_text", "unit", "criterion"), words),
    **dict.fromkeys(("reason", "proxy", "registration", "post_hoc", "tuning"), words),
    **{name: st.none() | finite for name in ("published", "ours", "low", "high", "level", "p", "p_holm", "p_against", "p_fdr", "margin")},
    **{name: st.integers(0, 99) for name in ("seeds_planned", "seeds_finished")},
    seeds_needed=st.none() | st.integers(2, 1000),
    primary=st.booleans(),
    verdict=st.sampled_from(sorted(WORDS)),
    values=st.lists(finite, max_size=5).map(tuple),
    runs=st.lists(st.from_regex(r"[a-z0-9-]{1,9}", fullmatch=True), max_size=3).map(tuple),
    integrity=st.just(()),
    remarks=st.just(()),
)


@given(st.lists(verdicts, max_size=3))
def test_verdicts_survive_their_csv(tmp_path_factory: pytest.TempPathFactory, given_verdicts: list[Verdict]) -> None:
    path = tmp_path_factory.mktemp("claims") / "claims.csv"
    write_claims_csv(path, given_verdicts)
    assert read_claims_csv(path) == given_verdicts


@pytest.fixture
def lady(finish: Callable[..., None], make_paper: Callable[..., Paper], read: Callable[..., Results]) -> Verdict:
    finish("lady", error=[1.3, 1.2, 1.4, 1.3, 1.25])
    return judge_paper(read(make_paper()))[0]


def test_rows_and_objects_are_stable(lady: Verdict) -> None:
    (row,) = to_rows([lady])
    assert list(row) == COLUMNS
    assert {"id", "paper", "kind", "published", "ours", "low", "high", "seeds_planned", "seeds_finished", "verdict", "p_holm"} <= set(row)
    content = json.loads(json.dumps(to_object(lady), allow_nan=False))
    assert content["interval"] == [lady.low, lady.high]
    assert content["values"] == list(lady.values)
    assert content["registration"] == "not registered"


def test_a_damaged_file_is_refused_with_its_place(tmp_path: Path, lady: Verdict) -> None:
    path = tmp_path / "claims.csv"
    with pytest.raises(InputError, match="is missing"):
        read_claims_csv(path)
    write_claims_csv(path, [lady])
    text = path.read_text(encoding="utf-8")
    for old, new, message in (
        ("id,paper", "name,paper", "expected the columns"),
        (",5,5,", ",5,many,", r"line 2, column seeds_finished: 'many'"),
        (",replicated,", ",proven,", "'proven' is no verdict"),
        (",true,", ",yes,", "column primary"),
    ):
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read_claims_csv(path)
    path.write_text("".join(text.splitlines(keepends=True)[:1]) + "tea.lady,tea\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2"):
        read_claims_csv(path)
