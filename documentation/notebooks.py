"""Notebooks of the exercises: executed without Jupyter, cell by cell, and shown with what they print and draw."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from pathlib import Path
from typing import Any

from replications.errors import ReplicationError


class NotebookFailed(ReplicationError):
    """A cell of a notebook raised an error."""


def source_of(cell: dict[str, Any]) -> str:
    """Return the text of a cell.

    Args:
        cell: as the notebook's file stores it.

    Returns:
        Its lines joined.
    """
    return "".join(cell["source"])


def execute(path: Path) -> list[tuple[str, str, list[bytes]]]:
    """Execute the code cells of a notebook in one namespace, from the repository's root or wherever the caller stands.

    Args:
        path: notebook of format 4 whose code is plain Python.

    Returns:
        For each cell 'markdown' or 'code', its source as shown, and for code the printed text in front of the images: a list whose
        first item is the text and whose others are PNG files.

    Raises:
        NotebookFailed: a cell raises an error; its number and source are given.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    names: dict[str, Any] = {"__name__": "__notebook__"}
    shown = []
    for position, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], start=1):
        source = source_of(cell)
        outputs: list[bytes] = []
        if cell["cell_type"] == "code":
            printed = io.StringIO()
            try:
                with contextlib.redirect_stdout(printed):
                    exec(compile(source, f"{path.name}, cell {position}", "exec"), names)  # noqa: S102 (our own file)
            except Exception as error:
                raise NotebookFailed(f"{path}, cell {position}: {type(error).__name__}: {error}\n{source}") from error
            outputs = [printed.getvalue().encode()]
            for number in plt.get_fignums():
                image = io.BytesIO()
                plt.figure(number).savefig(image, format="png", dpi=110, bbox_inches="tight")
                outputs.append(image.getvalue())
            plt.close("all")
        shown.append((cell["cell_type"], source, outputs))
    return shown


def page(path: Path) -> str:
    """Return a notebook as a page, with what its cells print and draw when they are executed now.

    Args:
        path: of the notebook.

    Returns:
        Markdown; images are inside it.
    """
    parts = []
    for kind, source, outputs in execute(path):
        if kind == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        if outputs and outputs[0]:
            parts.append(f"```text\n{outputs[0].decode().rstrip()}\n```")
        for number, image in enumerate(outputs[1:], start=1):
            parts.append(
                f'<img alt="Figure {number} drawn by the cell above" src="data:image/png;base64,{base64.b64encode(image).decode()}">'
            )
    return "\n\n".join(parts) + "\n"
