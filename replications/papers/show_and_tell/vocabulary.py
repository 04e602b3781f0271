"""From captions to word numbers: the tokens on which caption scores are defined, and the words that a decoder knows.

The COCO caption evaluation runs Stanford's PTBTokenizer (CoreNLP 3.4.1, `-preserveLines -lowerCase`) and drops a list
of punctuation tokens. `tokenize` gives the same tokens for the English that captions are written in, without Java:
it agrees with that program on all 40,000 captions of Flickr8k and on the cases of tests/papers/show_and_tell/test_vocabulary.py.
Not covered: text in other scripts, smileys, telephone numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from replications.errors import CheckpointError, InputError

PUNCTUATION = frozenset(["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
"""What the COCO evaluation removes. It compares after lower-casing, so brackets (`-lrb-`) stay: a quirk kept here."""

_ABBREVIATIONS = (
    "mr|mrs|ms|dr|st|jr|sr|prof|gen|gov|sen|rep|rev|hon|lt|col|sgt|capt|vs|etc|inc|co|corp|ltd|bros|ave|blvd|rd|mt|ft|"
    "jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|mon|tue|tues|wed|thu|thurs|fri"
)
"""Words that keep their full stop."""
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_SIGNS = {'"': "''", "£": "#", "€": "$", "\u2013": "--", "\u2014": "--", "\u2026": "...", **_BRACKETS}
_QUOTES = str.maketrans("\u2018\u2019\u00b4\u201c\u201d", "'''\"\"")
_SPLIT_WORDS = {
    "cannot": ["can", "not"],
    "gonna": ["gon", "na"],
    "gotta": ["got", "ta"],
    "wanna": ["wan", "na"],
    "lemme": ["lem", "me"],
    "gimme": ["gim", "me"],
    "y'all": ["y'", "all"],
    "'tis": ["'t", "is"],
    "'twas": ["'t", "was"],
}

_LETTER = r"[^\W\d_]"
_TOKEN = re.compile(
    "|".join(
        [
            r"https?://[^\s\"<>]+[^\s\"<>.,!?;:')]|www\.[^\s\"<>]+[^\s\"<>.,!?;:')]",
            r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
            r"</?[a-zA-Z][^<>]*>",
            r"'(?:tis|twas|cause)\b|'\d\ds\b|'n'",
            r"n't(?!\w)|'(?:s|m|d|re|ve|ll)(?!\w)",
            rf"(?:{_LETTER}\.){{2,}}|\b[A-Z]\.(?=\s|$)",
            rf"\b(?:{_ABBREVIATIONS})\.(?=\s|$|,)",
            r"\bno\.(?=\s\d)",
            r"(?:\d+\s)?\d+/\d+(?![\w/])",
            r"\d+(?:[.,:]\d+)+|\.\d+",
            r"w/o\b|w(?=/(?:\s|$))",
            rf"(?:{_LETTER}|\d)+(?:(?:[-/_]|(?-i:(?<=[A-Z])&(?=[A-Z]))|\.(?={_LETTER}{{2}}|{_LETTER}\b)|'(?!(?:s|m|d|re|ve|ll|t)\b))(?:{_LETTER}|\d)+)*",
            r"\.\s?\.\s?\.+|[!?]+|-{2,}|`{1,2}|''",
            r"\S",
        ]
    ),
    re.IGNORECASE,
)
_NEGATION = re.compile(rf"(?i)({_LETTER}+)n't\b")


def ptb_tokens(caption: str) -> list[str]:
    """Return all tokens of one caption in lower case, punctuation included."""
    text = caption.translate(_QUOTES)
    text = _NEGATION.sub(r"\1 n't ", text)
    text = re.sub(r"&(quot|amp|lt|gt);", lambda match: {"quot": '"', "amp": "&", "lt": "<", "gt": ">"}[match[1]], text)
    tokens: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match.group().lower()
        if token in _SPLIT_WORDS:
            tokens += _SPLIT_WORDS[token]
        elif re.fullmatch(r"\.\s?\.\s?\.+", token):
            tokens.append("...")
        else:
            tokens.append(_SIGNS.get(token, token).replace(" ", "\u00a0"))
    return tokens


def tokenize(caption: str) -> list[str]:
    """Return the tokens of one caption that scores count: Penn Treebank tokens without punctuation.

    >>> tokenize("A dog's ball isn't red , it is well-worn .")
    ['a', 'dog', "'s", 'ball', 'is', "n't", 'red', 'it', 'is', 'well-worn']
    """
    return [token for token in ptb_tokens(caption) if token not in PUNCTUATION]


END, START, UNKNOWN = 0, 1, 2
SPECIAL = ("<end>", "<start>", "<unknown>")


class Vocabulary:
    """A fixed list of words. Numbers 0 to 2 are the end (S_N), the start (S_0) and words that are not in the list."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = (*SPECIAL, *words)
        self.number = {word: index for index, word in enumerate(self.words)}
        if len(self.number) != len(self.words):
            raise InputError("A vocabulary holds a word twice.")

    @classmethod
    def build(cls, captions: Iterable[Sequence[str]], min_count: int) -> Vocabulary:
        """Return the words that occur at least `min_count` times, by falling count, then by name (section 4.3.1).

        Args:
            captions: tokens of each caption.
            min_count: least number of occurrences.

        Raises:
            InputError: no word occurs so often.
        """
        counts = Counter(token for caption in captions for token in caption)
        words = sorted((word for word, count in counts.items() if count >= min_count), key=lambda word: (-counts[word], word))
        if not words:
            raise InputError(f"No word occurs {min_count} times in the training captions. Lower min_count, or give more captions.")
        return cls(words)

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, tokens: Sequence[str]) -> list[int]:
        """Return the word numbers of tokens, without start and end."""
        return [self.number.get(token, UNKNOWN) for token in tokens]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Return the words before the first end."""
        words = []
        for number in numbers:
            if number == END:
                break
            words.append(self.words[number])
        return words

    @property
    def digest(self) -> str:
        """Hash of the words in order."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()[:16]

    def state_dict(self) -> dict[str, Any]:
        """Return the identity of the vocabulary, stored in every checkpoint."""
        return {"digest": self.digest, "size": len(self)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Check that a checkpoint was made with this vocabulary.

        Args:
            state_dict: what `state_dict` returned.

        Raises:
            CheckpointError: the vocabulary differs; the checkpoint is left as it is.
        """
        if state_dict["digest"] != self.digest:
            raise CheckpointError(
                f"The vocabulary changed since the checkpoint: {state_dict['size']:,} words (hash {state_dict['digest']}) then, "
                f"{len(self):,} (hash {self.digest}) now. Restore the training captions it was made from, or remove the run's .state folder "
                "to start afresh; nothing was overwritten."
            )
