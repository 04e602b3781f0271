"""A made-up pair of languages whose alignment is known word by word.

A sentence is a number of phrases, each of up to two adjectives, a noun and a verb. Its translation has every phrase in its place but
in another order: the verb first, then the noun, then its adjectives from the last to the first. Words are translated one to one, so
that a network needs nothing but memory, or alignment, to be perfect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NOUNS = "dog cat bird horse fish king girl boy tree river stone ship".split()
ADJECTIVES = "red blue small large old young warm cold dark quiet quick wild".split()
VERBS = "sleeps runs sings falls swims waits burns turns grows jumps rests calls".split()

ENDINGS = ((NOUNS, "o"), (ADJECTIVES, "a"), (VERBS, "i"))
"""Endings of translated nouns, adjectives and verbs."""

MOST_PHRASES = 7
"""Phrases of the longest sentence."""

TRANSLATION = {word: word[::-1] + ending for words, ending in ENDINGS for word in words}


@dataclass(frozen=True)
class MadeUpPair:
    """A sentence, its translation, and the position of the source word behind each target word."""

    source: list[str]
    target: list[str]
    alignment: list[int]


def draw_pair(n_phrases: int, generator: np.random.Generator) -> MadeUpPair:
    """Draw a sentence and translate it.

    Args:
        n_phrases: phrases of the sentence, at least 1.
        generator: what is drawn from.

    Returns:
        A pair of 2 to 4 words a phrase.
    """
    source: list[str] = []
    alignment: list[int] = []
    for _ in range(n_phrases):
        first = len(source)
        adjectives = [ADJECTIVES[i] for i in generator.integers(len(ADJECTIVES), size=generator.integers(3))]
        source += [*adjectives, NOUNS[generator.integers(len(NOUNS))], VERBS[generator.integers(len(VERBS))]]
        noun = first + len(adjectives)
        alignment += [noun + 1, noun, *range(noun - 1, first - 1, -1)]
    return MadeUpPair(source, [TRANSLATION[source[j]] for j in alignment], alignment)
