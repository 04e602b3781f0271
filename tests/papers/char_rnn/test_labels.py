"""Ground truth on snippets labelled by hand."""

import importlib

import numpy as np
import pytest

from replications.errors import InputError
from replications.papers.char_rnn.labels import label, parser


def marked(values: np.ndarray) -> str:
    return "".join("#" if value else "." for value in values)


def test_python_strings_comments_and_conditions() -> None:
    text = 'x = "a\\"b" + f"{y[0]}"  # c\nif (a and b): pass\n'
    labels = label(text, "python")
    assert marked(labels.binary["string"]) == "....#####.....#######..........................".ljust(len(text), ".")
    assert marked(labels.binary["comment"]) == "........................###....".ljust(len(text), ".")
    inside = "".join(c for c, on in zip(text, labels.binary["condition"], strict=True) if on)
    assert inside == "(a and b", "a condition is open until its closing bracket"
    assert labels.brackets.tolist() == [[text.index(")"), text.index("(")]], "brackets inside strings do not count"


def test_a_triple_quoted_string_is_open_for_all_of_its_lines() -> None:
    text = '"""one "two"\nthree"""\nx = 1\n'
    assert marked(label(text, "python").binary["string"]) == "#" * 20 + "." * (len(text) - 20)


def test_c_comments_do_not_nest_and_strings_hide_brackets() -> None:
    text = '/* a /* b */ if (x == (1)) { s = "}\\"/*"; } // z\n'
    labels = label(text, "c")
    start, end = text.index("/*"), text.index("*/") + 2
    comment = "".join(c for c, on in zip(text, labels.binary["comment"], strict=True) if on)
    assert comment == text[start : end - 1] + "// z", "open until the last character of the closing mark"
    string = "".join(c for c, on in zip(text, labels.binary["string"], strict=True) if on)
    assert string == '"}\\"/*'
    condition = "".join(c for c, on in zip(text, labels.binary["condition"], strict=True) if on)
    assert condition == "(x == (1)"
    assert [(text[a], text[b]) for a, b in labels.brackets] == [(")", "("), (")", "("), ("}", "{")]
    assert labels.graded["depth"].max() == 2


def test_time_since_the_opening_counts_from_zero() -> None:
    text = 'x = "abc"\n'
    labels = label(text, "cpp")
    assert labels.since["string"].tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 0, 0]


def test_columns_and_indentation_are_of_the_line_as_far_as_read() -> None:
    text = "ab\n  c\n\td\n"
    labels = label(text, "c")
    assert labels.graded["column"].tolist() == [1, 2, 0, 1, 2, 3, 0, 1, 2, 0]
    assert labels.graded["indentation"].tolist() == [0, 0, 0, 1, 2, 2, 0, 8, 8, 0]


def test_quotes_of_prose_close_at_an_empty_line() -> None:
    text = 'He "said\r\nso" and\r\n"went on\r\n\r\nout of it, "again"'
    quote = label(text, "prose").binary["quote"]
    inside = "".join(c for c, on in zip(text, quote, strict=True) if on)
    assert inside == '"said\r\nso"went on\r\n\r"again'


def test_a_language_without_a_parser_is_named() -> None:
    with pytest.raises(InputError, match=r"no parser for 'pythn'.*Did you mean 'python'"):
        label("x", "pythn")


def test_a_missing_grammar_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = importlib.import_module

    def without(name: str, package: str | None = None) -> object:
        if name == "tree_sitter_c":
            raise ModuleNotFoundError("No module named 'tree_sitter_c'")
        return whole(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(InputError, match=r"parser for 'c' is missing.*Install tree-sitter-c as pinned"):
        parser("c")
