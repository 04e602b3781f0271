"""Settings of one run: which networks, and which of the measurements is made on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from replications.errors import nearest
from replications.registry.schema import Strict
from replications.registry.settings import RunSettings

RECURRENT = ("rnn", "gru", "lstm")
SCANNED = ("mingru", "minlstm", "ssm", "linear")
POSITIONS = ("rope", "learned", "nope", "alibi")

Measure = Literal["cost", "generation", "counted", "language", "recall", "copying", "gradients", "order", "regular"]


@dataclass(frozen=True)
class ModelName:
    """A network by name: `<mixer>[.<option>...]`, for example lstm.loop or transformer.naive.learned.

    Attributes:
        mixer: rnn, gru, lstm, mingru, minlstm, ssm, linear or transformer.
        form: library (fused kernels), scan (parallel over time), loop (step by step), naive or sdpa (attention).
        positions: none unless it is a transformer.
    """

    mixer: str
    form: str
    positions: str

    @classmethod
    def parse(cls, name: str) -> ModelName:
        """Read a name. Raises ValueError with the nearest valid part."""
        mixer, *options = name.split(".")
        known = (*RECURRENT, *SCANNED, "transformer")
        if mixer not in known:
            raise ValueError(f"'{name}': no network is called '{mixer}'. {nearest(mixer, known)}")
        allowed = ("naive", "sdpa", "loop", *POSITIONS) if mixer == "transformer" else ("loop",)
        for option in options:
            if option not in allowed:
                raise ValueError(f"'{name}': {mixer} has no option '{option}'. {nearest(option, allowed)}")
        default = "sdpa" if mixer == "transformer" else "library" if mixer in RECURRENT else "scan"
        form = next((option for option in options if option not in POSITIONS), default)
        positions = next((option for option in options if option in POSITIONS), "rope") if mixer == "transformer" else "none"
        return cls(mixer, form, positions)


class Training(Strict):
    """How a network is trained."""

    steps: int = Field(200, ge=1, description="Updates.")
    batch: int = Field(32, ge=1, description="Sequences of an update, for each seed.")
    learning_rate: float = Field(3e-3, gt=0, description="Peak rate; warm-up over `warmup`, then half a cosine to a tenth.")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="constant keeps the rate.")
    optimiser: Literal["adamw", "sgd"] = Field("adamw", description="sgd has no momentum, as in Pascanu et al. (2013).")
    warmup: float = Field(0.05, ge=0, lt=1, description="Share of the updates.")
    weight_decay: float = Field(0.01, ge=0, description="On matrices.")
    beta2: float = Field(0.99, gt=0, lt=1, description="Second moment's decay.")
    clip: float | None = Field(1.0, gt=0, description="Largest gradient norm of one seed; null: not clipped.")
    clip_elements: bool = Field(False, description="Clamp each element to +/- clip instead of the norm.")
    dropout: float = Field(0.0, ge=0, lt=1, description="On embeddings and on what each block adds.")
    evaluations: int = Field(5, ge=1, description="Times that held-out data is scored during training.")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16: matrix products in bfloat16 (autocast).")
    cuda_graph: bool = Field(True, description="On a GPU, capture an update as one graph.")


class Sweep(Strict):
    """What is varied when cost is measured. A layer alone is measured, projections included."""

    vary: Literal["length", "width", "tokens"] = Field("length", description="tokens: length, with batch x length kept at `tokens`.")
    values: list[int] = Field(default_factory=lambda: [64, 128, 256], min_length=2, description="Lengths, or widths.")
    length: int = Field(256, ge=1, description="When widths vary.")
    batch: int = Field(1, ge=1, description="When lengths or widths vary.")
    tokens: int = Field(2048, ge=1, description="When tokens are fixed.")
    largest: dict[str, int] = Field(default_factory=dict, description="Network to the largest value measured, where it is slow.")
    largest_timed: dict[str, int] = Field(default_factory=dict, description="Likewise for its clock; larger points have memory and FLOPs.")
    repetitions: int = Field(5, ge=1, description="Timed calls at each point, after a warm-up; their median is recorded.")
    least_seconds: float = Field(0.002, ge=0, description="Each timed call is repeated until it lasts so long.")
    memory_limit_gb: float = Field(2.0, gt=0, description="On a CPU, a point whose extrapolated memory is larger counts as out of memory.")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="Of weights and inputs.")


class Text(Strict):
    """A text to learn."""

    corpus: Literal["tiny-shakespeare", "war-and-peace", "linux", "program-text"] = Field(
        "program-text", description="Characters are bytes."
    )
    context: int = Field(128, ge=2, description="Characters of a training sequence, and of a scored one.")
    evaluation_characters: int = Field(20_000, ge=1, description="At most so many characters are scored.")
    early: int = Field(20, ge=1, description="Positions that count as the beginning of the context.")


class Task(Strict):
    """A made-up task: recall, copying, temporal order, or a regular language."""

    vocabulary: int = Field(32, ge=4, description="Symbols (recall: keys and values together; copying: letters).")
    length: int = Field(32, ge=2, description="Recall: positions of a sequence. Copying: longest string. Order, regular: length.")
    pairs: list[int] = Field(default_factory=lambda: [4, 8], description="Recall: numbers of key-value pairs, trained mixed, scored apart.")
    longer: list[int] = Field(default_factory=list, description="Copying, regular: longer lengths, scored only.")
    language: Literal["parity", "counting", "dyck"] = Field("parity", description="Regular languages.")
    examples: int = Field(0, ge=0, description="Regular: different training sequences; 0: a fresh one every time.")
    test_examples: int = Field(200, ge=1, description="Sequences scored at each setting.")
    target: float = Field(0.99, gt=0, le=1, description="Accuracy that counts as learned.")
    trials: int = Field(1, ge=1, description="Order: networks for each seed, from different initial weights.")
    radii: list[float] = Field(
        default_factory=lambda: [1.0], min_length=1, description="Spectral radii of a tanh-RNN's recurrent matrix; order: the first."
    )


class Settings(RunSettings):
    """Everything that determines a run's result besides seeds, code and data."""

    measure: Measure = Field(description="Which measurement.")
    model: str = Field("", description="The network that is trained: `<mixer>[.<option>...]`, for example lstm or transformer.learned.")
    models: list[str] = Field(default_factory=list, description="The networks that are measured side by side, where nothing is trained.")
    width: int = Field(64, ge=4, description="Features of a position (d).")
    layers: int = Field(2, ge=1, description="Blocks.")
    head_width: int = Field(32, ge=2, description="Features of an attention head; the width must be a multiple.")
    state: int = Field(8, ge=1, description="Numbers of state for each feature of the state-space layer.")
    training: Training = Field(default_factory=Training, description="How it is trained.")
    sweep: Sweep = Field(default_factory=Sweep, description="What cost is measured over.")
    text: Text = Field(default_factory=Text, description="Text to learn.")
    task: Task = Field(default_factory=Task, description="Made-up task.")

    def for_trial(self) -> Settings:
        """As they are, but with little text and few sequences to score, and only the smallest points of a sweep."""
        points = {"values": sorted(self.sweep.values)[:2], "tokens": min(self.sweep.tokens, 1024), "repetitions": 1}
        few = min(self.text.evaluation_characters, 4 * self.text.context)
        return self.model_copy(
            update={
                "sweep": self.sweep.model_copy(update=points),
                "text": self.text.model_copy(update={"evaluation_characters": few}),
                "task": self.task.model_copy(update={"test_examples": min(self.task.test_examples, 32)}),
            }
        )

    def in_fp32(self) -> Settings:
        """As they are, but without bf16."""
        fp32 = {"precision": "fp32"}
        return self.model_copy(update={"training": self.training.model_copy(update=fp32), "sweep": self.sweep.model_copy(update=fp32)})

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        trained = self.measure in ("language", "recall", "copying", "order", "regular")
        if trained == bool(self.models) or trained != bool(self.model):
            raise ValueError(
                f"measure '{self.measure}' takes {'one network, under model' if trained else 'a list of networks, under models'}"
            )
        names = [ModelName.parse(name) for name in self.models or [self.model]]
        widths = self.sweep.values if self.measure == "cost" and self.sweep.vary == "width" else [self.width]
        for width in widths:
            if any(name.mixer in ("transformer", "linear") for name in names) and width % min(self.head_width, width):
                raise ValueError(f"width: {width} is no multiple of head_width {self.head_width}; attention splits it into heads")
        if self.measure == "cost" and self.sweep.vary == "tokens" and max(self.sweep.values) > self.sweep.tokens:
            raise ValueError(
                f"sweep.tokens: {self.sweep.tokens:,} tokens are fewer than one sequence of {max(self.sweep.values):,}, so that the batch"
                " would be zero; raise tokens or leave that length out"
            )
        if min(self.sweep.values) < 1:
            raise ValueError("sweep.values: a sequence of zero tokens cannot be measured; the smallest is 1")
        if self.measure == "recall":
            for pairs in self.task.pairs:
                if 3 * pairs > self.task.length or 2 * pairs > self.task.vocabulary:
                    raise ValueError(
                        f"task.pairs: {pairs} pairs need a length of {3 * pairs} and a vocabulary of {2 * pairs}; they are"
                        f" {self.task.length} and {self.task.vocabulary}"
                    )
        longest = max([self.task.length, *self.task.longer])
        if self.measure in ("copying", "regular") and longest > self.task.length and any(n.positions == "learned" for n in names):
            raise ValueError(
                f"task.longer: {longest} is longer than the {self.task.length} positions that a network with learned positions has;"
                " use rope, nope or alibi, or leave longer lengths out"
            )
        return self
