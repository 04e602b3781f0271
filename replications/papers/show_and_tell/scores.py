"""Caption scores as the COCO caption evaluation computes them: BLEU-1 to 4, ROUGE-L, CIDEr(-D), CIDEr.

The definitions are those of the COCO evaluation code (Chen et al. 2015, arXiv 1504.00325), constants included: BLEU with the
closest reference length (Papineni et al. 2002), ROUGE-L with beta 1.2 (Lin 2004), and under the name CIDEr what that code
calls CIDEr, namely CIDEr-D (Vedantam et al. 2015: clipped counts, Gaussian length penalty of sigma 6). `CIDEr-plain` is
the form without clip and penalty. METEOR needs Java and its paraphrase table, so it is not computed, and the report says so.

    python -m replications.papers.show_and_tell.scores FILE.json

scores a file whose `captions` is a list of objects with `candidate` and `references` and prints the scores as JSON.
"""

from __future__ import annotations

import functools
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from replications.errors import InputError, ReplicationError
from replications.papers.show_and_tell.vocabulary import tokenize

Tokens = Sequence[str]
Ngram = tuple[str, ...]

ORDERS = 4
TINY, SMALL = 1e-15, 1e-9
"""Added to numerators and denominators of BLEU by the COCO code, so that a caption without a match scores nearly 0."""
ROUGE_BETA = 1.2
CIDER_SIGMA = 6.0


@dataclass(frozen=True)
class Scores:
    """Scores of generated captions, on a scale of 0 to 1 (CIDEr: 0 to 10).

    Attributes:
        corpus: metric -> score of the whole corpus.
        per_caption: metric -> score of each caption, shape (captions,).
    """

    corpus: dict[str, float]
    per_caption: dict[str, np.ndarray]


def ngrams(tokens: Tokens) -> list[Counter[Ngram]]:
    """Return counts of the 1- to 4-grams of a caption, one counter per order."""
    return [Counter(zip(*(tokens[start:] for start in range(order)), strict=False)) for order in range(1, ORDERS + 1)]


def lcs_length(a: Tokens, b: Tokens) -> int:
    """Return the length of the longest common subsequence, bit-parallel (Hyyro 2004): one integer holds a whole row."""
    places: dict[str, int] = {}
    for position, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << position
    full = (1 << len(a)) - 1
    row = full
    for token in b:
        match = row & places.get(token, 0)
        row = ((row + match) | (row - match)) & full
    return len(a) - row.bit_count()


class Scorer:
    """Scores captions against fixed references, whose counts and document frequencies are computed once.

    Args:
        references: for every image, the tokens of its references.

    Raises:
        InputError: an image without a reference, or a reference without a word.
    """

    def __init__(self, references: Sequence[Sequence[Tokens]]) -> None:
        for index, several in enumerate(references):
            if not several:
                raise InputError(f"Image {index} has no reference caption. Every image needs at least one.")
            if any(not tokens for tokens in several):
                raise InputError(f"Image {index} has an empty reference caption (no word is left after tokenizing). Remove or correct it.")
        self.references = references
        self.log_images = math.log(float(max(1, len(references))))
        self._counts = [[ngrams(tokens) for tokens in several] for several in references]

    @functools.cached_property
    def frequency(self) -> Counter[Ngram]:
        """Number of images whose references hold each n-gram."""
        images: Counter[Ngram] = Counter()
        for several in self._counts:
            images.update({gram for counts in several for order in counts for gram in order})
        return images

    @functools.cached_property
    def _reference_vectors(self) -> list[list[tuple[list[dict[Ngram, float]], list[float]]]]:
        return [[self._vectors(counts) for counts in several] for several in self._counts]

    @functools.cached_property
    def _clip(self) -> list[Counter[Ngram]]:
        return [_most(several) for several in self._counts]

    def _vectors(self, counts: list[Counter[Ngram]]) -> tuple[list[dict[Ngram, float]], list[float]]:
        """Tf-idf vectors of one caption by order (document frequency: images whose references hold the n-gram), and norms."""
        vectors = [
            {gram: n * (self.log_images - math.log(max(1.0, self.frequency[gram]))) for gram, n in order.items()} for order in counts
        ]
        return vectors, [math.sqrt(sum(weight * weight for weight in vector.values())) for vector in vectors]

    def score(self, candidates: Sequence[Tokens]) -> Scores:
        """Return the scores of one candidate per image.

        Args:
            candidates: tokens of each caption.

        Raises:
            InputError: the number of candidates is not the number of images.
        """
        if len(candidates) != len(self.references):
            raise InputError(f"{len(candidates)} candidate captions for {len(self.references)} images. Give exactly one for each.")
        bleu_corpus, bleu_each = self.bleu(candidates)
        rouge = np.array([self._rouge(tokens, index) for index, tokens in enumerate(candidates)])
        cider = np.array([self._cider(tokens, index) for index, tokens in enumerate(candidates)]).reshape(-1, 2)
        each = {f"BLEU-{order + 1}": bleu_each[:, order] for order in range(ORDERS)}
        each |= {"ROUGE-L": rouge, "CIDEr": cider[:, 0], "CIDEr-plain": cider[:, 1]}
        corpus = {f"BLEU-{order + 1}": bleu_corpus[order] for order in range(ORDERS)}
        corpus |= {name: float(each[name].mean()) for name in ("ROUGE-L", "CIDEr", "CIDEr-plain")}
        return Scores(corpus, each)

    def bleu(self, candidates: Sequence[Tokens]) -> tuple[list[float], np.ndarray]:
        """Return corpus BLEU-1 to 4, and BLEU of each caption, (captions, 4).

        Args:
            candidates: tokens of each caption.
        """
        each = np.zeros((len(candidates), ORDERS))
        correct, guessed = [0] * ORDERS, [0] * ORDERS
        length = closest = 0
        for index, tokens in enumerate(candidates):
            own = ngrams(tokens)
            hits = [sum(min(n, self._clip[index][gram]) for gram, n in order.items()) for order in own]
            tried = [max(0, len(tokens) - order) for order in range(ORDERS)]
            reference = min((abs(len(other) - len(tokens)), len(other)) for other in self.references[index])[1]
            each[index] = _bleu(hits, tried, len(tokens), reference)
            correct = [a + b for a, b in zip(correct, hits, strict=True)]
            guessed = [a + b for a, b in zip(guessed, tried, strict=True)]
            length, closest = length + len(tokens), closest + reference
        return _bleu(correct, guessed, length, closest), each

    def _rouge(self, tokens: Tokens, index: int) -> float:
        if not tokens:
            return 0.0
        common = [lcs_length(tokens, reference) for reference in self.references[index]]
        precision = max(common) / len(tokens)
        recall = max(n / len(reference) for n, reference in zip(common, self.references[index], strict=True))
        if not precision or not recall:
            return 0.0
        return (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision)

    def _cider(self, tokens: Tokens, index: int) -> tuple[float, float]:
        """CIDEr-D and plain CIDEr of one caption, times 10 as the COCO code has it."""
        vectors, norms = self._vectors(ngrams(tokens))
        clipped = plain = 0.0
        for reference, (other_vectors, other_norms) in zip(self.references[index], self._reference_vectors[index], strict=True):
            # The COCO code takes the number of bigrams for the length, so one-word captions differ by nothing.
            gap = max(0, len(tokens) - 1) - max(0, len(reference) - 1)
            penalty = math.exp(-(gap**2) / (2 * CIDER_SIGMA**2))
            for order in range(ORDERS):
                scale = norms[order] * other_norms[order]
                if scale == 0:
                    continue
                other = other_vectors[order]
                shared = [(weight, other[gram]) for gram, weight in vectors[order].items() if gram in other]
                clipped += penalty * sum(min(a, b) * b for a, b in shared) / scale
                plain += sum(a * b for a, b in shared) / scale
        factor = 10.0 / ORDERS / len(self.references[index])
        return clipped * factor, plain * factor


def _most(counts: Sequence[list[Counter[Ngram]]]) -> Counter[Ngram]:
    """For every n-gram the largest count in any one reference: where BLEU clips."""
    most: Counter[Ngram] = Counter()
    for caption in counts:
        for order in caption:
            most |= order
    return most


def _bleu(correct: Sequence[int], guessed: Sequence[int], length: int, reference: int) -> list[float]:
    """BLEU-1 to 4 from summed counts, with the COCO code's constants."""
    ratio = (length + TINY) / (reference + SMALL)
    penalty = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    product, result = 1.0, []
    for order in range(ORDERS):
        product *= (correct[order] + TINY) / (guessed[order] + SMALL)
        result.append(product ** (1 / (order + 1)) * penalty)
    return result


def score_texts(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Scores:
    """Return the scores of raw captions: one candidate and several references per image."""
    return Scorer([[tokenize(text) for text in several] for several in references]).score([tokenize(text) for text in candidates])


def read_captions(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return candidates and references of a caption file.

    Args:
        path: JSON file whose `captions` is a list of objects with `candidate` and `references`.

    Raises:
        InputError: a file that cannot be read, an entry of another form, or an empty caption; the message names the entry.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from None
    entries = content.get("captions") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: expected an object whose 'captions' is a list of {{'candidate': text, 'references': [texts]}}.")
    for index, entry in enumerate(entries):
        where = f"{path}: captions[{index}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("candidate"), str) or not isinstance(entry.get("references"), list):
            raise InputError(f"{where}: expected 'candidate' (text) and 'references' (list of texts).")
        texts = [("candidate", entry["candidate"]), *((f"references[{i}]", text) for i, text in enumerate(entry["references"]))]
        if len(texts) == 1:
            raise InputError(f"{where}.references is empty. Give at least one reference.")
        for name, text in texts:
            if not isinstance(text, str) or not tokenize(text):
                raise InputError(f"{where}.{name} is an empty caption (no word is left after tokenizing). Remove or correct it.")
    return [entry["candidate"] for entry in entries], [entry["references"] for entry in entries]


def main(arguments: Sequence[str]) -> dict[str, Any]:
    """Score the file named on the command line.

    Args:
        arguments: the path of the file alone.

    Raises:
        InputError: wrong use or input.
    """
    if len(arguments) != 1:
        raise InputError("Usage: python -m replications.papers.show_and_tell.scores FILE.json")
    scores = score_texts(*read_captions(Path(arguments[0])))
    return {
        "corpus": scores.corpus | {"METEOR": None},
        "per_caption": {name: values.tolist() for name, values in scores.per_caption.items()},
        "note": "METEOR is not computed: its only definition is a Java program with a paraphrase table.",
    }


if __name__ == "__main__":
    try:
        print(json.dumps(main(sys.argv[1:]), indent=1))
    except ReplicationError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
