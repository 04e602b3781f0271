"""Settings of a run, without torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from replications.registry.settings import TrainingInSteps

DIGIT_SIDE = {"mnist": 28, "digits": 8}
"""Side of one digit in pixels, by data set."""


class Settings(TrainingInSteps):
    """Settings of one run. The defaults are ours: the paper's are not known."""

    # Data
    dataset: Literal["mnist", "digits"] = Field("mnist", description="MNIST, or scikit-learn's 8x8 digits (no download).")
    n_classes: int = Field(10, ge=2, le=10, description="Digits 0 to this number minus one are used.")
    canvas: int = Field(100, ge=4, description="Side of the square image in pixels; one digit stands anywhere on it.")
    clutter: int = Field(0, ge=0, description="Patches cut from other digits and added at random places.")
    clutter_side: int = Field(8, ge=1, description="Side of a clutter patch in pixels.")
    n_validation: int = Field(5000, ge=1, description="Canvases of the validation set.")
    n_test: int = Field(10_000, ge=1, description="Canvases of the test set.")
    scored_split: Literal["test", "validation"] = Field("test", description="Split of the final scores; validation for choosing settings.")

    # Networks
    model: Literal["unified", "ram", "random-cell", "q-only"] = Field(
        "unified",
        description="A cell chosen by Q-learning and a move within it; recurrent attention without cells; the move within a random cell;"
        " the centre of the chosen cell, without a move.",
    )
    glimpses: int = Field(6, ge=2, description="Glimpses T; the first is at a random place, the others are decided.")
    glimpse_side: int = Field(12, ge=1, description="Side g of the finest patch, and of every patch once resized.")
    scales: int = Field(3, ge=1, description="Patches per glimpse, of sides g, 2g, 4g, ...")
    glimpse_size: int = Field(128, ge=1, description="Width of h_g and of h_l; the glimpse vector g has twice as many units.")
    hidden_size: int = Field(256, ge=1, description="Width of the recurrent core h.")
    pyramid_factor: int = Field(4, ge=1, description="How many times smaller the side of the pyramid's level is than that of the image.")
    grid: int = Field(5, ge=1, description="Cells k per row and column; the level of the pyramid is cut into k x k cells.")
    q_size: int = Field(128, ge=1, description="Hidden units of the Q network.")

    # Policy
    epsilon: float = Field(0.1, ge=0, le=1, description="Share of the decisions in training that take a random cell.")
    sigma: float = Field(0.1, gt=0, description="Standard deviation of the location policy, in units of half the canvas.")
    reinforce_weight: float = Field(0.1, ge=0, description="Weight of the REINFORCE loss beside cross-entropy.")
    location_rate: float = Field(1.0, gt=0, description="Factor on the learning rate of the location network.")
    level: float = Field(10.0, gt=0, lt=100, description="Validation error in % whose first undercutting is recorded.")
    shown: int = Field(0, ge=0, description="Test canvases that are stored with glimpses and Q values, the first ones.")

    # Training
    schedule: Literal["constant", "cosine"] = Field("cosine", description="Course of the learning rate after warm-up.")
    clip_value: None = Field(None, description="Not supported: gradients are clipped by their norm.")
    dropout: float = Field(0.0, ge=0, le=0, description="Not supported.")
    weight_decay: float = Field(0.0, ge=0, le=0, description="Not supported.")
    precision: Literal["fp32", "tf32"] = Field("fp32", description="Matrix products: fp32 or tf32 (GPU).")
    evaluations: int = Field(10, ge=1, description="Validations during training.")

    @property
    def digit(self) -> int:
        """Side of one digit in pixels."""
        return DIGIT_SIDE[self.dataset]

    @property
    def patch_pixels(self) -> int:
        """Numbers of one glimpse."""
        return self.scales * self.glimpse_side**2

    @property
    def decisions(self) -> int:
        """Decisions where to look next: one after each glimpse but the last."""
        return self.glimpses - 1

    @property
    def has_cells(self) -> bool:
        """Whether glimpses are placed by the cells of a grid."""
        return self.model != "ram"

    @property
    def has_q(self) -> bool:
        """Whether cells are chosen by their Q value."""
        return self.model in ("unified", "q-only")

    @property
    def has_moves(self) -> bool:
        """Whether a location network moves the glimpse and learns by REINFORCE."""
        return self.model != "q-only"

    @property
    def level_side(self) -> int:
        """Side of the pyramid's level in pixels."""
        return self.canvas // self.pyramid_factor

    @property
    def cell_side(self) -> int:
        """Side of one cell in pixels of the pyramid's level."""
        return self.level_side // self.grid

    def for_trial(self) -> Self:
        """Return a copy with few canvases to evaluate on."""
        return self.model_copy(update={"n_validation": min(64, self.n_validation), "n_test": min(64, self.n_test)})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.digit > self.canvas:
            raise ValueError(f"canvas {self.canvas} is smaller than a digit of '{self.dataset}' ({self.digit} pixels); set a larger canvas")
        if self.glimpse_side > self.canvas:
            raise ValueError(
                f"glimpse_side {self.glimpse_side} is larger than canvas {self.canvas}: a glimpse must be smaller than the image;"
                " set a smaller glimpse_side or a larger canvas"
            )
        if self.clutter and self.clutter_side > self.digit:
            raise ValueError(
                f"clutter_side {self.clutter_side} must be at most the side of a digit, {self.digit}: clutter is cut from digits"
            )
        if self.has_cells:
            self._cells_fit()
        return self

    def _cells_fit(self) -> None:
        if self.canvas % self.pyramid_factor:
            raise ValueError(
                f"canvas {self.canvas} cannot be divided by pyramid_factor {self.pyramid_factor}, so that the pyramid's level would not"
                f" cover it; set canvas to a multiple of {self.pyramid_factor}, for example"
                f" {self.canvas - self.canvas % self.pyramid_factor + self.pyramid_factor}"
            )
        if self.level_side % self.grid:
            raise ValueError(
                f"grid {self.grid}: the pyramid's level of {self.level_side}x{self.level_side} pixels (canvas {self.canvas} by pyramid_factor"
                f" {self.pyramid_factor}) cannot be cut into {self.grid} equal cells a row; set grid to one of {_divisors(self.level_side)}"
            )
        if not self.has_moves and self.decisions > self.grid**2:
            raise ValueError(
                f"glimpses {self.glimpses}: without a move within the cell there are {self.grid**2} places in a grid of"
                f" {self.grid}x{self.grid}, fewer than the {self.decisions} glimpses after the first, so that some would be looked at twice;"
                f" set glimpses to at most {self.grid**2 + 1} or a larger grid"
            )


def _divisors(n: int) -> str:
    return ", ".join(str(i) for i in range(1, n + 1) if n % i == 0)
