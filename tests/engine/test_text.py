"""Texts: vocabularies, splits, streams, crops, and what a corpus that is no text says."""

import dataclasses
import gzip
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from replications.engine.corpora import CORPORA, PROGRAM_TEXT, TINY_SHAKESPEARE
from replications.engine.datasets import DataSource, load
from replications.engine.text import (
    Corpus,
    Vocabulary,
    as_bytes,
    load_corpus,
    split_text,
)
from replications.engine.text_batches import Streams, random_crops
from replications.errors import CheckpointError, DataError, InputError


@given(st.text(min_size=1, max_size=60))
def test_encoding_and_decoding_are_inverse(text: str) -> None:
    text = as_bytes(text.encode("utf-8", "replace").decode("utf-8"))
    vocabulary = Vocabulary.of(text)
    tokens = vocabulary.encode(text)
    assert tokens.dtype == np.int64
    assert vocabulary.decode(tokens) == text
    assert len(vocabulary) == len(set(text))


def test_a_character_outside_the_vocabulary_is_named_with_its_place() -> None:
    with pytest.raises(InputError, match=r"Character 'z' at position 3 is not among the 3 characters"):
        Vocabulary.of("abc").encode("abcz")


def test_characters_are_bytes() -> None:
    assert as_bytes("plain") == "plain"
    assert as_bytes("\u00e9\ufeff") == "\u00c3\u00a9\u00ef\u00bb\u00bf"


def test_another_vocabulary_is_refused() -> None:
    Vocabulary.of("abc").load_state_dict(Vocabulary.of("cba").state_dict())
    with pytest.raises(CheckpointError, match=r"only there \['c'\], only here \['d'\]"):
        Vocabulary.of("abd").load_state_dict(Vocabulary.of("abc").state_dict())


def test_a_split_is_contiguous_and_whole() -> None:
    text = "".join(chr(97 + i % 26) for i in range(1000))
    parts = split_text(text, 0.1, 0.2)
    assert "".join(parts) == text
    assert [len(part) for part in parts] == [700, 100, 200]


def test_every_stream_continues_where_it_stopped_and_passes_repeat() -> None:
    tokens = torch.arange(101)
    streams = Streams(tokens, batch=4, seq_len=5, offset=7)
    assert streams.n_chunks == 5
    chunks = [streams.chunk(i) for i in range(5)]
    inputs = torch.cat([chunk[0] for chunk in chunks])
    targets = torch.cat([chunk[1] for chunk in chunks])
    assert inputs.shape == (25, 4)
    for stream in range(4):
        expected = (7 + stream * 25 + torch.arange(26)) % 101
        assert torch.equal(inputs[:, stream], expected[:-1])
        assert torch.equal(targets[:, stream], expected[1:])
    assert torch.equal(streams.chunk(5)[0], chunks[0][0])
    assert [streams.begins_anew(i) for i in range(6)] == [True, False, False, False, False, True]


def test_a_text_shorter_than_one_chunk_is_refused() -> None:
    Streams(torch.arange(21), batch=4, seq_len=5)
    with pytest.raises(DataError, match=r"The novel has 20 characters; one chunk of 4 streams of 5 needs 21"):
        Streams(torch.arange(20), batch=4, seq_len=5, name="novel")
    with pytest.raises(DataError, match="a crop of 20 needs 21"):
        random_crops(torch.arange(20), 2, 20, torch.Generator())


def test_crops_are_windows_of_the_text_drawn_from_their_generator() -> None:
    tokens = torch.arange(50)
    inputs, targets = random_crops(tokens, 200, 8, torch.Generator().manual_seed(0))
    assert inputs.shape == (200, 8)
    assert torch.equal(inputs + 1, targets)
    assert int(inputs[:, 0].min()) == 0
    assert int(targets.max()) == 49
    again, _ = random_crops(tokens, 200, 8, torch.Generator().manual_seed(0))
    assert torch.equal(inputs, again)


def loaded(source: DataSource, split: str) -> datasets.Dataset:
    return load(source, split)[0]


def test_the_program_text_is_the_declared_one() -> None:
    corpus = load_corpus("program-text", CORPORA, loaded)
    assert isinstance(corpus, Corpus)
    assert corpus.language == "cpp"
    assert (corpus.train + corpus.validation + corpus.test).isascii()
    assert len(corpus.train) > 1_500_000
    assert "Licensed to the Apache" not in corpus.train
    assert load(PROGRAM_TEXT, "all")[1]["verified"] == "yes"


def mirrored(folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> DataSource:
    """A source whose file has this content, whatever its fingerprint."""
    path = folder / TINY_SHAKESPEARE.file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setenv("REPLICATIONS_DATA", str(folder))
    return dataclasses.replace(TINY_SHAKESPEARE, fingerprints={})


def test_an_empty_corpus_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = mirrored(tmp_path, gzip.compress(b""), monkeypatch)
    with pytest.raises(DataError, match="The corpus is empty"):
        load_corpus("tiny-shakespeare", CORPORA, lambda *_: loaded(source, "all"))


def test_a_corpus_that_is_not_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = mirrored(tmp_path, gzip.compress(b"caf\xe9 au lait"), monkeypatch)
    with pytest.raises(DataError, match=r"tiny-shakespeare from local mirror \S+ cannot be read: 'utf-8' codec can't decode byte 0xe9"):
        loaded(source, "all")


def test_an_altered_corpus_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrored(tmp_path, b"not packed, not Shakespeare", monkeypatch)
    with pytest.raises(DataError, match="is not the declared data: fingerprint"):
        loaded(TINY_SHAKESPEARE, "all")


def test_an_unknown_corpus_gets_the_nearest_name() -> None:
    with pytest.raises(InputError, match="Did you mean 'tiny-shakespeare'"):
        load_corpus("tiny-shakespear", CORPORA, loaded)
