"""Kinds of error of a character model: its errors attributed to one kind after the other (section 4.4, Figure 7)."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

KINDS = ("ngram", "memory", "rare", "word", "punctuation", "boost", "other")
"""In the order in which they are peeled off.

ngram: some n-gram of up to nine characters gives the character at least one half.
memory: in a word that occurred within the last `MEMORY` characters.
rare: in a word that the training text has at most `RARE` times.
word: the character after a space, a newline or a quote, which starts a word.
punctuation: the character is neither letter nor digit.
boost: the network gave it 0.4 or more, so a little more confidence would repair it.
other: the rest.
"""

LONGEST = 9
MEMORY = 1000
RARE = 5
_WORD = re.compile(r"[A-Za-z0-9_]+")


def word_counts(text: str) -> Counter[str]:
    """Return the number of occurrences of each word of a text.

    Args:
        text: any text.
    """
    return Counter(_WORD.findall(text))


def errors_by_kind(text: str, probability: np.ndarray, ngrams: np.ndarray, trained_words: Counter[str]) -> np.ndarray:
    """Give every character the kind of error it is.

    Args:
        text: n characters.
        probability: the network's, of each character, (n,).
        ngrams: of n-gram models of orders 1, 2, ..., (orders, n); those beyond nine are ignored.
        trained_words: of the training text.

    Returns:
        int8 (n,): -1 where there is no error, else the position in `KINDS`.
    """
    codes = np.frombuffer(text.encode("latin-1"), dtype=np.uint8)
    recent, rare = np.zeros(len(text), dtype=bool), np.zeros(len(text), dtype=bool)
    last: dict[str, int] = {}
    for word in _WORD.finditer(text):
        start, end = word.span()
        recent[start:end] = word[0] in last and start - last[word[0]] <= MEMORY
        rare[start:end] = trained_words[word[0]] <= RARE
        last[word[0]] = end
    alphanumeric = np.array([chr(code).isalnum() for code in range(256)])[codes]
    starts = np.zeros(len(text), dtype=bool)
    starts[1:] = np.isin(codes[:-1], np.frombuffer(b" \n\"'", dtype=np.uint8))
    oracles = [(ngrams[:LONGEST] >= 0.5).any(axis=0), recent, rare, starts, ~alphanumeric, probability >= 0.4]
    kind = np.full(len(text), -1, dtype=np.int8)
    left = probability < 0.5
    for index, repaired in enumerate(oracles):
        kind[left & repaired] = index
        left = left & ~repaired
    kind[left] = len(oracles)
    return kind
