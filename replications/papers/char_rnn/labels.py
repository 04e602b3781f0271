"""Ground truth for every character of a text, from a parser: is a string, a comment or a condition open.

The label of a character depends only on the text up to and including it, which is what a network has read: a string is open
from its opening quote to the character before its closing quote. Program text is parsed with tree-sitter grammars, prose
by matching quotation marks.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from replications.errors import InputError, nearest

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

GRAMMARS = {"c": "tree_sitter_c", "cpp": "tree_sitter_cpp", "python": "tree_sitter_python"}
LANGUAGES = (*GRAMMARS, "prose")

STRINGS = {"string", "string_literal", "raw_string_literal", "char_literal", "system_lib_string"}
COMMENTS = {"comment"}
CONDITIONAL = {"if_statement", "elif_clause"}
OPENING = {"(", "[", "{"}
CLOSING = {")", "]", "}"}
TAB = 8
"""Columns per tab stop, as in the kernel's coding style."""

BINARY = {"c": ("string", "comment", "condition"), "python": ("string", "comment", "condition"), "prose": ("quote",)}
BINARY["cpp"] = BINARY["c"]
GRADED = {"c": ("column", "indentation", "depth"), "prose": ("column",)}
GRADED["cpp"] = GRADED["python"] = GRADED["c"]


@dataclass(frozen=True)
class Labels:
    """Ground truth of each of n characters.

    Attributes:
        binary: name -> bool (n,): string, comment, condition; for prose, quote.
        graded: name -> int32 (n,): column (characters since the newline), indentation of the line so far, depth of
            brackets; for prose, column alone.
        since: name of a binary label -> int32 (n,): characters since the opening, 0 where nothing is open.
        brackets: int64 (pairs, 2): position of every closing bracket and of its opening bracket.
    """

    binary: dict[str, np.ndarray]
    graded: dict[str, np.ndarray]
    since: dict[str, np.ndarray]
    brackets: np.ndarray


def parser(language: str) -> Parser:
    """Return a tree-sitter parser.

    Args:
        language: c, cpp or python.

    Returns:
        The parser of that grammar.

    Raises:
        InputError: there is no grammar for the language, or its package is not installed.
    """
    if language not in GRAMMARS:
        raise InputError(f"There is no parser for '{language}', so there are no labels. {nearest(language, LANGUAGES)}")
    try:
        tree_sitter = importlib.import_module("tree_sitter")
        grammar = importlib.import_module(GRAMMARS[language])
    except ImportError as error:
        package = GRAMMARS[language].replace("_", "-")
        raise InputError(
            f"The parser for '{language}' is missing ({error}). Install {package} as pinned: uv pip install -r requirements.lock."
        ) from error
    return tree_sitter.Parser(tree_sitter.Language(grammar.language()))


def label(text: str, language: str) -> Labels:
    """Return the labels of every character of a text.

    Args:
        text: one character per byte (U+0000 to U+00FF), as `engine.text` provides it.
        language: c, cpp, python or prose.

    Returns:
        Binary and graded labels of all characters.

    Raises:
        InputError: there is no parser for the language.
    """
    column, indentation = _columns(text)
    if language == "prose":
        quote, since = _quotes(text)
        return Labels({"quote": quote}, {"column": column}, {"quote": since}, np.zeros((0, 2), dtype=np.int64))
    tree = parser(language).parse(text.encode("latin-1"))
    return _from_tree(tree.root_node, len(text), column, indentation)


def _columns(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the characters since the newline, and the indentation of the line as far as it has been read; each int32 (n,).

    Args:
        text: n characters.
    """
    codes = np.frombuffer(text.encode("latin-1"), dtype=np.uint8)
    position = np.arange(len(codes))
    newline = codes == ord("\n")
    last_newline = np.maximum.accumulate(np.where(newline, position, -1))
    column = (position - last_newline).astype(np.int32)
    indentation = np.zeros(len(codes), dtype=np.int32)
    width, leading = 0, True
    for index, code in enumerate(codes.tolist()):
        if code == 10:
            width, leading = 0, True
        elif leading and code == 32:
            width += 1
        elif leading and code == 9:
            width += TAB - width % TAB
        else:
            leading = False
        indentation[index] = width
    return column, indentation


def _quotes(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return where a double quotation is open, bool (n,), and the characters since it opened, int32 (n,).

    An empty line closes a quotation: speech that continues over paragraphs reopens in each.

    Args:
        text: n characters.
    """
    quote, since = np.zeros(len(text), dtype=bool), np.zeros(len(text), dtype=np.int32)
    opening, blank = -1, True
    for index, character in enumerate(text):
        if character == '"':
            opening = index if opening < 0 else -1
        elif character == "\n":
            opening = -1 if blank else opening
            blank = True
        if character not in "\r\n":
            blank = False
        if opening >= 0:
            quote[index], since[index] = True, index - opening
    return quote, since


def _from_tree(root: Node, n: int, column: np.ndarray, indentation: np.ndarray) -> Labels:
    """Return the labels of a parsed program.

    Args:
        root: root of the syntax tree.
        n: number of characters.
        column: characters since the newline, int32 (n,).
        indentation: indentation of the line so far, int32 (n,).
    """
    binary = {name: np.zeros(n, dtype=bool) for name in ("string", "comment", "condition")}
    since = {name: np.zeros(n, dtype=np.int32) for name in binary}
    change = np.zeros(n + 1, dtype=np.int32)
    open_brackets: list[int] = []
    pairs: list[tuple[int, int]] = []

    def mark(name: str, start: int, end: int) -> None:
        binary[name][start:end] = True
        since[name][start:end] = np.arange(end - start)

    pending = [root]
    while pending:  # children are pushed in reverse, so leaves come in the order of the text
        node = pending.pop()
        kind, start, end = node.type, node.start_byte, node.end_byte
        if kind in COMMENTS:
            mark("comment", start, end)  # including the last character: before the newline, nothing shows that a line comment ends
            if root.type == "translation_unit" and _is_block_comment(node):
                binary["comment"][end - 1], since["comment"][end - 1] = False, 0
            continue
        if kind in STRINGS:
            if not binary["string"][start]:
                prefix = node.children[0].text.rstrip(b"\"'") if node.children and node.children[0].text else b""
                mark("string", start + (len(prefix) if kind == "string" else 0), end - 1)
            if kind != "string" or node.child_count <= 3:
                continue
        if kind in CONDITIONAL:
            condition = node.child_by_field_name("condition")
            if condition is not None:
                parenthesised = condition.type in ("parenthesized_expression", "condition_clause")
                mark("condition", condition.start_byte, condition.end_byte - parenthesised)
        if not node.child_count and not binary["string"][start : start + 1].any():
            if kind in OPENING:
                change[start] += 1
                open_brackets.append(start)
            elif kind in CLOSING and open_brackets:
                change[start] -= 1
                pairs.append((start, open_brackets.pop()))
        pending.extend(reversed(node.children))
    depth = np.cumsum(change[:n]).astype(np.int32)
    brackets = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return Labels(binary, {"column": column, "indentation": indentation, "depth": depth}, since, brackets)


def _is_block_comment(comment: Node) -> bool:
    """Return True for a block comment of C, which ends with its own closing mark.

    Args:
        comment: node of a comment.
    """
    text = comment.text or b""
    return text.startswith(b"/*") and text.endswith(b"*/")
