"""The base of a paper's run settings, and the settings that several papers share, with one name and one unit each."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from replications.registry.schema import Strict

Schedule = Literal["constant", "cosine", "linear", "epochs"]
Precision = Literal["fp32", "tf32", "bf16", "auto"]


class RunSettings(Strict):
    """Base of a paper's `settings.Settings`: each field has a default, or a description of what to give."""

    @property
    def deterministic(self) -> bool:
        """True where nothing in the run is random, so that every seed gives equal records; of any other run those would be copies."""
        return False

    @property
    def solves_or_fails(self) -> bool:
        """True where a training either learns its task or fails altogether, so that those which learned do not exclude one that fails."""
        return False

    def for_trial(self) -> Self:
        """Return a copy for a trial run: the same networks, batches and recipe, with little to evaluate on."""
        return self

    def in_fp32(self) -> Self:
        """Return a copy for a machine without native bf16 support: matrix products in fp32."""
        return self


class TrainingSettings(RunSettings):
    """Settings of a training that several papers share. A paper overrides defaults and leaves out values that it does not support.

    A paper measures the length of its trainings either in updates (`TrainingInSteps`) or in epochs (`TrainingInEpochs`).
    """

    batch_size: int = Field(64, ge=1, description="Examples per seed and update, over all devices.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate.")
    schedule: Schedule = Field("cosine", description="Course of the learning rate after warm-up.")
    warmup_share: float = Field(0.0, ge=0, lt=1, description="Linear warm-up, as a share of all updates.")
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay of matrices, multiplied by the learning rate.")
    clip_norm: float | None = Field(None, gt=0, description="Largest gradient norm of one seed; null: not clipped.")
    clip_value: float | None = Field(None, gt=0, description="Each element of the gradient is kept within +/- this; null: not clipped.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of units dropped in training.")
    precision: Precision = Field(
        "fp32", description="Matrix products: fp32, tf32 (GPU) or bf16; auto: bf16 where the device is faster with it at equal quality."
    )
    cuda_graph: bool = Field(True, description="On a GPU, capture one update as one graph.")
    evaluations: int = Field(10, ge=1, description="Validations during training.")


class TrainingInSteps(TrainingSettings):
    """A training whose length is a number of updates."""

    n_steps: int = Field(1000, ge=1, description="Updates.")


class TrainingInEpochs(TrainingSettings):
    """A training whose length is a number of epochs."""

    epochs: float = Field(1.0, gt=0, description="Passes over the training data.")
