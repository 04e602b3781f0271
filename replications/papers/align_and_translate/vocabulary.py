"""Words of a language: how a sentence is cut, and which words are known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from replications.errors import DataError, InputError

END, UNKNOWN = 0, 1
"""Numbers of the end of a sentence, which also stands before its first word, and of every word that is not known."""

NAMES = ("<end>", "[UNK]")

_TOKEN = re.compile(r"\w+(?:-\w+)*['\u2019]?|[^\w\s]")
"""Words, with the apostrophe that ends them (as in French: l' homme), and single marks."""


def tokenize(sentence: str) -> list[str]:
    """Cut a sentence into words and marks; letters keep their case, as in the paper.

    >>> tokenize("And God said, Let there be light: and there was light.")[:6]
    ['And', 'God', 'said', ',', 'Let', 'there']

    Args:
        sentence: one line of text.

    Returns:
        Tokens without white space.
    """
    return _TOKEN.findall(sentence)


@dataclass(frozen=True)
class Vocabulary:
    """The words that a network knows, most frequent first, after the two special ones.

    Attributes:
        language: for messages.
        words: by number.
    """

    language: str
    words: tuple[str, ...]

    @classmethod
    def build(cls, language: str, sentences: Iterable[Sequence[str]], size: int) -> Vocabulary:
        """Return the most frequent words of training sentences; words of equal frequency in alphabetical order.

        Args:
            language: for messages.
            sentences: tokens of each.
            size: largest number of words, beside the special ones.

        Returns:
            The special words, then at most `size` others.

        Raises:
            DataError: there is no word.
        """
        counts = Counter(word for sentence in sentences for word in sentence)
        if not counts:
            raise DataError(f"The training sentences in {language} hold no word. Check max_words, and the file of pairs.")
        frequent = sorted(counts, key=lambda word: (-counts[word], word))[:size]
        return cls(language, (*NAMES, *frequent))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def _letters(self) -> set[str]:
        return {letter for word in self.words[len(NAMES) :] for letter in word if letter.isalpha()}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, sentence: Sequence[str], *, any_alphabet: bool = False) -> np.ndarray:
        """Return the numbers of a sentence's words, with the end.

        Args:
            sentence: tokens.
            any_alphabet: whether a sentence of unknown letters passes, as unknown words: crawled training pairs hold such lines, and a
                network may write nothing but unknown words.

        Returns:
            int32 (len(sentence) + 1,).

        Raises:
            InputError: no letter of the sentence is in any known word, as in a text of another alphabet.
        """
        encoded = [self._numbers.get(word, UNKNOWN) for word in sentence]
        if encoded and not any_alphabet and all(number == UNKNOWN for number in encoded):
            own = {letter for word in sentence for letter in word if letter.isalpha()}
            if own and not own & self._letters:
                raise InputError(
                    f"No letter of {' '.join(sentence)[:60]!r} occurs in the {len(self):,} words of the {self.language} vocabulary: the text is in"
                    " another alphabet. Give a sentence in that language, or train on pairs that have it."
                )
        return np.array([*encoded, END], dtype=np.int32)

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Return the words of a sentence up to its end.

        Args:
            numbers: of words.

        Returns:
            Tokens, without the end.
        """
        words: list[str] = []
        for number in numbers:
            if number == END:
                break
            words.append(self.words[int(number)])
        return words
