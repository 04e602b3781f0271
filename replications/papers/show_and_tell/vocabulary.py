"""Tokens of captions, as caption scores define them, and the vocabulary of a decoder.

The COCO caption evaluation runs Stanford's PTBTokenizer (CoreNLP 3.4.1, `-preserveLines -lowerCase`) and removes a list of punctuation
tokens. `tokenize` returns the same tokens for English captions without Java: it agrees with that program on all 40,000 captions of
Flickr8k and on the cases of tests/papers/show_and_tell/test_vocabulary.py. Other scripts, emoticons and telephone numbers are not covered.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from replications.errors import CheckpointError, InputError

PUNCTUATION = frozenset(["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
"""Tokens that the COCO evaluation removes. It compares after lower-casing, so brackets (`-lrb-`) remain; here as well."""

_ABBREVIATIONS = (
    "mr|mrs|ms|dr|st|jr|sr|prof|gen|gov|sen|rep|rev|hon|lt|col|sgt|capt|vs|etc|inc|co|corp|ltd|bros|ave|blvd|rd|mt|ft|"
    "jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|mon|tue|tues|wed|thu|thurs|fri"
)
"""Abbreviations whose full stop is part of the token."""
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_SIGNS = {'"': "''", "£": "#", "€": "$", "\u2013": "--", "\u2014": "--", "\u2026": "...", **_BRACKETS}
_QUOTES = str.maketrans("\u2018\u2019\u00b4\u201c\u201d", "'''\"\"")
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
"""Soft hyphens, joiners, marks of direction, variation selectors and byte order marks: no glyph of their own."""
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
    """Split a caption into Penn Treebank tokens, punctuation included.

    Args:
        caption: raw text.

    Returns:
        Lower-case tokens.
    """
    # One form for é, whether it was typed as one character or two; nothing that is not seen is a word.
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", caption).replace("\u200b", " ")).translate(_QUOTES)
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
    """Split a caption into the tokens that scores count: Penn Treebank tokens without punctuation.

    >>> tokenize("A dog's ball isn't red , it is well-worn .")
    ['a', 'dog', "'s", 'ball', 'is', "n't", 'red', 'it', 'is', 'well-worn']

    Args:
        caption: raw text.

    Returns:
        Lower-case tokens.
    """
    return [token for token in ptb_tokens(caption) if token not in PUNCTUATION]


END, START, UNKNOWN = 0, 1, 2
SPECIAL = ("<end>", "<start>", "<unknown>")


class Vocabulary:
    """A fixed list of words and their numbers; 0 is the end symbol (S_N), 1 the start symbol (S_0), 2 any word that is not in the list.

    Args:
        words: without the special symbols.

    Raises:
        InputError: a word occurs twice.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = (*SPECIAL, *words)
        self.number = {word: index for index, word in enumerate(self.words)}
        if len(self.number) != len(self.words):
            raise InputError("The words of a vocabulary are not unique. Remove the duplicates.")

    @classmethod
    def build(cls, captions: Iterable[Sequence[str]], min_count: int) -> Vocabulary:
        """Build the vocabulary of training captions (section 4.3.1).

        Args:
            captions: tokens of each caption.
            min_count: minimum number of occurrences of a word.

        Returns:
            The words that occur at least `min_count` times, by decreasing count, then alphabetically.

        Raises:
            InputError: no word occurs so often.
        """
        counts = Counter(token for caption in captions for token in caption)
        words = sorted((word for word, count in counts.items() if count >= min_count), key=lambda word: (-counts[word], word))
        if not words:
            raise InputError(f"No word occurs {min_count} times in the training captions. Lower min_count, or add captions.")
        return cls(words)

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, tokens: Sequence[str]) -> list[int]:
        """Convert tokens to word numbers.

        Args:
            tokens: of a caption.

        Returns:
            Word numbers, without start and end symbol.
        """
        return [self.number.get(token, UNKNOWN) for token in tokens]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Convert word numbers to words.

        Args:
            numbers: word numbers.

        Returns:
            The words before the first end symbol.
        """
        words = []
        for number in numbers:
            if number == END:
                break
            words.append(self.words[number])
        return words

    @property
    def digest(self) -> str:
        """Hash of the words in order, 16 hexadecimal digits."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()[:16]

    def state_dict(self) -> dict[str, Any]:
        """Return the identity of the vocabulary for a checkpoint.

        Returns:
            'digest' and 'size'.
        """
        return {"digest": self.digest, "size": len(self)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Check that a checkpoint was written with this vocabulary.

        Args:
            state_dict: returned by `state_dict`.

        Raises:
            CheckpointError: the vocabulary differs; the checkpoint is not changed.
        """
        if state_dict["digest"] != self.digest:
            raise CheckpointError(
                f"The vocabulary differs from that of the checkpoint: the checkpoint has {state_dict['size']:,} words (hash "
                f"{state_dict['digest']}), the training captions give {len(self):,} (hash {self.digest}). Restore the captions that the "
                "checkpoint was trained on, or remove the run's .state folder to start anew; nothing was overwritten."
            )
