"""Settings of one run: a corpus, the networks trained on it in parallel, their training, and the analyses that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from replications.registry.settings import TrainingInEpochs

Analysis = Literal["ngrams", "brackets", "errors", "gates", "cells", "samples"]


@dataclass(frozen=True)
class Network:
    """A network of Table 1.

    Attributes:
        cell: rnn, gru or lstm.
        layers: number of layers, 1 to 4.
    """

    cell: str
    layers: int

    @classmethod
    def parse(cls, name: str) -> Network:
        """Return the network of a name such as 'lstm-2'.

        Args:
            name: cell and number of layers, joined by a hyphen.

        Returns:
            The cell and the number of layers.

        Raises:
            ValueError: the name is not of the form cell-layers.
        """
        cell, _, layers = name.partition("-")
        if cell not in ("rnn", "gru", "lstm") or layers not in ("1", "2", "3", "4"):
            raise ValueError(f"models: '{name}': write cell-layers, with cell rnn, gru or lstm and 1 to 4 layers, for example lstm-2")
        return cls(cell, int(layers))


class Settings(TrainingInEpochs):
    """Settings of a run; together with seeds, code and data they determine its result."""

    corpus: Literal["tiny-shakespeare", "war-and-peace", "linux", "program-text"] = Field(description="Text to train on.")
    models: list[str] = Field(
        default_factory=list, description="Networks trained in parallel, as cell-layers: 'lstm-2' is a two-layer LSTM."
    )
    size: int = Field(128, ge=4, description="Row of Table 1: all networks have as many parameters as a one-layer LSTM of this many units.")

    epochs: float = Field(1.0, gt=0, description="Passes over the training text.")
    batch_size: int = Field(100, ge=1, description="Streams read in parallel, per seed and update.")
    seq_len: int = Field(100, ge=2, description="Characters per chunk: back-propagation is truncated there, the state is carried on.")
    optimiser: Literal["adam", "rmsprop"] = Field("adam", description="Optimiser; the paper uses RMSProp.")
    learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate.")
    schedule: Literal["cosine", "epochs"] = Field(
        "cosine",
        description="cosine: half a cosine to zero after warm-up; epochs: a factor per epoch after `decay_after` epochs (the paper).",
    )
    warmup_share: float = Field(0.02, ge=0, lt=1, description="Schedule 'cosine': linear warm-up, as a share of all updates.")
    decay: float = Field(0.95, gt=0, le=1, description="Schedule 'epochs': factor on the learning rate per epoch.")
    decay_after: int = Field(10, ge=0, description="Schedule 'epochs': epochs at the full rate.")
    clip_value: float = Field(5.0, gt=0, description="Each element of the gradient is clipped to +/- this, as in the authors' trainer.")
    clip_norm: None = Field(None, description="Not supported: the authors' trainer clips elements.")
    weight_decay: Literal[0] = Field(0, description="Not supported: the paper has none.")
    init: Literal["uniform", "scaled"] = Field("uniform", description="uniform: U(-0.08, 0.08); scaled: U(-1, 1) / sqrt(fan-in).")
    forget_bias: float = Field(1.0, description="Initial bias of an LSTM's forget gates; 1 in the authors' trainer.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate between layers; the paper cross-validated it per network.")
    precision: Literal["fp32", "bf16", "auto"] = Field(
        "fp32", description="auto: bf16 where the device supports it and it is faster: all networks on a GPU, only LSTMs on a CPU."
    )
    cuda_graph: bool = Field(True, description="On a GPU, capture one update of every network as one graph.")
    evaluations: int = Field(10, ge=1, description="Validations during training.")
    evaluation_characters: int = Field(
        300_000, ge=1000, description="Largest number of characters of validation and of test text that are scored."
    )

    analyses: list[Analysis] = Field(default_factory=list, description="Measurements after training, for the networks in `analysed`.")
    analysed: list[str] = Field(default_factory=list, description="Networks of `models` that are analysed.")
    max_order: int = Field(20, ge=2, le=32, description="Longest n-gram.")
    probe_characters: int = Field(
        60_000, ge=2000, description="Characters on which units are selected, and as many others on which they are scored."
    )

    @property
    def deterministic(self) -> bool:
        """N-grams are counted, nothing is trained."""
        return not self.models

    def for_trial(self) -> Settings:
        """Return a copy with fewer characters to evaluate and to probe."""
        limit = 10_000
        return self.model_copy(
            update={"evaluation_characters": min(self.evaluation_characters, limit), "probe_characters": min(self.probe_characters, limit)}
        )

    @model_validator(mode="after")
    def _networks_are_known(self) -> Settings:
        for name in self.models:
            Network.parse(name)
        if len(set(self.models)) < len(self.models):
            raise ValueError("models: a network is listed twice")
        for name in self.analysed:
            if name not in self.models:
                raise ValueError(f"analysed: '{name}' is not among the models {self.models}")
        if not self.models and "ngrams" not in self.analyses:
            raise ValueError("models: empty, and analyses has no 'ngrams': the run would do nothing")
        if self.dropout and self.cuda_graph:
            raise ValueError(
                "dropout: its random numbers are seeded at every step, which a captured graph cannot do; set cuda_graph: false"
            )
        if set(self.analyses) - {"ngrams"} and not self.analysed:
            raise ValueError(f"analyses: {self.analyses} need at least one network in 'analysed'")
        if "gates" in self.analyses and not any(Network.parse(name).cell == "lstm" for name in self.analysed):
            raise ValueError("analyses: 'gates' needs an LSTM in 'analysed'")
        if self.probe_characters > self.evaluation_characters:
            raise ValueError("probe_characters: must not exceed evaluation_characters, because units are probed on the evaluated text")
        return self
