"""Settings of one run: the networks, and which measurement is made on them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from replications.errors import nearest
from replications.registry.schema import Strict
from replications.registry.settings import RunSettings, TrainingInSteps

RECURRENT = ("rnn", "gru", "lstm")
SCANNED = ("mingru", "minlstm", "ssm", "linear")
PUBLISHED = ("mamba", "mamba-lti", "rwkv4")
"""Networks that have the blocks and initial weights of their authors, not those that all others share; mamba-lti has no selection."""
PARALLEL = (*SCANNED, *PUBLISHED, "convolution")
"""Networks with one form for all positions at once, and a loop."""
POSITIONS = ("rope", "learned", "nope", "alibi")

Experiment = Literal[
    "cost", "generation", "counted", "forms", "language", "recall", "copying", "selective", "gradients", "order", "regular"
]
Form = Literal["library", "scan", "loop", "naive", "sdpa"]

TRAINED = ("language", "recall", "copying", "selective", "order", "regular")
"""Experiments that train one network; the others compare several."""


def default_form(mixer: str) -> str:
    """Return the fast form of a mixer.

    Args:
        mixer: name of the mixer.

    Returns:
        'library' (fused kernels), 'scan' (parallel over time: a scan, chunks or a convolution) or 'sdpa' (fused attention).
    """
    return "sdpa" if mixer == "transformer" else "library" if mixer in RECURRENT else "scan"


class Network(Strict):
    """A network: its mixer, the form in which it is computed, and its position encoding.

    runs.yaml uses the short notation `<mixer>[.<form>][.<positions>]`, for example lstm.loop or transformer.naive.learned; omitted parts
    take their defaults. The notation is parsed only here.
    """

    mixer: Literal["rnn", "gru", "lstm", "mingru", "minlstm", "ssm", "linear", "transformer", "mamba", "mamba-lti", "rwkv4", "convolution"]
    form: Form = Field(
        "library", description="Default: the fast form. loop: step by step. naive: attention that stores its matrix of scores."
    )
    positions: Literal["rope", "learned", "nope", "alibi", "none"] = Field(
        "none", description="Position encoding of a transformer; default rope."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_short_notation(cls, value: Any) -> Any:
        """Return the fields of a short notation, with defaults that depend on the mixer; a mapping is completed with the defaults."""
        fields: dict[str, Any] = dict(value) if isinstance(value, dict) else {}
        if isinstance(value, str):
            mixer, *options = value.split(".")
            mixers = (*RECURRENT, *PARALLEL, "transformer")
            if mixer not in mixers:
                raise ValueError(f"'{value}': there is no mixer '{mixer}'. {nearest(mixer, mixers)}")
            allowed = ("naive", "sdpa", *POSITIONS) if mixer == "transformer" else (default_form(mixer), "loop")
            for option in options:
                if option not in allowed:
                    raise ValueError(f"'{value}': {mixer} has no option '{option}'. {nearest(option, allowed)}")
            fields = {"mixer": mixer} | {"positions" if option in POSITIONS else "form": option for option in options}
        if not isinstance(value, str | dict):
            return value
        mixer = str(fields.get("mixer"))
        return {"form": default_form(mixer), "positions": "rope" if mixer == "transformer" else "none"} | fields

    @property
    def name(self) -> str:
        """Short notation without default parts; the `model` of records."""
        form = "" if self.form == default_form(self.mixer) else f".{self.form}"
        positions = "" if self.positions in ("rope", "none") else f".{self.positions}"
        return f"{self.mixer}{form}{positions}"


class Training(TrainingInSteps):
    """Settings of training: linear warm-up, then half a cosine down to a tenth of the peak rate."""

    n_steps: int = Field(200, ge=1, description="Updates.")
    batch_size: int = Field(32, ge=1, description="Sequences per seed and update.")
    learning_rate: float = Field(3e-3, gt=0, description="Peak learning rate.")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="Schedule of the learning rate; constant has no warm-up.")
    optimiser: Literal["adamw", "sgd"] = Field("adamw", description="Optimiser; sgd has no momentum, as in Pascanu et al. (2013).")
    warmup_share: float = Field(0.05, ge=0, lt=1, description="Linear warm-up, as a share of all updates.")
    weight_decay: float = Field(0.01, ge=0, description="Decoupled weight decay of matrices, multiplied by the learning rate.")
    beta2: float = Field(0.99, gt=0, lt=1, description="Decay of the second moment.")
    clip_norm: float | None = Field(1.0, gt=0, description="Largest gradient norm per seed; null: no clipping.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate on embeddings and on the outputs of mixers and MLPs.")
    evaluations: int = Field(5, ge=1, description="Validations during training.")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="bf16: matrix products in bfloat16 (autocast), except for GRU and tanh-RNN on a CPU, where it is slower, and on a"
        " processor without bf16 units.",
    )


class Sweep(Strict):
    """Points at which the cost of a single layer, including its projections, is measured."""

    vary: Literal["length", "width", "tokens"] = Field(
        "length", description="What varies; tokens: the length, with batch_size x length = `tokens`."
    )
    values: list[int] = Field(default_factory=lambda: [64, 128, 256], min_length=2, description="Lengths, or widths.")
    length: int = Field(256, ge=1, description="Sequence length when widths vary.")
    batch_size: int = Field(1, ge=1, description="Sequences per batch when lengths or widths vary.")
    tokens: int = Field(2048, ge=1, description="Tokens per batch when vary is tokens.")
    largest: dict[str, int] = Field(default_factory=dict, description="Largest value measured, by network; for slow networks.")
    largest_timed: dict[str, int] = Field(default_factory=dict, description="Largest value timed, by network.")
    repetitions: int = Field(5, ge=1, description="Timed samples per point, after a warm-up; their median is recorded.")
    least_seconds: float = Field(0.002, ge=0, description="Shortest duration of a sample, in seconds; shorter calls are repeated.")
    memory_limit_gb: float = Field(2.0, gt=0, description="On a CPU, a point with a larger extrapolated memory counts as out of memory.")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="Data type of weights and inputs.")


class Text(Strict):
    """Text of the language-modelling experiment."""

    corpus: Literal["tiny-shakespeare", "linux", "program-text"] = Field(
        "program-text", description="Name of the corpus; characters are bytes."
    )
    context: int = Field(128, ge=2, description="Characters per training and per evaluated sequence.")
    evaluation_characters: int = Field(20_000, ge=1, description="Largest number of evaluated characters.")
    random_batches: int = Field(
        0, ge=0, description="Random batches of all held-out text that are scored at the end too (nanoGPT's `eval_iters`); 0: none."
    )
    early: int = Field(20, ge=1, description="Number of first positions that count as early.")


class Task(Strict):
    """A synthetic task: recall, copying, temporal order, or a regular language."""

    vocabulary: int = Field(32, ge=4, description="Number of symbols (recall: keys and values together; copying, selective: letters).")
    length: int = Field(
        32,
        ge=2,
        description="Recall: positions per sequence. Copying: longest string. Selective: letters and noise. Order, regular: sequence length.",
    )
    letters: int = Field(
        0,
        ge=0,
        description="Selective copying: letters among the noise, in every sequence.",
        exclude_if=lambda letters: letters == 0,  # left out of stored settings, so that other runs keep the digest they had before
    )
    pairs: list[int] = Field(
        default_factory=lambda: [4, 8], description="Recall: numbers of key-value pairs, mixed in training, evaluated separately."
    )
    longer: list[int] = Field(default_factory=list, description="Copying, regular: longer lengths, used for evaluation only.")
    language: Literal["parity", "counting", "dyck"] = Field("parity", description="Regular: the language.")
    examples: int = Field(0, ge=0, description="Regular: number of distinct training sequences; 0: new ones in every update.")
    test_examples: int = Field(200, ge=1, description="Evaluated sequences per setting.")
    target: float = Field(0.99, gt=0, le=1, description="Accuracy that counts as learned.")
    trials: int = Field(1, ge=1, description="Order: networks per seed, which differ in their initial weights.")
    radii: list[float] = Field(
        default_factory=lambda: [1.0], min_length=1, description="Spectral radii of a tanh-RNN's recurrent matrix; order uses the first."
    )


class Settings(RunSettings):
    """Settings of a run; together with seeds, code and data they determine its result."""

    experiment: Experiment = Field(description="Measurement that the run makes.")
    model: Network | None = Field(None, description="The trained network: `<mixer>[.<form>][.<positions>]`.")
    models: list[Network] = Field(default_factory=list, description="The compared networks of an experiment that trains none.")
    width: int = Field(64, ge=4, description="Features per position (d).")
    layers: int = Field(2, ge=1, description="Number of blocks.")
    head_width: int = Field(32, ge=2, description="Features per attention head; must divide the width.")
    d_state: int = Field(8, ge=1, description="State size per feature of the state-space layer ssm; mamba has 16.")
    initial: Literal["uniform", "gpt2"] = Field(
        "uniform",
        description="Initial weights. uniform: +-1/sqrt(inputs), embeddings normal with deviation 0.1. gpt2: all normal with deviation 0.02."
        " What a block adds is divided by sqrt(2 layers) in both.",
    )
    tied_output: bool = Field(False, description="The output layer has the weights of the embedding, and no bias.")
    bias: bool = Field(True, description="Biases in MLPs and output layer.")
    training: Training = Field(default_factory=Training, description="Training.")
    sweep: Sweep = Field(default_factory=Sweep, description="Points at which cost is measured.")
    text: Text = Field(default_factory=Text, description="Text of a language-modelling run.")
    task: Task = Field(default_factory=Task, description="Synthetic task.")

    @property
    def network(self) -> Network:
        """The trained network.

        Raises:
            ValueError: the experiment compares several networks and trains none.
        """
        if self.model is None:
            raise ValueError(f"experiment '{self.experiment}' trains no network")
        return self.model

    @property
    def deterministic(self) -> bool:
        """Costs are counted on networks whose weights do not matter."""
        return self.experiment in ("cost", "generation", "counted")

    @property
    def solves_or_fails(self) -> bool:
        """Synthetic tasks are learned all at once or not at all."""
        return self.experiment in ("recall", "copying", "selective", "order", "regular")

    def for_trial(self) -> Settings:
        """Return a copy for a trial run: little text and few sequences to evaluate, and only the smallest points of a sweep."""
        points = {"values": sorted(self.sweep.values)[:2], "tokens": min(self.sweep.tokens, 1024), "repetitions": 1}
        characters = min(self.text.evaluation_characters, 4 * self.text.context)
        return self.model_copy(
            update={
                "sweep": self.sweep.model_copy(update=points),
                "text": self.text.model_copy(update={"evaluation_characters": characters}),
                "task": self.task.model_copy(update={"test_examples": min(self.task.test_examples, 32)}),
            }
        )

    def in_fp32(self) -> Settings:
        """Return a copy for a machine without native bf16 support."""
        fp32 = {"precision": "fp32"}
        return self.model_copy(update={"training": self.training.model_copy(update=fp32), "sweep": self.sweep.model_copy(update=fp32)})

    @model_validator(mode="after")
    def _one_network_is_trained_or_several_are_compared(self) -> Settings:
        trained = self.experiment in TRAINED
        if trained == bool(self.models) or trained != (self.model is not None):
            raise ValueError(
                f"experiment '{self.experiment}' needs {'one network, under model' if trained else 'a list of networks, under models'}"
            )
        return self

    @model_validator(mode="after")
    def _published_networks_keep_their_initial_weights(self) -> Settings:
        if self.model is not None and self.model.mixer in PUBLISHED and self.initial != "uniform":
            raise ValueError(
                f"initial: {self.model.mixer} has the initial weights of its authors, not those of {self.initial}; leave initial out"
            )
        return self

    @model_validator(mode="after")
    def _widths_split_into_heads(self) -> Settings:
        widths = self.sweep.values if self.experiment == "cost" and self.sweep.vary == "width" else [self.width]
        networks = self.models or [self.network]
        for width in widths:
            if any(network.mixer in ("transformer", "linear") for network in networks) and width % min(self.head_width, width):
                raise ValueError(f"width: {width} is not a multiple of head_width {self.head_width}; attention splits it into heads")
        return self

    @model_validator(mode="after")
    def _sweep_has_points(self) -> Settings:
        if self.experiment == "cost" and self.sweep.vary == "tokens" and max(self.sweep.values) > self.sweep.tokens:
            raise ValueError(
                f"sweep.tokens: {self.sweep.tokens:,} tokens are fewer than one sequence of {max(self.sweep.values):,}, so the batch"
                " would be empty; raise tokens or remove that length"
            )
        if min(self.sweep.values) < 1:
            raise ValueError("sweep.values: a sequence of zero tokens cannot be measured; the smallest is 1")
        names = [network.name for network in self.models]
        for key in (*self.sweep.largest, *self.sweep.largest_timed):
            if key not in names:
                raise ValueError(f"sweep.largest: '{key}' is not among the networks. {nearest(key, names)}")
        return self

    @model_validator(mode="after")
    def _task_fits_its_lengths(self) -> Settings:
        if self.experiment == "recall":
            for pairs in self.task.pairs:
                if 3 * pairs > self.task.length or 2 * pairs > self.task.vocabulary:
                    raise ValueError(
                        f"task.pairs: {pairs} pairs need a length of {3 * pairs} and a vocabulary of {2 * pairs}; they are"
                        f" {self.task.length} and {self.task.vocabulary}"
                    )
        if self.experiment == "selective" and not 0 < self.task.letters <= self.task.length:
            raise ValueError(
                f"task.letters: selective copying needs 1 to {self.task.length} letters, as many as task.length has positions;"
                f" there are {self.task.letters}"
            )
        longest = max([self.task.length, *self.task.longer])
        limited = self.model is not None and self.model.mixer == "mamba-lti"
        if self.experiment in ("copying", "regular") and longest > self.task.length and limited:
            raise ValueError(
                f"task.longer: {longest} is longer than the {self.task.length} positions for which mamba-lti makes its kernel; use mamba,"
                " or remove the longer lengths"
            )
        learned = self.model is not None and self.model.positions == "learned"
        if self.experiment in ("copying", "regular") and longest > self.task.length and learned:
            raise ValueError(
                f"task.longer: {longest} is longer than the {self.task.length} positions that a network with learned positions has;"
                " use rope, nope or alibi, or remove the longer lengths"
            )
        return self
