"""Rendered scenes whose objects are known: their sampling and rendering.

One to three objects of ten kinds stand in a 3 x 3 layout on one of four backgrounds. In training scenes certain kinds co-occur: 85 % of
the scenes with a star also have a moon, as photographs with a fork often have a knife. In the test split `broken` they never do. A model
that learned the co-occurrence instead of reading the image then names absent objects, and because all objects are known, these are
counted exactly. Scenes of domain `photo` are coloured; those of domain `sketch` are ink outlines on paper, described with another
distribution of words: a second domain for transfer.
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
"""Kind -> the kind that usually accompanies it in biased scenes."""
COMPANION_PROBABILITY = 0.85
"""Probability that a scene with such a kind also has its companion."""

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
class SceneObject:
    """One object of a scene.

    Attributes:
        kind: one of KINDS.
        colour: one of COLOURS.
        size: one of SIZES.
        row: row of its cell, 0 at the top, to CELLS - 1.
        column: column of its cell, 0 at the left, to CELLS - 1.
    """

    kind: str
    colour: str
    size: str
    row: int
    column: int


@dataclass(frozen=True)
class Scene:
    """Content of one image.

    Attributes:
        domain: 'photo' or 'sketch'.
        setting: background, one of SETTINGS.
        objects: the objects, the most prominent first.
    """

    domain: Domain
    setting: str
    objects: tuple[SceneObject, ...]

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of the objects in the scene."""
        return frozenset(member.kind for member in self.objects)


def sample_scene(
    generator: np.random.Generator, *, domain: Domain = "photo", companion_probability: float | None = COMPANION_PROBABILITY
) -> Scene:
    """Sample a scene.

    Args:
        generator: the only source of randomness.
        domain: 'photo' or 'sketch'.
        companion_probability: probability that the first object's companion is in the scene, 0 to 1; None samples all kinds independently.

    Returns:
        The scene, with one to three objects of different kinds, colours and cells.
    """
    n_objects = int(generator.choice([1, 2, 3], p=[0.12, 0.58, 0.30]))
    kinds = [str(generator.choice(KINDS))]
    first = kinds[0]
    if companion_probability is None:
        kinds += [str(kind) for kind in generator.permutation([kind for kind in KINDS if kind != first])]
    else:
        companion = COMPANION.get(first)
        if companion and generator.random() < companion_probability:
            kinds.append(companion)
            n_objects = max(2, n_objects)
        # The other kinds have no companion and are not the first object's, so that the bias is exactly `companion_probability`.
        others = [kind for kind in KINDS if kind not in (first, companion) and kind not in COMPANION]
        kinds += [str(kind) for kind in generator.permutation(others)]
    cells = generator.permutation(CELLS * CELLS)[:n_objects]
    sizes = ["large", *(str(generator.choice(SIZES)) for _ in range(n_objects - 1))]
    if n_objects == 1 or generator.random() < 0.2:
        sizes[0] = str(generator.choice(SIZES))
    colours = generator.permutation(COLOURS)
    objects = tuple(
        SceneObject(kinds[i], str(colours[i]), sizes[i], int(cells[i]) // CELLS, int(cells[i]) % CELLS) for i in range(n_objects)
    )
    return Scene(domain, str(generator.choice(SETTINGS)), objects)


def encode(scene: Scene) -> str:
    """Serialise a scene to one line of text, the form in which data sets store it.

    Args:
        scene: the scene.

    Returns:
        'domain|setting|object;object...', an object as 'kind,colour,size,row,column'.
    """
    objects = ";".join(f"{o.kind},{o.colour},{o.size},{o.row},{o.column}" for o in scene.objects)
    return f"{scene.domain}|{scene.setting}|{objects}"


def decode(line: str) -> Scene:
    """Parse a line that `encode` wrote.

    Args:
        line: of text.

    Returns:
        The scene.
    """
    domain, setting, objects = line.split("|")
    fields = [text.split(",") for text in objects.split(";")]
    return Scene(domain, setting, tuple(SceneObject(k, c, s, int(r), int(q)) for k, c, s, r, q in fields))  # type: ignore[arg-type] # `encode` wrote the domain


def centre(scene_object: SceneObject) -> tuple[float, float]:
    """Return the centre of an object.

    Args:
        scene_object: the object.

    Returns:
        Row and column in pixels, 0 to PIXELS.
    """
    cell = PIXELS / CELLS
    return (scene_object.row + 0.5) * cell, (scene_object.column + 0.5) * cell


def box(scene_object: SceneObject) -> tuple[float, float, float, float]:
    """Return the bounding box of an object.

    Args:
        scene_object: the object.

    Returns:
        Top, left, bottom and right in pixels, 0 to PIXELS.
    """
    row, column = centre(scene_object)
    radius = RADIUS[scene_object.size]
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
"""Kind -> signed distance to its outline in pixels, negative inside; x points right and y down from the centre, r is half the extent."""


def render(scenes: list[Scene], seed: int) -> np.ndarray:
    """Render scenes as images.

    Args:
        scenes: n scenes.
        seed: of jitter, texture and sensor noise; the same scenes and seed give the same images.

    Returns:
        uint8 (n, 3, PIXELS, PIXELS), values 0 to 255.
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
    for slot in range(max((len(scene.objects) for scene in scenes), default=0)):
        jitter = generator.uniform(-1, 1, (n, 2)).astype(np.float32)
        for kind in KINDS:
            of_kind = np.array([len(s.objects) > slot and s.objects[slot].kind == kind for s in scenes])
            if not of_kind.any():
                continue
            objects = [scene.objects[slot] for scene, has_kind in zip(scenes, of_kind, strict=True) if has_kind]
            centres = np.array([centre(one) for one in objects], dtype=np.float32) + jitter[of_kind]
            radius = np.array([RADIUS[one.size] for one in objects], dtype=np.float32)[:, None, None]
            distance = _OUTLINES[kind](columns - centres[:, 1, None, None], rows - centres[:, 0, None, None], radius)
            in_sketch = sketch[of_kind][:, None, None]
            opacity = np.clip(0.5 - np.where(in_sketch, np.abs(distance) - 0.6, distance), 0, 1)[..., None]
            colour = np.array(
                [_INK if scenes[i].domain == "sketch" else _RGB[scenes[i].objects[slot].colour] for i in np.flatnonzero(of_kind)]
            )
            images[of_kind] += opacity * (colour[:, None, None, :].astype(np.float32) - images[of_kind])
    images *= generator.uniform(0.88, 1.08, (n, 1, 1, 1)).astype(np.float32)
    images += generator.normal(0, 9, images.shape).astype(np.float32)
    return np.clip(images, 0, 255).astype(np.uint8).transpose(0, 3, 1, 2).copy()


def _hatching(settings: np.ndarray) -> np.ndarray:
    """Return the darkness of the pencil strokes that distinguish the settings of sketches, (n, PIXELS, PIXELS), 0 or 34."""
    row, column = np.mgrid[:PIXELS, :PIXELS]
    strokes = np.stack([(column % 5 == 0) & (row % 3 > 0), row % 6 == 0, (row * 3 + column * 7) % 11 == 0, (row + column) % 4 == 0])
    return strokes[settings].astype(np.float32) * 34
