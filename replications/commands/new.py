"""`new`: create the folder of a new paper, complete enough to run, draw and pass the tests."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from replications import paths
from replications.errors import InputError
from replications.files import replacing

TEMPLATES = Path(__file__).with_name("new_paper")


def new(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="Name of the folder: lower-case letters, digits and '_'.")],
    title: Annotated[str | None, typer.Option(help="A few words for headings; default: from the name.")] = None,
) -> None:
    """Create the folder of a new paper under replications/papers, with a small example that trains in a second.

    The example passes `make test`. Replace it file by file; CONTRIBUTING.md suggests an order.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", paper):
        raise InputError(
            f"'{paper}' is not a valid name of a paper: use lower-case letters, digits and single '_', and start with a letter."
        )
    folder = paths.PAPERS / paper
    if folder.exists():
        raise InputError(f"{folder} exists already. Choose another name, or delete the folder first.")
    values = {"paper": paper, "title": title or paper.replace("_", " ").capitalize()}
    for template in sorted(TEMPLATES.glob("*.template")):
        with replacing(folder / template.stem) as temporary:
            temporary.write_text(Template(template.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
    print(f"{folder}\nTry it: replications run {paper} line, replications list --paper {paper}, make report")
