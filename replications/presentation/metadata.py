"""The metadata beside a figure or an exhibit: title, caption, alternative text, and the runs that it rests on."""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from replications.errors import InputError
from replications.files import replacing
from replications.registry.outputs import INDEX, METADATA_KIND
from replications.results.reader import NotMeasured, Results

Drawn = TypeVar("Drawn")


class DrawingMetadata(BaseModel):
    """Metadata of one figure or exhibit.

    Attributes:
        id: `<paper>.<name>`, by which it is cited.
        paper: name of the paper.
        tier: tier of the results that it shows.
        title: heading.
        caption: docstring of its function as one paragraph.
        alt: what it shows, for a reader who cannot see it.
        drawn: False where the tier lacks the runs that it needs.
        why_not: why it is not drawn; empty where it is.
        runs: names of the runs that it shows, sorted.
        figure: of an exhibit: name of the paper's figure that shows the same at rest; its small picture stands for the exhibit.
        faults: what caption and drawing of a figure do not agree on, and what is cut off; see `presentation.marks`.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    paper: str
    tier: str
    title: str
    caption: str
    alt: str
    drawn: bool
    why_not: str
    runs: tuple[str, ...]
    figure: str = ""
    faults: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name within the paper, which its files have as well."""
        return self.id.partition(".")[2]


def title_of(name: str) -> str:
    """Return a function's name as a heading.

    Args:
        name: name of a function.

    Returns:
        Words, the first one capitalised.
    """
    return name.replace("_", " ").capitalize()


def caption_of(function: Callable[..., Any]) -> str:
    """Return the docstring of a function as one paragraph.

    Args:
        function: a function of `figures.py` or `exhibits.py`.

    Returns:
        Text without line breaks.
    """
    text = inspect.getdoc(function)
    if text is None and sys.flags.optimize >= 2:  # Python drops docstrings then, the source still has them
        definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        text = ast.get_docstring(definition) if isinstance(definition, ast.FunctionDef) else None
    return " ".join((text or "").split())


def metadata_of(
    function: Callable[..., Any],
    results: Results,
    *,
    title: str,
    alt: str,
    runs: Sequence[str] | set[str] = (),
    why_not: str = "",
    notes: str = "",
    figure: str = "",
) -> DrawingMetadata:
    """Return the metadata of what a figure or exhibit function made.

    Args:
        function: the function; its name is the id, its docstring the caption.
        results: what it was given.
        title: heading; empty: the function's name.
        alt: alternative text.
        runs: names of the runs that are shown.
        why_not: why nothing could be drawn; empty where it was drawn.
        notes: sentences that end the caption, on what is drawn and on the tier that is shown.
        figure: see `DrawingMetadata`.

    Returns:
        The metadata, as `write_metadata` stores it.
    """
    return DrawingMetadata(
        id=f"{results.paper.name}.{function.__name__}",
        paper=results.paper.name,
        tier=results.tier,
        title=title or title_of(function.__name__),
        caption=caption_of(function) + (f" {notes}" if notes else ""),
        alt=alt,
        drawn=not why_not,
        why_not=why_not,
        runs=() if why_not else tuple(sorted(runs)),
        figure=figure,
    )


def draw_from_largest(function: Callable[[Results], Drawn], results: Results) -> tuple[Drawn, Results]:
    """Return what a figure or exhibit function makes of the largest tier that has the runs, and the results that it was given.

    Args:
        function: a figure or an exhibit.
        results: results of one tier, or of several of the committed reference.

    Returns:
        What the function returned, and the results that it read.

    Raises:
        NotMeasured: no tier has the runs; what the largest one lacks.
    """
    first = None
    for layer in results.layers:
        read = layer.unused()
        try:
            return function(read), read
        except NotMeasured as missing:
            first = first or missing
    raise first or NotMeasured("needs results")


def tier_note(drawn: Results, results: Results) -> str:
    """Return the sentence of a caption on the tier that is shown; empty where one tier alone is read.

    Args:
        drawn: what the figure or exhibit was drawn from.
        results: everything that was read.

    Returns:
        A sentence, or nothing.
    """
    return f"Drawn from results of tier {drawn.tier}." if len(results.layers) > 1 else ""


def why_not_drawn(missing: NotMeasured, results: Results) -> str:
    """Return the sentence that stands in place of a figure or exhibit whose runs the tier lacks.

    Args:
        missing: what the function raised.
        results: what it was given.

    Returns:
        A sentence.
    """
    return f"Not measured at tier {results.tier}: {missing}."


def write_metadata(folder: Path, metadata: DrawingMetadata) -> None:
    """Write `<name>.json` beside the files of the figure or exhibit.

    Args:
        folder: folder of the paper's figures or exhibits.
        metadata: its `name` becomes the file's.
    """
    text = json.dumps(metadata.model_dump(mode="json"), indent=2, sort_keys=True)
    with replacing(folder / f"{metadata.name}.{METADATA_KIND}") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_metadata(path: Path) -> DrawingMetadata:
    """Return the metadata that a file holds.

    Args:
        path: JSON file beside a figure or exhibit.

    Returns:
        The validated metadata.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        return DrawingMetadata.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise InputError(f"{path.stem}: its metadata is missing or damaged; draw it again.") from None


def write_index(folder: Path, names: Sequence[str]) -> None:
    """Write the order in which a folder's figures or exhibits are shown.

    Args:
        folder: folder of the paper's figures or exhibits.
        names: names in the order in which they are shown.
    """
    with replacing(folder / INDEX) as temporary:
        temporary.write_text(json.dumps(list(names), indent=2) + "\n", encoding="utf-8")


def read_folder(folder: Path) -> tuple[list[DrawingMetadata], list[str]]:
    """Return the metadata in a folder of figures or exhibits in the order of its index, and a sentence on each that cannot be read.

    Args:
        folder: folder of a paper's figures or exhibits.

    Returns:
        Metadata, and sentences.
    """
    found = sorted(path.stem for path in folder.glob(f"*.{METADATA_KIND}") if path.name != INDEX)
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        index = []
    ordered = [name for name in index if isinstance(name, str)] if isinstance(index, list) else []
    readable, faults = [], []
    for name in dict.fromkeys([*ordered, *found]):
        try:
            readable.append(read_metadata(folder / f"{name}.{METADATA_KIND}"))
        except InputError as error:
            faults.append(str(error))
    return readable, faults
