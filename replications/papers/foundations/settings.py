"""Settings of a run, without torch."""

from typing import Literal

from pydantic import Field

from replications.registry.settings import RunSettings


class Settings(RunSettings):
    """Settings of one run: which group of statements is checked, and on how much."""

    experiment: Literal["statements", "further", "estimators", "detector", "hello", "same", "captions", "questions", "glimpses"] = Field(
        "statements", description="What the run does."
    )
    n_cases: int = Field(20, ge=1, description="Random networks and inputs on which each exact statement is checked, per seed.")
    n_vectors: int = Field(4000, ge=100, description="Pairs of vectors of which dot products are taken; trained on images: test images.")
    n_draws: int = Field(4000, ge=100, description="Locations drawn per image to estimate a gradient and its variance.")
    hidden_size: int = Field(3, ge=1, description="Hidden units of a trained network; on images: features per token.")
    n_starts: int = Field(32, ge=1, description="Random starts per seed from which the detector is trained.")
    n_steps: int = Field(800, ge=1, description="Updates of a training.")
    batch_size: int = Field(64, ge=1, description="Strings, or images, per update.")
    learning_rate: float = Field(0.02, gt=0, description="Learning rate of Adam.")
