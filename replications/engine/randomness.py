"""Random numbers by seed: generators for a purpose, their state in checkpoints, and dropout that draws from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def seeded_generator(seed: int, purpose: str, device: torch.device | str) -> torch.Generator:
    """Return a new generator for one seed and purpose; distinct purposes give unrelated streams.

    Args:
        seed: of the run, 0 or more.
        purpose: what the numbers are for, for example 'initialise'.
        device: of the tensors that will be drawn.

    Returns:
        A generator at the start of its stream.
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


class SeededDropout(nn.Module):
    """Inverted dropout of one network, with masks from a generator that `set_dropout_generator` hands to all such layers.

    Without training mode, or at rate 0, the input passes unchanged and nothing is drawn.

    Args:
        rate: share of elements set to zero, in [0, 1).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return `inputs` of any shape with dropout.

        Args:
            inputs: on the generator's device.

        Returns:
            Of the shape of `inputs`.

        Raises:
            RuntimeError: there is no generator to draw from.
        """
        if not self.training or not self.rate:
            return inputs
        if self.generator is None:
            raise RuntimeError("dropout without a generator; call set_dropout_generator before training")
        return seeded_dropout(inputs[None], self.rate, [self.generator])[0]


def set_dropout_generator(network: nn.Module, generator: torch.Generator) -> None:
    """Let all `SeededDropout` layers of a network draw from one generator.

    Args:
        network: one seed's network.
        generator: on the network's device; part of the checkpoint, or made anew for every step.
    """
    for module in network.modules():
        if isinstance(module, SeededDropout):
            module.generator = generator


@contextmanager
def seeded_library(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators within the block, for library layers that take no generator; restore them afterwards.

    Args:
        seed: of the block.
        device: whose generators are restored, beside the CPU's.

    Yields:
        Nothing.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
