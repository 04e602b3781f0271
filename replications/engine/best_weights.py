"""Early stopping by validation loss, for networks that are trained together: each seed keeps the weights of its own best validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class BestWeights:
    """The weights of each seed at its lowest validation loss so far, as checkpoint state.

    A seed that has no finite validation loss keeps the weights that it had when this object was made.

    Args:
        n_seeds: networks that are trained together: seeds, or seeds times the members of an ensemble.
        stacked: module whose parameters have a leading seed axis, (n_seeds, ...).
        separate: one module per seed, for what has no leading seed axis.

    Attributes:
        losses: lowest validation loss of each seed, float64 (n_seeds,) on the CPU; infinite before the first one.
        steps: updates after which it was reached, int64 (n_seeds,) on the CPU.

    Raises:
        ValueError: `separate` holds another number of modules.
    """

    def __init__(self, n_seeds: int, *, stacked: nn.Module | None = None, separate: Sequence[nn.Module] = ()) -> None:
        if separate and len(separate) != n_seeds:
            raise ValueError(f"{len(separate)} separate modules for {n_seeds} seeds")
        self.stacked, self.separate = stacked, separate
        self.losses = torch.full((n_seeds,), torch.inf, dtype=torch.float64)
        self.steps = torch.zeros(n_seeds, dtype=torch.long)
        self._weights = [[weight.clone() for weight in self._current(seed)] for seed in range(n_seeds)]

    def _current(self, seed: int) -> list[Tensor]:
        """Return the present weights of one seed, as views."""
        weights = [] if self.stacked is None else [parameter.detach()[seed] for parameter in self.stacked.parameters()]
        return weights + ([parameter.detach() for parameter in self.separate[seed].parameters()] if self.separate else [])

    def update(self, losses: Tensor, step: int = 0) -> None:
        """Store the present weights of the seeds whose loss is lower than all before.

        Args:
            losses: validation loss, or error, of each seed, (n_seeds,).
            step: updates made so far.
        """
        losses = losses.detach().double().cpu()
        for seed in torch.nonzero(losses < self.losses).flatten().tolist():
            self.losses[seed], self.steps[seed] = losses[seed], step
            _copy(self._current(seed), self._weights[seed])

    def restore(self) -> None:
        """Overwrite the modules' weights with the stored ones."""
        for seed, weights in enumerate(self._weights):
            _copy(weights, self._current(seed))

    def state_dict(self) -> dict[str, Any]:
        """Return losses, steps and stored weights.

        Returns:
            Keys 'losses', 'steps' and 'weights', the last with a list of tensors for each seed.
        """
        return {"losses": self.losses, "steps": self.steps, "weights": self._weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint; the modules' own weights stay as they are.

        Args:
            state_dict: what `state_dict` returned, for modules of the same shapes.
        """
        self.losses, self.steps = state_dict["losses"].cpu(), state_dict["steps"].cpu()
        for weights, saved in zip(self._weights, state_dict["weights"], strict=True):
            _copy(saved, weights)


def _copy(source: Sequence[Tensor], target: Sequence[Tensor]) -> None:
    for old, new in zip(target, source, strict=True):
        old.copy_(new)
