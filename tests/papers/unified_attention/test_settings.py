"""Settings that do not go together are refused with what to change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replications.errors import InputError
from replications.papers.unified_attention.settings import Settings
from replications.registry.yaml_models import validate

SMALL = {"dataset": "digits", "canvas": 24, "glimpse_side": 4, "grid": 3}


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"canvas": 26}, "canvas 26 cannot be divided by pyramid_factor 4.*for example 28"),
        ({"grid": 4}, r"grid 4: the pyramid's level of 6x6 pixels .* set grid to one of 1, 2, 3, 6"),
        ({"grid": 0}, "grid.*greater than or equal to 1"),
        ({"pyramid_factor": 0}, "pyramid_factor.*greater than or equal to 1"),
        ({"glimpses": 1}, "glimpses.*greater than or equal to 2"),
        ({"model": "q-only", "glimpses": 11}, "glimpses 11: without a move .* 9 places .* fewer than the 10 .* at most 10"),
        ({"canvas": 4, "grid": 1}, "canvas 4 is smaller than a digit of 'digits'"),
        ({"glimpse_side": 25}, "glimpse_side 25 is larger than canvas 24"),
        ({"clutter": 1, "clutter_side": 9}, "clutter_side 9 must be at most the side of a digit, 8"),
        ({"epsilon": 1.5}, "epsilon.*less than or equal to 1"),
        ({"cells": 3}, "cells"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_with_what_to_change(update: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(Settings, SMALL | update, "runs.yaml")


@given(canvas=st.integers(8, 60), factor=st.integers(1, 8), grid=st.integers(1, 8))
def test_a_grid_is_accepted_where_its_cells_are_equal_and_cover_the_image(canvas: int, factor: int, grid: int) -> None:
    given_settings = SMALL | {"canvas": canvas, "pyramid_factor": factor, "grid": grid}
    if canvas % (factor * grid):
        with pytest.raises(InputError, match=r"cannot be divided|cannot be cut"):
            validate(Settings, given_settings, "runs.yaml")
    else:
        settings = validate(Settings, given_settings, "runs.yaml")
        assert settings.cell_side * grid * factor == canvas


def test_recurrent_attention_has_no_grid_to_fit() -> None:
    assert validate(Settings, SMALL | {"model": "ram", "canvas": 25}, "runs.yaml").canvas == 25
