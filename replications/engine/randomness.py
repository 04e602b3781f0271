"""Random numbers by seed: generators for a purpose, their state in checkpoints, and dropout that draws from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seeded_generator(seed: int, purpose: str, device: torch.device | str) -> torch.Generator:
    """Return a new generator for one seed and purpose; distinct purposes give unrelated streams.

    Args:
        seed: of the run, 0 or more.
        purpose: what the numbers are for, for example 'initialise'.
        device: of the tensors that will be drawn.
    """
    source = np.random.SeedSequence([seed, *purpose.encode()]).generate_state(2, dtype=np.uint32)
    generator = torch.Generator(device=device)
    generator.manual_seed(int(source[0]) << 31 | int(source[1]) >> 1)
    return generator


class Generators:
    """The random generators of a training as checkpoint state.

    Args:
        generators: one per seed, or per network.
    """

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self.generators = list(generators)

    def state_dict(self) -> dict[str, Any]:
        """Return every generator's state, uint8 (n_bytes,), by its position."""
        return {str(index): generator.get_state() for index, generator in enumerate(self.generators)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue every stream where it was saved.

        Args:
            state_dict: what `state_dict` returned, for as many generators.
        """
        for index, generator in enumerate(self.generators):
            generator.set_state(state_dict[str(index)].cpu())


def seeded_dropout(inputs: Tensor, rate: float, generators: Sequence[torch.Generator]) -> Tensor:
    """Return inverted dropout that draws each seed's mask from the seed's own generator (Srivastava et al. 2014, section 10).

    Neither a resumed training nor the other seeds of a job change the masks of a seed.

    Args:
        inputs: (seeds, ...).
        rate: share of elements set to zero, in [0, 1).
        generators: one per seed, on the device of `inputs`.

    Returns:
        (seeds, ...): kept elements divided by 1 - rate; at rate 0 `inputs` itself, with nothing drawn.
    """
    if not rate:
        return inputs
    keep = torch.stack([torch.rand(inputs.shape[1:], generator=g, device=inputs.device) >= rate for g in generators])
    return inputs * keep / (1 - rate)
