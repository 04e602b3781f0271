"""Digits and clutter on canvases, against slow loops over pixels."""

from __future__ import annotations

import torch

from replications.engine.canvases import add_clutter, place, uniform_integers
from replications.engine.digits import Digits


def digits(n: int = 6, side: int = 5) -> Digits:
    return Digits(torch.randint(256, (n, side, side), generator=torch.Generator().manual_seed(0)).to(torch.uint8), torch.arange(n))


def test_integers_are_uniform_and_stay_below_their_number() -> None:
    just_below_one = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))
    assert all(int(uniform_integers(just_below_one, n)) == n - 1 for n in (1, 3, 360, 50_000, 2**24 - 1))
    counts = uniform_integers(torch.arange(0, 1, 1 / 1024), 8).bincount()
    assert counts.tolist() == [128] * 8


def test_squares_lie_where_their_corners_say() -> None:
    squares = digits().images.view(3, 2, 5, 5)
    corners = torch.tensor([[[0, 0], [7, 7]], [[5, 0], [0, 6]], [[2, 7], [7, 1]]])
    images = torch.ones(3, 12, 12)
    place(images, squares, corners)
    for image, of_image, places in zip(images, squares, corners.tolist(), strict=True):
        expected = torch.ones(12, 12)
        for pixels, (x, y) in zip(of_image, places, strict=True):
            expected[y : y + 5, x : x + 5] = pixels
        assert torch.equal(image, expected)


def test_clutter_is_cut_from_digits_added_where_it_falls_and_clipped_at_the_end() -> None:
    source, side = digits(), 3
    uniforms = torch.rand(4, 7, 5, generator=torch.Generator().manual_seed(1))
    images = torch.full((4, 9, 9), 40.0)
    add_clutter(images, source, uniforms, side)
    for image, patches in zip(images, uniforms.tolist(), strict=True):
        expected = torch.full((9, 9), 40.0)
        for which, cut_x, cut_y, put_x, put_y in patches:
            left, top = int(cut_x * 3), int(cut_y * 3)  # a patch of 3 in a digit of 5 starts at 0, 1 or 2
            x, y = int(put_x * 7), int(put_y * 7)
            expected[y : y + side, x : x + side] += source.images[int(which * 6), top : top + side, left : left + side]
        assert torch.equal(image, expected.clamp(max=255))
