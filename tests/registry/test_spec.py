"""What a paper folder declares is checked before anything runs, and the message names file, key and cure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from replications.errors import InputError
from replications.registry import papers as spec
from replications.registry import run_grid as grid
from replications.registry.checks import claim_faults
from replications.registry.claims import Claim
from replications.registry.papers import Paper, read_paper
from replications.registry.scale import claim_digests
from replications.registry.schema import TIERS, Strict
from replications.registry.yaml_models import read_yaml, validate

FILES = sorted((Path(__file__).parent / "invalid").glob("*.yaml"))


class Settings(Strict):
    """Settings of a paper that does not exist."""

    width: int = Field(description="Units.")
    steps: int = Field(1, description="Updates.")


def expand_all(path: Path) -> list[grid.Run]:
    content = read_yaml(path)
    validate(grid.RunGrid, content, str(path))
    return [run for tier in content["tiers"] for run in grid.expand("tea", tier, content, path)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_invalid_file_is_refused_with_the_message_it_states(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "settings_model", lambda _: Settings)
    text = path.read_text(encoding="utf-8")
    expected = [line.removeprefix("# expect: ") for line in text.splitlines() if line.startswith("# expect: ")]
    kind = path.stem.partition("-")[0]
    copy = tmp_path / f"{kind}.yaml"
    copy.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_paper(tmp_path) if kind == "paper" else expand_all(copy)
    message = str(caught.value)
    assert expected
    for part in expected:
        assert part in message
    assert str(copy) in message
    assert caught.value.exit_code == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"paper\.yaml is missing"):
        read_paper(tmp_path)


def test_every_fault_is_reported_at_once(make_paper: Callable[..., Paper]) -> None:
    with pytest.raises(InputError) as caught:
        make_paper({"margin": "wide", "reson": "none"})
    assert "claims[claim-0].margin" in str(caught.value)
    assert "claims[claim-0].reson" in str(caught.value)


def test_a_tier_replaces_single_keys_and_keeps_the_rest(make_paper: Callable[..., Paper]) -> None:
    claim = make_paper().claim("lady-error")
    assert (claim.at("gpu").margin, claim.planned_seeds("gpu"), claim.proxy("gpu")) == (0.3, 5, "")
    smoke = claim.at("smoke")
    assert (smoke.margin, claim.planned_seeds("smoke"), smoke.published) == (1, 3, 1.29)


ORDER = {"kind": "order", "better": "lower"}


def test_what_a_precondition_reads_is_read_with_the_claim(make_paper: Callable[..., Paper]) -> None:
    chance = {"measure": {"run": "guest", "metric": "error"}, "below": 50, "reason": "Guessing errs in half of the cups."}
    claim = make_paper({"requires": [chance]}).claims[0]
    assert [measure.run for measure in claim.measures("gpu")] == ["lady", "guest"]
    assert claim_digests(make_paper({"requires": [chance]}), "gpu", "guest", {}).keys() == {"claim-0"}


def test_a_tier_may_replace_a_ranking_by_a_contrast(make_paper: Callable[..., Paper]) -> None:
    ranking = [{"run": "a", "metric": "m"}, {"run": "b", "metric": "m"}]
    contrast = {"contrast": [{"run": "c", "metric": "m", "weight": 1}], "proxy": "One run for two."}
    claim = make_paper(ORDER | {"ranking": ranking, "tiers": {"gpu": {}, "smoke": contrast}}).claims[0]
    assert [measure.run for measure in claim.measures("gpu")] == ["a", "b"]
    assert claim.at("smoke").ranking is None
    assert [measure.run for measure in claim.measures("smoke")] == ["c"]


def test_an_unknown_claim_is_answered_with_the_nearest(make_paper: Callable[..., Paper]) -> None:
    with pytest.raises(InputError, match="Did you mean 'lady-error'"):
        make_paper().claim("lady-eror")


def runs_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> list[grid.Run]:
    monkeypatch.setattr(grid, "settings_model", lambda _: Settings)
    path = tmp_path / "runs.yaml"
    path.write_text(text, encoding="utf-8")
    return expand_all(path)


def test_a_grid_gives_every_combination_with_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = runs_of(
        tmp_path,
        monkeypatch,
        "settings: {width: 8}\n"
        "tiers:\n"
        "  smoke: {seeds: 3, seeds_per_job: 2, runs: {'w{width}-s{steps}': {grid: {width: [1, 2], steps: [5, 6]}}, plain: {}}}\n"
        "  gpu: {extends: smoke, seeds: 5, exclude: [plain], settings: {steps: 9}, runs: {more: {settings: {width: 64}}}}\n",
    )
    smoke = [run for run in runs if run.tier == "smoke"]
    assert [run.name for run in smoke] == ["w1-s5", "w1-s6", "w2-s5", "w2-s6", "plain"]
    assert smoke[1].settings.model_dump() == {"width": 1, "steps": 6}
    assert smoke[0].chunks() == [(0, 1), (2,)]
    gpu = {run.name: run for run in runs if run.tier == "gpu"}
    assert "plain" not in gpu
    assert gpu["more"].settings.model_dump() == {"width": 64, "steps": 9}
    assert len(gpu["more"].seeds) == 5
    assert gpu["w1-s5"].digest != gpu["w1-s6"].digest


def test_claims_are_checked_against_the_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_paper: Callable[..., Paper]) -> None:
    runs = runs_of(tmp_path, monkeypatch, "settings: {width: 8}\ntiers: {gpu: {seeds: 3, runs: {lady: {}, quest: {}}}}\n")
    guest: dict[str, Any] = {"measure": {"run": "guest", "metric": "error"}, "seeds": 3}
    faults = claim_faults(make_paper({}, guest), "gpu", runs)
    assert len(faults) == 2
    assert "claims[claim-0]: 5 seeds are registered at tier gpu, but run 'lady' has 3" in faults[0]
    assert "claims[claim-1]: no run 'guest' at tier gpu. Did you mean 'quest'?" in faults[1]
    assert claim_faults(make_paper({"seeds": 3}), "gpu", runs) == []
    assert claim_faults(make_paper({"counted": True}), "gpu", runs) == []


def test_the_claims_of_every_paper_here_fit_its_grid() -> None:
    for paper in spec.load_papers():
        for tier in TIERS:
            assert claim_faults(paper, tier, grid.load_runs(paper.name, tier)) == []


def test_models_cannot_be_changed_after_they_were_checked(make_paper: Callable[..., Paper]) -> None:
    claim: Claim = make_paper().claims[0]
    with pytest.raises(ValueError, match="frozen"):
        claim.margin = 5


def test_the_digest_of_a_claim_is_of_what_decides_it_and_not_of_its_wording(make_paper: Callable[..., Paper]) -> None:
    claim = make_paper().claims[0]
    assert claim.model_copy(update={"claim": "In other words.", "reason": "Another."}).digest("gpu") == claim.digest("gpu")
    assert claim.model_copy(update={"margin": 0.31}).digest("gpu") != claim.digest("gpu")
    assert claim_digests(make_paper(), "gpu", "lady", {}) == {claim.id: claim.digest("gpu")}
    assert claim_digests(make_paper(), "gpu", "lady", {"lady": ("Few cups.",)}) == {claim.id: claim.digest("gpu", proxy=True)}
    assert claim_digests(make_paper(), "gpu", "nobody", {}) == {}
    assert make_paper({"id": "lady-error", "requires": []}).claims[0].digest("gpu") == claim.digest("gpu")
    chance = {"measure": {"run": "lady", "metric": "error"}, "below": 50, "reason": "Guessing errs in half of the cups."}
    needing = make_paper({"id": "lady-error", "requires": [chance]}).claims[0]
    assert needing.digest("gpu") != claim.digest("gpu")
    assert make_paper({"id": "lady-error", "requires": [chance | {"reason": "Chance."}]}).claims[0].digest("gpu") == needing.digest("gpu")
    assert claim.model_copy(update={"seeds": 7}).digest("gpu") != claim.digest("gpu")
    assert claim.digest("gpu", proxy=True) != claim.digest("gpu")


def test_a_tier_keeps_only_what_it_includes_and_counts_seeds_from_its_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "settings_model", lambda _: Settings)
    path = tmp_path / "runs.yaml"
    path.write_text(
        "tiers:\n  gpu:\n    settings: {width: 8}\n    runs: {lady: {scale: {data: Few cups.}}, lord: {}}\n"
        "  cpu: {extends: gpu, include: [lady], first_seed: 10, seeds: 2}\n",
        encoding="utf-8",
    )
    kept = [run for run in expand_all(path) if run.tier == "cpu"]
    assert [(run.name, run.seeds, run.scale.sentences) for run in kept] == [("lady", (10, 11), ("Few cups.",))]


def test_the_digest_of_a_table_is_of_its_published_values(make_paper: Callable[..., Paper]) -> None:
    table = next(iter(make_paper().tables.values()))
    row = next(row for row in table.rows if not row.ours_only)
    edited = row.model_copy(update={"published": dict.fromkeys(row.published, 1.23)})
    assert table.model_copy(update={"note": "Another note.", "title": "Another title"}).digest == table.digest
    assert table.model_copy(update={"rows": [edited if each is row else each for each in table.rows]}).digest != table.digest
