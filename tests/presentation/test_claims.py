"""Verdicts as CSV and as objects for programs; nothing here reads them back."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replications.errors import InputError
from replications.presentation.claims_csv import COLUMNS, merge_claims_csv, to_object, to_rows, write_claims_csv
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
def test_a_program_reads_from_the_csv_what_the_verdicts_hold(
    tmp_path_factory: pytest.TempPathFactory, given_verdicts: list[Verdict]
) -> None:
    path = tmp_path_factory.mktemp("claims") / "claims.csv"
    write_claims_csv(path, given_verdicts)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["claim"] for row in rows] == [verdict.claim for verdict in given_verdicts]
    for row, verdict in zip(rows, given_verdicts, strict=True):
        for name in ("published", "ours", "low", "high", "p"):
            assert (float(row[name]) if row[name] else None) == getattr(verdict, name)
        assert tuple(float(value) for value in row["values"].split(";") if value) == verdict.values


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


def test_files_of_other_columns_are_not_merged(tmp_path: Path, lady: Verdict) -> None:
    path, whole = tmp_path / "claims.csv", tmp_path / "all.csv"
    with pytest.raises(InputError, match="cannot be read"):
        merge_claims_csv(whole, [path])
    write_claims_csv(path, [lady])
    merge_claims_csv(whole, [path, path])
    assert len(whole.read_text(encoding="utf-8").splitlines()) == 3
    path.write_text(path.read_text(encoding="utf-8").replace("id,paper", "name,paper", 1), encoding="utf-8")
    with pytest.raises(InputError, match="expected the columns"):
        merge_claims_csv(whole, [path])
