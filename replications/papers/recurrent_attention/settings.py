"""Settings of this paper's runs. Free of torch, so that runs.yaml is validated before anything starts."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from replications.papers.recurrent_attention.catch_settings import CatchSettings
from replications.registry.settings import TrainingInSteps

DIGIT_SIDE = {"mnist": 28, "digits": 8}
"""Side of one digit in pixels, by data set."""


class NetworkSizes(Protocol):
    """Sizes that the parts of the model take from the settings, those of the classifier or those of the agent that plays Catch."""

    @property
    def patch_pixels(self) -> int:
        """Number of values of one glimpse."""

    @property
    def glimpse_size(self) -> int:
        """Width of h_g and of h_l."""

    @property
    def hidden_size(self) -> int:
        """Width of the recurrent core."""

    @property
    def locator_size(self) -> int:
        """Hidden units of the location network; 0: linear."""


class Settings(TrainingInSteps):
    """Settings of one run. The defaults are the published network on centred 28x28 digits, trained by our recipe."""

    experiment: Literal["accuracy", "cost", "catch"] = Field(
        "accuracy",
        description="Train and test a model, count and time models of this run's sizes over `cost_canvases`, or train agents to play Catch.",
    )
    catch: CatchSettings | None = Field(
        None,
        description="Everything about a run of experiment 'catch', which reads no other setting; its keys are described in catch_settings.py.",
    )
    dataset: Literal["mnist", "digits"] = Field("mnist", description="MNIST, or scikit-learn's 8x8 digits (no download).")
    canvas: int = Field(28, ge=4, description="Side of the square image in pixels.")
    translated: bool = Field(False, description="Place each digit uniformly at random on the canvas; else in its centre.")
    clutter: int = Field(0, ge=0, description="Patches cut from other digits and added at random places.")
    clutter_side: int = Field(8, ge=1, description="Side of a clutter patch in pixels.")
    n_test: int = Field(10_000, ge=1, description="At most so many digits of the test set, and of the validation set.")
    test_copies: int = Field(1, ge=1, description="Placements of every digit in the validation and test sets.")

    model: Literal["ram", "fc", "conv", "cnn", "soft"] = Field(
        "ram",
        description="Recurrent attention; two fully connected layers; the paper's one-convolution network; a modern CNN; soft attention.",
    )
    glimpses: int = Field(6, ge=1, description="Glimpses T (soft attention: recurrent steps).")
    glimpse_side: int = Field(8, ge=1, description="Side g of the finest patch, and of every patch once resized.")
    scales: int = Field(1, ge=1, description="Patches per glimpse, of sides g, 2g, 4g, ...")
    glimpse_size: int = Field(128, ge=1, description="Width of h_g and of h_l; the glimpse vector g has twice as many units.")
    hidden_size: int = Field(256, ge=1, description="Width of the recurrent core h.")
    policy: Literal["learned", "random", "fixed"] = Field(
        "learned", description="Learned locations, every location uniformly random, or one path for all images (its start is random)."
    )
    locator_size: int = Field(0, ge=0, description="Hidden units of the location network; 0: linear, as published.")
    combination: Literal["add", "multiply"] = Field(
        "add",
        description="How the glimpse network joins what is seen with where: the sum of two layers, as published, or their product (Ba et al. 2015).",
        exclude_if=lambda combination: combination == "add",  # as `catch`: other runs keep the digest that they had before
    )
    sigma: float = Field(0.1, gt=0, description="Standard deviation of the location policy, in units of half the canvas.")
    sigma_end: float | None = Field(
        None,
        gt=0,
        description="Standard deviation at the last update, to which that of the first falls or rises linearly; null: constant.",
        exclude_if=lambda sigma_end: sigma_end is None,
    )
    episodes: int = Field(
        1,
        ge=1,
        description="Episodes per image and update in training, whose gradients are averaged.",
        exclude_if=lambda episodes: episodes == 1,
    )
    reward: Literal["correct", "log-probability"] = Field(
        "correct",
        description="What REINFORCE maximises: 1 for a right class, or the logarithm of the right class's probability.",
        exclude_if=lambda reward: reward == "correct",
    )
    baseline: Literal["none", "moving-average", "learned"] = Field("learned", description="What REINFORCE subtracts from the reward.")
    reinforce_weight: float = Field(0.01, ge=0, description="Weight of the REINFORCE loss beside cross-entropy.")
    fc_size: int = Field(256, ge=1, description="Width of both layers of model 'fc', and of the layer after the convolution of 'conv'.")
    conv_filters: int = Field(8, ge=1, description="Filters of model 'conv'.")
    conv_side: int = Field(10, ge=1, description="Filter side of model 'conv'.")
    conv_stride: int = Field(5, ge=1, description="Stride of model 'conv'.")
    cnn_filters: tuple[int, ...] = Field((32, 32, 64, 64), min_length=3, description="Filters of each 3x3 convolution of model 'cnn'.")

    optimiser: Literal["adam", "sgd"] = Field("adam", description="Adam, or SGD with momentum 0.9 as published.")
    learning_rate: float = Field(1e-3, gt=0, description="Initial and peak learning rate, annealed to zero.")
    location_rate: float = Field(1.0, gt=0, description="With Adam: rate of the location network, as a multiple of the others'.")
    schedule: Literal["cosine", "linear"] = Field("cosine", description="How the learning rate goes to zero.")
    batch_size: int = Field(256, ge=1, description="Images per seed and update.")
    n_steps: int = Field(20000, ge=1, description="Updates.")
    precision: Literal["tf32", "fp32"] = Field("tf32", description="Matrix products on a GPU; CPUs always use fp32.")
    warmup_share: Literal[0] = Field(0, description="Not supported: there is no warm-up.")
    weight_decay: Literal[0] = Field(0, description="Not supported.")
    clip_norm: None = Field(None, description="Not supported: gradients are not clipped.")
    clip_value: None = Field(None, description="Not supported: gradients are not clipped.")
    dropout: Literal[0] = Field(0, description="Not supported.")
    cuda_graph: Literal[True] = Field(True, description="On a GPU one update is always one graph.")
    evaluations: int = Field(
        20, ge=1, description="Validations during training; the checkpoint with the lowest error is tested as model 'best'."
    )
    samples: int = Field(10, ge=1, description="Episodes averaged for the second test figure; the headline uses one.")
    cost_canvases: tuple[int, ...] = Field((28, 60, 100, 140, 200), min_length=2, description="Image sides of the cost measurement.")

    @property
    def digit(self) -> int:
        """Side of a digit in pixels."""
        return DIGIT_SIDE[self.dataset]

    @property
    def patch_pixels(self) -> int:
        """Number of values of one glimpse."""
        return self.scales * self.glimpse_side**2

    def for_trial(self) -> Settings:
        """Reduce the evaluation for a trial.

        Returns:
            A copy with at most 500 test digits and two episodes per averaged error.
        """
        catch = self.catch and self.catch.model_copy(update={"n_test": min(self.catch.n_test, 500)})
        return self.model_copy(update={"samples": 2, "n_test": min(self.n_test, 500), "catch": catch})

    @property
    def game(self) -> CatchSettings:
        """The settings of a run of experiment 'catch'.

        Raises:
            ValueError: the run is of another experiment.
        """
        if self.catch is None:
            raise ValueError(f"experiment '{self.experiment}' plays no game")
        return self.catch

    @model_serializer(mode="wrap")
    def _without_a_game_that_is_not_played(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `catch` out where there is none, so that other runs keep the digest that they had before the game came in."""
        content: dict[str, Any] = serialise(self)
        return content if self.catch else {key: value for key, value in content.items() if key != "catch"}

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        if (self.experiment == "catch") != (self.catch is not None):
            raise ValueError("experiment 'catch' and the key 'catch', its settings, belong together: give both or neither")
        if self.catch:
            return self
        if self.canvas < self.digit:
            raise ValueError(f"canvas {self.canvas} is smaller than a digit of '{self.dataset}' ({self.digit} pixels); enlarge the canvas")
        if self.clutter and self.clutter_side > self.digit:
            raise ValueError(f"clutter_side {self.clutter_side} is larger than a digit ({self.digit} pixels) that it is cut from")
        if self.model in {"ram", "soft"}:
            self._glimpse_fits()
        if self.model == "conv" and self.conv_side > self.canvas:
            raise ValueError(f"conv_side {self.conv_side} is larger than canvas {self.canvas}; use a smaller filter")
        if self.model == "cnn" and 2 ** len(self.cnn_filters) > self.canvas:
            raise ValueError(f"cnn_filters has {len(self.cnn_filters)} layers, each halves canvas {self.canvas}; use fewer layers")
        return self

    def _glimpse_fits(self) -> None:
        if self.glimpse_side > self.canvas:
            raise ValueError(
                f"glimpse_side {self.glimpse_side} is larger than canvas {self.canvas}; a glimpse must be smaller than the image: "
                "lower glimpse_side or enlarge the canvas"
            )
        coarsest = self.glimpse_side * 2 ** (self.scales - 1)
        if self.model == "ram" and coarsest > 2 * self.canvas:
            raise ValueError(
                f"scales {self.scales}: the coarsest patch of {coarsest} pixels is more than twice canvas {self.canvas}, which shows the whole image "
                "from every location; lower scales"
            )
