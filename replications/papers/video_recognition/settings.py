"""Settings of a run, without torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from replications.registry.settings import TrainingInSteps

Head = Literal["average", "lstm", "convolution", "transformer"]
DIGIT_FRAMES = 8
"""Frames of a made-up clip."""
ATTENTION_HEADS = 4
"""Of each layer of the transformer encoder."""


class Settings(TrainingInSteps):
    """Settings of one run: one head over per-frame features, trained on both streams (RGB and motion) of one data set."""

    schedule: Literal["constant", "cosine"] = Field("cosine", description="Cosine after a linear warm-up, or constant without warm-up.")
    clip_value: None = Field(None, description="Not supported: gradients are clipped by their norm.")
    evaluations: Literal[1] = Field(1, description="Networks are scored once, after training; nothing is chosen on the way.")
    data: Literal["digits", "turning-digits", "skeletons", "ucf101-subset", "ucf101"] = Field("digits", description="Clips.")
    task: Literal["classify", "label-frames", "describe"] = Field(
        "classify", description="One class a clip (many to one), one a frame (many to many), or a sentence a clip (video to words)."
    )
    head: Head = Field("lstm", description="What reads the features of the frames.")
    n_train: int | None = Field(None, ge=1, description="Training clips of made-up data; null: all.")
    n_test: int | None = Field(None, ge=1, description="Test clips of made-up data, and of its validation set; null: all.")
    evaluate_on: Literal["test", "validation"] = Field(
        "test", description="Scored clips. validation: trials, in which the validation part is also left out of the training data."
    )
    official_split: int = Field(1, ge=1, le=3, description="Which of the three official splits of UCF-101.")
    clip_frames: int = Field(8, ge=2, description="Frames of a clip.")
    clip_stride: int = Field(8, ge=1, description="Frames between the beginnings of two clips of one video (UCF-101).")
    cnn: Literal["still-cnn", "squeezenet1_1", "resnet50"] = Field(
        "still-cnn", description="Frozen CNN: our own, trained on still digits, or torchvision's with ImageNet weights."
    )
    pretrain_steps: int = Field(400, ge=1, description="Updates of our own CNN on still images.")
    embedding_size: int = Field(64, ge=1, description="Units of the layer between the features of a frame and the head (fc6 in the paper).")
    hidden_size: int = Field(64, ge=1, description="Units of the LSTM; channels of the other heads.")
    frame_dropout: float = Field(0.0, ge=0, lt=1, description="Share of units of that layer dropped in training (0.9 in the paper).")
    word_steps: int = Field(400, ge=1, description="Updates of the decoder of sentences.")

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        made_up = self.data in ("digits", "turning-digits")
        if made_up and self.clip_frames != DIGIT_FRAMES:
            raise ValueError(
                f"clip_frames {self.clip_frames}: clips of data '{self.data}' have {DIGIT_FRAMES} frames; leave clip_frames out"
            )
        if self.data.startswith("ucf101") and self.cnn == "still-cnn":
            raise ValueError(f"cnn still-cnn is trained on 16x16 digits; with data '{self.data}' set cnn to squeezenet1_1 or resnet50")
        if self.task == "label-frames" and self.data != "turning-digits":
            raise ValueError(f"task label-frames: clips of data '{self.data}' have no labels of frames; set data to turning-digits")
        if self.task == "describe" and self.data != "digits":
            raise ValueError(f"task describe: there are no sentences about clips of data '{self.data}'; set data to digits")
        if self.head == "transformer" and self.hidden_size % ATTENTION_HEADS:
            raise ValueError(
                f"hidden_size {self.hidden_size} must be a multiple of {ATTENTION_HEADS}, the attention heads of the transformer"
            )
        return self

    def for_trial(self) -> Self:
        """Return a copy with little to evaluate on and a short training of the CNN."""
        few = self.data in ("digits", "turning-digits")
        update = {"n_test": 64, "n_train": 256, "pretrain_steps": 2, "word_steps": 2} if few else {}
        return self.model_copy(update=update)

    def in_fp32(self) -> Self:
        """Return a copy with matrix products in fp32."""
        return self.model_copy(update={"precision": "fp32"})
