"""What a finished tier promises: touching re-runs nothing, editing re-runs exactly what it affects, stopping loses nothing."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.conftest import TOY, environment, run_in


@pytest.fixture
def mine(finished: Path, tmp_path: Path) -> Path:
    """The finished copy, to be changed."""
    shutil.copytree(finished, tmp_path / "suite", symlinks=True)
    return tmp_path / "suite"


def planned(suite: Path) -> list[str]:
    """Rules that a dry run would execute."""
    said = run_in(suite, "snakemake", "--dry-run").stdout
    rules = sorted(set(re.findall(r"^(\w+) +\d+$", said, flags=re.MULTILINE)) - {"default", "all", "total"})
    assert bool(rules) != ("Nothing to be done" in said), said
    return rules


def records(suite: Path, run: str) -> pd.DataFrame:
    return pd.read_parquet(suite / "results" / "smoke" / TOY / run / "seeds-0-2" / "records.parquet")


@pytest.mark.slow
def test_the_finished_tier_holds_every_promised_file(finished: Path) -> None:
    results = finished / "results" / "smoke"
    assert (results / "claims.csv").is_file()
    for kind in ("svg", "pdf", "png", "csv"):
        assert (results / TOY / "figures" / f"heads_by_coin.{kind}").stat().st_size > 0
    for kind in ("csv", "tex", "md"):
        assert (results / TOY / "tables" / f"coins.{kind}").stat().st_size > 0
    sidecar = json.loads((results / TOY / "fair" / "seeds-0-2" / "provenance.json").read_text())
    assert sidecar["seeds"] == [0, 1, 2]
    assert sidecar["cost"]["examples"] == 64 * 3 * 40
    assert sidecar["data"]["sides/all"]["fingerprint"]
    assert (results / "report" / "index.html").stat().st_size > 10_000
    assert (results / "report" / "report.pdf").read_bytes().startswith(b"%PDF")
    crate = json.loads((results / "report" / "ro-crate-metadata.json").read_text())["@graph"]
    assert {"workflow/Snakefile", "exports.zip"} <= {entity["@id"] for entity in crate}
    with zipfile.ZipFile(results / "report" / "exports.zip") as archive:
        assert f"files/{TOY}/figures/heads_by_coin.pdf" in archive.namelist()
    claims = pd.read_csv(results / "claims.csv")
    assert claims["verdict"].tolist() == ["supported (proxy)"]


@pytest.mark.slow
def test_snakemakes_own_report_shows_every_result_by_name_and_form(mine: Path) -> None:
    run_in(mine, "snakemake", "--report", "report.zip")
    with zipfile.ZipFile(mine / "report.zip") as archive:
        names = {Path(name).name for name in archive.namelist()}
        page = archive.read("report/report.html").decode()
    assert {f"heads_by_coin.{kind}" for kind in ("svg", "pdf", "png", "csv")} | {"coins.tex", "claims.csv", "report.pdf"} <= names
    assert not {"heads_by_coin.json", "index.json"} & names
    for words in (
        '{"name": "Heads by coin", "form": "PDF"}',
        '{"name": "Coins", "form": "LaTeX"}',
        f"{TOY}</tt> at tier smoke",
        "all papers",
    ):
        assert words in page, words


@pytest.mark.slow
def test_touching_every_file_runs_nothing(mine: Path) -> None:
    assert planned(mine) == []
    later = time.time() + 60
    for path in mine.rglob("*"):
        if path.is_file() and not {"results", ".snakemake", "logs"} & set(path.relative_to(mine).parts):
            os.utime(path, (later, later))
    assert planned(mine) == []


@pytest.mark.slow
@pytest.mark.parametrize("module", [f"papers/{TOY}/model.py", "engine/training.py"])
def test_an_edit_to_what_the_experiment_imports_trains_again(mine: Path, module: str) -> None:
    path = mine / "replications" / module
    path.write_text(path.read_text() + "\n# x\n")
    rules = planned(mine)
    assert {f"train_{TOY}_coins", f"train_{TOY}_slow"} <= set(rules)


@pytest.mark.slow
def test_an_edit_to_the_data_module_verifies_the_data_and_trains_in_one_call(mine: Path) -> None:
    path = mine / "replications" / "papers" / TOY / "data.py"
    path.write_text(path.read_text() + "\n# x\n")
    assert {f"data_{TOY}", f"train_{TOY}_coins", f"train_{TOY}_slow", f"present_{TOY}"} <= set(planned(mine))
    run_in(mine, "snakemake", "--cores", "2")
    assert planned(mine) == []


@pytest.mark.slow
def test_an_edit_to_a_figure_draws_and_does_not_train(mine: Path) -> None:
    path = mine / "replications" / "papers" / TOY / "figures.py"
    path.write_text(path.read_text().replace("share of heads", "heads"))
    assert set(planned(mine)) == {f"present_{TOY}", "claims", "report_pages"}


@pytest.mark.slow
def test_a_changed_setting_trains_its_group_only_and_keeps_the_other_run(mine: Path) -> None:
    path = mine / "replications" / "papers" / TOY / "runs.yaml"
    before = records(mine, "fair")
    path.write_text(path.read_text().replace("bias: 0.9", "bias: 0.8"))
    trained = [rule for rule in planned(mine) if rule.startswith("train")]
    assert trained == [f"train_{TOY}_coins"]
    said = run_in(mine, "snakemake", "--cores", "1").stderr
    assert "fair seeds 0-2  finished before with the same settings, code and seeds; kept" in said
    pd.testing.assert_frame_equal(records(mine, "fair"), before)
    assert records(mine, "loaded").query("metric == 'heads'")["value"].mean() == pytest.approx(0.8, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGKILL])
def test_a_run_stopped_in_the_middle_ends_with_equal_records(finished: Path, suite: Path, number: signal.Signals) -> None:
    command = ["replications", "run", TOY, "slow", "--checkpoint-seconds", "0"]
    process = subprocess.Popen([sys.executable, "-m", *command], cwd=suite, env=environment(), stderr=subprocess.PIPE, text=True)
    state = suite / "results" / "smoke" / TOY / "slow" / ".state" / "seeds-0-2" / "train.checkpoint"
    for _ in range(600):
        if state.exists():
            break
        time.sleep(0.1)
    time.sleep(0.7)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if number is signal.SIGKILL else 1)
    if number is not signal.SIGKILL:
        assert f"stopped by {number.name}" in said
        assert "Run the same command again to continue" in said
    folder = suite / "results" / "smoke" / TOY / "slow" / "seeds-0-2"
    assert not (folder / "records.parquet").exists()

    resumed = run_in(suite, *command)
    assert "continuing at step" in resumed.stderr
    pd.testing.assert_frame_equal(records(suite, "slow"), records(finished, "slow"), check_exact=True)
    assert json.loads((folder / "provenance.json").read_text())["resumes"] == 1


@pytest.mark.slow
def test_a_second_call_writes_nothing(mine: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (mine / "results").rglob("*") if path.is_file()}
    run_in(mine, "snakemake")
    assert {path: path.stat().st_mtime_ns for path in (mine / "results").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("teir=gpu", "unknown key. Did you mean 'tier'?"),
        ("tier=gpus", "Input should be 'smoke', 'cpu', 'gpu' or 'paper'"),
        ("papers=coin_tos", "Did you mean 'coin_toss'?"),
        ("device=tpu", "device"),
    ],
)
def test_a_wrong_configuration_is_one_clear_message(suite: Path, override: str, message: str) -> None:
    done = run_in(suite, "snakemake", "--dry-run", "--config", override, check=False)
    assert done.returncode != 0
    assert message in done.stderr + done.stdout
    assert "config/config.yaml" in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["run", "coin_tos", "fair"], "Did you mean 'coin_toss'?", 2),
        (["run", TOY, "fare"], "Did you mean 'fair'?", 2),
        (["run", TOY, "fair", "--tier", "smok"], "Did you mean 'smoke'?", 2),
        (["run", TOY], f"Name one or more runs of {TOY} at tier smoke: fair, loaded, slow.", 2),
        (["run", TOY, "fair", "--seeds", "0-99999"], "100,000 seeds at once", 2),
        (["run", TOY, "fair", "--seeds", "3-1"], "the range is empty", 2),
        (["run", TOY, "fair", "--seeds", "none"], "expected one number or a range", 2),
        (["run", TOY, "fair", "--device", "cuda:7"], "this machine shows", 2),
        (["run", TOY, "fair", "--device", "abacus"], "Use cpu, cuda or cuda:N", 2),
        (["run", TOY, "fair", "--out", "/proc/nowhere"], "Cannot write", 1),
        (["data", "verify", "side"], "Did you mean 'sides'?", 2),
    ],
)
def test_wrong_use_is_one_clear_message(suite: Path, arguments: list[str], message: str, code: int) -> None:
    done = run_in(suite, "replications", *arguments, check=False)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == code
