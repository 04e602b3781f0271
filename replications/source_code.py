"""Imports and definitions of the suite's source files, found without importing anything."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from replications.paths import PACKAGE, ROOT


def import_closure(module: str) -> list[Path]:
    """Return every file of this package that importing `module` reads, found without importing anything.

    Args:
        module: dotted name, for example 'replications.papers.recurrent_attention.experiment'.

    Returns:
        Paths sorted by name; imports inside functions count too.
    """
    closure: dict[Path, None] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        path = _module_file(name)
        if path is None or path in closure:
            continue
        closure[path] = None
        pending += imported_names(path)
    return sorted(closure)


@functools.cache
def _module_file(name: str) -> Path | None:
    base = ROOT.joinpath(*name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if name.partition(".")[0] == PACKAGE.name and candidate.is_file():
            return candidate
    return None


def _statements(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Return statements and those inside them; expressions, of which a file has ten times as many, hold no import."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _statements(getattr(node, part, ()))


@functools.cache
def imported_names(path: Path) -> list[str]:
    """Return the dotted names under this package that a file imports, parents included, found without importing it.

    Args:
        path: a Python file.
    """
    names = []
    for node in _statements(ast.parse(path.read_bytes()).body):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    ours = [name for name in names if name.split(".")[0] == PACKAGE.name]
    parents = {".".join(name.split(".")[:depth]) for name in ours for depth in range(1, name.count(".") + 1)}
    return [*ours, *sorted(parents)]


def code_digest(paper: str) -> str:
    """Return the hash of every file that a paper's experiment imports from this package.

    Args:
        paper: name of the paper.
    """
    digest = hashlib.sha256()
    for path in import_closure(f"{PACKAGE.name}.papers.{paper}.experiment"):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def public_functions(path: Path) -> list[str]:
    """Return the names of a file's public functions in the order written, found without importing it.

    Args:
        path: a Python file; without it there are no names.
    """
    if not path.is_file():
        return []
    tree = ast.parse(path.read_bytes())
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
