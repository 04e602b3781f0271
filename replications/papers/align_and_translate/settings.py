"""Settings of a run; every run of runs.yaml is validated against them. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from replications.registry.schema import Strict
from replications.registry.settings import TrainingInSteps

Dataset = Literal["made-up", "bible", "multi30k", "wmt14"]


class Network(Strict):
    """The network of appendix A, with the sizes of appendix A.2.3 as defaults."""

    context: Literal["attention", "last"] = Field(
        "attention",
        description="RNNsearch: a weighted sum of annotations (eq. 5). last: RNNencdec, the encoder's last state for every word.",
    )
    encoder: Literal["bidirectional", "forward"] = Field(
        "bidirectional", description="Directions in which the source is read (section 3.2)."
    )
    embed_size: int = Field(620, gt=0, description="Width of word embeddings (m).")
    hidden_size: int = Field(1000, gt=0, description="Units of the decoder, and of the encoder in each direction (n).")
    alignment_size: int = Field(1000, gt=0, description="Hidden units of the alignment network (n').")
    maxout_size: int = Field(500, gt=0, description="Maxout units of the deep output, of two pieces each (l).")


class Settings(TrainingInSteps):
    """Settings of one run: data, network, training, measurements."""

    # Data
    dataset: Dataset = Field("made-up", description="Pairs of sentences; see data.py.")
    max_words: int = Field(50, ge=1, description="Longest sentence that is trained on, in words of either side (-30 and -50 in the paper).")
    vocabulary_size: int = Field(
        30_000, ge=4, description="Most frequent words of each language that are known; others are one unknown word."
    )
    train_pairs: int | None = Field(None, ge=1, description="Pairs of the training split that are read, the first ones; null: all.")
    validation_pairs: int = Field(1000, ge=1, description="Largest number of validation pairs, the first ones.")
    test_pairs: int | None = Field(None, ge=1, description="Largest number of pairs that are translated, the first ones; null: all.")

    # Training
    network: Network = Field(default_factory=Network)
    optimiser: Literal["adadelta", "adam"] = Field("adadelta", description="adadelta: epsilon 1e-6, rho 0.95, as published (appendix B.2).")
    learning_rate: float = Field(1.0, gt=0, description="Factor on the update; 1 for the published Adadelta.")
    schedule: Literal["constant", "cosine"] = Field("constant", description="Course of the learning rate after warm-up.")
    batch_size: int = Field(80, ge=1, description="Sentence pairs per seed and update.")
    n_steps: int = Field(1000, ge=1, description="Updates.")
    sorted_batches: int = Field(20, ge=1, description="Batches that are fetched together, sorted by length and split (appendix B.2).")
    clip_norm: float | None = Field(1.0, gt=0, description="Largest gradient norm of one seed (appendix B.2).")
    clip_value: None = Field(None, description="Not supported: gradients are clipped by their norm.")
    weight_decay: float = Field(0.0, ge=0, le=0, description="Not supported: the paper has none.")
    init: Literal["published", "scaled"] = Field(
        "published",
        description="published: normal with deviation 0.01, alignment 0.001, recurrent orthogonal (appendix B.1), made for 1000 units."
        " scaled: the same kinds with deviation 1/sqrt(inputs).",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of embeddings and maxout units dropped in training; the paper has none.")
    precision: Literal["fp32"] = Field("fp32", description="Matrix products: fp32 only.")
    cuda_graph: Literal[False] = Field(False, description="Not supported: batches differ in length.")
    evaluations: int = Field(10, ge=1, description="Validations during training; the weights of the lowest loss translate.")

    # Measurements
    scored_split: Literal["test", "validation"] = Field("test", description="Split that is translated; validation for choosing settings.")
    beam_size: int = Field(5, ge=1, description="Beam of the search; its width is not published.")
    length_bin: int = Field(10, ge=1, description="Width of the bins of source length in which BLEU is measured, in words.")
    short_at: int = Field(20, ge=1, description="Centre of the bin of ordinary sentences, in words.")
    long_at: int = Field(50, ge=1, description="Centre of the bin of long sentences, in words.")
    samples: int = Field(
        0, ge=0, description="Sentences of the translated split that are stored with their alignments; drawn with a fixed seed."
    )

    @property
    def gallery_seed(self) -> int:
        """Seed of the choice of stored sentences, the same for every run, so that nobody picks them."""
        return 2015

    def for_trial(self) -> Settings:
        """Reduce the evaluation for a trial.

        Returns:
            A copy with at most 64 pairs to validate on and to translate.
        """
        n_pairs = 64
        return self.model_copy(
            update={"validation_pairs": min(self.validation_pairs, n_pairs), "test_pairs": min(self.test_pairs or n_pairs, n_pairs)}
        )

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.network.context == "last" and self.network.encoder == "bidirectional":
            raise ValueError("context 'last' reads the last state of a forward encoder; set network.encoder: forward")
        if self.long_at < self.short_at + self.length_bin:
            raise ValueError(f"long_at {self.long_at} must lie one bin of {self.length_bin} words above short_at {self.short_at}, or more")
        if self.short_at % self.length_bin or self.long_at % self.length_bin:
            raise ValueError(f"short_at {self.short_at} and long_at {self.long_at} must be multiples of length_bin {self.length_bin}")
        return self
