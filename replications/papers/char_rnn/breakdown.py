"""Error analysis of a character model: every error is assigned to the first kind that explains it (section 4.4, Figure 7)."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

KINDS = ("ngram", "memory", "rare", "word", "punctuation", "boost", "other")
"""Kinds of error, in the order in which they are tested.

ngram: an n-gram model of order nine or less gives the character a probability of at least 0.5.
memory: the character is in a word that occurred within the last `MEMORY` characters.
rare: it is in a word that occurs at most `RARE` times in the training text.
word: it follows a space, a newline or a quote, so it starts a word.
punctuation: it is neither a letter nor a digit.
boost: the network gave it a probability of 0.4 or more, so slightly more confidence would correct it.
other: all others.
"""

LONGEST = 9
MEMORY = 1000
RARE = 5
_WORD = re.compile(r"[A-Za-z0-9_]+")


def word_counts(text: str) -> Counter[str]:
    """Return the number of occurrences of each word of a text.

    Args:
        text: any text; a word is a run of letters, digits and underscores.

    Returns:
        Word -> number of occurrences.
    """
    return Counter(_WORD.findall(text))


def errors_by_kind(text: str, probability: np.ndarray, ngrams: np.ndarray, trained_words: Counter[str]) -> np.ndarray:
    """Return the kind of error of every character.

    Args:
        text: n characters.
        probability: probability that the network gives each character, (n,).
        ngrams: the same of n-gram models of orders 1, 2, ..., (orders, n); orders above nine are ignored.
        trained_words: word counts of the training text.

    Returns:
        int8 (n,): -1 where there is no error, else the index in `KINDS`.
    """
    codes = np.frombuffer(text.encode("latin-1"), dtype=np.uint8)
    in_recent_word, in_rare_word = np.zeros(len(text), dtype=bool), np.zeros(len(text), dtype=bool)
    last_end: dict[str, int] = {}
    for word in _WORD.finditer(text):
        start, end = word.span()
        in_recent_word[start:end] = word[0] in last_end and start - last_end[word[0]] <= MEMORY
        in_rare_word[start:end] = trained_words[word[0]] <= RARE
        last_end[word[0]] = end
    alphanumeric = np.array([chr(code).isalnum() for code in range(256)])[codes]
    starts_word = np.zeros(len(text), dtype=bool)
    starts_word[1:] = np.isin(codes[:-1], np.frombuffer(b" \n\"'", dtype=np.uint8))
    explains = [(ngrams[:LONGEST] >= 0.5).any(axis=0), in_recent_word, in_rare_word, starts_word, ~alphanumeric, probability >= 0.4]
    kind = np.full(len(text), -1, dtype=np.int8)
    unexplained = probability < 0.5
    for index, explained in enumerate(explains):
        kind[unexplained & explained] = index
        unexplained = unexplained & ~explained
    kind[unexplained] = len(explains)
    return kind
