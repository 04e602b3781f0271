"""Settings of a run of this paper; every run of runs.yaml is validated against them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from replications.registry.schema import Strict
from replications.registry.settings import TrainingInEpochs

Dataset = Literal["scenes", "sketches", "flickr8k", "flickr30k", "coco", "pascal", "sbu"]
Cnn = Literal["scene", "squeezenet1_1", "googlenet", "resnet50", "resnet101"]


class Decoder(Strict):
    """The recurrent network that generates the caption (section 3.1)."""

    embed_size: int = Field(512, gt=0, description="Width of word and image embeddings (section 4.3.1).")
    hidden_size: int = Field(512, gt=0, description="Width of the LSTM (section 4.3.1).")
    cell: Literal["paper", "library", "tanh"] = Field(
        "paper",
        description="'paper': m = o * c without gate biases (eqs 4-8); 'library': m = o * tanh(c) with biases; "
        "'tanh': a plain recurrent network without gates, m = tanh(W x + U m).",
    )
    image: Literal["once", "every_step"] = Field("once", description="Feed the image at t = -1 only (eq. 10), or with every word as well.")
    attention: bool = Field(False, description="Soft attention over a grid of features (Xu et al. 2015) instead of one vector.")
    attention_size: int = Field(256, gt=0, description="Width of the layer that scores locations.")
    doubly_stochastic: float = Field(
        1.0, ge=0, description="Weight of the penalty on (1 - sum over words of attention)^2, Xu et al. eq. 14."
    )


class Settings(TrainingInEpochs):
    """Settings of one run: training, data, and evaluation."""

    # What produces the captions
    mode: Literal["train", "random", "nearest", "human"] = Field("train", description="Train a decoder, or one of Table 1's baselines.")
    decoder: Decoder = Field(default_factory=Decoder)
    ensemble_size: int = Field(
        1, ge=1, le=10, description="Decoders trained per seed; their word probabilities are averaged (section 4.3.1)."
    )

    # Data
    dataset: Dataset = "scenes"
    train_share: float = Field(1.0, gt=0, le=1, description="Share of the training images that is used; the first ones.")
    validation_images: int | None = Field(None, ge=1, description="Images for selection; default: the whole validation split.")
    test_images: int | None = Field(None, ge=1, description="Images of the test split; default: all of them.")
    min_count: int = Field(5, ge=1, description="Minimum count of a vocabulary word in the training captions (section 4.3.1).")
    transfer: list[Dataset] = Field(default_factory=list, description="Other data sets on whose test split the model is also scored.")
    broken: bool = Field(False, description="Also test on scenes without the co-occurrences of training.")

    # CNN
    cnn: Cnn = Field("scene", description="'scene': our small CNN; otherwise a torchvision CNN with ImageNet weights.")
    cnn_training: Literal["frozen", "from_start", "late"] = Field("frozen", description="Whether the CNN is fine-tuned, and from when.")
    cnn_learning_rate: float = Field(1e-4, gt=0, description="Learning rate of a fine-tuned CNN.")
    late_start: float = Field(0.6, gt=0, lt=1, description="Share of the updates after which fine-tuning starts with 'late'.")

    # Optimisation
    optimiser: Literal["sgd", "adamw"] = Field("adamw", description="The paper: SGD, constant rate, no momentum.")
    schedule: Literal["constant", "cosine"] = Field("cosine", description="Cosine after a linear warm-up, or constant without warm-up.")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="Linear warm-up as a share of all updates; at most 50 updates.")
    batch_size: int = Field(128, ge=1, description="Captions per update and seed.")
    epochs: float = Field(10, gt=0, description="Passes over the training captions.")
    clip_norm: float | None = Field(5.0, gt=0, description="Maximum gradient norm of each slot's decoder; null: no clipping.")
    clip_value: None = Field(None, description="Not supported: gradients are clipped by their norm.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout rate of word and image embeddings and of the LSTM's output.")
    precision: Literal["fp32"] = Field("fp32", description="Matrix products: fp32 only.")
    cuda_graph: Literal[False] = Field(False, description="Not supported: batches differ in length.")
    evaluations: int = Field(4, ge=1, description="Validations during training; the weights of lowest perplexity are scored.")
    scheduled_sampling: float = Field(
        0.0, ge=0, le=1, description="Final probability of feeding a sampled word instead of the true one; rises linearly from 0."
    )

    # Measurements
    score_validation: bool = Field(
        False,
        description="Caption and score validation images as well, as split 'validation': to choose settings without test images.",
    )
    greedy_validation_images: int = Field(
        0,
        ge=0,
        description="First validation images that are captioned greedily and scored after training, as split 'validation' at beam_size 1: "
        "cheap enough for every run; 0: none.",
    )
    beam_size: int = Field(20, ge=1, description="Beam of the headline scores (section 3.1: 20).")
    beam_sizes: list[int] = Field(default_factory=list, description="Further beam sizes at which captions are scored.")
    max_length: int = Field(20, ge=2, description="Maximum length of a generated caption in words.")
    n_best: int = Field(15, ge=1, description="Length of the list on which novelty and diversity are measured (section 4.3.4).")
    list_beam: int = Field(0, ge=0, description="Beam of the search whose n best captions are measured for novelty and diversity; 0: none.")
    retrieval_images: int = Field(0, ge=0, description="Test images ranked against all their captions (Tables 4 and 5); 0: none.")
    neighbours: list[str] = Field(default_factory=list, description="Words whose nearest embeddings are recorded (Table 6).")
    samples: int = Field(0, ge=0, description="Test images that are stored with their captions for the gallery.")

    @property
    def deterministic(self) -> bool:
        """Nearest neighbours and people's captions do not depend on a seed."""
        return self.mode in ("nearest", "human")

    def for_trial(self) -> Settings:
        """Reduce the evaluation for a trial.

        Returns:
            A copy with at most 64 images to caption or to rank.
        """
        n_images = 64
        return self.model_copy(
            update={
                "validation_images": min(self.validation_images or n_images, n_images),
                "test_images": min(self.test_images or n_images, n_images),
                "retrieval_images": min(self.retrieval_images, n_images),
                "greedy_validation_images": min(self.greedy_validation_images, n_images),
            }
        )

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        synthetic = self.dataset in ("scenes", "sketches")
        if synthetic != (self.cnn == "scene"):
            raise ValueError(
                f"cnn '{self.cnn}' does not fit dataset '{self.dataset}': rendered scenes need cnn 'scene', photographs a torchvision CNN"
            )
        if any((other in ("scenes", "sketches")) != synthetic for other in self.transfer):
            raise ValueError("transfer must name data sets of the same kind as dataset: rendered scenes, or photographs")
        if self.broken and self.dataset != "scenes":
            raise ValueError("broken is a test split of dataset 'scenes' only; set broken: false")
        if self.decoder.attention and self.decoder.image == "every_step":
            raise ValueError("attention reads the image at every step already; leave decoder.image at 'once'")
        if self.decoder.attention and self.decoder.cell == "tanh":
            raise ValueError("attention has the library's LSTM, as in Xu et al.; leave decoder.cell out")
        if self.decoder.attention and self.cnn_training != "frozen":
            raise ValueError("attention is trained on a frozen CNN, as in Xu et al.; set cnn_training: frozen")
        if self.ensemble_size > 1 and self.cnn_training != "frozen":
            raise ValueError("an ensemble shares one frozen CNN; set cnn_training: frozen or ensemble_size: 1")
        if self.greedy_validation_images and self.score_validation:
            raise ValueError("score_validation captions all validation images; leave greedy_validation_images at 0 beside it")
        if 0 < self.list_beam < self.n_best:
            raise ValueError(f"list_beam {self.list_beam} is smaller than n_best {self.n_best}; raise list_beam or lower n_best")
        return self
