"""Caption scores as the COCO caption evaluation computes them: BLEU-1 to 4, ROUGE-L, CIDEr-D and CIDEr.

Definitions and constants are those of the COCO evaluation code (Chen et al. 2015, arXiv 1504.00325): BLEU with the closest reference
length (Papineni et al. 2002), ROUGE-L with beta 1.2 (Lin 2004), and as 'CIDEr' what that code calls CIDEr, namely CIDEr-D (Vedantam et
al. 2015: clipped counts, Gaussian length penalty of sigma 6). 'CIDEr-plain' has neither clipping nor penalty. METEOR is not computed,
because it needs Java and its paraphrase table; the report says so.

    python -m replications.papers.show_and_tell.scores FILE.json

scores a file whose `captions` is a list of objects with `candidate` and `references`, and prints the scores as JSON.
"""

from __future__ import annotations

import argparse
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
from replications.text_files import read_json

Tokens = Sequence[str]
Ngram = tuple[str, ...]

ORDERS = 4
TINY, SMALL = 1e-15, 1e-9
"""Added to numerators and denominators of BLEU, as in the COCO code, so that a caption without a match scores nearly 0."""
ROUGE_BETA = 1.2
CIDER_SIGMA = 6.0


@dataclass(frozen=True)
class Scores:
    """Scores of generated captions, 0 to 1 (CIDEr: 0 to 10).

    Attributes:
        corpus: name of the score -> score of the whole corpus.
        per_caption: name of the score -> score of each caption, (captions,).
    """

    corpus: dict[str, float]
    per_caption: dict[str, np.ndarray]


def ngrams(tokens: Tokens) -> list[Counter[Ngram]]:
    """Count the n-grams of a caption.

    Args:
        tokens: of the caption.

    Returns:
        Counts of the 1- to 4-grams, one counter per order.
    """
    return [Counter(zip(*(tokens[start:] for start in range(order)), strict=False)) for order in range(1, ORDERS + 1)]


def lcs_length(a: Tokens, b: Tokens) -> int:
    """Compute the length of the longest common subsequence, bit-parallel (Hyyrö 2004): one integer represents a row of the table.

    Args:
        a: tokens.
        b: tokens.

    Returns:
        Length in tokens.
    """
    positions: dict[str, int] = {}  # token -> bit mask of its positions in a
    for position, token in enumerate(a):
        positions[token] = positions.get(token, 0) | 1 << position
    mask = (1 << len(a)) - 1
    row = mask
    for token in b:
        match = row & positions.get(token, 0)
        row = ((row + match) | (row - match)) & mask
    return len(a) - row.bit_count()


class Scorer:
    """Scores captions against fixed references, whose counts and document frequencies are computed once.

    Args:
        references: for every image, the tokens of its references.

    Raises:
        InputError: an image has no reference, or a reference has no word.
    """

    def __init__(self, references: Sequence[Sequence[Tokens]]) -> None:
        for index, of_image in enumerate(references):
            if not of_image:
                raise InputError(f"Image {index} has no reference caption. Every image needs at least one.")
            if any(not tokens for tokens in of_image):
                raise InputError(f"Image {index} has an empty reference caption (no word is left after tokenizing). Remove or correct it.")
        self.references = references
        self.log_images = math.log(float(max(1, len(references))))
        self._counts = [[ngrams(tokens) for tokens in of_image] for of_image in references]

    @functools.cached_property
    def frequency(self) -> Counter[Ngram]:
        """Document frequency: the number of images whose references contain each n-gram."""
        images: Counter[Ngram] = Counter()
        for of_image in self._counts:
            images.update({gram for counts in of_image for order in counts for gram in order})
        return images

    @functools.cached_property
    def _reference_vectors(self) -> list[list[tuple[list[dict[Ngram, float]], list[float]]]]:
        return [[self._vectors(counts) for counts in of_image] for of_image in self._counts]

    @functools.cached_property
    def _clip_counts(self) -> list[Counter[Ngram]]:
        return [_maximum_counts(of_image) for of_image in self._counts]

    def _vectors(self, counts: list[Counter[Ngram]]) -> tuple[list[dict[Ngram, float]], list[float]]:
        """Return the tf-idf vectors of one caption by order, and their norms; documents are images, represented by their references."""
        vectors = [
            {gram: n * (self.log_images - math.log(max(1.0, self.frequency[gram]))) for gram, n in order.items()} for order in counts
        ]
        return vectors, [math.sqrt(sum(weight * weight for weight in vector.values())) for vector in vectors]

    def score(self, candidates: Sequence[Tokens]) -> Scores:
        """Score one candidate caption per image.

        Args:
            candidates: tokens of each caption.

        Returns:
            Scores of the corpus and of each caption.

        Raises:
            InputError: the number of candidates is not the number of images.
        """
        if len(candidates) != len(self.references):
            raise InputError(f"{len(candidates)} candidate captions for {len(self.references)} images. Give exactly one for each.")
        bleu_corpus, bleu_per_caption = self.bleu(candidates)
        rouge = np.array([self._rouge(tokens, index) for index, tokens in enumerate(candidates)])
        cider = np.array([self._cider(tokens, index) for index, tokens in enumerate(candidates)]).reshape(-1, 2)
        per_caption = {f"BLEU-{order + 1}": bleu_per_caption[:, order] for order in range(ORDERS)}
        per_caption |= {"ROUGE-L": rouge, "CIDEr": cider[:, 0], "CIDEr-plain": cider[:, 1]}
        corpus = {f"BLEU-{order + 1}": bleu_corpus[order] for order in range(ORDERS)}
        corpus |= {name: float(per_caption[name].mean()) for name in ("ROUGE-L", "CIDEr", "CIDEr-plain")}
        return Scores(corpus, per_caption)

    def bleu(self, candidates: Sequence[Tokens]) -> tuple[list[float], np.ndarray]:
        """Compute BLEU-1 to 4 (Papineni et al. 2002) with the closest reference length.

        Args:
            candidates: tokens of one caption per image.

        Returns:
            Corpus BLEU by order, and BLEU of each caption, (captions, 4), each 0 to 1.
        """
        per_caption = np.zeros((len(candidates), ORDERS))
        total_matches, total_ngrams = [0] * ORDERS, [0] * ORDERS
        total_length = total_reference_length = 0
        for index, tokens in enumerate(candidates):
            clip = self._clip_counts[index]
            matches = [sum(min(n, clip[gram]) for gram, n in order.items()) for order in ngrams(tokens)]
            n_ngrams = [max(0, len(tokens) - order) for order in range(ORDERS)]
            reference_length = min((abs(len(other) - len(tokens)), len(other)) for other in self.references[index])[1]
            per_caption[index] = _bleu(matches, n_ngrams, len(tokens), reference_length)
            total_matches = [a + b for a, b in zip(total_matches, matches, strict=True)]
            total_ngrams = [a + b for a, b in zip(total_ngrams, n_ngrams, strict=True)]
            total_length, total_reference_length = total_length + len(tokens), total_reference_length + reference_length
        return _bleu(total_matches, total_ngrams, total_length, total_reference_length), per_caption

    def _rouge(self, tokens: Tokens, index: int) -> float:
        """Return ROUGE-L of one caption, 0 to 1: the F-score of the best precision and best recall over its references."""
        if not tokens:
            return 0.0
        common = [lcs_length(tokens, reference) for reference in self.references[index]]
        precision = max(common) / len(tokens)
        recall = max(n / len(reference) for n, reference in zip(common, self.references[index], strict=True))
        if not precision or not recall:
            return 0.0
        return (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision)

    def _cider(self, tokens: Tokens, index: int) -> tuple[float, float]:
        """Return CIDEr-D and plain CIDEr of one caption, each 0 to 10 as in the COCO code."""
        vectors, norms = self._vectors(ngrams(tokens))
        clipped = plain = 0.0
        for reference, (other_vectors, other_norms) in zip(self.references[index], self._reference_vectors[index], strict=True):
            # The COCO code uses the number of bigrams as the length, so captions of no and of one word have the same length.
            length_difference = max(0, len(tokens) - 1) - max(0, len(reference) - 1)
            penalty = math.exp(-(length_difference**2) / (2 * CIDER_SIGMA**2))
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


def _maximum_counts(counts: Sequence[list[Counter[Ngram]]]) -> Counter[Ngram]:
    """Return the maximum count of every n-gram in any one reference, at which BLEU clips."""
    maximum: Counter[Ngram] = Counter()
    for caption in counts:
        for order in caption:
            maximum |= order
    return maximum


def _bleu(matches: Sequence[int], n_ngrams: Sequence[int], length: int, reference_length: int) -> list[float]:
    """Return BLEU-1 to 4 from counts by order, with the constants of the COCO code."""
    ratio = (length + TINY) / (reference_length + SMALL)
    penalty = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    product, result = 1.0, []
    for order in range(ORDERS):
        product *= (matches[order] + TINY) / (n_ngrams[order] + SMALL)
        result.append(product ** (1 / (order + 1)) * penalty)
    return result


def score_texts(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Scores:
    """Tokenize and score raw captions.

    Args:
        candidates: one caption per image.
        references: for every image, its reference captions.

    Returns:
        Scores of the corpus and of each caption.

    Raises:
        InputError: the number of candidates is not that of images, an image has no reference, or a reference has no word.
    """
    return Scorer([[tokenize(text) for text in of_image] for of_image in references]).score([tokenize(text) for text in candidates])


def read_captions(path: Path) -> tuple[list[str], list[list[str]]]:
    """Read candidates and references from a file.

    Args:
        path: JSON file whose `captions` is a list of objects with `candidate` and `references`.

    Returns:
        One candidate per image, and the references of each image.

    Raises:
        InputError: the file cannot be read, an entry has another form, or a caption is empty; the message names the entry.
    """
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing.") from None
    except (OSError, ValueError) as error:
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
        arguments: the path of the file; `--help` explains it. Wrong usage ends the process with code 2.

    Returns:
        Scores of the corpus and of each caption by name, and a note, as JSON prints them.

    Raises:
        InputError: wrong input.
    """
    parser = argparse.ArgumentParser(
        prog="python -m replications.papers.show_and_tell.scores",
        description="Print the caption scores of the COCO evaluation as JSON: BLEU-1 to 4, ROUGE-L and CIDEr.",
    )
    form = "JSON file whose 'captions' is a list of objects with 'candidate' (text) and 'references' (list of texts)"
    parser.add_argument("file", metavar="FILE.json", type=Path, help=form)
    scores = score_texts(*read_captions(parser.parse_args(arguments).file))
    return {
        "corpus": scores.corpus | {"METEOR": None},
        "per_caption": {name: values.tolist() for name, values in scores.per_caption.items()},
        "note": "METEOR is not computed: it is defined only by a Java program with a paraphrase table.",
    }


if __name__ == "__main__":
    try:
        print(json.dumps(main(sys.argv[1:]), indent=1))
    except ReplicationError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
