"""Results that become the committed reference, and what is said of two results folders that differ."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from replications import paths
from replications.commands.app import app
from replications.errors import InputError, ReplicationError
from replications.presentation.readme import BEGIN, END
from replications.presentation.verdict_log import read_log
from replications.registry import run_grid
from replications.registry.papers import load_papers
from replications.registry.run_grid import settings_digest
from replications.results import promotion
from replications.results.promotion import promote
from replications.results.reference import read_reference
from replications.results.store import CHUNK_FILES, content_digest
from workflow import jobs as pipeline
from workflow.configuration import read_configuration

RUNS = ("lady", "guest", "robot")


@pytest.fixture
def whole(results: Path, finish: Callable[..., None]) -> Path:
    """A finished tier, made by committed code from today's settings."""
    for run in RUNS:
        finish(run, error=[1.3, 1.25, 1.35, 1.31, 1.2])
    return results


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    """A README with a place for the verdicts."""
    path = tmp_path / "README.md"
    path.write_text(f"# Tea\n\n{BEGIN}\nold\n{END}\n\nMore.\n", encoding="utf-8")
    return path


def change(results: Path, run: str, **keys: object) -> None:
    path = results / "tea" / run / "seeds-0-4" / "provenance.json"
    content = json.loads(path.read_text()) | keys
    content["sha256"] |= {"provenance.json": content_digest(content)}
    path.write_text(json.dumps(content))


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False, env={"COLUMNS": "200"})


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_tier_becomes_the_reference_and_nothing_else_is_kept(whole: Path, tmp_path: Path, readme: Path) -> None:
    (whole / "tea" / "lady" / "seeds-0-4" / "checkpoint.pt").write_bytes(b"weights")
    target = tmp_path / "reference"
    shown = call("results", "promote", whole, "--out", target, "--readme", readme).output
    assert "tea" in shown
    kept = {f"gpu/tea/{run}/seeds-0-4/{name}" for run in RUNS for name in CHUNK_FILES}
    assert set(content(target)) == kept | {"reference.json", "README.md", "verdicts.log"}
    assert read_reference(target).tier == "gpu"
    assert read_reference(target).promoted.reservations == []
    assert "old" not in readme.read_text()
    for text in (readme.read_text(), (target / "README.md").read_text()):
        assert "| `tea` | 1 |" in text, "one claim, replicated"
        assert "`gpu`" in text


def test_what_is_in_doubt_is_refused_or_said(results: Path, tmp_path: Path) -> None:
    change(results, "lady", dirty=True, settings={"cups": 9}, settings_digest=settings_digest("tea", "lady", {"cups": 9}))
    with pytest.raises(InputError, match=r"chunks in doubt:\n.*other settings.*lady.*\n.*uncommitted code in lady"):
        promote(results, tmp_path / "reference", load_papers())
    assert not (tmp_path / "reference").exists()
    promote(results, tmp_path / "reference", load_papers(), partial=True)
    assert len(read_reference(tmp_path / "reference").promoted.reservations) == 3


def test_chunks_arrive_one_by_one_and_nothing_finished_is_lost(results: Path, finish: Callable[..., None], tmp_path: Path) -> None:
    target = tmp_path / "reference"
    promote(results, target, load_papers())
    assert read_reference(target).promoted.reservations == ["tea lacks seeds of guest, robot."]
    first = content(target / "gpu")
    shutil.rmtree(results / "tea" / "lady")
    finish("guest", error=[48.0, 49.0, 50.0, 51.0, 52.0])
    promote(results, target, load_papers())
    assert first.items() < content(target / "gpu").items()
    assert read_reference(target).promoted.reservations == ["tea lacks seeds of robot."]


def test_a_remade_chunk_replaces_the_old_one_and_a_run_of_no_plan_goes(whole: Path, finish: Callable[..., None], tmp_path: Path) -> None:
    target = tmp_path / "reference"
    promote(whole, target, load_papers())
    shutil.copytree(target / "gpu" / "tea" / "lady", target / "gpu" / "tea" / "ghost")
    finish("lady", error=[1.0, 1.1, 1.2, 1.3, 1.4])
    promotion = promote(whole, target, load_papers(), reason="The kettle was cold.")
    assert [chunk.run for chunk in promotion.written] == ["lady"]
    assert content(target / "gpu" / "tea" / "lady") == content(whole / "tea" / "lady")
    assert not (target / "gpu" / "tea" / "ghost").exists()


def test_seeds_that_are_no_longer_planned_go_for_a_reason_alone_and_the_log_keeps_their_verdict(
    whole: Path, finish: Callable[..., None], tmp_path: Path, readme: Path
) -> None:
    target = tmp_path / "results" / "reference"
    call("results", "promote", whole, "--out", target, "--readme", readme)
    grids = "tiers: {gpu: {seeds: 5, first_seed: 10, runs: {lady: {}, guest: {}, robot: {}}}}\n"
    (tmp_path / "tea" / "runs.yaml").write_text(grids, encoding="utf-8")
    run_grid.load_runs.cache_clear()
    shutil.rmtree(whole / "tea")
    finish("lady", first=10, error=[1.2, 1.25, 1.3, 1.35, 1.31])
    call("results", "promote", whole, "--out", target, "--readme", readme)
    lady = target / "gpu" / "tea" / "lady"
    assert sorted(path.name for path in lady.iterdir()) == ["seeds-0-4", "seeds-10-14"]
    call("results", "promote", whole, "--out", target, "--readme", readme, "--reason", "The seeds had been seen.")
    assert sorted(path.name for path in lady.iterdir()) == ["seeds-10-14"]
    assert [(row.seeds, row.reason) for row in read_log(target / "verdicts.log")] == [(5, ""), (5, ""), (5, "The seeds had been seen.")]


def test_single_seeds_made_again_as_one_chunk_need_a_reason_and_make_room_for_it(
    whole: Path, finish: Callable[..., None], tmp_path: Path
) -> None:
    target = tmp_path / "reference"
    shutil.rmtree(whole / "tea" / "lady")
    for seed, error in enumerate((1.0, 1.1, 1.2)):
        finish("lady", first=seed, error=[error])
    promote(whole, target, load_papers(), partial=True)
    before = content(target)
    shutil.rmtree(whole / "tea" / "lady")
    finish("lady", error=[0.9, 1.0, 1.1, 1.2, 1.3])
    with pytest.raises(InputError, match="other results of 3 chunks"):
        promote(whole, target, load_papers())
    assert content(target) == before
    promote(whole, target, load_papers(), reason="Single seeds were a first look.")
    assert content(target / "gpu" / "tea" / "lady") == content(whole / "tea" / "lady")


def test_of_a_chunk_that_two_machines_trained_both_are_named(whole: Path, tmp_path: Path) -> None:
    for name, cores in (("old tower", 8), ("new laptop", 4)):
        change(whole, "lady", hardware={"device": name, "cores": cores, "memory_gb": 16.0}, ended=f"2026-01-0{cores}T01:00:00+00:00")
        if cores == 8:
            promote(whole, tmp_path / "reference", load_papers())
    with pytest.raises(InputError) as refused:
        promote(whole, tmp_path / "reference", load_papers())
    held, new = str(refused.value).splitlines()[1].split("; that of ")
    assert held.endswith(
        "tea lady/seeds-0-4: the reference's was made on old tower (8 cores, 16.0 GiB), commit c0ffeec0ffee, ended 2026-01-08T01:00:00+00:00"
    )
    assert new == f"{whole} was made on new laptop (4 cores, 16.0 GiB), commit c0ffeec0ffee, ended 2026-01-04T01:00:00+00:00"


def test_every_promotion_is_logged_and_a_second_making_needs_a_reason(
    whole: Path, finish: Callable[..., None], tmp_path: Path, readme: Path
) -> None:
    target = tmp_path / "results" / "reference"
    promotion = ("results", "promote", whole, "--out", target, "--readme", readme)
    call(*promotion)
    call(*promotion)  # nothing new: nothing is logged
    finish("lady", error=[5.3, 5.25, 5.35, 5.31, 5.2])
    with pytest.raises(InputError, match=r"holds other results of 1 chunk:\n  tea lady/seeds-0-4: (.|\n)*--reason"):
        call(*promotion)
    call(*promotion, "--reason", "The kettle was cold.")
    first, second = read_log(target / "verdicts.log")
    assert (first.claim, first.verdict, first.seeds, first.reason) == ("tea.lady-error", "replicated", 5, "")
    assert (second.verdict, second.ours, second.reason) == ("contradicted", pytest.approx(5.282), "The kettle was cold.")
    assert first.digest == second.digest == load_papers()[0].claims[0].digest("gpu")
    rows = json.loads(call("results", "log", "--results", target, "--json").output)
    assert [row["verdict"] for row in rows] == ["replicated", "contradicted"]
    assert "contradicted" in call("results", "log", "--results", target).output
    cited = call("claims", "cite", "tea.lady-error", "--tier", "gpu", "--results", target / "gpu").output
    assert "Made 2 times" in cited and "because: The kettle was cold" in cited
    text = (target / "verdicts.log").read_text(encoding="utf-8")
    (target / "verdicts.log").write_text(text.replace("tea.lady-error,", "", 1), encoding="utf-8")
    with pytest.raises(InputError, match="line 2: not a row of the log"):
        call("results", "log", "--results", target)


def test_too_large_a_reference_is_refused_by_the_name_of_its_largest_part(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion, "LARGEST", 100)
    with pytest.raises(InputError, match=r"more than .* MB\. The largest new chunk is .*seeds-0-4"):
        promote(whole, tmp_path / "reference", load_papers())


def test_a_failed_copy_leaves_the_reference_as_it_was(
    whole: Path, finish: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "reference"
    promote(whole, target, load_papers())
    before = content(target)
    finish("lady", error=[1.0, 1.1, 1.2, 1.3, 1.4])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ReplicationError, match=r"No space left on device\. The chunks that it held are unchanged"):
        promote(whole, target, load_papers(), reason="The kettle was cold.")
    assert content(target) == before


def test_a_folder_of_no_tier_or_of_two_is_no_source(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no finished run"):
        promote(tmp_path / "none", tmp_path / "reference", load_papers())
    change(whole, "guest", tier="smoke")
    with pytest.raises(InputError, match=r"several tiers \(gpu, smoke\)"):
        promote(whole, tmp_path / "reference", load_papers())


def test_the_pipeline_reads_the_reference_at_its_own_tier(whole: Path, tmp_path: Path) -> None:
    promote(whole, whole / "reference", load_papers())
    config = read_configuration({"tier": "smoke", "source": "reference", "results": str(whole)})
    assert config.tier == "gpu"
    assert pipeline.log_inputs(config) == []
    log = whole / "reference" / "verdicts.log"
    log.touch()
    for source in ("reference", "runs"):
        assert pipeline.log_inputs(read_configuration({"tier": "gpu", "source": source, "results": str(whole)})) == [str(log)]
    assert len(pipeline.run_outputs(config, "tea")) == len(RUNS) * len(CHUNK_FILES)
    shutil.rmtree(whole / "reference" / "gpu" / "tea" / "robot")
    assert not any("robot" in path for path in pipeline.run_outputs(config, "tea"))


def test_a_working_folder_without_a_reference_reads_the_suites_own(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path / "suite")
    elsewhere = {"source": "reference", "results": str(tmp_path / "elsewhere")}
    with pytest.raises(InputError, match=r"reference\.json is missing.*promote DIR"):
        read_configuration(elsewhere)
    committed = tmp_path / "suite" / "results" / "reference"
    promote(whole, committed, load_papers())
    config = read_configuration(elsewhere)
    assert (config.tier, config.runs_folder) == ("gpu", committed)
    assert config.derived_folder == tmp_path / "elsewhere" / "from-reference"


@pytest.mark.parametrize("changes", [{"commit": None, "dirty": None}, {"commit": None}, {"dirty": None}])
def test_results_of_unknown_code_are_promoted_only_with_a_reservation(results: Path, tmp_path: Path, changes: dict[str, None]) -> None:
    change(results, "lady", **changes)
    with pytest.raises(InputError, match="tea ran code of which no commit is known in lady"):
        promote(results, tmp_path / "reference", load_papers())
    promote(results, tmp_path / "reference", load_papers(), partial=True)
    promoted = read_reference(tmp_path / "reference").promoted
    assert "tea ran code of which no commit is known in lady." in promoted.reservations
    assert promoted.commits == (["unknown"] if "commit" in changes else ["c0ffee" * 6])


def test_a_readme_without_a_place_is_left_alone(whole: Path, tmp_path: Path) -> None:
    promote(whole, tmp_path / "reference", load_papers())
    plain = tmp_path / "plain.md"
    plain.write_text("# Tea\n")
    with pytest.raises(InputError, match="has no place for the verdicts"):
        call("results", "update-readme", "--results", tmp_path / "reference", "--out", plain)
    assert plain.read_text() == "# Tea\n"


def test_a_difference_names_verdicts_estimates_and_costs(whole: Path, finish: Callable[..., None], tmp_path: Path) -> None:
    before = Path(shutil.copytree(whole, tmp_path / "before"))
    assert [row["kind"] for row in json.loads(call("results", "diff", before, whole, "--json").output)] == ["cost"]
    finish("lady", error=[1.32, 1.25, 1.35, 1.31, 1.2])
    rows = {row["kind"]: row for row in json.loads(call("results", "diff", before, whole, "--json").output)}
    assert (rows["estimate"]["before"].split(" (")[0], rows["estimate"]["after"].split(" (")[0]) == ("1.282 %", "1.286 %")
    finish("lady", error=[5.3, 5.25, 5.35, 5.31, 5.2])
    change(whole, "lady", cost={"seconds": 6.0})
    shown = call("results", "diff", before, whole).output
    assert "1 verdict changed, 0 estimates moved." in shown
    assert "replicated" in shown
    assert "contradicted" in shown
    pasted = call("results", "diff", before, whole, "--markdown").output
    assert "| `tea.lady-error` | verdict | ✓ replicated: 1.282 %" in pasted
    assert "| `tea` | seconds | 4.5 s | 9 s | 2.00 |" in pasted
    with pytest.raises(InputError, match="not both"):
        call("results", "diff", before, whole, "--markdown", "--json")
