"""Canvases: where digits and clutter go."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from replications.engine.digits import DIGITS_SPLITS, Digits
from replications.errors import InputError
from replications.papers.recurrent_attention.data import CanvasGenerator, fixed_set, ink_boxes
from replications.papers.recurrent_attention.settings import Settings
from replications.registry.yaml_models import validate


def some_digits(n: int = 5, side: int = 8) -> Digits:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(1, 200, (n, side, side), generator=generator).to(torch.uint8)
    return Digits(images, torch.arange(n) % 10)


def place(settings: Settings, digits: Digits, n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, CanvasGenerator]:
    generate = CanvasGenerator(settings, digits)
    uniforms = torch.rand(n, generate.n_uniforms, generator=torch.Generator().manual_seed(seed))
    return *generate(uniforms), generate


@examples(max_examples=25, deadline=None)
@given(canvas=st.integers(8, 30), seed=st.integers(0, 99))
def test_a_translated_digit_lies_whole_at_its_corner_and_all_else_is_black(canvas: int, seed: int) -> None:
    digits = some_digits()
    canvases, labels, corners, _ = place(Settings(dataset="digits", canvas=canvas, translated=True), digits, 6, seed)
    for image, label, (x, y) in zip(canvases, labels, corners.tolist(), strict=True):
        assert 0 <= x <= canvas - 8
        assert 0 <= y <= canvas - 8
        assert torch.equal(image[y : y + 8, x : x + 8], digits.images[label].float())
        assert int((image > 0).sum()) == 64


def test_every_place_is_equally_likely() -> None:
    settings = Settings(dataset="digits", canvas=11, translated=True)
    corners = place(settings, some_digits(), 16_000, 0)[2]
    counts = torch.bincount(corners[:, 0] * 4 + corners[:, 1], minlength=16)
    # 1,000 expected a place, standard deviation 31.
    assert len(counts) == 16
    assert counts.min() > 860
    assert counts.max() < 1140


def test_an_untranslated_digit_is_in_the_middle() -> None:
    corners = place(Settings(dataset="digits", canvas=12), some_digits(), 4, 0)[2]
    assert corners.tolist() == [[2, 2]] * 4


@examples(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), clutter=st.integers(1, 4))
def test_clutter_only_adds_pieces_of_digits_and_stays_below_white(seed: int, clutter: int) -> None:
    settings = Settings(dataset="digits", canvas=24, translated=True, clutter=clutter, clutter_side=3)
    digits = some_digits()
    cluttered, _, _, generate = place(settings, digits, 8, seed)
    uniforms = torch.rand(8, generate.n_uniforms, generator=torch.Generator().manual_seed(seed))
    plain = CanvasGenerator(settings.model_copy(update={"clutter": 0}), digits)(uniforms[:, :3])[0]
    added = cluttered - plain
    assert bool((added >= 0).all())
    assert cluttered.max() <= 255
    assert int((added > 0).flatten(1).sum(1).max()) <= clutter * 9
    digit_values = {int(value) for value in digits.images.unique()}
    if clutter == 1:
        outside = cluttered[plain == 0]
        assert {int(value) for value in outside.unique()} <= digit_values | {0}


def test_a_seed_s_canvases_do_not_depend_on_how_many_are_made_together() -> None:
    settings = Settings(dataset="digits", canvas=20, translated=True, clutter=2, clutter_side=4)
    generate = CanvasGenerator(settings, some_digits())
    uniforms = torch.rand(6, generate.n_uniforms, generator=torch.Generator().manual_seed(0))
    assert torch.equal(generate(uniforms)[0][2:4], generate(uniforms[2:4])[0])


def test_test_sets_are_the_same_for_the_same_seed_and_differ_for_another() -> None:
    settings = Settings(dataset="digits", canvas=20, translated=True, test_copies=2)
    sets = [fixed_set(settings, some_digits(7), torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(sets[0].canvases, sets[1].canvases)
    assert not torch.equal(sets[0].canvases, sets[2].canvases)
    assert sets[0].labels.tolist() == [0, 1, 2, 3, 4, 5, 6] * 2


def test_ink_boxes_are_the_tightest() -> None:
    image = torch.zeros(2, 9, 9, dtype=torch.uint8)
    image[0, 2:5, 3:8] = 1
    image[1, 8, 0] = 1
    assert ink_boxes(image).tolist() == [[3, 2, 8, 5], [0, 8, 1, 9]]


def test_splits_of_the_embedded_digits_do_not_overlap_and_use_all() -> None:
    rows = np.concatenate([np.arange(*span) for span in DIGITS_SPLITS.values()])
    assert np.array_equal(rows, np.arange(1797))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"glimpse_side": 40}, "glimpse_side 40 is larger than canvas 28"),
        ({"scales": 5}, "the coarsest patch of 128 pixels is more than twice canvas 28"),
        ({"canvas": 20}, "canvas 20 is smaller than a digit of 'mnist'"),
        ({"clutter": 1, "clutter_side": 30}, "clutter_side 30 is larger than a digit"),
        ({"model": "conv", "conv_side": 29}, "conv_side 29 is larger than canvas 28"),
        ({"glimpse_sise": 3}, "Did you mean 'glimpse_size'"),
    ],
)
def test_settings_that_cannot_work_are_one_clear_message(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(Settings, wrong, "runs.yaml")
