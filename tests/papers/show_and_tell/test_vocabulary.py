"""The tokenizer gives the tokens of the COCO evaluation's own (Stanford PTBTokenizer 3.4.1 behind a list of dropped punctuation).

Expected values were printed by that program; `|` stands between tokens.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replications.papers.show_and_tell.vocabulary import END, PUNCTUATION, Vocabulary, ptb_tokens, tokenize

CASES = {
    "A grey dog's colour isn't brown; it's \"quite\" dark.": "a|grey|dog|'s|colour|is|n't|brown|it|'s|quite|dark",
    "The man can't, won't, don't and couldn't go": "the|man|ca|n't|wo|n't|do|n't|and|could|n't|go",
    "They're we've I'm he'd she'll y'all": "they|'re|we|'ve|i|'m|he|'d|she|'ll|y'|all",
    "gonna wanna gotta cannot lemme": "gon|na|wan|na|got|ta|can|not|lem|me",
    "'tis 'twas": "'t|is|'t|was",
    "Mr. Smith and Dr. Jones of the U.S. went at 5 p.m. to St. Louis.": "mr.|smith|and|dr.|jones|of|the|u.s.|went|at|5|p.m.|to|st.|louis",
    "A well-known two-year-old boy, age 3, eats a half-eaten 12-inch pizza.": "a|well-known|two-year-old|boy|age|3|eats|a|half-eaten|12-inch|pizza",
    "The bus no. 5 costs $5.50 (five dollars) or 20% less...": "the|bus|no.|5|costs|$|5.50|-lrb-|five|dollars|-rrb-|or|20|%|less",
    "Hello!! What?! A dog/cat on the and/or sign -- really - yes.": "hello|!!|what|?!|a|dog/cat|on|the|and/or|sign|really|yes",
    "A sign that says 'STOP' and \"GO\" and `x`.": "a|sign|that|says|stop|and|go|and|x",
    "dogs' tails and a cat's ears; the '60s and 1990's.": "dogs|tails|and|a|cat|'s|ears|the|'60s|and|1990|'s",
    "at 5:30 a.m. on 1/2 of the road @ 10:00pm.": "at|5:30|a.m.|on|1/2|of|the|road|@|10:00|pm",
    "the 3 1/2 mile road": "the|3\u00a01/2|mile|road",
    "visit www.example.com or http://example.com/a and mail me@example.com now": "visit|www.example.com|or|http://example.com/a|and|mail|me@example.com|now",
    "it costs £5 or €6 & AT&T's #1 pick *star* x=y a+b": "it|costs|#|5|or|$|6|&|at&t|'s|#|1|pick|*|star|*|x|=|y|a|+|b",
    "a man,woman and child.A dog runs.Then stops": "a|man|woman|and|child.a|dog|runs.then|stops",
    "the 1st and 21st century; 1,000 people & 10,000.50 more": "the|1st|and|21st|century|1,000|people|&|10,000.50|more",
    "[brackets] {braces} <angle> tags": "-lsb-|brackets|-rsb-|-lcb-|braces|-rcb-|<angle>|tags",
    "rock 'n' roll o'clock O'Brien ma'am": "rock|'n'|roll|o'clock|o'brien|ma'am",
    "A woman w/ a hat w/o shoes and w/out gloves, b&w": "a|woman|w|/|a|hat|w/o|shoes|and|w/out|gloves|b|&|w",
    "A dog ... runs . . . away": "a|dog|runs|away",
    "A man in the sun. A dog. That is no.": "a|man|in|the|sun|a|dog|that|is|no",
    "jan. feb. inc. co. ltd. ave. blvd. mt. ft. in. lb.": "jan.|feb.|inc.|co.|ltd.|ave.|blvd.|mt.|ft.|in|lb",
    "He'd've gone": "he|'d|'ve|gone",
    "café naïve “curly” ‘single’ it’s – dash — em": "café|naïve|curly|single|it|'s|dash|em",
    "Women's and men's bath-rooms' doors": "women|'s|and|men|'s|bath-rooms|doors",
    'A small child is playing with cut-outs of the letter " P. "': "a|small|child|is|playing|with|cut-outs|of|the|letter|p.",
}


@pytest.mark.parametrize("caption", CASES)
def test_tokens_are_those_of_the_coco_evaluation(caption: str) -> None:
    assert tokenize(caption) == CASES[caption].split("|")


def test_a_caption_of_nothing_but_punctuation_has_no_words() -> None:
    assert tokenize(" . , \" ' -- ... ") == []


@given(st.text(max_size=60))
def test_any_text_gives_lower_case_tokens_without_spaces_or_dropped_punctuation(caption: str) -> None:
    for token in tokenize(caption):
        assert token
        assert " " not in token
        assert token not in PUNCTUATION
    assert "".join(ptb_tokens("A b  C")) == "abc"


SPLIT = {"cannot", "gonna", "gotta", "wanna", "lemme", "gimme"}


@given(st.lists(st.from_regex(r"[a-z]{1,9}", fullmatch=True).filter(lambda word: word not in SPLIT), max_size=9))
def test_plain_words_come_back_as_they_are(words: list[str]) -> None:
    assert tokenize(" ".join(words) + " .") == words


def test_a_vocabulary_keeps_frequent_words_by_count_and_marks_the_rest() -> None:
    vocabulary = Vocabulary.build([["a", "dog"], ["a", "cat"], ["a", "dog", "runs"]], 2)
    assert vocabulary.words[3:] == ("a", "dog")
    assert vocabulary.decode([*vocabulary.encode(["a", "cat"]), END, 3]) == ["a", "<unknown>"]


def test_one_word_is_one_token_however_it_was_typed() -> None:
    assert tokenize("caf\u00e9") == tokenize("cafe\u0301") == ["caf\u00e9"]


@pytest.mark.parametrize("unseen", ["\u200b", "\u00ad", "\u200d", "\ufeff", "\u2060", "\u202a", "\ufe0f"])
def test_what_is_not_seen_is_no_word_and_divides_none(unseen: str) -> None:
    assert tokenize(unseen) == []
    assert tokenize(f"a {unseen} dog{unseen}.") == ["a", "dog"]


def test_a_zero_width_space_divides_words_as_it_is_meant_to() -> None:
    assert tokenize("dog\u200bhouse") == ["dog", "house"]
