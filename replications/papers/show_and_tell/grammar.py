"""Captions of a scene by a random grammar with synonyms, clauses and points of view; every caption is true of its scene.

Captions are not filled templates that a look-up table could reproduce: the objects mentioned, their order, the point of view, one of
two dozen sentence forms and the synonyms are sampled anew for every caption.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from replications.papers.show_and_tell.scenes import Scene, SceneObject

NOUNS = {
    "ball": ("ball", "sphere", "globe"),
    "box": ("box", "cube", "block"),
    "cone": ("cone", "triangle", "wedge"),
    "star": ("star", "spark"),
    "ring": ("ring", "hoop", "circle"),
    "moon": ("moon", "crescent"),
    "cross": ("cross", "plus"),
    "gem": ("gem", "diamond", "jewel"),
    "heart": ("heart", "valentine"),
    "pillar": ("pillar", "column", "post"),
}
"""Kind -> its nouns, the most frequent first. Captions name a kind by these nouns only."""
KIND_OF = {noun: kind for kind, nouns in NOUNS.items() for noun in nouns}

COLOUR_WORDS = {
    "red": ("red", "crimson", "scarlet"),
    "blue": ("blue", "azure"),
    "green": ("green", "emerald"),
    "yellow": ("yellow", "golden"),
    "purple": ("purple", "violet"),
    "orange": ("orange", "amber"),
    "pink": ("pink", "rosy"),
    "white": ("white", "pale"),
}
SIZE_WORDS = {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")}
SETTING_WORDS = {
    "meadow": ("in a meadow", "on the grass", "in a grassy field", "on a lawn"),
    "sea": ("at sea", "on the water", "in the ocean", "above the waves"),
    "desert": ("in the desert", "on the sand", "among dunes", "on dry ground"),
    "night": ("at night", "in the dark", "under a night sky", "after sunset"),
}
SKETCH_SETTING_WORDS = {
    "meadow": ("with upright strokes behind",),
    "sea": ("with level lines behind",),
    "desert": ("with dots behind",),
    "night": ("with slanted shading behind",),
}
RELATIONS = {
    "left": ("to the left of", "left of", "on the left side of"),
    "right": ("to the right of", "right of", "on the right side of"),
    "above": ("above", "over", "higher than"),
    "below": ("below", "under", "beneath", "lower than"),
    "near": ("next to", "beside", "near", "close to", "by"),
    "far": ("far from", "away from", "across from"),
}
"""Spatial relation of a first object to a second -> phrases for it, the most frequent first."""
ROW_WORDS = (("at the top", "in the upper part"), ("in the middle", "halfway down"), ("at the bottom", "in the lower part"))
COLUMN_WORDS = (("on the left", "at the left edge"), ("in the centre", "midway across"), ("on the right", "at the right edge"))
CORNER_WORDS = {
    (0, 0): ("in the top left corner", "in the upper left"),
    (0, 2): ("in the top right corner", "in the upper right"),
    (2, 0): ("in the bottom left corner", "in the lower left"),
    (2, 2): ("in the bottom right corner", "in the lower right"),
    (1, 1): ("in the very centre", "exactly in the middle"),
}
VERBS = ("is", "sits", "lies", "stands", "rests", "appears")
OPENERS = ("there is", "we see", "one can see", "the picture shows", "this is", "you can spot", "here is", "the image depicts")
SKETCH_OPENERS = ("a sketch of", "a drawing of", "an outline of", "pencil lines show", "someone drew")

Form = Callable[["Speaker", Scene], str]


class Speaker:
    """Random choices of one caption.

    Args:
        generator: source of all choices.
        sketch: describe a sketch: no colours, and the words that are rare in captions of photographs are frequent.
    """

    def __init__(self, generator: np.random.Generator, *, sketch: bool) -> None:
        self.generator, self.sketch = generator, sketch

    def pick(self, phrases: Sequence[str], first_probability: float = 0.62) -> str:
        """Choose one of several phrases.

        Args:
            phrases: alternatives, the most frequent first.
            first_probability: probability of the first one, 0 to 1; for sketches, of any other one.

        Returns:
            The chosen phrase.
        """
        if len(phrases) == 1:
            return phrases[0]
        first = self.generator.random() < (1 - first_probability if self.sketch else first_probability)
        return phrases[0] if first else str(phrases[1 + int(self.generator.integers(len(phrases) - 1))])

    def chance(self, probability: float) -> bool:
        """Make a random binary choice.

        Args:
            probability: of True, 0 to 1.

        Returns:
            The choice.
        """
        return bool(self.generator.random() < probability)

    def noun_phrase(self, scene_object: SceneObject, article: str = "a") -> str:
        """Name an object.

        Args:
            scene_object: the object.
            article: 'a' (or 'an' before a vowel), or another article.

        Returns:
            Article, sometimes a size, usually a colour (never for a sketch), and a noun.
        """
        words = []
        if self.chance(0.32):
            words.append(self.pick(SIZE_WORDS[scene_object.size]))
        if not self.sketch and self.chance(0.86):
            words.append(self.pick(COLOUR_WORDS[scene_object.colour]))
        words.append(self.pick(NOUNS[scene_object.kind]))
        if article == "a" and words[0][0] in "aeiou":
            article = "an"
        return " ".join([article, *words])

    def relation(self, first: SceneObject, second: SceneObject) -> str:
        """Describe the position of one object relative to another, by direction or by mere distance.

        Args:
            first: the object whose position is described.
            second: the reference object.

        Returns:
            A phrase for the direction of the larger offset, or for near or far.
        """
        down, across = second.row - first.row, second.column - first.column
        if self.chance(0.22):
            return self.pick(RELATIONS["near" if max(abs(down), abs(across)) == 1 else "far"])
        sideways = abs(across) > abs(down) or (abs(across) == abs(down) and self.chance(0.7))
        if sideways:
            return self.pick(RELATIONS["left" if across > 0 else "right"])
        return self.pick(RELATIONS["above" if down > 0 else "below"])

    def place(self, scene_object: SceneObject) -> str:
        """Describe the position of an object in the image.

        Args:
            scene_object: the object.

        Returns:
            A phrase for its column, its row or its corner.
        """
        cell = (scene_object.row, scene_object.column)
        if cell in CORNER_WORDS and self.chance(0.6):
            return self.pick(CORNER_WORDS[cell])
        row, column = cell
        return self.pick(COLUMN_WORDS[column] if row == 1 or self.chance(0.5) else ROW_WORDS[row])

    def setting(self, scene: Scene) -> str:
        """Describe the setting, or leave it out.

        Args:
            scene: the scene.

        Returns:
            A phrase with a leading space, or an empty text.
        """
        if not self.chance(0.45):
            return ""
        return " " + self.pick((SKETCH_SETTING_WORDS if self.sketch else SETTING_WORDS)[scene.setting])


def _stands(s: Speaker, scene: Scene) -> str:
    a, b = scene.objects[:2]
    return f"{s.noun_phrase(a)} {s.pick(VERBS, 0.5)} {s.relation(a, b)} {s.noun_phrase(b)}{s.setting(scene)}"


def _reverse(s: Speaker, scene: Scene) -> str:
    a, b = scene.objects[:2]
    return f"{s.noun_phrase(b)} {s.pick(VERBS, 0.5)} {s.relation(b, a)} {s.noun_phrase(a)}{s.setting(scene)}"


def _bare(s: Speaker, scene: Scene) -> str:
    a, b = scene.objects[:2]
    return f"{s.noun_phrase(a)} {s.relation(a, b)} {s.noun_phrase(b)}{s.setting(scene)}"


def _opened(s: Speaker, scene: Scene) -> str:
    a, b = scene.objects[:2]
    return f"{s.pick(OPENERS, 0.4)} {s.noun_phrase(a)} {s.relation(a, b)} {s.noun_phrase(b)}{s.setting(scene)}"


def _joined(s: Speaker, scene: Scene) -> str:
    parts = [s.noun_phrase(one) for one in scene.objects]
    link = s.pick(("and", "with", "together with", "as well as"))
    listed = f"{parts[0]} {link} {parts[1]}" if len(parts) == 2 else f"{parts[0]} , {parts[1]} and {parts[2]}"
    return listed + s.setting(scene)


def _clause(s: Speaker, scene: Scene) -> str:
    a, b = scene.objects[:2]
    opener = s.pick(OPENERS, 0.4) + " " if s.chance(0.5) else ""
    return f"{opener}{s.noun_phrase(a)} {s.pick(('that', 'which'))} {s.pick(VERBS, 0.5)} {s.relation(a, b)} {s.noun_phrase(b)}"


def _while(s: Speaker, scene: Scene) -> str:
    a, b = scene.objects[:2]
    link = s.pick(("while", "and", "but"))
    return f"{s.noun_phrase(a)} {s.pick(VERBS, 0.5)} {s.place(a)} {link} {s.noun_phrase(b)} {s.pick(VERBS, 0.5)} {s.place(b)}"


def _counted(s: Speaker, scene: Scene) -> str:
    number = {1: ("one object", "a single shape"), 2: ("two objects", "a pair of shapes"), 3: ("three objects", "several shapes")}
    one = "namely" if len(scene.objects) == 1 else s.pick(("including", "one of them", "among them"))
    return f"{s.pick(number[len(scene.objects)])}{s.setting(scene)} , {one} {s.noun_phrase(scene.objects[0])}"


def _placed(s: Speaker, scene: Scene) -> str:
    first = scene.objects[0]
    if s.chance(0.5):
        return f"{s.place(first)} {s.pick(('there is', 'we see', 'lies'))} {s.noun_phrase(first)}{s.setting(scene)}"
    return f"{s.noun_phrase(first)} {s.pick(VERBS, 0.5)} {s.place(first)}{s.setting(scene)}"


def _alone(s: Speaker, scene: Scene) -> str:
    only = s.pick(("alone", "all by itself", "and nothing else", "without any company"))
    return f"{s.noun_phrase(scene.objects[0])} {only}{s.setting(scene)}"


def _simple(s: Speaker, scene: Scene) -> str:
    opener = s.pick(OPENERS, 0.4) + " " if s.chance(0.4) else ""
    return f"{opener}{s.noun_phrase(scene.objects[0])}{s.setting(scene)}"


_PAIR_FORMS: list[tuple[Form, float]] = [
    (_stands, 0.30),
    (_bare, 0.16),
    (_opened, 0.12),
    (_joined, 0.14),
    (_reverse, 0.08),
    (_clause, 0.07),
    (_while, 0.07),
    (_placed, 0.03),
    (_counted, 0.03),
]
_SINGLE_FORMS: list[tuple[Form, float]] = [(_simple, 0.35), (_placed, 0.35), (_alone, 0.2), (_counted, 0.1)]


def describe(scene: Scene, generator: np.random.Generator) -> str:
    """Write one caption of a scene.

    Args:
        scene: the scene.
        generator: source of all choices.

    Returns:
        A caption that is true of the scene; four of five end with a full stop.
    """
    speaker = Speaker(generator, sketch=scene.domain == "sketch")
    forms = _SINGLE_FORMS if len(scene.objects) == 1 else _PAIR_FORMS
    weights = np.array([weight for _, weight in forms])
    form = forms[int(generator.choice(len(forms), p=weights / weights.sum()))][0]
    caption = form(speaker, scene)
    if speaker.sketch and speaker.chance(0.6):
        opened = next((words for words in OPENERS if caption.startswith(words + " ")), "")
        rest = caption.removeprefix(opened).strip()
        if rest.startswith(("a ", "an ")):
            caption = f"{speaker.pick(SKETCH_OPENERS, 0.5)} {rest}"
    return f"{caption} ." if speaker.chance(0.8) else caption


def mentioned(tokens: Sequence[str]) -> list[str]:
    """List the object kinds that a caption names.

    Args:
        tokens: of the caption.

    Returns:
        Kinds in the order of mention, one entry per mention.
    """
    return [KIND_OF[token] for token in tokens if token in KIND_OF]


CONTENT_WORDS = frozenset(
    [*KIND_OF, *(word for words in (*COLOUR_WORDS.values(), *SIZE_WORDS.values()) for word in words)],
)
"""Nouns and adjectives that describe objects; the attention metrics count every other word as a function word."""
