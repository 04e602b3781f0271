"""The tokens on which caption scores are defined: Penn Treebank tokens, lower case, without punctuation.

The COCO caption evaluation runs Stanford's PTBTokenizer (CoreNLP 3.4.1, `-preserveLines -lowerCase`) and drops a list
of punctuation tokens. This module gives the same tokens for the English that captions are written in, without Java:
it agrees with that program on all 40,000 captions of Flickr8k and on the cases of tests/show_and_tell/test_tokenizer.py.
Not covered: text in other scripts, smileys, telephone numbers.
"""

from __future__ import annotations

import re

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
    """All tokens of one caption in lower case, punctuation included."""
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
    """The tokens of one caption that scores count: Penn Treebank tokens without punctuation.

    >>> tokenize("A dog's ball isn't red , it is well-worn .")
    ['a', 'dog', "'s", 'ball', 'is', "n't", 'red', 'it', 'is', 'well-worn']
    """
    return [token for token in ptb_tokens(caption) if token not in PUNCTUATION]
