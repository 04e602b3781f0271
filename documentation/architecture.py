"""The picture of the house: rooms and the imports between them, counted in the code and drawn as SVG."""

from __future__ import annotations

import ast
import html
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from documentation.markdown import code, table, text
from replications.paths import PACKAGE, ROOT

BESIDE = ("report", "workflow", "documentation")
"""Rooms beside the package."""
WIDTH, BOX_WIDTH, BOX_HEIGHT, STEP = 860, 190, 62, 122


@dataclass(frozen=True)
class Room:
    """One folder of the code.

    Attributes:
        name: of the folder.
        purpose: first line of its docstring.
        files: number of Python files.
        imports: name of another room -> number of files of this one that import it.
    """

    name: str
    purpose: str
    files: int
    imports: Mapping[str, int]


def read_rooms() -> list[Room]:
    """Read the rooms and what they import from each other, without importing anything.

    Returns:
        The rooms, sorted by name. Files directly in `replications/`, which all rooms may import, are none.
    """
    folders = {path.parent.name: path.parent for path in PACKAGE.glob("*/__init__.py")} | {name: ROOT / name for name in BESIDE}
    found = []
    for name, folder in sorted(folders.items()):
        files = sorted(folder.rglob("*.py"))
        uses = Counter(room for path in files for room in _imported_rooms(path, folders) if room != name)
        purpose = (ast.get_docstring(ast.parse((folder / "__init__.py").read_bytes())) or "").partition("\n")[0]
        found.append(Room(name, purpose, len(files), dict(uses)))
    return found


def _imported_rooms(path: Path, rooms: Mapping[str, Path]) -> set[str]:
    """Return the rooms that a file imports, imports inside functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names]
    inside = {words[1] for words in parts if words[0] == PACKAGE.name and len(words) > 1}
    return {room for room in inside | {words[0] for words in parts} if room in rooms}


def levels(rooms: list[Room]) -> dict[str, int]:
    """Return the height of each room: 0 for one that imports no other, else one above the highest that it imports.

    Args:
        rooms: that import each other in one direction.

    Returns:
        Name -> level.

    Raises:
        ValueError: rooms import each other in a circle.
    """
    uses = {room.name: set(room.imports) for room in rooms}
    found: dict[str, int] = {}
    while len(found) < len(uses):
        ready = {
            name: max([found[other] + 1 for other in uses[name]], default=0) for name in uses.keys() - found if uses[name] <= found.keys()
        }
        if not ready:
            raise ValueError(f"rooms import each other in a circle: {', '.join(sorted(uses.keys() - found))}")
        found |= ready
    return found


def essential(rooms: list[Room]) -> list[tuple[str, str]]:
    """Return the imports that no chain of other imports implies, which are enough for a picture.

    Args:
        rooms: that import each other in one direction.

    Returns:
        Pairs of importing and imported room, sorted.
    """
    uses = {room.name: set(room.imports) for room in rooms}
    reach: dict[str, set[str]] = defaultdict(set)
    for name in sorted(uses, key=levels(rooms).__getitem__):
        reach[name] = uses[name].union(*(reach[other] for other in uses[name]))
    return sorted((name, other) for name in uses for other in uses[name] if not any(other in reach[via] for via in uses[name] - {other}))


def picture(rooms: list[Room]) -> str:
    """Draw rooms as boxes, each above all that it imports, and their essential imports as arrows.

    Args:
        rooms: that import each other in one direction.

    Returns:
        SVG that takes the colour of the text around it.
    """
    level = levels(rooms)
    rows: dict[int, list[str]] = defaultdict(list)
    for name in sorted(level):
        rows[level[name]].append(name)
    top = max(rows)
    place = {
        name: (WIDTH * (position + 1) / (len(names) + 1), 40 + STEP * (top - height))
        for height, names in rows.items()
        for position, name in enumerate(names)
    }
    height = 42 + STEP * top + BOX_HEIGHT
    told = "; ".join(f"{room.name} imports {', '.join(sorted(room.imports))}" for room in rooms if room.imports)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="rooms-title rooms-text"'
        ' class="rooms" font-family="inherit" font-size="15">',
        '<title id="rooms-title">Rooms of the code and their imports</title>',
        f'<desc id="rooms-text">{html.escape(told)}.</desc>',
        '<defs><marker id="rooms-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8Z" fill="currentColor"/></marker></defs>',
    ]
    for name, other in essential(rooms):
        (x, y), (to_x, to_y) = place[name], place[other]
        start, end = y + BOX_HEIGHT, to_y - 2
        bend = (end - start) / 2
        parts.append(
            f'<path d="M{x:.0f} {start:.0f}C{x:.0f} {start + bend:.0f} {to_x:.0f} {end - bend:.0f} {to_x:.0f} {end:.0f}" fill="none"'
            ' stroke="currentColor" stroke-opacity="0.55" marker-end="url(#rooms-head)"/>'
        )
    for room in rooms:
        x, y = place[room.name]
        parts.append(
            f'<g><rect x="{x - BOX_WIDTH / 2:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" class="room"'
            ' stroke="currentColor"/>'
            f'<text x="{x:.0f}" y="{y + 27:.0f}" text-anchor="middle" fill="currentColor" font-weight="600">{room.name}</text>'
            f'<text x="{x:.0f}" y="{y + 47:.0f}" text-anchor="middle" fill="currentColor" font-size="12">{room.files} files</text></g>'
        )
    return "".join([*parts, "</svg>"])


def tables(rooms: list[Room]) -> str:
    """Return what each room is for and imports, as a table.

    Args:
        rooms: all rooms.

    Returns:
        Markdown; the number behind a room counts the files that import it.
    """
    rows = [
        [code(room.name), text(room.purpose), ", ".join(f"{code(other)} {count}" for other, count in sorted(room.imports.items()))]
        for room in sorted(rooms, key=lambda room: (levels(rooms)[room.name], room.name))
    ]
    return table(["room", "what it is for", "imports (number of its files)"], rows)
