"""Pairs of sentences, and the files that they are read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replications.errors import DataError
from replications.papers.align_and_translate.vocabulary import tokenize

LONGEST = 250
"""Words that a sentence of a file may have; more is two sentences, or a file of another form."""


@dataclass(frozen=True)
class Pairs:
    """Sentence pairs as tokens.

    Attributes:
        name: data set and split, for messages.
        source, target: tokens of each sentence, none of which is empty.
        alignment: for each target word the position of the source word behind it, where that is known.
    """

    name: str
    source: list[list[str]]
    target: list[list[str]]
    alignment: list[list[int]] | None = None

    def __len__(self) -> int:
        return len(self.source)

    def rows(self, wanted: Sequence[int]) -> Pairs:
        """Return these pairs.

        Args:
            wanted: their numbers.
        """
        alignment = None if self.alignment is None else [self.alignment[row] for row in wanted]
        return Pairs(self.name, [self.source[row] for row in wanted], [self.target[row] for row in wanted], alignment)

    def first(self, count: int | None) -> Pairs:
        """Return the first pairs.

        Args:
            count: largest number; None: all.
        """
        return self.rows(range(len(self))) if count is None else self.rows(range(min(count, len(self))))

    def up_to(self, max_words: int) -> Pairs:
        """Return the pairs neither of whose sentences is longer than so many words.

        Args:
            max_words: of a sentence, its end not counted.

        Raises:
            DataError: there is none.
        """
        kept = [i for i, (a, b) in enumerate(zip(self.source, self.target, strict=True)) if max(len(a), len(b)) <= max_words]
        if not kept:
            raise DataError(f"{self.name} has no pair of sentences of at most {max_words} words. Raise max_words.")
        return self.rows(kept)


def read_tab_separated(text: str, name: str) -> list[tuple[str, str, str]]:
    """Read lines of identifier, source sentence, target sentence, separated by tabs.

    Args:
        text: content of the file.
        name: of the file, for messages.

    Returns:
        The three parts of each line.

    Raises:
        DataError: a line has another form, an empty side, or a sentence of more than `LONGEST` words.
    """
    rows: list[tuple[str, str, str]] = []
    for number, line in enumerate(_lines(text), 1):
        parts = line.split("\t")
        if len(parts) != 3:
            raise DataError(
                f"{name}, line {number}: expected identifier, source and target separated by tabs, got {len(parts)} parts. Correct the line."
            )
        check_sentence(parts[1], f"{name}, line {number}, source")
        check_sentence(parts[2], f"{name}, line {number}, target")
        rows.append((parts[0], parts[1], parts[2]))
    if not rows:
        raise DataError(f"{name} holds no pair of sentences. Remove it and fetch it again.")
    return rows


def read_parallel(source: str, target: str, name: str) -> list[tuple[str, str]]:
    """Read two texts of which line i of one is the translation of line i of the other.

    Args:
        source: content of one file.
        target: content of the other.
        name: of the pair of files, for messages.

    Returns:
        Sentence pairs.

    Raises:
        DataError: the numbers of lines differ, a line is empty, or a sentence has more than `LONGEST` words.
    """
    lines = _lines(source), _lines(target)
    if len(lines[0]) != len(lines[1]):
        raise DataError(
            f"{name}: the source has {len(lines[0]):,} lines, the target {len(lines[1]):,}; line i of one must be the translation of line i of"
            " the other. Fetch both files from one release, or remove what has no translation."
        )
    for side, sentences in zip(("source", "target"), lines, strict=True):
        for number, sentence in enumerate(sentences, 1):
            check_sentence(sentence, f"{name}, {side}, line {number}")
    return list(zip(*lines, strict=True))


def _lines(text: str) -> list[str]:
    """Return the lines of a text. Only line feeds end them: crawled sentences may hold a form feed or a Unicode line separator."""
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def check_sentence(sentence: str, where: str) -> None:
    """Check one sentence of a file.

    Args:
        sentence: a line, or a part of one.
        where: file and line, for the message.

    Raises:
        DataError: it is empty or has more than `LONGEST` words.
    """
    if not sentence.strip():
        raise DataError(f"{where}: the sentence is empty, so its partner has no translation. Remove the pair, or fill in the sentence.")
    if len(sentence) > LONGEST and len(tokenize(sentence)) > LONGEST:
        raise DataError(
            f"{where}: {len(tokenize(sentence))} words, more than the {LONGEST} that one sentence may have. Split the pair, or remove it."
        )
