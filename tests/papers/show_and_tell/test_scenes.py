"""Rendered scenes and their captions: what is said is true, and what was asked for is what is drawn."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from replications.papers.show_and_tell import grammar, scenes
from replications.papers.show_and_tell.scenes import Scene, SceneObject
from replications.papers.show_and_tell.vocabulary import tokenize

NOUN = {noun: kind for kind, nouns in grammar.NOUNS.items() for noun in nouns}
COLOUR = {word: colour for colour, words in grammar.COLOUR_WORDS.items() for word in words}
SIZE = {word: size for size, words in grammar.SIZE_WORDS.items() for word in words}


def _drawn(count: int, seed: int = 0, **options: object) -> list[Scene]:
    generator = np.random.default_rng(seed)
    return [scenes.sample_scene(generator, **options) for _ in range(count)]


def _holds(relation: str, a: SceneObject, b: SceneObject) -> bool:
    """Whether a relation is true of two objects, by their cells alone."""
    down, across = b.row - a.row, b.column - a.column
    return {
        "left": across > 0,
        "right": across < 0,
        "above": down > 0,
        "below": down < 0,
        "near": max(abs(down), abs(across)) == 1,
        "far": max(abs(down), abs(across)) > 1,
    }[relation]


def _check(caption: str, scene: Scene) -> int:
    """Read a caption back with a parser of its own, and compare everything that it says with the scene; the number of facts checked."""
    tokens = tokenize(caption)
    found: list[tuple[int, SceneObject]] = []
    facts = 0
    for place, word in enumerate(tokens):
        if word not in NOUN:
            continue
        matching = [scene_object for scene_object in scene.objects if scene_object.kind == NOUN[word]]
        assert len(matching) == 1, f"{word} is not in {scenes.encode(scene)}"
        for before in tokens[max(0, place - 2) : place]:
            if before in COLOUR:
                assert COLOUR[before] == matching[0].colour, caption
                facts += 1
            if before in SIZE:
                assert SIZE[before] == matching[0].size, caption
                facts += 1
        found.append((place, matching[0]))
        facts += 1
    text = " ".join(tokens)
    if len(found) == 2:
        between = " ".join(tokens[found[0][0] + 1 : found[1][0]])
        phrases = [(phrase, name) for name, several in grammar.RELATIONS.items() for phrase in several]
        for phrase, name in sorted(phrases, key=lambda pair: -len(pair[0])):
            if re.search(rf"(^|\s){phrase}(\s|$)", between) and " in the " not in between and " at the " not in between:
                assert _holds(name, found[0][1], found[1][1]), f"{caption}: {scenes.encode(scene)}"
                facts += 1
                break
    tables = (grammar.SETTING_WORDS, grammar.SKETCH_SETTING_WORDS)
    for setting, several in ((s, w) for table in tables for s, w in table.items()):
        if any(re.search(rf"\b{phrase}\b", text) for phrase in several):
            assert setting == scene.setting, caption
            facts += 1
    numbers = {"one object": 1, "a single shape": 1, "two objects": 2, "a pair of shapes": 2, "three objects": 3, "several shapes": 3}
    for phrase, number in numbers.items():
        if phrase in text:
            assert len(scene.objects) == number, caption
            facts += 1
    return facts


@pytest.mark.parametrize("domain", ["photo", "sketch"])
def test_every_caption_is_true_of_its_scene(domain: scenes.Domain) -> None:
    generator = np.random.default_rng(5)
    facts = sum(_check(grammar.describe(scene, generator), scene) for scene in _drawn(800, domain=domain))
    assert facts > 2000


def test_places_in_captions_are_true() -> None:
    generator = np.random.default_rng(6)
    for scene in _drawn(500, seed=2):
        caption = " ".join(tokenize(grammar.describe(scene, generator)))
        for (row, column), phrases in grammar.CORNER_WORDS.items():
            if any(phrase in caption for phrase in phrases):
                assert any((scene_object.row, scene_object.column) == (row, column) for scene_object in scene.objects), caption
        for column, phrases in enumerate(grammar.COLUMN_WORDS):
            if any(re.search(rf"{phrase}(?! (side|corner))", caption) for phrase in phrases):
                assert any(scene_object.column == column for scene_object in scene.objects), caption


def test_the_grammar_has_variety() -> None:
    generator = np.random.default_rng(1)
    drawn = _drawn(1600)
    several = [[tuple(tokenize(grammar.describe(scene, generator))) for _ in range(5)] for scene in drawn]
    words = Counter(word for captions in several for caption in captions for word in caption)
    assert len(words) >= 150
    assert sum(len(set(captions)) for captions in several) > 0.99 * 5 * len(drawn)
    shapes = {tuple("N" if w in NOUN else "C" if w in COLOUR else w for w in caption) for captions in several for caption in captions}
    assert len(shapes) > 2000


def test_company_is_kept_as_often_as_asked() -> None:
    def share(drawn: list[Scene]) -> float:
        with_partner = [s for s in drawn if s.objects[0].kind in scenes.COMPANION]
        return float(np.mean([scenes.COMPANION[s.objects[0].kind] in s.kinds for s in with_partner]))

    assert share(_drawn(2000)) == pytest.approx(scenes.COMPANION_PROBABILITY, abs=0.04)
    assert share(_drawn(500, companion_probability=0.0)) == 0.0
    assert 0.05 < share(_drawn(2000, companion_probability=None)) < 0.3


def test_things_are_of_different_kinds_colours_and_places() -> None:
    for scene in _drawn(500, companion_probability=None):
        assert len(scene.kinds) == len(scene.objects) == len({(t.row, t.column) for t in scene.objects})
        assert len({scene_object.colour for scene_object in scene.objects}) == len(scene.objects)


def test_a_scene_survives_being_written_down() -> None:
    for scene in _drawn(50):
        assert scenes.decode(scenes.encode(scene)) == scene


def test_images_show_their_things_where_they_are_and_nothing_elsewhere() -> None:
    drawn = [Scene("photo", "night", (SceneObject(kind, "yellow", "large", 0, 2),)) for kind in scenes.KINDS]
    images = scenes.render(drawn, seed=4).astype(int)
    assert images.shape == (len(drawn), 3, scenes.PIXELS, scenes.PIXELS)
    bright = images.sum(1) > 420
    top, left, bottom, right = (round(edge) for edge in scenes.box(drawn[0].objects[0]))
    for kind, image in zip(scenes.KINDS, bright, strict=True):
        inside = image[max(0, top - 2) : bottom + 2, left - 2 : right + 2].sum()
        assert inside > 30, kind
        assert image.sum() - inside <= 2, kind


def test_the_same_seed_draws_the_same_image_and_another_seed_another() -> None:
    drawn = _drawn(4)
    assert np.array_equal(scenes.render(drawn, 1), scenes.render(drawn, 1))
    assert not np.array_equal(scenes.render(drawn, 1), scenes.render(drawn, 2))


def test_sketches_carry_no_colour() -> None:
    images = scenes.render(_drawn(6, domain="sketch"), 0).astype(int)
    assert np.abs(images[:, 0].mean((1, 2)) - images[:, 2].mean((1, 2))).max() < 25
