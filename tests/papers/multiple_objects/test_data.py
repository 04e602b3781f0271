"""Canvases: what is on them, what is to be answered, and what cannot be put on them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from replications.engine.digits import Digits
from replications.errors import InputError
from replications.papers.multiple_objects.canvases import Canvases, CanvasGenerator, pair_number
from replications.papers.multiple_objects.settings import Settings
from replications.registry.yaml_models import validate

SMALL = {"dataset": "digits", "canvas": 24, "glimpse_side": 4, "context_side": 12}


def make(n: int = 500, **settings: object) -> tuple[Settings, Digits, Canvases]:
    """Digits are squares of 8x8 pixels whose brightness, 20 times the class plus 20, tells what they are."""
    made = Settings.model_validate(SMALL | settings)
    labels = torch.arange(10)
    digits = Digits((20 * labels + 20).to(torch.uint8)[:, None, None].expand(-1, 8, 8).contiguous(), labels)
    generate = CanvasGenerator(made, digits)
    uniforms = torch.rand(n, generate.n_uniforms, generator=torch.Generator().manual_seed(0))
    return made, digits, generate(uniforms)


@pytest.mark.parametrize("n_digits", [1, 2, 9])
def test_every_canvas_holds_its_digits_where_it_says_and_nothing_else(n_digits: int) -> None:
    _, _, canvases = make(task="sums", n_digits=n_digits)
    for image, values, corners in zip(canvases.images, canvases.values, canvases.corners, strict=True):
        expected = torch.zeros(24, 24)
        for value, (x, y) in zip(values.tolist(), corners.tolist(), strict=True):
            assert not expected[y : y + 8, x : x + 8].any(), "digits do not overlap"
            expected[y : y + 8, x : x + 8] = 20 * value + 20
        torch.testing.assert_close(image, expected)


def test_places_without_overlap_are_all_reached() -> None:
    _, _, canvases = make(4000)
    corners = canvases.corners.flatten(0, 1)
    assert corners.amin() == 0
    assert corners.amax() == 16
    assert len({tuple(corner) for corner in corners.tolist()}) == 17 * 17


def test_digits_stand_from_left_to_right_and_absent_ones_at_the_end() -> None:
    _, _, canvases = make(task="sequence", n_digits=3, fewest_digits=1)
    shown = canvases.values < 10
    assert set(shown.sum(1).tolist()) == {1, 2, 3}
    for corners, present, values, targets, image in zip(
        canvases.corners, shown, canvases.values, canvases.targets, canvases.images, strict=True
    ):
        left = corners[present][:, 0].tolist()
        assert left == sorted(left)
        digits = values[present].tolist()
        assert targets.tolist() == digits + [10] * (4 - len(digits))
        assert image.count_nonzero() == 64 * len(digits)


def test_unordered_pairs_are_numbered_without_gaps() -> None:
    numbers = {(a, b): int(pair_number(torch.tensor(a), torch.tensor(b))) for a in range(10) for b in range(10)}
    assert sorted(set(numbers.values())) == list(range(55))
    assert all(numbers[a, b] == numbers[b, a] for a, b in numbers)
    assert [numbers[pair] for pair in [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)]] == [0, 1, 2, 3, 4, 5]


def test_answers_to_sums_and_pairs_follow_from_the_digits() -> None:
    settings, _, canvases = make(task="sums")
    assert canvases.targets[:, 0].tolist() == [a + b for a, b in canvases.values.tolist()]
    assert settings.n_answers == 19
    settings, _, canvases = make()
    order = sorted({(min(pair), max(pair)) for pair in canvases.values.tolist()}, key=lambda pair: (pair[1], pair[0]))
    assert len(order) == settings.n_answers == 55
    assert canvases.targets[:, 0].tolist() == [order.index((min(pair), max(pair))) for pair in canvases.values.tolist()]


def test_clutter_is_added_and_clipped() -> None:
    _, _, plain = make()
    _, _, cluttered = make(clutter=30, clutter_side=4)
    assert cluttered.images.max() == 255
    assert (cluttered.images.count_nonzero((1, 2)) > plain.images.count_nonzero((1, 2))).all()


@given(canvas=st.integers(8, 60), n_digits=st.integers(1, 60))
def test_more_digits_than_fit_are_refused_and_all_others_accepted(canvas: int, n_digits: int) -> None:
    given_settings = SMALL | {"canvas": canvas, "n_digits": n_digits, "task": "sums", "context_side": 4}
    if n_digits <= (canvas // 8) ** 2:
        validate(Settings, given_settings, "runs.yaml")
        return
    with pytest.raises(InputError, match=f"n_digits {n_digits}: a canvas of {canvas} pixels holds at most {(canvas // 8) ** 2} digits"):
        validate(Settings, given_settings, "runs.yaml")


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"glimpse_side": 16}, "canvas 24 is smaller than the retina, whose coarsest patch is 32 pixels wide"),
        ({"clutter": 2, "clutter_side": 9}, "clutter_side 9 must be at most the side of a digit, 8"),
        ({"context_side": 25}, "context_side 25 must be at most canvas 24"),
        ({"n_digits": 3}, "task pairs needs two digits"),
        ({"fewest_digits": 1}, "task pairs has as many digits on every canvas"),
        ({"task": "sequence", "fewest_digits": 3}, "fewest_digits 3 must be at most n_digits 2"),
        ({"task": "sequence", "model": "cnn"}, "model cnn gives one answer per image"),
        ({"glimpse": 4}, "glimpse"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_with_what_to_change(update: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(Settings, SMALL | update, "runs.yaml")
