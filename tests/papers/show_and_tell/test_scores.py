"""Scores against the original code's values, against slow obvious formulas, and on wrong input."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replications.errors import InputError
from replications.papers.show_and_tell.scores import Scorer, lcs_length, main, read_captions, score_texts
from replications.papers.show_and_tell.vocabulary import tokenize

HERE = Path(__file__).parent
GOLDEN = HERE / "golden_captions.json"
MIRROR = Path(os.environ.get("REPLICATIONS_DATA") or HERE.parents[3] / "shared" / "data")
"""The local mirror: named by the variable, or beside the repository."""
COCO_FILE = MIRROR / "caption-scores" / "coco_scores.json"


def _close(path: Path, tolerance: float) -> None:
    wanted = json.loads(path.read_text())
    candidates, references = read_captions(path)
    got = score_texts(candidates, references)
    for name in ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"):
        assert got.corpus[name] == pytest.approx(wanted["corpus"][name], abs=tolerance), name
        assert list(got.per_caption[name]) == pytest.approx(wanted["per_caption"][name], abs=tolerance), name


def test_scores_are_those_of_the_original_code_on_captions_written_for_this_test() -> None:
    _close(GOLDEN, 1e-9)


def test_tokens_are_those_of_the_original_tokenizer_on_these_captions() -> None:
    for entry in json.loads(GOLDEN.read_text())["captions"]:
        assert " ".join(tokenize(entry["candidate"])) == entry["tokenized"]


@pytest.mark.skipif(not COCO_FILE.is_file(), reason=f"{COCO_FILE} is not at hand; set REPLICATIONS_DATA")
def test_scores_are_those_of_the_original_code_on_120_captions_of_flickr8k() -> None:
    _close(COCO_FILE, 1e-9)
    for entry in json.loads(COCO_FILE.read_text())["captions"]:
        assert " ".join(tokenize(entry["candidate"])) == entry["tokenized_candidate"]
        assert [" ".join(tokenize(text)) for text in entry["references"]] == entry["tokenized_references"]


WORDS = ["a", "dog", "cat", "runs", "on", "the", "grass", "red", "ball", "and"]
captions = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12)


def _slow_lcs(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return 1 + _slow_lcs(a[:-1], b[:-1])
    return max(_slow_lcs(a[:-1], b), _slow_lcs(a, b[:-1]))


@given(st.lists(st.sampled_from("abc"), max_size=7), st.lists(st.sampled_from("abc"), max_size=7))
def test_bit_parallel_common_subsequence_equals_recursion(a: list[str], b: list[str]) -> None:
    assert lcs_length(a, b) == _slow_lcs(a, b)


def _slow_bleu(candidates: list[list[str]], references: list[list[list[str]]], order: int) -> float:
    log_precision, length, closest = 0.0, 0, 0
    for n in range(1, order + 1):
        hits = tried = 0
        for candidate, several in zip(candidates, references, strict=True):
            grams = [tuple(candidate[i : i + n]) for i in range(len(candidate) - n + 1)]
            tried += len(grams)
            for gram, count in Counter(grams).items():
                most = max(sum(tuple(r[i : i + n]) == gram for i in range(len(r) - n + 1)) for r in several)
                hits += min(count, most)
        log_precision += math.log((hits + 1e-15) / (tried + 1e-9)) / order
    for candidate, several in zip(candidates, references, strict=True):
        length += len(candidate)
        closest += sorted((abs(len(r) - len(candidate)), len(r)) for r in several)[0][1]
    penalty = min(0.0, 1 - (closest + 1e-9) / (length + 1e-15))
    return math.exp(log_precision + penalty)


def _slow_cider_d(candidates: list[list[str]], references: list[list[list[str]]]) -> float:
    def counts(caption: list[str], n: int) -> Counter[tuple[str, ...]]:
        return Counter(tuple(caption[i : i + n]) for i in range(len(caption) - n + 1))

    total = 0.0
    for candidate, several in zip(candidates, references, strict=True):
        for n in range(1, 5):

            def weight(gram: tuple[str, ...], size: int = n) -> float:
                images = sum(any(gram in counts(r, size) for r in others) for others in references)
                return math.log(len(references)) - math.log(max(1, images))

            own = {g: c * weight(g) for g, c in counts(candidate, n).items()}
            for reference in several:
                other = {g: c * weight(g) for g, c in counts(reference, n).items()}
                norm = math.sqrt(sum(v * v for v in own.values())) * math.sqrt(sum(v * v for v in other.values()))
                if norm:
                    gap = max(0, len(candidate) - 1) - max(0, len(reference) - 1)
                    dot = sum(min(v, other.get(g, 0.0)) * other.get(g, 0.0) for g, v in own.items())
                    total += dot / norm * math.exp(-gap * gap / 72) * 10 / 4 / len(several)
    return total / len(candidates)


def test_corpus_scores_equal_slow_obvious_formulas() -> None:
    generator = random.Random(3)
    draw = lambda: [generator.choice(WORDS) for _ in range(generator.randint(1, 12))]  # noqa: E731
    candidates, references = [draw() for _ in range(15)], [[draw() for _ in range(3)] for _ in range(15)]
    got = Scorer(references).score(candidates).corpus
    for order in range(1, 5):
        assert got[f"BLEU-{order}"] == pytest.approx(_slow_bleu(candidates, references, order), rel=1e-6)
    assert got["CIDEr"] == pytest.approx(_slow_cider_d(candidates, references), rel=1e-9)


@given(captions, captions)
def test_a_caption_equal_to_its_reference_scores_best(own: list[str], other: list[str]) -> None:
    scorer = Scorer([[own], [other]])
    right = scorer.score([own, other]).corpus
    assert right["ROUGE-L"] == pytest.approx(1.0)
    assert right["BLEU-1"] == pytest.approx(1.0)
    assert all(right[name] >= scorer.score([other, own]).corpus[name] - 1e-12 for name in right)


def test_an_empty_generated_caption_scores_nothing_and_breaks_nothing() -> None:
    got = Scorer([[["a", "dog"]], [["a", "cat"]]]).score([[], ["a", "cat"]])
    assert all(values[0] == pytest.approx(0.0, abs=1e-6) for values in got.per_caption.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("{}", "whose 'captions' is a list"),
        ('{"captions": []}', "whose 'captions' is a list"),
        ('{"captions": [{"candidate": "a dog"}]}', "captions\\[0\\]: expected 'candidate'"),
        ('{"captions": [{"candidate": "a dog", "references": []}]}', "captions\\[0\\].references is empty"),
        ('{"captions": [{"candidate": " . ", "references": ["a dog"]}]}', "captions\\[0\\].candidate is an empty caption"),
        ('{"captions": [{"candidate": "a dog", "references": ["a dog", ""]}]}', "captions\\[0\\].references\\[1\\] is an empty caption"),
    ],
)
def test_a_wrong_caption_file_is_named_with_the_entry(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "captions.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_captions(path)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "captions.json"
    path.write_bytes(b'\xef\xbb\xbf{"captions": [{"candidate": "a dog", "references": ["the dog"]}]}')
    assert read_captions(path) == (["a dog"], [["the dog"]])


def test_wrong_use_and_wrong_numbers_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        main([str(tmp_path / "none.json")])
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    with pytest.raises(InputError, match="1 candidate captions for 2 images"):
        Scorer([[["a"]], [["b"]]]).score([["a"]])
    with pytest.raises(InputError, match="has no reference caption"):
        Scorer([[]])


def test_the_command_prints_json_and_starts_without_torch(tmp_path: Path) -> None:
    script = (
        "import runpy, sys; sys.argv[1:] = [sys.argv[1]]; "
        "runpy.run_module('replications.papers.show_and_tell.scores', run_name='__main__'); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script, str(GOLDEN)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["corpus"]["METEOR"] is None
    assert printed["corpus"]["CIDEr"] == pytest.approx(json.loads(GOLDEN.read_text())["corpus"]["CIDEr"])
    failed = subprocess.run(
        [sys.executable, "-m", "replications.papers.show_and_tell.scores", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("error: ")


def test_help_says_what_the_file_holds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "FILE.json" in shown
    assert "'candidate'" in shown
