"""Docstrings of finished folders: public functions, methods and classes with arguments describe them, what they return and raise."""

import ast
from collections.abc import Iterator

import pytest
import typer

from replications.commands.app import app
from replications.paths import ROOT

FINISHED = (
    "documentation",
    "replications/commands",
    "replications/engine",
    "replications/papers/char_rnn",
    "replications/papers/foundations",
    "replications/papers/recurrent_attention",
    "replications/papers/rnn_vs_transformer",
    "replications/papers/show_and_tell",
    "replications/papers/vit_scaling",
    "replications/presentation",
    "replications/registry",
    "replications/results",
    "replications/verdicts",
    "report",
    "workflow",
)
"""Folders in which all docstrings are complete; add a folder when it is finished."""

CAPTIONS = {"figures.py", "exhibits.py"}
"""Files whose public functions have a caption as docstring: they all take the results and return a drawing."""


def registered(app: typer.Typer) -> Iterator[tuple[str, str]]:
    """The module and name of each function of a command line."""
    callbacks = [command.callback for command in app.registered_commands]
    callbacks += [app.registered_callback.callback] if app.registered_callback else []
    yield from ((callback.__module__, callback.__name__) for callback in callbacks if callback)
    for group in app.registered_groups:
        if group.typer_instance:
            yield from registered(group.typer_instance)


COMMANDS = {*registered(app), ("report.command", "command"), ("documentation.build", "command")}
"""Functions whose docstring is a help text: each argument has its own."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def arguments(function: Function, *, is_method: bool) -> list[str]:
    """The names of a function's arguments, without self and cls."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    static = any(isinstance(decorator, ast.Name) and decorator.id == "staticmethod" for decorator in function.decorator_list)
    return names[1:] if is_method and not static else names


def returns(function: Function) -> bool:
    """Whether a function is annotated with something that it returns."""
    return function.returns is not None and not (isinstance(function.returns, ast.Constant) and function.returns.value is None)


def raises(function: Function) -> bool:
    """Whether a function has a raise statement of its own; those of functions inside it do not count."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Raise):
            return True
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))
    return False


def incomplete(body: list[ast.stmt], owner: ast.ClassDef | None = None, module: str = "") -> Iterator[str]:
    """Names of public definitions, each with the section that its docstring lacks."""
    for node in body:
        if (module, getattr(node, "name", "")) in COMMANDS:
            continue
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            start = next((part for part in node.body if isinstance(part, Function) and part.name == "__init__"), None)
            if start and arguments(start, is_method=True) and "Args:" not in (ast.get_docstring(node) or ""):
                yield f"{node.name}: Args"
            yield from incomplete(node.body, node)
        elif isinstance(node, Function) and (not node.name.startswith("_") or node.name == "__call__"):
            name, text = f"{owner.name}.{node.name}" if owner else node.name, ast.get_docstring(node) or ""
            if arguments(node, is_method=owner is not None):
                if "Args:" not in text:
                    yield f"{name}: Args"
                if returns(node) and not ("Returns:" in text or "Yields:" in text):
                    yield f"{name}: Returns"
            if raises(node) and "Raises:" not in text:
                yield f"{name}: Raises"


FILES = {
    path.relative_to(ROOT).as_posix(): path
    for folder in FINISHED
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.name not in CAPTIONS
}


@pytest.mark.parametrize("name", FILES)
def test_arguments_results_and_exceptions_are_described(name: str) -> None:
    module = ".".join(FILES[name].relative_to(ROOT).with_suffix("").parts)
    missing = list(incomplete(ast.parse(FILES[name].read_bytes()).body, module=module))
    assert not missing, f"{name}: add these sections to the docstrings"


def test_what_is_missing_is_found() -> None:
    text = '''
class Layer:
    """A layer."""

    def __init__(self, width): ...

    def forward(self, x):
        """Return x.

        Args:
            x: anything.
        """

    @staticmethod
    def make(width):
        """Return a layer."""

    def _private(self, x): ...


def build():
    """Return a function."""
    def inner():
        raise ValueError


def load(path) -> str:
    """Return the content.

    Args:
        path: a file.
    """
    raise OSError
'''
    assert list(incomplete(ast.parse(text).body)) == ["Layer: Args", "Layer.make: Args", "load: Returns", "load: Raises"]
