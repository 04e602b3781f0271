"""Both forms of the glimpse sensor against a slow loop over pixels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from replications.papers.recurrent_attention.integral_sensor import IntegralGlimpseSensor, integral_image
from replications.papers.recurrent_attention.model import GlimpseSensor, pixel_centres

CPU = torch.device("cpu")


def slow_glimpse(image: np.ndarray, x: float, y: float, side: int, scales: int) -> np.ndarray:
    """Return the glimpse pixel by pixel: for every cell of every patch, the mean of its pixels, zero outside the image."""
    n = len(image)
    column, row = math.floor((np.float32(x) + 1) * np.float32(0.5 * n)), math.floor((np.float32(y) + 1) * np.float32(0.5 * n))
    glimpse = np.zeros((scales, side, side))
    for k in range(scales):
        factor = 2**k
        half = side * factor // 2
        for i in range(side):
            for j in range(side):
                for a in range(factor):
                    for b in range(factor):
                        r, c = row - half + i * factor + a, column - half + j * factor + b
                        if 0 <= r < n and 0 <= c < n:
                            glimpse[k, i, j] += image[r, c] / factor**2 / 255
    return glimpse.reshape(-1)


@settings(max_examples=60, deadline=None)
@given(
    side=st.integers(1, 6),
    scales=st.integers(1, 3),
    canvas=st.integers(5, 17),
    x=st.floats(-2.5, 2.5, width=32),
    y=st.floats(-2.5, 2.5, width=32),
    seed=st.integers(0, 1000),
)
def test_glimpses_equal_the_slow_ones_also_around_centres_outside_the_image(
    side: int, scales: int, canvas: int, x: float, y: float, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (canvas, canvas))
    integral = integral_image(torch.from_numpy(image).float()[None])
    location = torch.tensor([[x, y]])
    fast = IntegralGlimpseSensor(canvas, side, scales, CPU)(integral, location)
    plain = GlimpseSensor(side, scales)(torch.from_numpy(image).float()[None, None], location[None])
    expected = slow_glimpse(image, x, y, side, scales)
    np.testing.assert_allclose(fast[0].numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(plain[0, 0].numpy(), expected, atol=1e-6)


def test_a_glimpse_far_outside_is_black() -> None:
    integral = integral_image(torch.full((2, 9, 9), 255.0))
    sensor = IntegralGlimpseSensor(9, 4, 2, CPU)
    assert not sensor(integral, torch.tensor([[3.5, 0.0], [0.0, -4.0]])).any()


def test_a_white_image_is_one_inside_at_every_scale() -> None:
    integral = integral_image(torch.full((1, 40, 40), 255.0))
    assert torch.equal(IntegralGlimpseSensor(40, 8, 3, CPU)(integral, torch.zeros(1, 2)), torch.ones(1, 3 * 64))


@pytest.mark.parametrize("side", [28, 60, 100, 255])
def test_integral_images_are_exact(side: int) -> None:
    images = np.random.default_rng(side).integers(200, 256, (3, side, side))
    ours = integral_image(torch.from_numpy(images).float()).view(3, side + 1, side + 1)[:, 1:, 1:]
    assert np.array_equal(ours.double().numpy(), images.cumsum(1).cumsum(2))


def test_the_centre_is_the_middle_pixel_and_the_borders_are_the_borders() -> None:
    assert pixel_centres(torch.tensor([[0.0, 0.0], [-1.0, 1.0], [-1.01, 1.5]]), 60).tolist() == [[30, 30], [0, 60], [-1, 75]]
