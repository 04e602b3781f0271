"""Settings of a run. Does not import torch, so that runs.yaml can be validated quickly."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from replications.registry.schema import Strict
from replications.registry.settings import TrainingInSteps

VIT_SIZES: dict[str, tuple[int, int, int]] = {
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "huge": (1280, 32, 16),
}
"""Name -> width D, layers L and heads k; base, large and huge as in Table 1 of the paper, tiny and small as in DeiT."""

IMAGE_SETS: dict[str, tuple[int, int, int]] = {
    "cifar10": (32, 10, 45_000),
    "digits": (8, 10, 1197),
    "imagenet-1k": (0, 1000, 1_281_167),
    "imagenet-21k": (0, 19_167, 13_151_276),
}
"""Data set -> side in pixels (0: resized to `image_size`), classes, training images; 5,000 images of CIFAR-10 are for validation."""

Augmentation = Literal["none", "light", "strong"]


class SubRun(Strict):
    """One training of a run with several trainings: its differences from the settings of the run."""

    label: str = Field(pattern=r"^[a-z0-9.-]+$", description="Name within the run: the `model` of its records.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Replaced settings; any field but `sub_runs` and `experiment`.")


class Settings(TrainingInSteps):
    """Settings of a run; the defaults are a small ViT on formula-driven images."""

    experiment: Literal["accuracy", "frontier", "tuning", "counts"] = Field(
        "accuracy",
        description="accuracy: one training. frontier: several, whose accuracy and compute form one frontier per family. tuning: several, "
        "compared on validation images. counts: parameters and compute of several networks, counted without training.",
    )
    sub_runs: tuple[SubRun, ...] = Field((), description="The trainings of a frontier, tuning or counts run.")

    dataset: Literal["fractals", "cifar10", "digits", "imagenet-1k", "imagenet-21k"] = Field("fractals", description="Training images.")
    n_images: int = Field(4096, ge=1, description="Training images N; the number of updates does not depend on it.")
    image_size: int = Field(16, ge=4, description="Side of the images in pixels.")
    n_classes: int = Field(64, ge=2, description="Classes of the formula-driven images; the other sets have their own number.")
    siblings: int = Field(4, ge=1, description="Formula-driven classes per common ancestor.")
    spread: float = Field(0.3, gt=0, le=1, description="Distance between sibling classes, as a share of each factor's range.")
    jitter: float = Field(0.05, ge=0, description="Relative standard deviation of an instance's coefficients from those of its class.")
    clutter: float = Field(0.3, ge=0, le=1, description="Size of a distracting attractor relative to the image; 0: none.")
    colours: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Range of colours; up to 0.5 the shape is lighter than its background, at 1 any pair of colours occurs.",
    )
    detail: int = Field(4, ge=2, le=8, description="A formula-driven image consists of 4**detail points.")
    n_test: int = Field(
        10_000,
        ge=64,
        description="Images of the test set and of the validation set: exactly this many formula-driven images, at most this many of another set.",
    )

    family: Literal["vit", "resnet", "hybrid"] = Field(
        "vit", description="Vision Transformer, ResNet, or hybrid: ResNet stages followed by a Transformer."
    )
    size: Literal["custom", "tiny", "small", "base", "large", "huge"] = Field(
        "custom", description="Named ViT size; replaces width, depth and n_heads."
    )
    width: int = Field(64, ge=4, description="ViT: D.")
    depth: int = Field(4, ge=1, description="ViT: encoder layers L.")
    n_heads: int = Field(4, ge=1, description="ViT: attention heads k.")
    mlp_ratio: float = Field(4.0, gt=0, description="ViT: hidden size of an MLP block over D.")
    patch_size: int = Field(4, ge=1, description="ViT: side P of a patch in pixels; hybrid: in cells of the ResNet's last feature map.")
    positions: Literal["none", "learned-1d", "learned-2d", "sincos-2d"] = Field("learned-1d", description="ViT: position embedding.")
    pooling: Literal["token", "average"] = Field("token", description="Input of the head: the class token, or the mean of all tokens.")
    stem: Literal["patch", "convolution"] = Field(
        "patch", description="ViT: patch embedding, or 3x3 convolutions of stride 2 (one per halving of P)."
    )
    head: Literal["linear", "mlp"] = Field("linear", description="ViT: classifier; the paper pre-trains with one hidden layer (mlp).")
    dropout: float = Field(0.0, ge=0, lt=1, description="ViT: dropout after every dense layer and the embedding.")
    attention: Literal["auto", "fused", "explicit"] = Field(
        "auto", description="ViT: SDPA, explicit products, or explicit only in bf16 on a CPU, where SDPA's backward pass is slow."
    )
    block: Literal["basic", "bottleneck"] = Field("basic", description="ResNet: two 3x3 convolutions, or 1x1, 3x3, 1x1.")
    stages: tuple[int, ...] = Field(
        (1, 1, 1), min_length=1, max_length=4, description="ResNet: blocks per stage; each stage but the first halves the side."
    )
    channels: int = Field(16, ge=4, description="ResNet: channels of the first stage; each stage doubles them.")
    norm: Literal["batch", "group"] = Field(
        "batch", description="ResNet: batch normalisation, or BiT's group normalisation with standardised weights."
    )
    large_stem: bool = Field(False, description="ResNet: 7x7 stride 2 and pooling (224 pixels) instead of one 3x3 convolution.")

    n_steps: int = Field(200, ge=1, description="Updates, the same at every N.")
    schedule: Literal["cosine", "linear"] = Field("cosine", description="Decay of the learning rate to zero after warm-up.")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="Linear warm-up, as a share of all updates.")
    weight_decay: float = Field(0.05, ge=0, description="Decoupled weight decay of matrices, multiplied by the learning rate.")
    clip_norm: float | None = Field(1.0, gt=0, description="Largest gradient norm per seed; null: no clipping.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target spread over all classes.")
    augmentation: Augmentation = Field(
        "none", description="light: shifts and flips; strong: also rotation, scale, shear, colour and MixUp (streams: RandAugment)."
    )
    mixup: float = Field(0.2, ge=0, description="MixUp's alpha under strong augmentation; 0: no MixUp.")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="Matrix products in bfloat16 (master weights stay fp32), or all in fp32."
    )
    compile: bool = Field(False, description="Compile the network with torch.compile; ignored on a CPU, where the gain is small.")
    evaluations: int = Field(1, ge=1, description="Validations during training.")

    transfer: Literal["none", "digits", "cifar10"] = Field("none", description="Data set to which the trained network is transferred.")
    shots: tuple[int, ...] = Field((5,), description="Labelled images per class of the linear few-shot probes.")
    probe_draws: int = Field(5, ge=1, description="Number of random selections of the few shots, over which accuracy is averaged.")
    probe_images: int = Field(0, ge=0, description="Images of the linear probe on many images; 0: the whole training split.")
    finetune_steps: int = Field(0, ge=0, description="Updates of fine-tuning on the transfer set; 0: none.")
    finetune_learning_rate: float = Field(3e-4, gt=0, description="Peak learning rate of fine-tuning.")
    outlines: bool = Field(
        False, description="ViT on formula-driven images: compare what the class token attends to with the outline of the object."
    )
    save_attention: bool = Field(False, description="ViT: store attention distances, rollouts, position similarities and filters.")

    workers: int = Field(8, ge=1, description="Threads that decode a stream.")
    shuffle_buffer: int = Field(10_000, ge=1, description="Size of the shuffle buffer of a stream, in images.")
    corrupt_share: float = Field(0.001, ge=0, lt=1, description="Largest share of unreadable images in a stream; above it the run stops.")

    @property
    def streamed(self) -> bool:
        """True if the images are streamed, because they do not fit into memory."""
        return self.dataset.startswith("imagenet")

    @property
    def classes(self) -> int:
        """Number of classes of the training set."""
        return self.n_classes if self.dataset == "fractals" else IMAGE_SETS[self.dataset][1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Width D, layers L and heads k of the ViT."""
        return (self.width, self.depth, self.n_heads) if self.size == "custom" else VIT_SIZES[self.size]

    @property
    def trunk_stride(self) -> int:
        """Pixels per cell of the ResNet's last feature map."""
        return (4 if self.large_stem else 1) << (len(self.stages) - 1)

    @property
    def grid(self) -> int:
        """Patches along a side of the image (ViT and hybrid)."""
        stride = self.trunk_stride if self.family == "hybrid" else 1
        return self.image_size // (stride * self.patch_size)

    def sub_run(self, label: str) -> Settings:
        """Return the settings of one of the run's trainings.

        Args:
            label: label of the sub-run.

        Returns:
            Settings of the experiment 'accuracy'.
        """
        update = next(sub_run.settings for sub_run in self.sub_runs if sub_run.label == label)
        base = self.model_dump() | {"experiment": "accuracy", "sub_runs": ()}
        return Settings.model_validate(base | update)

    @property
    def deterministic(self) -> bool:
        """Sizes are counted, nothing is trained."""
        return self.experiment == "counts"

    def for_trial(self) -> Settings:
        """Return a copy with few images to generate, test and probe."""
        update: dict[str, Any] = {"n_test": min(self.n_test, 256), "probe_images": 1000, "probe_draws": 1}
        if self.dataset == "fractals":
            update["n_images"] = min(self.n_images, 4096)
        return self.model_copy(update=update)

    def in_fp32(self) -> Settings:
        """Return a copy without bf16."""
        return self.model_copy(update={"precision": "fp32"})

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        faults = [*self._data_faults(), *self._model_faults(), *self._outline_faults(), *self._sub_run_faults()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _data_faults(self) -> list[str]:
        if self.dataset == "fractals":
            too_few = self.n_images < self.n_classes
            return (
                [f"n_images {self.n_images} is smaller than n_classes {self.n_classes}, so some classes have no image"] if too_few else []
            )
        side, classes, n_available = IMAGE_SETS[self.dataset]
        faults = []
        if self.n_images > n_available:
            faults.append(
                f"n_images {self.n_images:,} is larger than {self.dataset}, which has {n_available:,} training images; lower n_images"
            )
        if self.n_images < classes:
            faults.append(f"n_images {self.n_images:,} is smaller than the {classes:,} classes of {self.dataset}; raise n_images")
        if "n_classes" in self.model_fields_set and self.n_classes not in (classes, Settings.model_fields["n_classes"].default):
            faults.append(f"n_classes {self.n_classes} does not fit {self.dataset}, which has {classes:,} classes; leave it out")
        if side and self.image_size % side:
            faults.append(f"image_size {self.image_size} is not a multiple of the {side} pixels of {self.dataset}")
        return faults

    def _model_faults(self) -> list[str]:
        faults = []
        if self.family != "vit" and self.trunk_stride > self.image_size:
            faults.append(f"stages {list(self.stages)} shrink an image of {self.image_size} pixels below one cell; use fewer stages")
        if self.family == "resnet":
            return faults
        width, _, heads = self.shape
        unit = self.patch_size * (self.trunk_stride if self.family == "hybrid" else 1)
        if self.image_size % unit:
            faults.append(
                f"patch_size {self.patch_size} does not divide the image: {self.image_size} pixels, {unit} per patch; change patch_size"
            )
        if width % heads:
            faults.append(f"n_heads {heads} does not divide width {width}")
        if self.positions in ("learned-2d", "sincos-2d") and width % 4:
            faults.append(f"positions '{self.positions}' need a width divisible by 4, got {width}")
        if self.stem == "convolution" and (self.patch_size & (self.patch_size - 1) or self.family == "hybrid"):
            faults.append("a convolutional stem halves the image several times: patch_size must be a power of two and family 'vit'")
        return faults

    def _outline_faults(self) -> list[str]:
        if self.outlines and (self.dataset, self.family, self.pooling) != ("fractals", "vit", "token"):
            return ["outlines need dataset 'fractals', whose masks are known, and family 'vit' with pooling 'token'"]
        return []

    def _sub_run_faults(self) -> list[str]:
        if self.experiment == "accuracy":
            return ["sub_runs belong to experiment 'frontier', 'tuning' or 'counts'"] if self.sub_runs else []
        labels = [sub_run.label for sub_run in self.sub_runs]
        if len(labels) < 2 or len(set(labels)) < len(labels):
            return [f"experiment '{self.experiment}' needs two or more sub_runs with distinct labels"]
        for sub_run in self.sub_runs:
            self.sub_run(sub_run.label)  # an invalid sub-run raises here, with its own message
        return []
