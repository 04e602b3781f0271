"""The baseline of the speed comparison extracts the same glimpses."""

import pytest
import torch

from replications.papers.recurrent_attention.integral_sensor import IntegralGlimpseSensor, integral_image
from replications.papers.recurrent_attention.library_baseline import BaselineRetina


@pytest.mark.parametrize(("canvas", "side", "scales"), [(28, 8, 1), (60, 12, 3)])
def test_glimpses_agree(canvas: int, side: int, scales: int) -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (64, 1, canvas, canvas), generator=generator).float()
    locations = torch.rand(64, 2, generator=generator) * 2 - 1
    ours = IntegralGlimpseSensor(canvas, side, scales, torch.device("cpu"))(integral_image(pixels), locations)
    # The baseline averages float fractions, ours exact integers: equal to rounding.
    torch.testing.assert_close(ours, BaselineRetina(side, scales)(pixels / 255, locations), rtol=0, atol=3e-7)
