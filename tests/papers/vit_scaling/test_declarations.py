"""What paper.yaml and runs.yaml say of each other: every claim can be judged, and of a table that is counted no row is left out."""

from __future__ import annotations

import pytest

from replications.papers.vit_scaling.counting import counts
from replications.papers.vit_scaling.settings import Settings
from replications.registry.checks import check_claims
from replications.registry.papers import load_paper
from replications.registry.run_grid import load_runs
from replications.registry.scale import proxy_of, scales
from replications.registry.schema import TIERS
from replications.verdicts.kinds.value import ValueClaim

PAPER = load_paper("vit_scaling")


def published(metric: str, run: str) -> dict[str, float | None]:
    """Published value of each claim on one metric of one run, by model."""
    values = [claim for claim in PAPER.claims if isinstance(claim, ValueClaim) and claim.measure]
    return {c.measure.model: c.published for c in values if c.measure and (c.measure.metric, c.measure.run) == (metric, run)}


@pytest.mark.parametrize("tier", TIERS)
def test_every_claim_can_be_decided_by_the_planned_runs(tier: str) -> None:
    if not any(tier in claim.tiers for claim in PAPER.claims):
        return  # a tier that the paper's runs.yaml does not have
    check_claims(PAPER, tier, load_runs("vit_scaling", tier))


def test_every_size_of_table_1_is_judged() -> None:
    rows = {row.model: row.value("v2", "parameters") for row in PAPER.tables["table-1"].rows}
    assert published("parameters", "published-sizes") == rows
    assert rows == {"vit-b-16-7ep": 86, "vit-l-16-7ep": 307, "vit-h-14-14ep": 632}


def test_every_row_of_table_6_has_its_compute_judged() -> None:
    rows = {row.model: row.value("v2", "exaflops") for row in PAPER.tables["table-6"].rows}
    assert published("exaflops", "published-sizes") == rows


def test_every_row_of_the_plain_vit_table_is_judged_after_90_epochs() -> None:
    for row in PAPER.tables["plain-vit"].rows:
        assert row.run
        assert published("accuracy", row.run) == {"": row.value("v1", "e90")}, row.label


def test_margins_of_counted_tables_follow_one_rule() -> None:
    for claim in PAPER.claims:
        if isinstance(claim, ValueClaim) and claim.measure and claim.measure.metric == "exaflops":
            assert claim.published
            assert claim.margin
            rounding, images, blocks = 0.5, 0.01 * claim.published, 0.05 * claim.published
            epochs = int(claim.measure.model.rpartition("-")[2].removesuffix("ep"))
            if claim.measure.model.startswith("vit"):
                expected = rounding + images
            elif "vit" in claim.measure.model:
                expected = rounding + images + 0.05 * 50 * epochs / 7  # Table 6: ResNet50x1 takes 50 in 7 epochs
            else:
                expected = rounding + blocks
            assert claim.margin == pytest.approx(expected, rel=0.005), claim.id


def test_tier_cpu_keeps_to_its_budget_and_to_seeds_that_no_pilot_used() -> None:
    runs = load_runs("vit_scaling", "cpu")
    assert sum(run.resources.minutes * len(run.chunks()) for run in runs) <= 160  # core-minutes
    assert {run.resources.threads for run in runs} == {1}
    assert min(seed for run in runs for seed in run.seeds) == 10


def test_families_of_tier_cpu_have_equal_size_and_differ_in_the_rate_alone() -> None:
    runs = {run.name: run.settings_as(Settings) for run in load_runs("vit_scaling", "cpu")}
    vit, resnet = runs["cifar-vit"], runs["cifar-resnet"]
    assert counts(resnet) == pytest.approx(counts(vit), rel=0.06)  # parameters and multiply-adds
    of_family = {"family", "learning_rate", "save_attention"}
    assert vit.model_dump(exclude=of_family) == resnet.model_dump(exclude=of_family)
    for n_images in (500, 5000):
        for name, whole in (("vit", vit), ("resnet", resnet)):
            part = runs[f"scratch-{name}-n{n_images}"].model_dump(exclude={"n_images", "save_attention"})
            assert part == whole.model_dump(exclude={"n_images", "save_attention"})


@pytest.mark.parametrize(
    ("form", "changed"),
    [
        ("short-{}-500", {"n_steps": 500}),
        ("short-{}-1000", {"n_steps": 1000}),
        ("scratch-{}-n500-plain", {"n_images": 500, "augmentation": "none"}),
    ],
)
def test_what_is_varied_at_tier_cpu_is_varied_alone_and_for_both_families(form: str, changed: dict[str, object]) -> None:
    runs = {run.name: run.settings_as(Settings) for run in load_runs("vit_scaling", "cpu")}
    for family in ("vit", "resnet"):
        whole = runs[f"cifar-{family}"].model_dump(exclude={"save_attention"})
        assert runs[form.format(family)].model_dump(exclude={"save_attention"}) == whole | changed


def test_what_is_trained_at_tier_cpu_is_no_proxy_only_for_statements_of_its_own_setting() -> None:
    of_runs = scales(load_runs("vit_scaling", "cpu"))
    real = {c.id for c in PAPER.claims if "cpu" in c.tiers and not c.at("cpu").counted and not proxy_of(c, "cpu", of_runs)}
    assert real == {c.id for c in PAPER.claims if c.id.startswith("small-")}
    assert {c.evidence for c in PAPER.claims if c.id in real} == {"ours"}
