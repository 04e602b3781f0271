"""The network that learns to stop against loops and Wald's test, and the patches of a fovea against the image they must cover."""

from __future__ import annotations

import math

import pytest
import torch

from replications.papers.foundations.costs import FOVEA, PATCH, foveated_patches
from replications.papers.foundations.looking_enough import GLIMPSES, NOISE, SIDES, Observers, draw_glimpses, stop_probabilities


def test_the_probability_of_a_stop_is_that_of_going_on_until_then() -> None:
    stops = torch.randn(3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for row, fast in zip(stops.tolist(), stop_probabilities(stops).tolist(), strict=True):
        going, slow = 1.0, []
        for t, logit in enumerate(row):
            chance = 1 / (1 + math.exp(-logit)) if t < len(row) - 1 else 1.0
            slow.append(going * chance)
            going *= 1 - chance
        assert fast == pytest.approx(slow)
        assert sum(fast) == pytest.approx(1)


def test_the_network_reads_what_was_seen_so_far_and_nothing_later() -> None:
    network = Observers(5, [torch.Generator().manual_seed(s) for s in range(2)])
    glimpses = torch.randn(2, 3, GLIMPSES, generator=torch.Generator().manual_seed(1))
    changed = glimpses.clone()
    changed[..., 10] += 1
    for before, after in zip(network(glimpses), network(changed), strict=True):
        torch.testing.assert_close(before[..., :10], after[..., :10], rtol=0, atol=0)
        assert (before[..., 10:] != after[..., 10:]).any(dim=2).all()


def test_stopping_by_walds_rule_gains_four_points_over_a_fixed_number() -> None:
    """What the reason of the claim says: log-likelihood ratios of the drawn glimpses, stopped at a bound, about eleven glimpses on average."""
    glimpses, classes = draw_glimpses(20_000, torch.Generator().manual_seed(2))
    ratios = (2 / NOISE**2 * glimpses).cumsum(dim=1)
    crossed = ratios.abs() > 5.3
    crossed[:, -1] = True
    last = crossed.int().argmax(dim=1)
    right = (ratios > 0) == (classes > 0.5).unsqueeze(1)
    number = round(float((last + 1).double().mean()))
    gain = 100 * float(right[torch.arange(len(right)), last].double().mean() - right[:, number - 1].double().mean())
    assert 10 <= number <= 13
    assert 3 < gain < 5


@pytest.mark.parametrize("side", SIDES)
def test_the_patches_of_a_fovea_cover_every_pixel_once_and_are_smallest_in_the_middle(side: int) -> None:
    covered = torch.zeros(side, side, dtype=torch.int)
    for x, y, size in foveated_patches(side):
        covered[y : y + size, x : x + size] += 1
        distance = max(abs(2 * x + size - side), abs(2 * y + size - side)) / 2
        assert size == PATCH or distance > size * FOVEA / 4  # outside the square of the next smaller patches
    assert (covered == 1).all()
