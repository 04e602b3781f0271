"""The command line on a paper in a temporary folder: judging, tabulating, citing, and what all commands have in common."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import click
import pandas as pd
import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner, Result

from replications.commands.app import app
from replications.errors import InputError
from replications.registry import run_grid
from replications.registry.settings import RunSettings
from replications.results.records import read_records


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False, env={"COLUMNS": "200"})


def test_claims_prints_a_table_and_a_stable_list(results: Path) -> None:
    shown = call("claims", "show", "--tier", "gpu", "--results", results)
    assert shown.exit_code == 0
    for part in ("tea.lady-error", "1.29 %", "1.282 %", "5/5", "✓", "replicated"):
        assert part in shown.output
    (row,) = json.loads(call("claims", "show", "--tier", "gpu", "--results", results, "--json").output)
    assert {"id", "paper", "kind", "published", "ours", "interval", "seeds_planned", "seeds_finished", "verdict"} <= set(row)
    assert (row["id"], row["verdict"]) == ("tea.lady-error", "replicated")
    (results / "none").mkdir()
    (missing,) = json.loads(call("claims", "show", "--tier", "gpu", "--results", results / "none", "--json").output)
    assert (missing["verdict"], missing["ours"], missing["interval"]) == ("not tested", None, None)


def test_the_pipeline_collects_judges_merges_and_tabulates(results: Path) -> None:
    mine, whole = results / "tea", results / "claims.csv"
    assert call("claims", "judge", "tea", "--tier", "gpu", "--results", results).exit_code == 0
    assert set(read_records(mine / "records.parquet")["run"]) == {"lady"}
    assert (mine / "tables" / "cups.tex").is_file()
    assert call("claims", "merge", mine / "claims.csv", "--out", whole).exit_code == 0
    assert pd.read_csv(whole)[["id", "verdict"]].to_numpy().tolist() == [["tea.lady-error", "replicated"]]
    assert whole.read_bytes() == (mine / "claims.csv").read_bytes()


def test_cite_prints_bibtex_and_a_sentence(results: Path) -> None:
    shown = call("claims", "cite", "tea.lady-error", "--tier", "gpu", "--results", results).output
    assert shown.startswith("@misc{replications-tea.lady-error,")
    assert "\n\n" in shown
    assert "@inproceedings{fisher1935design" in call("claims", "cite", "tea", "--tier", "gpu", "--results", results).output


def test_wrong_names_are_answered_with_the_nearest(results: Path) -> None:
    for arguments, message in (
        (("claims", "show", "--tier", "gpus"), "Did you mean 'gpu'"),
        (("claims", "show", "--source", "memory"), "No source is called 'memory'"),
        (("claims", "judge", "teas"), "Did you mean 'tea'"),
        (("claims", "cite", "tea.lady-eror", "--tier", "gpu", "--results", results), "Did you mean 'lady-error'"),
    ):
        with pytest.raises(InputError, match=message):
            call(*arguments)


@pytest.mark.parametrize(
    "command",
    [
        ("claims", "show"),
        ("claims", "judge", "tea"),
        ("claims", "cite", "tea.lady-error"),
        ("figures", "tea"),
        ("results", "costs"),
        ("status",),
        ("plan",),
    ],
    ids=" ".join,
)
def test_a_folder_that_does_not_exist_is_an_error(discovered: None, tmp_path: Path, command: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="does not exist"):
        call(*command, "--tier", "gpu", "--results", tmp_path / "nowhere")
    if command[0] not in ("status", "plan"):  # these two describe a tier that has not begun
        with pytest.raises(InputError, match="make report TIER=paper"):
            call(*command, "--tier", "paper")


def test_ids_are_never_broken_over_two_lines(results: Path) -> None:
    output = CliRunner().invoke(app, ["claims", "show", "--tier", "gpu", "--results", str(results)], env={"COLUMNS": "30"}).output
    assert "tea.lady-error" in output


def test_every_option_has_one_meaning_and_one_default() -> None:
    """`--results` is read, `--out` is written, `--tier` is smoke."""

    def commands(group: click.Command) -> Iterator[click.Command]:
        for command in getattr(group, "commands", {}).values():
            yield command
            yield from commands(command)

    for command in commands(typer.main.get_command(app)):
        for option in command.params:
            text = getattr(option, "help", None) or ""
            assert text or option.name == "help", f"{command.name} {option.name}"
            if "--tier" in option.opts:
                assert option.default == "smoke", command.name
            if "--results" in option.opts:
                assert "to read" in text, command.name
            if "--out" in option.opts:
                assert re.search("writ", text), command.name


def test_settings_prints_every_key_with_type_default_and_bounds(discovered: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Settings(RunSettings):
        cups: int = Field(8, ge=2, description="Cups that are served.")
        order: Literal["milk", "tea"] = Field(description="What is poured first.")
        rest: float | None = Field(None, gt=0, description="Minutes between two cups.")

    monkeypatch.setattr(run_grid, "settings_model", lambda _: Settings)
    rows = {row["setting"]: row for row in json.loads(call("settings", "tea", "--json").output)}
    assert rows["cups"] == {"setting": "cups", "type": "int", "default": "8", "bounds": ">= 2", "description": "Cups that are served."}
    assert (rows["order"]["type"], rows["order"]["default"]) == ("milk | tea", "(required)")
    assert (rows["rest"]["type"], rows["rest"]["default"]) == ("float or null", "null")
