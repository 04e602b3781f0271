"""Settings of the game of Catch (section 4.2). Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from replications.registry.settings import TrainingInSteps


class CatchSettings(TrainingInSteps):
    """Rules of the game, sizes of the agent, and its training. The defaults are the published board and agent, with our recipe."""

    board: int = Field(24, ge=3, description="Side of the square screen in pixels; a game has so many frames.")
    paddle: int = Field(2, ge=1, description="Width of the paddle in pixels; it moves by one pixel a frame.")
    speed: Literal["continuous", "integer"] = Field(
        "continuous", description="Columns that the ball moves a frame: uniform in [-max_speed, max_speed], or a whole number from it."
    )
    max_speed: float = Field(1.0, ge=0, description="Largest horizontal speed of the ball in columns a frame; its vertical speed is 1 row.")

    glimpse_side: int = Field(6, ge=1, description="Side g of the finest patch, and of every patch once reduced.")
    scales: int = Field(3, ge=1, description="Patches per glimpse, of sides g, 2g, 4g, ...")
    glimpse_size: int = Field(128, ge=1, description="Width of h_g and of h_l; the glimpse vector g has twice as many units.")
    core: Literal["lstm", "relu"] = Field(
        "lstm", description="Core network: LSTM, as published for this task, or the classifier's ReLU layer."
    )
    hidden_size: int = Field(256, ge=1, description="Width of the recurrent core.")
    locator_size: int = Field(0, ge=0, description="Hidden units of the location network; 0: linear, as published.")
    gaze: Literal["learned", "random"] = Field("learned", description="Learned locations, or every location uniformly random.")
    sigma: float = Field(0.2, gt=0, description="Standard deviation of the location policy, in units of half the board.")
    location_weight: float = Field(1.0, ge=0, description="Weight of REINFORCE for locations beside REINFORCE for moves.")
    entropy_weight: float = Field(0.01, ge=0, description="Weight of the entropy of moves, which keeps the policy from settling too soon.")

    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate of Adam.")
    schedule: Literal["cosine", "linear"] = Field("cosine", description="How the learning rate goes to zero after warm-up.")
    warmup_share: float = Field(0.0, ge=0, lt=1, description="Linear warm-up, as a share of all updates.")
    batch_size: int = Field(256, ge=1, description="Games per seed and update.")
    n_steps: int = Field(3400, ge=1, description="Updates.")
    clip_norm: float | None = Field(None, gt=0, description="Largest gradient norm of one seed; null: not clipped.")
    precision: Literal["tf32", "fp32"] = Field("tf32", description="Matrix products on a GPU; CPUs always use fp32.")
    weight_decay: Literal[0] = Field(0, description="Not supported.")
    clip_value: None = Field(None, description="Not supported.")
    dropout: Literal[0] = Field(0, description="Not supported.")
    cuda_graph: Literal[True] = Field(True, description="On a GPU one update is always one graph.")
    evaluations: int = Field(20, ge=1, description="Validations during training, on `n_test` games of their own.")
    n_test: int = Field(10_000, ge=1, description="Games of the test set, and of the validation set.")

    @property
    def patch_pixels(self) -> int:
        """Number of values of one glimpse."""
        return self.scales * self.glimpse_side**2

    @property
    def decisions(self) -> int:
        """Decisions of a game: one in every frame but the last, in which the ball is at the bottom."""
        return self.board - 1

    @model_validator(mode="after")
    def _fits(self) -> CatchSettings:
        if self.glimpse_side > self.board:
            raise ValueError(
                f"glimpse_side {self.glimpse_side} is larger than board {self.board}; the finest patch must fit on the screen: "
                "lower glimpse_side or enlarge the board"
            )
        coarsest = self.glimpse_side * 2 ** (self.scales - 1)
        if coarsest > 2 * self.board:
            raise ValueError(
                f"scales {self.scales}: the coarsest patch of {coarsest} pixels is more than twice board {self.board}, which shows the whole "
                "screen from every location; lower scales"
            )
        if self.paddle >= self.board:
            raise ValueError(f"paddle {self.paddle} is as wide as board {self.board}, so that every game is won; use a narrower paddle")
        if self.max_speed > self.board:
            raise ValueError(
                f"max_speed {self.max_speed:g} is larger than board {self.board}: the ball would bounce twice in a frame; lower it"
            )
        if self.speed == "integer" and self.max_speed != int(self.max_speed):
            raise ValueError(f"max_speed {self.max_speed:g} must be a whole number with speed 'integer'")
        return self
