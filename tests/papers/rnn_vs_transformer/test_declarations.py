"""What paper.yaml and runs.yaml say of each other: which cells of the published tables are judged, and what is a proxy."""

from __future__ import annotations

import pytest
import torch

from replications.papers.rnn_vs_transformer.model import SequenceModel
from replications.papers.rnn_vs_transformer.settings import Settings
from replications.registry.checks import check_claims
from replications.registry.papers import load_paper
from replications.registry.run_grid import load_runs
from replications.registry.scale import proxy_of, scales
from replications.verdicts.kinds.order import OrderClaim
from replications.verdicts.kinds.value import ValueClaim

PAPER = load_paper("rnn_vs_transformer")
TIERS = ("smoke", "cpu", "gpu", "paper")


def proxies(tier: str) -> dict[str, str]:
    """What is smaller than published behind each claim that a tier judges; empty where nothing is."""
    of_runs = scales(load_runs("rnn_vs_transformer", tier))
    return {claim.id: proxy_of(claim, tier, of_runs) for claim in PAPER.claims if tier in claim.tiers}


@pytest.mark.parametrize("tier", TIERS)
def test_every_claim_can_be_decided_by_the_planned_runs(tier: str) -> None:
    check_claims(PAPER, tier, load_runs("rnn_vs_transformer", tier))


def test_every_cell_of_table_1_with_a_run_is_judged() -> None:
    """The exponents of n in the compute are judged by two trends on measured lengths; all others are values."""
    table = PAPER.tables["vaswani-1"]
    claimed = {
        (claim.measure.model, claim.measure.metric): claim.published
        for claim in PAPER.claims
        if isinstance(claim, ValueClaim) and claim.measure and claim.measure.run in ("counted", "counted-further")
    }
    for row in table.rows:
        for name, measure in table.measures.items():
            if row.run and not row.ours_only and (name != "n" or row.run == "counted-further"):
                assert claimed[row.model, measure.metric] == row.value("nips", name), (row.label, name)
    assert PAPER.claim("restricted-attention-row").untested


def test_networks_whose_losses_are_compared_have_equally_many_parameters() -> None:
    """Mamba and RWKV-4 have blocks of another size, so that their widths differ from those of the others."""
    runs = {run.name: run.settings_as(Settings) for run in load_runs("rnn_vs_transformer", "gpu")}
    sizes = {}
    for name in ("language-transformer-256", "language-lstm-256", "language-mamba-242", "language-rwkv4-246"):
        chosen = runs[name]
        network = SequenceModel(chosen.network, 10, chosen.width, chosen.layers, generators=[torch.Generator()], head_width=64)
        sizes[name] = network.n_parameters
    assert max(sizes.values()) < 1.01 * min(sizes.values()), sizes


def test_memory_counted_on_a_processor_is_a_proxy() -> None:
    memory = {"naive-memory-quadratic", "fused-memory-linear", "memory-ratio-2k", "memory-ratio-4k"}
    assert all(proxies(tier)[name] for tier in ("smoke", "cpu") for name in memory)
    assert not any(proxies("gpu")[name] for name in memory)


@pytest.mark.parametrize("tier", ["cpu", "gpu", "paper"])
def test_small_texts_and_networks_are_proxies(tier: str) -> None:
    judged = proxies(tier)
    for claim in PAPER.claims:
        kinds = ("language-", "recall-", "copying-", "selective-", "order-")
        if tier in claim.tiers and any(m.run.startswith(kinds) for m in claim.measures(tier)):
            assert judged[claim.id], claim.id


def test_claims_of_absence_say_what_must_have_been_learned() -> None:
    for name in ("recall-fixed-state", "lstm-plateau", "early-tokens-equal", "clipping-harmless", "clamp-suffices"):
        for tier in PAPER.claim(name).tiers:
            assert PAPER.claim(name).at(tier).requires, (name, tier)


def test_clipping_must_have_acted_before_it_is_called_harmless() -> None:
    claim = PAPER.claim("clipping-harmless")
    for tier in claim.tiers:
        assert ("clip-on", "clipped_share", 0.01) in [
            (needed.measure.run, needed.measure.metric, needed.above) for needed in claim.at(tier).requires if needed.measure
        ]


def test_what_is_only_recalled_is_said_once_more_without_its_number() -> None:
    checked = PAPER.claim("copying-examples").at("gpu")
    recalled = PAPER.claim("copying-examples-tenfold").at("gpu")
    assert isinstance(checked, OrderClaim)
    assert isinstance(recalled, OrderClaim)
    assert (checked.evidence, recalled.evidence) == ("paper", "recalled")
    assert checked.ranking == recalled.ranking
    assert checked.min_difference < recalled.min_difference


def test_on_processors_the_recipe_for_processors_is_no_proxy_and_times_are() -> None:
    judged = proxies("cpu")
    assert judged["nanogpt-processor"] == ""
    assert PAPER.claim("nanogpt-processor").planned_seeds("cpu") == 5
    assert all(judged[name] for name in ("scan-50x", "attention-time-quadratic", "parallel-time-flat", "stepwise-time-linear"))
