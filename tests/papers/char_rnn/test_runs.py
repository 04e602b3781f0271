"""Whole runs: exact resuming, seeds, precision, real data, wrong input, figures and the explorer."""

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from replications.engine.context import Context
from replications.engine.corpora import PROGRAM_TEXT
from replications.engine.devices import native_bf16
from replications.engine.text import Corpus, Vocabulary, load_corpus
from replications.errors import CheckpointError, DataError, InputError, Preempted
from replications.papers.char_rnn import data, exhibits, experiment, figures
from replications.papers.char_rnn.settings import Settings
from replications.papers.char_rnn.trainer import ModelGroup, rate_factor
from replications.paths import ROOT
from replications.presentation.exhibits import page
from replications.presentation.figure_writer import write_figure
from replications.registry import run_grid as grid
from replications.registry.papers import load_paper
from replications.registry.yaml_models import validate
from replications.results.reader import Results
from replications.results.records import frame
from replications.results.store import write_chunk
from tests.contexts import make_context
from tests.factories import provenance_of

TINY: dict[str, Any] = {
    "corpus": "program-text",
    "models": ["lstm-1", "gru-2"],
    "size": 8,
    "batch_size": 8,
    "seq_len": 16,
    "epochs": 1.0,
    "learning_rate": 0.01,
    "evaluations": 3,
    "evaluation_characters": 1000,
    "probe_characters": 2000,
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks on many threads are slow and, where other work runs, slower still."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def settings(**changes: Any) -> Settings:
    return Settings(**(TINY | {"evaluation_characters": 2000} | changes))


def context(folder: Path, seeds: tuple[int, ...] = (0, 1)) -> Context:
    return make_context(folder, "char_rnn", seeds)


@pytest.fixture
def short_text(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make every corpus a text of our own, split like the program text."""

    def use(text: str) -> None:
        cut = int(len(text) * 0.8)
        corpus = Corpus("short", "cpp", Vocabulary.of(text), text[:cut], text[cut:], text[cut:])
        monkeypatch.setattr(experiment, "load_corpus", lambda *_: corpus)

    return use


SENTENCES = "".join(f'int value_{i} = {i % 7}; // number {i % 5}\nif (a{i} > b) {{ call("{i}"); }}\n' for i in range(160))


def finish(folder: Path, run_settings: Settings, seeds: tuple[int, ...] = (0, 1)) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    given = context(folder, seeds)
    experiment.run(run_settings, given)
    return frame(given.rows), given.arrays


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
def test_a_stopped_run_continues_to_equal_records(
    optimiser: str, tmp_path: Path, short_text: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    short_text(SENTENCES)
    run_settings = settings(optimiser=optimiser, analyses=["samples"], analysed=["lstm-1"], epochs=0.35)
    expected, arrays = finish(tmp_path / "whole", run_settings)
    given = context(tmp_path / "stopped")
    update = ModelGroup.update

    def interrupted(self: ModelGroup, step: int) -> Any:
        if step == 11:
            given.control.stop.signal = "SIGTERM"
        return update(self, step)

    monkeypatch.setattr(ModelGroup, "update", interrupted)
    with pytest.raises(Preempted, match="step 12"):
        experiment.run(run_settings, given)
    monkeypatch.setattr(ModelGroup, "update", update)
    records, resumed = finish(tmp_path / "stopped", run_settings)
    pd.testing.assert_frame_equal(records, expected)
    assert resumed.keys() == arrays.keys()
    for name, values in arrays.items():
        assert (resumed[name] == values).all(), name


def test_the_hidden_state_is_part_of_the_checkpoint(tmp_path: Path, short_text: Callable[[str], None]) -> None:
    short_text(SENTENCES)
    corpus = experiment.load_corpus("program-text", None)
    trained, fresh = (ModelGroup(context(tmp_path / name), settings(), corpus) for name in ("a", "b"))
    for step in range(3):
        trained.update(step)
    fresh.load_state_dict(trained.state_dict())
    assert all(float(part.abs().sum()) > 0 for part in fresh.trainees[0].carried)
    after = trained.update(3)
    for name, losses in fresh.update(3).items():
        assert torch.equal(losses, after[name])
    fresh.load_state_dict(trained.state_dict())
    for part in fresh.trainees[0].carried:
        part.zero_()
    assert float(fresh.update(4)["loss", "lstm-1"][0]) != float(trained.update(4)["loss", "lstm-1"][0])


def test_seeds_differ_and_do_not_depend_on_company(tmp_path: Path, short_text: Callable[[str], None]) -> None:
    short_text(SENTENCES)
    together, _ = finish(tmp_path / "together", settings(epochs=0.2))
    alone, _ = finish(tmp_path / "alone", settings(epochs=0.2), seeds=(1,))
    both = together[(together["metric"] == "cross_entropy") & (together["model"] == "lstm-1")]
    assert both[both["seed"] == 0]["value"].tolist() != both[both["seed"] == 1]["value"].tolist()
    pd.testing.assert_frame_equal(together[together["seed"] == 1].reset_index(drop=True), alone)


@pytest.mark.skipif(not native_bf16(torch.device("cpu")), reason="this processor has no bf16 arithmetic, which `precision: auto` respects")
def test_training_in_bf16_loses_nothing_that_seeds_would_not_hide(tmp_path: Path, short_text: Callable[[str], None]) -> None:
    short_text(SENTENCES)
    losses = {}
    for precision in ("fp32", "bf16"):
        run_settings = settings(
            models=["lstm-1"], size=32, batch_size=8, seq_len=16, epochs=4, precision=precision, init="scaled", evaluations=1
        )
        records, _ = finish(tmp_path / precision, run_settings, seeds=(0, 1, 2))
        of_network = (records["metric"] == "cross_entropy_last") & (records["model"] == "lstm-1")
        losses[precision] = records[of_network]["value"].to_numpy()
    assert losses["fp32"].max() < 1.6, "it learns"
    assert np.abs(losses["bf16"] - losses["fp32"]).mean() < 0.03


def test_the_schedules_are_those_stated() -> None:
    paper = settings(optimiser="rmsprop", schedule="epochs", decay=0.95, decay_after=10)
    factors = [rate_factor(paper, epoch * 7, 350, 7) for epoch in range(13)]
    assert factors[:10] == [1.0] * 10
    assert factors[10:] == pytest.approx([0.95, 0.95**2, 0.95**3])
    cosine = settings()
    factors = [rate_factor(cosine, step, 1000, 10) for step in range(1000)]
    assert max(factors) == pytest.approx(1.0)
    assert factors[0] == pytest.approx(1 / 20)
    assert factors[-1] < 1e-4


def test_everything_is_measured_drawn_and_explored(
    tmp_path: Path, short_text: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    short_text(SENTENCES)
    run_settings = settings(
        models=["lstm-1"], analysed=["lstm-1"], analyses=["ngrams", "brackets", "errors", "gates", "cells", "samples"], init="scaled"
    )
    records, arrays = finish(tmp_path / "state", run_settings)
    assert np.isfinite(records["value"]).all()
    assert not records.duplicated(["seed", "model", "split", "step", "axis", "at", "metric"]).any()
    kinds = (
        records[records["metric"].str.startswith("errors") & (records["model"] == "lstm-1")]
        .groupby(["seed", "metric"])["value"]
        .sum()
        .unstack()
    )
    assert (kinds.drop(columns=["errors"]).sum(axis=1) == kinds["errors"]).all()

    run = grid.load_runs("char_rnn", "smoke")[0]
    monkeypatch.setattr(grid, "load_runs", lambda *_: (run,))
    monkeypatch.setattr("replications.results.reader.load_runs", lambda *_: (run,))
    folder = grid.run_folder(tmp_path, run, run.chunks()[0])
    third = records[records["seed"] == 1].assign(seed=2, value=lambda rows: 1.01 * rows["value"])
    records = pd.concat([records, third]).assign(run=run.name)
    write_chunk(folder, records.to_dict("records"), arrays, provenance_of(run, (0, 1, 2)))
    results = Results.read(load_paper("char_rnn"), "smoke", tmp_path)
    names = [name for name, one in vars(figures).items() if callable(one) and getattr(one, "__module__", "") == figures.__name__]
    for name in (name for name in names if not name.startswith("_")):
        metadata = write_figure(getattr(figures, name), results, tmp_path / "figures")
        assert metadata.drawn or name == "closing_brackets", metadata.why_not
    exhibit, html = page(exhibits.cell_explorer, results)
    network = exhibit.data["networks"][0]
    units, characters = len(network["units"]), len(network["text"])
    assert len(base64.b64decode(network["activations"])) == units * characters
    assert all(len(base64.b64decode(one["truth"])) == characters for one in network["labels"])
    assert "http" not in html.partition("<script>")[0], "the page needs no network"


def test_a_text_too_short_for_a_batch_is_refused(tmp_path: Path, short_text: Callable[[str], None]) -> None:
    short_text("int a;\n" * 40)
    with pytest.raises(DataError, match=r"text of short has 224 characters; one chunk of 100 streams of 100 needs 10,001"):
        experiment.run(settings(batch_size=100, seq_len=100), context(tmp_path))


def test_a_checkpoint_of_another_vocabulary_is_refused_and_kept(tmp_path: Path, short_text: Callable[[str], None]) -> None:
    short_text(SENTENCES)
    experiment.run(settings(epochs=0.1), context(tmp_path))
    saved = (tmp_path / "train.checkpoint").read_bytes()
    short_text(SENTENCES.replace("7", "&"))
    with pytest.raises(CheckpointError, match=r"trained on \d+ characters, this corpus has \d+: only there \['7'\], only here \['&'\]"):
        experiment.run(settings(epochs=0.1), context(tmp_path))
    assert (tmp_path / "train.checkpoint").read_bytes() == saved


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ["lstm-5"]}, r"models: 'lstm-5': write cell-layers"),
        ({"models": ["lstm-1", "lstm-1"]}, "a network is listed twice"),
        ({"models": []}, "the run would do nothing"),
        ({"analysed": ["rnn-1"]}, "'rnn-1' is not among the models"),
        ({"analyses": ["cells"]}, "need at least one network in 'analysed'"),
        ({"models": ["gru-1"], "analysed": ["gru-1"], "analyses": ["gates"]}, "'gates' needs an LSTM"),
        ({"dropout": 0.2}, "set cuda_graph: false"),
        ({"batchs": 3}, "Did you mean 'batch_size'"),
    ],
)
def test_settings_that_cannot_work_say_so(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(Settings, TINY | {"evaluation_characters": 2000} | changes, "runs.yaml")


def test_expected_values_of_the_runs_are_those_of_the_tables() -> None:
    paper = load_paper("char_rnn")
    published = {
        row.run: row.value("v2", "lstm-2")
        for name in ("table-1-war-and-peace", "table-1-linux")
        for row in paper.tables[name].rows
        if row.run
    }
    for run in grid.load_runs("char_rnn", "gpu"):
        assert run.expected == published.get(run.name)


def test_claims_read_what_the_runs_record() -> None:
    for claim in load_paper("char_rnn").claims:
        assert claim.evidence != "paper" or "abstract" in claim.location, "of the paper's text only the abstract was seen"
        for tier in claim.tiers:
            planned = {run.name: run for run in grid.load_runs("char_rnn", tier)}
            for measure in claim.measures(tier):
                assert measure.run in planned, (claim.id, tier, measure.run)
                network = str(getattr(measure, "metric", getattr(measure, "scores", ""))).split(".")[-1]
                if network.count("-") == 1 and network.split("-")[0] in ("lstm", "gru", "rnn"):
                    assert network in planned[measure.run].settings.models, (claim.id, tier, network)


@pytest.fixture
def local_data(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(os.environ.get("REPLICATIONS_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "text").is_dir():
        pytest.skip("the corpora are not on this machine (REPLICATIONS_DATA)")
    monkeypatch.setenv("REPLICATIONS_DATA", str(folder))


@pytest.mark.usefixtures("local_data")
def test_the_real_corpora_are_the_declared_ones(tmp_path: Path) -> None:
    given = context(tmp_path)
    sizes = {name: load_corpus(name, data.CORPORA, given.load) for name in ("war-and-peace", "linux", "tiny-shakespeare")}
    whole = {name: len(corpus.train) + len(corpus.validation) + len(corpus.test) for name, corpus in sizes.items()}
    assert whole == {"war-and-peace": 3_258_246, "linux": 6_206_214, "tiny-shakespeare": 1_115_394}
    kinds = {name: len(corpus.vocabulary) for name, corpus in sizes.items()}
    assert kinds == {"war-and-peace": 87, "linux": 101, "tiny-shakespeare": 65}, "87 and 101 are the paper's figures"
    assert {note["verified"] for note in given.data.values()} == {"yes"}


@pytest.mark.usefixtures("local_data")
def test_a_short_training_on_the_novel_learns(tmp_path: Path) -> None:
    run_settings = settings(
        corpus="war-and-peace",
        models=["lstm-1"],
        size=48,
        batch_size=16,
        seq_len=32,
        epochs=0.06,
        learning_rate=0.02,
        init="scaled",
        forget_bias=0.0,
        evaluation_characters=10_000,
        precision="auto",
    )
    records, _ = finish(tmp_path, run_settings, seeds=(0,))
    final = records[(records["metric"] == "cross_entropy") & (records["model"] == "lstm-1") & (records["split"] == "test")]["value"].item()
    assert final < 2.5, "better than the 1-gram of the novel, about 3.1 nats, after 160,000 characters"


def test_the_sources_are_declared_once() -> None:
    assert [source.name for source in data.SOURCES].count(PROGRAM_TEXT.name) == 1
