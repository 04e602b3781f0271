"""What a chunk records: records, artifacts, fingerprints of data, counted cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from replications.engine.chunk import Chunk
from replications.errors import CheckpointError, ReplicationError

if TYPE_CHECKING:
    import datasets

    from replications.engine.datasets import DataSource


@dataclass
class Recording:
    """Everything that a chunk of a run has recorded so far.

    Attributes:
        chunk: paper, run, tier and seeds.
        rows: records, one dictionary each, in the order in which they were made.
        arrays: artifacts by name.
        data: '<source>/<split>' -> origin, rows and fingerprint of what was loaded.
        cost: counted amounts: examples, tokens, flops, train_seconds.
        resumes: times that the chunk was continued from a checkpoint.
    """

    chunk: Chunk
    rows: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    data: dict[str, dict[str, str]] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    resumes: int = 0

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the chunk."""
        return self.chunk.seeds

    def record(
        self,
        metric: str,
        values: float | Sequence[float] | Tensor | np.ndarray,
        *,
        split: str = "test",
        step: int = 0,
        model: str = "",
        axis: str = "",
        at: float | None = None,
        unit: str = "",
        seed: int | None = None,
    ) -> None:
        """Record a metric: one value per seed of the chunk, or one value for the `seed` given.

        Args:
            metric: its name, for example 'accuracy'.
            values: shape (seeds,), or one value with `seed`.
            split: data split that was measured.
            step: training step, 0 where nothing is trained.
            model: which of several networks of the run; empty where there is one.
            axis: name of the run's own axis that `at` is a position on, for example 'beam_size'.
            at: position on `axis`.
            unit: unit of the values.
            seed: the seed of a single value.

        Raises:
            ReplicationError: the number of values is not the number of seeds, or only one of `axis` and `at` is given.
        """
        array = values.detach().double().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values, dtype=float)
        seeds = self.seeds if seed is None else (seed,)
        if array.size != len(seeds):
            raise ReplicationError(f"{self.chunk}: {metric} has {array.size} values for {len(seeds)} seeds.")
        if bool(axis) != (at is not None):
            raise ReplicationError(f"{self.chunk}: {metric} needs both 'axis' and 'at', or neither.")
        base = {"paper": self.chunk.paper, "run": self.chunk.run, "model": model, "split": split, "step": int(step), "metric": metric}
        base |= {"unit": unit, "axis": axis, "at": None if at is None else float(at)}
        self.rows += [base | {"seed": s, "value": float(v)} for s, v in zip(seeds, array.ravel(), strict=True)]

    def artifact(self, name: str, array: np.ndarray | Tensor) -> None:
        """Store an array for figures.

        Args:
            name: of the artifact; an earlier one of this name is replaced.
            array: any shape; the seed axis comes first where there is one.
        """
        self.arrays[name] = array.detach().cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)

    def load(self, source: DataSource, split: str) -> datasets.Dataset:
        """Load and verify one split of a data source, and note its fingerprint for the provenance.

        Args:
            source: declared data set.
            split: name of a split.

        Returns:
            The data set.

        Raises:
            DataError: see `replications.engine.datasets.load`.
        """
        from replications.engine import datasets as sources

        loaded, note = sources.load(source, split)
        self.data[f"{source.name}/{split}"] = note
        return loaded

    def add_cost(self, **amounts: float) -> None:
        """Add to the counted cost.

        Args:
            amounts: by name: examples, tokens, flops, train_seconds.
        """
        for name, amount in amounts.items():
            self.cost[name] = self.cost.get(name, 0.0) + float(amount)

    def state_dict(self) -> dict[str, Any]:
        """Return records, artifacts, cost, number of resumes and notes on data as tensors, numbers and containers of them."""
        arrays = {name: _plain(array) for name, array in self.arrays.items()}
        return {"rows": self.rows, "arrays": arrays, "cost": self.cost, "resumes": self.resumes, "data": self.data}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Replace what was recorded by what a checkpoint holds; the notes on data stay.

        Args:
            state_dict: what `state_dict` returned.

        Raises:
            CheckpointError: the data loaded now is not what the checkpoint was trained on.
        """
        for name, now in self.data.items():
            then = state_dict.get("data", {}).get(name, now)
            if then["fingerprint"] != now["fingerprint"]:
                raise CheckpointError(
                    f"{self.chunk}: the checkpoint was trained on other data of {name}: fingerprint {then['fingerprint']}, now"
                    f" {now['fingerprint']}. Put that data back, or delete the run's .state folder to start afresh."
                )
        self.rows, self.cost, self.resumes = state_dict["rows"], state_dict["cost"], state_dict["resumes"]
        self.arrays = {name: _array(value) for name, value in state_dict["arrays"].items()}


def _plain(array: np.ndarray) -> Tensor | dict[str, Any]:
    """Return an array as a tensor, or, for text, as a list and a shape: checkpoints are read without unpickling objects."""
    if array.dtype.kind == "U":
        return {"text": array.ravel().tolist(), "shape": list(array.shape)}
    return torch.from_numpy(np.ascontiguousarray(array))


def _array(value: Tensor | dict[str, Any]) -> np.ndarray:
    if isinstance(value, dict):
        return np.asarray(value["text"], dtype=str).reshape(value["shape"])
    return value.cpu().numpy()
