"""Pairs of sentences: what is read, how it is cut and numbered, and what is said of files that are not as they should be."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from replications.engine import datasets as sources
from replications.errors import DataError, InputError
from replications.papers.align_and_translate import data, language, sword
from replications.papers.align_and_translate.batches import Batches, Encoded, make_batch
from replications.papers.align_and_translate.pairs import Pairs, read_parallel, read_tab_separated
from replications.papers.align_and_translate.settings import Settings
from replications.papers.align_and_translate.vocabulary import END, UNKNOWN, Vocabulary, tokenize


def test_a_made_up_translation_turns_every_phrase_around() -> None:
    pair = language.draw_pair(5, np.random.default_rng(0))
    classes = {word: kind for words, kind in ((language.NOUNS, "n"), (language.ADJECTIVES, "a"), (language.VERBS, "v")) for word in words}
    assert "".join(classes[word] for word in pair.source).replace("a", "") == "nv" * 5
    assert [language.TRANSLATION[pair.source[j]] for j in pair.alignment] == pair.target
    assert sorted(pair.alignment) == list(range(len(pair.source)))
    start = 0
    for phrase in "".join(classes[word] for word in pair.source).split("v")[:-1]:
        length = len(phrase) + 1
        assert pair.alignment[start : start + length] == list(range(start + length - 1, start - 1, -1))
        start += length


def test_translated_words_are_all_different() -> None:
    assert len(set(language.TRANSLATION.values())) == len(language.TRANSLATION) == 36


def test_words_and_marks_are_cut_and_case_is_kept() -> None:
    assert tokenize("L'homme dit: «Voilà, grand-père!»") == ["L'", "homme", "dit", ":", "«", "Voilà", ",", "grand-père", "!", "»"]


def test_a_vocabulary_holds_the_most_frequent_words_and_ties_in_alphabetical_order() -> None:
    vocabulary = Vocabulary.build("English", [["b", "a", "c"], ["c", "b"], ["c"]], 2)
    assert vocabulary.words[2:] == ("c", "b")
    encoded = vocabulary.encode(["b", "a", "c"])
    assert encoded.tolist() == [3, UNKNOWN, 2, END]
    assert vocabulary.decode([3, 2, END, 2]) == ["b", "c"]


def test_a_sentence_in_an_alphabet_never_seen_is_refused() -> None:
    vocabulary = Vocabulary.build("English", [["light", "and", "dark"]], 10)
    assert vocabulary.encode(["halt"]).tolist() == [UNKNOWN, END]  # unknown, but of known letters
    assert vocabulary.encode(["1769", "!"]).tolist() == [UNKNOWN, UNKNOWN, END]
    with pytest.raises(InputError, match="English vocabulary: the text is in another alphabet"):
        vocabulary.encode(["свет", "и"])
    assert vocabulary.encode(["свет"], any_alphabet=True).tolist() == [UNKNOWN, END]  # a crawled training pair does not stop a run


def test_a_pair_with_an_empty_side_is_refused_with_its_line() -> None:
    assert read_tab_separated("1\tone\tuno\n", "pairs.tsv") == [("1", "one", "uno")]
    with pytest.raises(DataError, match=r"pairs.tsv, line 2, target: the sentence is empty.*Remove the pair"):
        read_tab_separated("1\tone\tuno\n2\ttwo\t \n", "pairs.tsv")
    with pytest.raises(DataError, match="line 1: expected identifier, source and target separated by tabs, got 2 parts"):
        read_tab_separated("one\tuno\n", "pairs.tsv")


def test_unequal_numbers_of_lines_are_refused() -> None:
    assert read_parallel("one\ntwo\n", "un\ndeux\n", "captions") == [("one", "un"), ("two", "deux")]
    with pytest.raises(DataError, match=r"captions: the source has 2 lines, the target 1; .* from one release"):
        read_parallel("one\ntwo\n", "un\n", "captions")


def test_only_line_feeds_end_a_line_so_that_pairs_stay_together() -> None:
    separators = "a\x0cb\u2028c\x85d"
    assert read_parallel(f"{separators}\r\ntwo\r\n", "un\ndeux", "captions") == [(separators, "un"), ("two", "deux")]
    assert read_tab_separated(f"1\t{separators}\tuno\n", "pairs.tsv") == [("1", separators, "uno")]


def test_a_sentence_longer_than_stated_is_refused() -> None:
    with pytest.raises(DataError, match="captions, source, line 1: 251 words, more than the 250"):
        read_parallel("a " * 251, "un", "captions")


def test_pairs_of_up_to_so_many_words_on_both_sides_remain() -> None:
    pairs = Pairs("x", [["a"], ["a", "b"], ["a"]], [["c"], ["c"], ["c", "d", "e"]])
    assert pairs.up_to(2).source == [["a"], ["a", "b"]]
    with pytest.raises(DataError, match=r"x has no pair of sentences of at most 1 words. Raise max_words"):
        pairs.rows([1]).up_to(1)


def test_equal_verses_are_in_one_split_and_shares_are_as_declared() -> None:
    splits = [data.bible_split(f"verse {i}") for i in range(5000)]
    assert splits.count("test") / 5000 == pytest.approx(0.10, abs=0.015)
    assert splits.count("validation") / 5000 == pytest.approx(0.03, abs=0.01)
    assert data.bible_split("verse 7") == data.bible_split("verse 7")


# SWORD modules, written here as the format says.


def _write_module(place: Path, name: str, verses: list[str], *, scheme: str = "KJV") -> None:
    folder = place / "modules" / name
    folder.mkdir(parents=True)
    (place / "mods.d").mkdir(exist_ok=True)
    (place / "mods.d" / f"{name}.conf").write_text(f"[{name}]\nDataPath=./modules/{name}/\nVersification={scheme}\n", encoding="utf-8")
    for testament in ("ot", "nt"):
        encoded = [verse.encode() for verse in verses]
        starts = np.cumsum([0, *map(len, encoded)]).tolist()
        packed = zlib.compress(b"".join(encoded))
        (folder / f"{testament}.bzz").write_bytes(b"??" + packed)
        (folder / f"{testament}.bzs").write_bytes(struct.pack("<III", 2, len(packed), starts[-1]))
        (folder / f"{testament}.bzv").write_bytes(
            b"".join(struct.pack("<IIH", 0, a, len(b)) for a, b in zip(starts, encoded, strict=False))
        )


def test_modules_are_read_entry_by_entry(tmp_path: Path) -> None:
    _write_module(tmp_path, sword.ENGLISH, ["<title>I</title>", "¶ In the <w x='1'>beginning</w>", "", "light<note>a b</note>"])
    _write_module(tmp_path, sword.SPANISH, ["", "En el principio", "vacío", "la  luz"])
    lines = sword.read_bibles([tmp_path / "nowhere", tmp_path]).splitlines()
    assert lines == [
        f"{t}-{i}\t{a}\t{b}" for t in ("ot", "nt") for i, a, b in ((1, "In the beginning", "En el principio"), (3, "light", "la luz"))
    ]


def test_a_missing_module_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"engKJV2006eb' is not installed .* apt-get install sword-text-kjv sword-text-sparv"):
        sword.read_bibles([tmp_path])


def test_modules_of_another_numbering_are_refused(tmp_path: Path) -> None:
    _write_module(tmp_path, sword.ENGLISH, ["a", "b"])
    _write_module(tmp_path, sword.SPANISH, ["a", "b"], scheme="NRSVA")
    with pytest.raises(DataError, match=r"by 'KJV', .* by 'NRSVA'.*Install modules of one numbering"):
        sword.read_bibles([tmp_path])


def test_modules_with_other_numbers_of_entries_are_refused(tmp_path: Path) -> None:
    _write_module(tmp_path, sword.ENGLISH, ["a", "b"])
    _write_module(tmp_path, sword.SPANISH, ["a"])
    with pytest.raises(DataError, match=r"has 2 entries in 'ot', .* has 1: their numberings differ"):
        sword.read_bibles([tmp_path])


def test_a_damaged_module_says_which(tmp_path: Path) -> None:
    _write_module(tmp_path, sword.ENGLISH, ["a", "b"])
    _write_module(tmp_path, sword.SPANISH, ["a", "b"])
    (tmp_path / "modules" / sword.SPANISH / "ot.bzz").write_bytes(b"no zlib at all")
    with pytest.raises(DataError, match="spaRV1909eb, testament 'ot' cannot be read"):
        sword.read_bibles([tmp_path])


def test_without_mirror_the_installed_package_is_read_and_its_absence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sources.ENVIRONMENT, raising=False)
    installed = sources.DataSource(
        name="told",
        splits={"all": 1},
        licence="",
        citation="",
        file="text/told.gz",
        installed=lambda: "a\tb\tc\n",
        install="apt-get install told",
    )
    loaded, note = sources.load(installed, "all")
    assert (loaded[0]["text"], note["origin"]) == ("a\tb\tc\n", "installed package")
    assert "apt-get install told" in sources.how_to_get(installed)


def test_captions_of_one_language_that_lack_a_line_stop_the_run() -> None:
    texts = {"en": "one\ntwo\n", "fr": "un\n"}

    def load(source: sources.DataSource, split: str) -> list[dict[str, str]]:
        assert split == "all"
        return [{"text": texts[source.name[-2:]]}]

    with pytest.raises(DataError, match="multi30k/train: the source has 2 lines"):
        data.read_pairs(Settings(dataset="multi30k"), load)  # type: ignore[arg-type]  # a list is enough of a data set here


# Batches


def test_batches_are_fetched_sorted_and_split_as_published() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 20, (24, 2))
    pairs = Encoded([np.append(np.full(a, 2), 0) for a, _ in lengths], [np.append(np.full(b, 3), 0) for _, b in lengths])
    batches = Batches(pairs, 3, 4, [torch.Generator().manual_seed(seed) for seed in (0, 1)])
    for seed, order in enumerate(batches.orders):
        fetched = sorted((lengths[row].sum() for row in order[:12]), key=int)
        totals = []
        for step in range(4):
            batch = batches(step)
            words = (
                batch.source_mask[seed].sum(1)
                - 1
                + torch.tensor([(batch.positions[seed] % 3 == i)[batch.counts[seed] > 0].sum() - 1 for i in range(3)])
            )
            totals += words.tolist()
        assert totals == fetched
    assert torch.equal(batches(1).source, batches(1).source)
    assert torch.equal(batches(8).source, batches(0).source)  # two fetches of 12 are a pass; the order stays


def test_a_batch_has_every_word_once_at_its_place() -> None:
    pairs = Encoded([np.array([5, 0]), np.array([6, 7, 0])], [np.array([8, 9, 0]), np.array([4, 0])])
    batch = make_batch(pairs, [np.array([0, 1]), np.array([1, 1])])
    assert batch.previous[0].tolist() == [[0, 8, 9], [0, 4, 0]]
    at = [(int(p) // 2, int(p) % 2, int(t)) for p, t in zip(batch.positions[0], batch.targets[0], strict=True)]
    assert at == [(0, 0, 8), (1, 0, 9), (2, 0, 0), (0, 1, 4), (1, 1, 0)]
    assert batch.counts.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]


def test_fewer_pairs_than_a_batch_are_refused() -> None:
    pairs = Encoded([np.array([5, 0])], [np.array([8, 0])])
    with pytest.raises(DataError, match="1 training pairs are fewer than one batch of 3"):
        Batches(pairs, 3, 4, [torch.Generator()])
