"""What paper.yaml and runs.yaml say of each other: every claim can be judged, and of a table that is counted no row is left out."""

from __future__ import annotations

import pytest

from replications.registry.checks import check_claims
from replications.registry.papers import load_paper
from replications.registry.run_grid import load_runs
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
