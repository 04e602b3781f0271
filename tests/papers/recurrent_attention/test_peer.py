"""The peer of the speed comparison sees what we see."""

import pytest
import torch

from replications.papers.recurrent_attention.peer import PeerRetina
from replications.papers.recurrent_attention.sensor import Sensor, integral_image


@pytest.mark.parametrize(("canvas", "side", "scales"), [(28, 8, 1), (60, 12, 3)])
def test_glimpses_agree(canvas: int, side: int, scales: int) -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (64, 1, canvas, canvas), generator=generator).float()
    locations = torch.rand(64, 2, generator=generator) * 2 - 1
    ours = Sensor(canvas, side, scales, torch.device("cpu"))(integral_image(pixels), locations)
    # The peer averages float fractions, we exact integers: equal to rounding.
    torch.testing.assert_close(ours, PeerRetina(side, scales)(pixels / 255, locations), rtol=0, atol=3e-7)
