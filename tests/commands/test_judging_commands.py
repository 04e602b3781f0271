"""The commands that judge, tabulate and cite, on a paper in a temporary folder."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from replications.__main__ import app
from replications.errors import InputError
from replications.presentation.claims_csv import read_claims_csv
from replications.results.records import read_records


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False, env={"COLUMNS": "200"})


def test_claims_prints_a_table_and_a_stable_list(results: Path) -> None:
    shown = call("claims", "--tier", "gpu", "--out", results)
    assert shown.exit_code == 0
    for part in ("tea.lady-error", "1.29 %", "1.282 %", "5/5", "✓", "replicated"):
        assert part in shown.output
    (row,) = json.loads(call("claims", "--tier", "gpu", "--out", results, "--json").output)
    assert {"id", "paper", "kind", "published", "ours", "interval", "seeds_planned", "seeds_finished", "verdict"} <= set(row)
    assert (row["id"], row["verdict"]) == ("tea.lady-error", "replicated")
    (missing,) = json.loads(call("claims", "--tier", "gpu", "--out", results / "none", "--json").output)
    assert (missing["verdict"], missing["ours"], missing["interval"]) == ("not tested", None, None)


def test_the_pipeline_collects_judges_merges_and_tabulates(results: Path) -> None:
    mine, whole = results / "tea", results / "claims.csv"
    assert call("judge", "tea", "--tier", "gpu", "--results", results).exit_code == 0
    assert set(read_records(mine / "records.parquet")["run"]) == {"lady"}
    assert (mine / "tables" / "cups.tex").is_file()
    assert call("merge-claims", mine / "claims.csv", "--out", whole).exit_code == 0
    assert [verdict.verdict for verdict in read_claims_csv(whole)] == ["replicated"]
    assert pd.read_csv(whole)["id"].tolist() == ["tea.lady-error"]


def test_cite_prints_bibtex_and_a_sentence(results: Path) -> None:
    shown = call("cite", "tea.lady-error", "--tier", "gpu", "--out", results).output
    assert shown.startswith("@misc{replications-tea.lady-error,")
    assert "\n\n" in shown
    assert "@inproceedings{fisher1935design" in call("cite", "tea", "--tier", "gpu", "--out", results).output


def test_wrong_names_are_answered_with_the_nearest(results: Path) -> None:
    for arguments, message in (
        (("claims", "--tier", "gpus"), "Did you mean 'gpu'"),
        (("claims", "--source", "memory"), "No source is called 'memory'"),
        (("judge", "teas"), "Did you mean 'tea'"),
        (("cite", "tea.lady-eror", "--tier", "gpu", "--out", results), "Did you mean 'lady-error'"),
    ):
        with pytest.raises(InputError, match=message):
            call(*arguments)
