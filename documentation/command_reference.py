"""The reference of the command line: every command with its arguments, options, defaults and examples, read from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from documentation.markdown import code, table, text
from replications.commands.app import app


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that is not hidden, groups before their members.

    Args:
        group: a group of commands; None: the whole command line.
        path: names that lead to it.

    Yields:
        The words that call the command, without the program's name, and the command.
    """
    whole: Any = group or typer.main.get_command(app)
    for name, command in whole.commands.items():
        if command.hidden:
            continue
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


def _usage(words: tuple[str, ...], command: Any) -> str:
    arguments = [argument.metavar or argument.name.upper() for argument in command.params if argument.param_type_name == "argument"]
    return " ".join(["replications", *words, *arguments, "[OPTIONS]"])


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required or callable(value) or value is None or value is False or str(value) == "":
        return ""
    return code(value)


def _options(command: Any) -> str:
    rows = []
    for option in command.params:
        if option.param_type_name == "argument" or option.hidden or option.name == "help":
            continue
        value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
        rows.append([code(f"{', '.join(option.opts)}{value}"), text(option.help or ""), _default(option)])
    return table(["option", "meaning", "default"], rows)


def _entry(words: tuple[str, ...], command: Any) -> str:
    name = " ".join(words)
    level = "##" if len(words) == 1 else "###"
    described, _, shown = (command.help or "").partition("Examples:")
    parts = [f"{level} {name} {{ #{'-'.join(words)} }}", *(text(part) for part in described.split("\n\n") if part.strip())]
    if not hasattr(command, "commands"):
        arguments = [
            [code(argument.metavar or argument.name.upper()), text(argument.help or "")]
            for argument in command.params
            if argument.param_type_name == "argument"
        ]
        parts += [f"    {_usage(words, command)}", table(["argument", "meaning"], arguments), _options(command)]
    examples = [line.strip() for line in (shown or command.epilog or "").splitlines() if line.strip().startswith("replications ")]
    if examples:
        parts += ["Examples:", "\n".join(f"    {line}" for line in examples)]
    return "\n\n".join(part for part in parts if part.strip())


def page() -> str:
    """Return the page of the command reference.

    Returns:
        Markdown.
    """
    introduction = (
        "`.venv/bin/replications`, or `replications` once `.venv/bin` is on the path. Exit codes: 0 fine, 1 failed, 2 wrong use or"
        " wrong input. `--json` prints a list of objects for programs. `--results` is always a folder that is read, `--out` one that is written."
    )
    return "\n\n".join(["# Commands", introduction, *(_entry(words, command) for words, command in commands())]) + "\n"
