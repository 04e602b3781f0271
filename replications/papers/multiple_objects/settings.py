"""Settings of a run, without torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from replications.registry.settings import TrainingInSteps

DIGIT_SIDE = {"mnist": 28, "digits": 8, "svhn": 16}
"""Side of one digit in pixels, by data set; of a house number, of the square around its middle that counts as the digit where it is said
where glimpses go.
"""


class Settings(TrainingInSteps):
    """Settings of one run. The defaults are the published task of digit pairs, at sizes of ours where the paper's are not known."""

    # Data
    dataset: Literal["mnist", "digits", "svhn"] = Field(
        "mnist", description="MNIST; scikit-learn's 8x8 digits (no download); or house numbers (SVHN), whose task is sequence."
    )
    task: Literal["pairs", "sums", "sequence"] = Field(
        "pairs",
        description="pairs: one of the unordered pairs of two digits; sums: the sum of all digits;"
        " sequence: the digits from left to right, then an end symbol.",
    )
    n_classes: int = Field(10, ge=2, le=10, description="Digits 0 to this number minus one are used.")
    canvas: int = Field(100, ge=4, description="Side of the square image in pixels.")
    n_digits: int = Field(2, ge=1, description="Largest number of digits on a canvas; they do not overlap.")
    fewest_digits: int | None = Field(None, ge=1, description="Smallest number of digits on a canvas (task sequence); null: n_digits.")
    crop_side: int = Field(64, ge=4, description="Side of the crop around a house number, of which a network sees a square of side canvas.")
    clutter: int = Field(0, ge=0, description="Patches cut from other digits and added at random places.")
    clutter_side: int = Field(8, ge=1, description="Side of a clutter patch in pixels.")
    n_validation: int = Field(5000, ge=1, description="Canvases of the validation set.")
    n_test: int = Field(10_000, ge=1, description="Canvases of the test set.")
    scored_split: Literal["test", "validation"] = Field("test", description="Split of the final scores; validation for choosing settings.")

    # Networks
    model: Literal["dram", "no-context", "ram", "cnn"] = Field(
        "dram",
        description="Deep recurrent attention; the same without the context network; one layer that does everything (RAM);"
        " a convolutional network that reads the whole image.",
    )
    glimpses: int = Field(4, ge=1, description="Glimpses N per target.")
    glimpse_side: int = Field(12, ge=1, description="Side g of the finest patch, and of every patch once resized.")
    scales: int = Field(2, ge=1, description="Patches per glimpse, of sides g, 2g, 4g, ...; the paper has two.")
    glimpse_size: int = Field(256, ge=1, description="Width of the glimpse vector g_n, and of the hidden layer that reads the patches.")
    glimpse_filters: tuple[int, ...] = Field((), description="Filters of each convolution over the patches; none: fully connected.")
    first_filter_side: Literal[3, 5] = Field(
        3, description="Side of the filters of the first of these convolutions; of the others it is 3."
    )
    hidden_size: int = Field(256, ge=1, description="Units of each LSTM layer, and of RAM's core.")
    classifier_size: int = Field(256, ge=1, description="Units of the classification network's hidden layer.")
    context_side: int = Field(25, ge=4, description="Side of the coarse image that the context network reads.")
    context_filters: tuple[int, int, int] = Field((16, 16, 32), description="Filters of the context network's three 3x3 convolutions.")
    cnn_filters: tuple[int, ...] = Field((64, 64, 64), min_length=1, description="Filters of each 5x5 convolution of model 'cnn'.")
    cnn_size: int = Field(512, ge=1, description="Units of the fully connected layer of model 'cnn'.")

    # Policy
    sigma: float = Field(0.1, gt=0, description="Standard deviation of the location policy, in units of half the canvas.")
    reinforce_weight: float = Field(1.0, ge=0, description="Lambda, weight of the REINFORCE term beside cross-entropy.")
    location_rate: float = Field(1.0, gt=0, description="Factor on the learning rate of the emission and the context network.")
    training_samples: int = Field(1, ge=1, description="Episodes M per image in training.")
    samples: int = Field(10, ge=1, description="Episodes per image whose probabilities are averaged at test (Monte Carlo averaging).")
    shown: int = Field(0, ge=0, description="Test canvases that are stored with their glimpses, the first ones.")

    # Training
    schedule: Literal["constant", "cosine"] = Field("cosine", description="Course of the learning rate after warm-up.")
    clip_value: None = Field(None, description="Not supported: gradients are clipped by their norm.")
    dropout: float = Field(0.0, ge=0, le=0, description="Not supported: the paper has none.")
    weight_decay: float = Field(0.0, ge=0, le=0, description="Not supported: the paper has none.")
    precision: Literal["fp32", "tf32"] = Field("fp32", description="Matrix products: fp32 or tf32 (GPU).")
    evaluations: int = Field(4, ge=1, description="Validations during training.")

    @property
    def digit(self) -> int:
        """Side of one digit in pixels."""
        return DIGIT_SIDE[self.dataset]

    @property
    def min_digits(self) -> int:
        """Smallest number of digits on a canvas."""
        return self.n_digits if self.fewest_digits is None else self.fewest_digits

    @property
    def n_targets(self) -> int:
        """Targets per image: every digit and the end symbol of a sequence, else one."""
        return self.n_digits + 1 if self.task == "sequence" else 1

    @property
    def n_answers(self) -> int:
        """Classes of one target: unordered pairs, sums, or the digits and the end symbol."""
        if self.task == "pairs":
            return self.n_classes * (self.n_classes + 1) // 2
        return self.n_digits * (self.n_classes - 1) + 1 if self.task == "sums" else self.n_classes + 1

    @property
    def n_glimpses(self) -> int:
        """Glimpses per image, over all targets."""
        return self.glimpses * self.n_targets

    @property
    def retina(self) -> int:
        """Side of the coarsest patch in pixels."""
        return self.glimpse_side * 2 ** (self.scales - 1)

    @property
    def patch_pixels(self) -> int:
        """Numbers of one glimpse."""
        return self.scales * self.glimpse_side**2

    def for_trial(self) -> Self:
        """Return a copy with few canvases to evaluate on."""
        return self.model_copy(update={"n_validation": min(64, self.n_validation), "n_test": min(64, self.n_test)})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.dataset == "svhn":
            self._check_house_numbers()
        room = (self.canvas // self.digit) ** 2
        if self.dataset != "svhn" and self.n_digits > room:
            raise ValueError(
                f"n_digits {self.n_digits}: a canvas of {self.canvas} pixels holds at most {room} digits of {self.digit} pixels that do not"
                " overlap; set a larger canvas or fewer digits"
            )
        if self.retina > self.canvas:
            raise ValueError(
                f"canvas {self.canvas} is smaller than the retina, whose coarsest patch is {self.retina} pixels wide (glimpse_side"
                f" {self.glimpse_side} at {self.scales} scales); set a larger canvas, a smaller glimpse_side or fewer scales"
            )
        if self.clutter and self.clutter_side > self.digit:
            raise ValueError(
                f"clutter_side {self.clutter_side} must be at most the side of a digit, {self.digit}: clutter is cut from digits"
            )
        if self.context_side > self.canvas:
            raise ValueError(f"context_side {self.context_side} must be at most canvas {self.canvas}: the coarse image is scaled down")
        if self.task == "pairs" and self.n_digits != 2:
            raise ValueError(f"n_digits {self.n_digits}: task pairs needs two digits; for other numbers set task to sums or sequence")
        if self.min_digits > self.n_digits:
            raise ValueError(f"fewest_digits {self.fewest_digits} must be at most n_digits {self.n_digits}")
        if self.min_digits != self.n_digits and self.task != "sequence":
            raise ValueError(f"fewest_digits: task {self.task} has as many digits on every canvas; set task to sequence or leave it out")
        if self.model == "cnn" and self.task == "sequence":
            raise ValueError("model cnn gives one answer per image; set task to pairs or sums")
        return self

    def _check_house_numbers(self) -> None:
        """Raise ValueError where settings ask for what house numbers do not have."""
        if self.task != "sequence" or self.min_digits != 1 or self.n_classes != 10:
            raise ValueError(
                "dataset svhn: house numbers have one digit or more, 0 to 9; set task to sequence, fewest_digits to 1, n_classes to 10"
            )
        if self.clutter:
            raise ValueError(f"clutter {self.clutter}: house numbers stand in photographs; set clutter to 0")
        if self.canvas > self.crop_side:
            raise ValueError(f"canvas {self.canvas} must be at most crop_side {self.crop_side}, of which it is a square")
