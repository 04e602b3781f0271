"""What paper.yaml says in words agrees with its own tables; its bounds agree with what can be counted."""

from __future__ import annotations

import itertools

import pytest

from replications.papers.char_rnn.experiment import WIN
from replications.papers.char_rnn.settings import Network, Settings
from replications.registry.checks import check_claims
from replications.registry.claims import Measure
from replications.registry.papers import load_paper
from replications.registry.run_grid import load_runs
from replications.registry.scale import proxy_of, scales
from replications.registry.tables import TableRow
from replications.verdicts.kinds.trend import TrendClaim

PAPER = load_paper("char_rnn")
ROWS = {name: {row.label: row for row in PAPER.tables[f"table-1-{name}"].rows} for name in ("war-and-peace", "linux")}
LAYERS = (1, 2, 3)


def loss(row: TableRow, network: str) -> float:
    value = row.value("v2", network)
    assert value is not None
    return value


@pytest.mark.parametrize("tier", ["smoke", "cpu", "gpu", "paper"])
def test_every_claim_can_be_decided_by_the_planned_runs(tier: str) -> None:
    check_claims(PAPER, tier, load_runs("char_rnn", tier))


def test_counts_of_comparisons_are_those_of_the_table() -> None:
    pairs = [(loss(row, f"lstm-{n}"), loss(row, f"gru-{n}")) for rows in ROWS.values() for row in rows.values() for n in LAYERS]
    lstm, gru = sum(a < b for a, b in pairs), sum(b < a for a, b in pairs)
    assert f"LSTM lower in {lstm} of {len(pairs)}" in PAPER.claim("lstm-not-always").published_text
    assert f"GRU lower in {gru} of {len(pairs)}" in PAPER.claim("gru-not-always").published_text
    gains = [
        loss(rows[size], f"rnn-{n}") - loss(rows[size], f"{gated}-{n}")
        for rows in ROWS.values()
        for size in ("128", "256")
        for n in LAYERS
        for gated in ("lstm", "gru")
    ]
    wins = sum(gain >= WIN - 1e-9 for gain in gains)
    expected = f"{wins} of {len(gains)} comparisons ({100 * wins / len(gains):.0f} %)"
    assert expected in PAPER.claim("gated-wins-most").published_text


def test_gains_of_depth_are_those_of_the_table() -> None:
    gains = [loss(rows[size], "lstm-1") - loss(rows[size], "lstm-2") for rows in ROWS.values() for size in ("256", "512")]
    for claim in ("depth-helps-war-and-peace", "depth-helps-linux"):
        assert PAPER.claim(claim).published_text.startswith(
            f"{gains[0]:.3f} and {gains[1]:.3f} nats (War and Peace), {gains[2]:.3f} and {gains[3]:.3f} (kernel)"
        )


def test_exactly_one_column_rises_with_size() -> None:
    def rises(rows: dict[str, TableRow], network: str) -> bool:
        values = [row.value("v2", network) for row in rows.values()]
        known = [value for value in values if value is not None]
        return any(after > before for before, after in itertools.pairwise(known))

    networks = [f"{cell}-{n}" for cell in ("lstm", "gru", "rnn") for n in LAYERS]
    assert [(name, network) for name, rows in ROWS.items() for network in networks if rises(rows, network)] == [("war-and-peace", "gru-2")]


@pytest.mark.parametrize(("corpus", "line"), [("war-and-peace", "War and Peace, n-gram"), ("linux", "Linux kernel, n-gram")])
def test_the_lead_over_n_grams_is_that_of_the_lecture_deck(corpus: str, line: str) -> None:
    best = ROWS[corpus]["512"].value("deck", "best")
    ngram = next(row.value("deck", "n-20") for row in PAPER.tables["table-2"].rows if row.label == line)
    assert best is not None
    assert ngram is not None
    claim = PAPER.claim(f"beats-ngrams-{corpus}")
    assert claim.published_text == f"{best:g} against {ngram:g} of the 20-gram, a lead of {ngram - best:.3f}"
    assert getattr(claim, "min_difference", 0) == pytest.approx((ngram - best) / 2, abs=0.002)


def test_shares_of_errors_are_complete() -> None:
    """A slope between 1 and 2 is a logarithm to base 2; the ranges are the shares, a third of them either way."""
    shares = []
    for claim in PAPER.claims:
        if claim.id.endswith("-errors-share"):
            assert isinstance(claim, TrendClaim)
            assert claim.range
            low, high = (2**edge for edge in claim.range)
            shares.append((low + high) / 2)
            assert high / low == pytest.approx(2, abs=0.01), "two thirds to four thirds"
            assert claim.published_text == f"{100 * shares[-1]:.0f} % of the errors"
    assert len(shares) == 6
    assert sum(shares) == pytest.approx(1, abs=0.005), "what the shares leave is nothing"


def test_only_claims_with_a_checked_source_are_primary() -> None:
    assert {claim.evidence for claim in PAPER.claims if claim.primary} <= {"paper", "author", "secondary", "derived"}


def test_short_trainings_and_other_kernel_files_make_a_proxy() -> None:
    for tier, real in (("cpu", {"war-and-peace-20-gram"}), ("gpu", {"war-and-peace-20-gram"}), ("paper", None)):
        of_runs = scales(load_runs("char_rnn", tier))
        judged = {claim.id: proxy_of(claim, tier, of_runs) for claim in PAPER.claims if tier in claim.tiers}
        if real:
            assert {name for name, proxy in judged.items() if not proxy} == real
        reads_kernel = {c.id for c in PAPER.claims if tier in c.tiers and any(m.run.startswith("linux") for m in c.measures(tier))}
        assert reads_kernel
        assert all("kernel files" in judged[name] for name in reads_kernel)


def test_networks_of_different_size_are_compared_after_equal_training_on_processors() -> None:
    """Growth from 64 to 512 units, and cells of equal parameters, are compared at equal epochs, batch and rate."""
    runs = {run.name: run.settings_as(Settings) for run in load_runs("char_rnn", "cpu")}
    small, large = runs["war-and-peace-64"], runs["war-and-peace-512"]
    for key in ("epochs", "batch_size", "seq_len", "learning_rate", "schedule"):
        assert getattr(small, key) == getattr(large, key), key
    for row in ("war-and-peace-128", "linux-128"):
        cells = [Network.parse(name) for name in runs[row].models]
        assert {(cell.cell, cell.layers) for cell in cells} == set(itertools.product(("lstm", "gru", "rnn"), (1, 2)))


def test_networks_that_claims_name_on_processors_are_trained_and_analysed_there() -> None:
    runs = {run.name: run.settings_as(Settings) for run in load_runs("char_rnn", "cpu")}
    for claim in PAPER.claims:
        for measure in claim.measures("cpu") if "cpu" in claim.tiers else ():
            if isinstance(measure, Measure) and measure.model not in ("", "ngram", "lstm", "gru", "rnn"):
                assert measure.model in runs[measure.run].models, claim.id
                if measure.metric != "cross_entropy":
                    assert measure.model in runs[measure.run].analysed, claim.id
