"""Rendered scenes whose objects are known: what they hold, and how they look.

Two or three objects of ten kinds stand in a 3 x 3 layout before one of four settings. In the training scenes certain kinds
come together (a star brings a moon in 85 % of its scenes, as a fork brings a knife in photographs); in the `broken`
test scenes they never do. Whoever learned the company instead of looking then names objects that are not there, and
because every object is known, that is counted exactly. `photo` scenes are coloured; `sketch` scenes are ink outlines on
paper, described by other people in other words: a second domain for transfer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Domain = Literal["photo", "sketch"]

KINDS = ("ball", "box", "cone", "star", "ring", "moon", "cross", "gem", "heart", "pillar")
COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "pink", "white")
SIZES = ("small", "large")
SETTINGS = ("meadow", "sea", "desert", "night")
COMPANION = {"star": "moon", "box": "cone", "heart": "gem", "ball": "pillar"}
"""Which kind a kind brings along in biased scenes."""
COMPANY = 0.85
"""Share of the scenes with such a kind in which its companion is there."""

PIXELS = 48
"""Height and width of an image."""
CELLS = 3
RADIUS = {"small": 4.0, "large": 7.0}
"""Half the extent of an object, in pixels; a cell is 16 pixels wide."""

_RGB = {
    "red": (214, 40, 40),
    "blue": (40, 70, 220),
    "green": (20, 120, 50),
    "yellow": (245, 220, 50),
    "purple": (120, 40, 150),
    "orange": (245, 135, 30),
    "pink": (250, 150, 190),
    "white": (250, 250, 250),
}
_GROUND = {"meadow": (142, 176, 120), "sea": (120, 170, 190), "desert": (214, 190, 150), "night": (44, 46, 72)}
_PAPER, _INK = (232, 228, 214), (48, 44, 52)


@dataclass(frozen=True)
class Thing:
    """One object: what it is and in which cell it stands (row 0 at the top, column 0 at the left)."""

    kind: str
    colour: str
    size: str
    row: int
    column: int


@dataclass(frozen=True)
class Scene:
    """A setting and its things, the most prominent first."""

    domain: Domain
    setting: str
    things: tuple[Thing, ...]

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of the things in the scene."""
        return frozenset(thing.kind for thing in self.things)


def sample_scene(generator: np.random.Generator, *, domain: Domain = "photo", company: float | None = COMPANY) -> Scene:
    """Draw a scene.

    Args:
        generator: the only source of randomness.
        domain: 'photo' or 'sketch'.
        company: probability that a kind's companion comes along; 0 breaks the bias; None draws all kinds independently.
    """
    n_things = int(generator.choice([1, 2, 3], p=[0.12, 0.58, 0.30]))
    kinds = [str(generator.choice(KINDS))]
    first = kinds[0]
    if company is None:
        kinds += [str(kind) for kind in generator.permutation([kind for kind in KINDS if kind != first])]
    else:
        partner = COMPANION.get(first)
        if partner and generator.random() < company:
            kinds.append(partner)
            n_things = max(2, n_things)
        # No other kind may bring a companion along, or smuggle one in, so that the bias is exactly what was asked for.
        others = [kind for kind in KINDS if kind not in (first, partner) and kind not in COMPANION]
        kinds += [str(kind) for kind in generator.permutation(others)]
    cells = generator.permutation(CELLS * CELLS)[:n_things]
    sizes = ["large", *(str(generator.choice(SIZES)) for _ in range(n_things - 1))]
    if n_things == 1 or generator.random() < 0.2:
        sizes[0] = str(generator.choice(SIZES))
    colours = generator.permutation(COLOURS)
    things = tuple(Thing(kinds[i], str(colours[i]), sizes[i], int(cells[i]) // CELLS, int(cells[i]) % CELLS) for i in range(n_things))
    return Scene(domain, str(generator.choice(SETTINGS)), things)


def encode(scene: Scene) -> str:
    """Return a scene as one line of text, the form in which data sets hold it."""
    things = ";".join(f"{t.kind},{t.colour},{t.size},{t.row},{t.column}" for t in scene.things)
    return f"{scene.domain}|{scene.setting}|{things}"


def decode(line: str) -> Scene:
    """Return the scene that `encode` wrote."""
    domain, setting, things = line.split("|")
    fields = [thing.split(",") for thing in things.split(";")]
    return Scene(domain, setting, tuple(Thing(k, c, s, int(r), int(q)) for k, c, s, r, q in fields))  # type: ignore[arg-type]


def centre(thing: Thing) -> tuple[float, float]:
    """Return row and column of a thing's centre, in pixels."""
    cell = PIXELS / CELLS
    return (thing.row + 0.5) * cell, (thing.column + 0.5) * cell


def box(thing: Thing) -> tuple[float, float, float, float]:
    """Return top, left, bottom and right of a thing, in pixels."""
    row, column = centre(thing)
    radius = RADIUS[thing.size]
    return row - radius, column - radius, row + radius, column + radius


def _ball(x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - r


def _ring(x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.74 * r) - 0.24 * r


def _box(x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) - 0.86 * r


def _cone(x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    return np.maximum((np.abs(x) - (y + r) / 2) * 0.894, y - 0.9 * r)


def _star(x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    angle = np.arctan2(x, -y) * 5 / (2 * np.pi)
    wave = 2 * np.abs(angle - np.round(angle))
    return (np.hypot(x, y) - 1.1 * r * (1 - 0.6 * wave)) * 0.7


def _moon(x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    return np.maximum(np.hypot(x, y) - r, 0.86 * r - np.hypot(x - 0.5 * r, y))


def _cross(x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    ax, ay = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(ax - 0.28 * r, ay - r), np.maximum(ay - 0.28 * r, ax - r))


def _gem(x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    return (1.35 * np.abs(x) + np.abs(y) - 1.05 * r) * 0.6


def _heart(x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    lobes = np.hypot(np.abs(x) - 0.45 * r, y + 0.35 * r) - 0.52 * r
    return np.minimum(lobes, np.maximum((np.abs(x) + 0.85 * y - 0.75 * r) * 0.76, -0.3 * r - y))


def _pillar(x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x) - 0.36 * r, np.abs(y) - r)


_OUTLINES = {
    "ball": _ball,
    "box": _box,
    "cone": _cone,
    "star": _star,
    "ring": _ring,
    "moon": _moon,
    "cross": _cross,
    "gem": _gem,
    "heart": _heart,
    "pillar": _pillar,
}
"""For every kind: the signed distance to its outline in pixels, negative inside; x runs right and y down from the centre, r is its extent."""


def render(scenes: list[Scene], seed: int) -> np.ndarray:
    """Draw scenes as images, uint8 of shape (scenes, 3, PIXELS, PIXELS).

    Args:
        scenes: scenes to draw.
        seed: of jitter, texture and sensor noise; the same scenes and seed give the same images.
    """
    generator = np.random.default_rng([seed, 71])
    n = len(scenes)
    sketch = np.array([scene.domain == "sketch" for scene in scenes])
    ground = np.array([_PAPER if scene.domain == "sketch" else _GROUND[scene.setting] for scene in scenes], dtype=np.float32)
    images = np.repeat(ground, PIXELS * PIXELS, axis=0).reshape(n, PIXELS, PIXELS, 3)
    images += generator.normal(0, 7, (n, PIXELS // 4, PIXELS // 4, 1)).astype(np.float32).repeat(4, 1).repeat(4, 2)
    if sketch.any():
        settings = np.array([SETTINGS.index(scene.setting) for scene in scenes])
        images[sketch] -= _hatching(settings[sketch])[..., None]
    rows, columns = np.mgrid[:PIXELS, :PIXELS].astype(np.float32) + 0.5
    for slot in range(max((len(scene.things) for scene in scenes), default=0)):
        jitter = generator.uniform(-1, 1, (n, 2)).astype(np.float32)
        for kind in KINDS:
            of_kind = np.array([len(s.things) > slot and s.things[slot].kind == kind for s in scenes])
            if not of_kind.any():
                continue
            things = [scene.things[slot] for scene, take in zip(scenes, of_kind, strict=True) if take]
            middle = np.array([centre(thing) for thing in things], dtype=np.float32) + jitter[of_kind]
            radius = np.array([RADIUS[thing.size] for thing in things], dtype=np.float32)[:, None, None]
            distance = _OUTLINES[kind](columns - middle[:, 1, None, None], rows - middle[:, 0, None, None], radius)
            drawn = sketch[of_kind][:, None, None]
            cover = np.clip(0.5 - np.where(drawn, np.abs(distance) - 0.6, distance), 0, 1)[..., None]
            paint = np.array(
                [_INK if scenes[i].domain == "sketch" else _RGB[scenes[i].things[slot].colour] for i in np.flatnonzero(of_kind)]
            )
            images[of_kind] += cover * (paint[:, None, None, :].astype(np.float32) - images[of_kind])
    images *= generator.uniform(0.88, 1.08, (n, 1, 1, 1)).astype(np.float32)
    images += generator.normal(0, 9, images.shape).astype(np.float32)
    return np.clip(images, 0, 255).astype(np.uint8).transpose(0, 3, 1, 2).copy()


def _hatching(settings: np.ndarray) -> np.ndarray:
    """Darkness of the pencil strokes that tell one setting of a sketch from another, shape (n, PIXELS, PIXELS)."""
    row, column = np.mgrid[:PIXELS, :PIXELS]
    strokes = np.stack([(column % 5 == 0) & (row % 3 > 0), row % 6 == 0, (row * 3 + column * 7) % 11 == 0, (row + column) % 4 == 0])
    return strokes[settings].astype(np.float32) * 34
