"""The networks of Bahdanau, Cho and Bengio (2015) as appendix A writes them, one word at a time; `fused.py` computes the same faster.

Letters are the paper's. Vectors are rows, so that a product reads `x W`; biases, which the paper leaves out "to make the equations
uncluttered", are added where they belong. RNNencdec is the same network with the context fixed to the encoder's last state.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from replications.papers.align_and_translate.settings import Network


class Source(NamedTuple):
    """What the encoder hands to the decoder.

    Attributes:
        annotations: h_j, (batch, n_source, n), twice as wide where both directions are read.
        keys: U_a h_j, computed once per sentence, (batch, n_source, n').
        mask: True where there is a word, (batch, n_source).
        start: s_0, (batch, n).
        last: last state of the forward encoder, (batch, n).
    """

    annotations: Tensor
    keys: Tensor
    mask: Tensor
    start: Tensor
    last: Tensor


class GatedUnit(nn.Module):
    """Gated hidden unit of Cho et al. (2014), appendix A.1.1; the reset gate acts inside the product U [r * h].

    `torch.nn.GRU` applies it to the product instead, and exchanges the roles of z and 1 - z: it is another unit.

    Args:
        n_in: width of the inputs.
        n: units.
        n_context: width of the context; 0 for the encoder, which has none.
    """

    U: nn.Parameter
    U_z: nn.Parameter
    U_r: nn.Parameter
    b: nn.Parameter

    def __init__(self, n_in: int, n: int, n_context: int = 0) -> None:
        super().__init__()
        for gate in ("", "_z", "_r"):
            self.register_parameter(f"W{gate}", _matrix(n_in, n))
            self.register_parameter(f"U{gate}", _matrix(n, n))
            self.register_parameter(f"b{gate}", _vector(n))
            if n_context:
                self.register_parameter(f"C{gate}", _matrix(n_context, n))
        self.has_context = n_context > 0

    def forward(self, x: Tensor, h: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the next state.

        Args:
            x: inputs, (batch, n_in).
            h: state, (batch, n).
            c: context, (batch, n_context), where the unit has one.

        Returns:
            (1 - z) h + z h~, (batch, n).
        """
        z = torch.sigmoid(self._inputs(x, c, "_z") + h @ self.U_z)
        r = torch.sigmoid(self._inputs(x, c, "_r") + h @ self.U_r)
        candidate = torch.tanh(self._inputs(x, c, "") + (r * h) @ self.U)
        return (1 - z) * h + z * candidate

    def _inputs(self, x: Tensor, c: Tensor | None, gate: str) -> Tensor:
        """Return W x + C c + b of a gate, or of the candidate."""
        inputs = x @ self.get_parameter(f"W{gate}") + self.get_parameter(f"b{gate}")
        return inputs if c is None else inputs + c @ self.get_parameter(f"C{gate}")


class Encoder(nn.Module):
    """Encoder of appendix A.2.1; both directions share the embedding.

    Args:
        network: sizes and directions.
        n_words: size of the source vocabulary.
    """

    def __init__(self, network: Network, n_words: int) -> None:
        super().__init__()
        self.E = _matrix(n_words, network.embed_size)
        self.forwards = GatedUnit(network.embed_size, network.hidden_size)
        self.backwards = GatedUnit(network.embed_size, network.hidden_size) if network.encoder == "bidirectional" else None

    def forward(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read source sentences.

        Args:
            words: int64 (batch, n_source).
            mask: True where there is a word; the rest is padding at the end, (batch, n_source).

        Returns:
            Annotations (batch, n_source, n or 2n); last state of the forward direction, (batch, n); and the state from which s_0 is
            made: that of the backward direction at the first word, or the last one where there is no such direction.
        """
        x = self.E[words]
        forwards = _read(self.forwards, x, mask, range(words.shape[1]))
        if self.backwards is None:
            return torch.stack(forwards, 1), forwards[-1], forwards[-1]
        backwards = _read(self.backwards, x, mask, range(words.shape[1] - 1, -1, -1))[::-1]
        return torch.cat([torch.stack(forwards, 1), torch.stack(backwards, 1)], -1), forwards[-1], backwards[0]


def _read(unit: GatedUnit, x: Tensor, mask: Tensor, order: range) -> list[Tensor]:
    """Return the states of a unit in the order in which it reads; padding leaves the state unchanged."""
    h = x.new_zeros(len(x), len(unit.b))
    states = []
    for j in order:
        h = torch.where(mask[:, j, None], unit(x[:, j], h), h)
        states.append(h)
    return states


class Alignment(nn.Module):
    """Alignment network a(s_{i-1}, h_j) = v_a^T tanh(W_a s_{i-1} + U_a h_j), appendix A.1.2.

    Args:
        n: units of the decoder.
        n_annotation: width of an annotation.
        size: hidden units (n').
    """

    def __init__(self, n: int, n_annotation: int, size: int) -> None:
        super().__init__()
        self.W = _matrix(n, size)
        self.U = _matrix(n_annotation, size)
        self.v = _vector(size)

    def scores(self, s: Tensor, keys: Tensor) -> Tensor:
        """Return e_ij of one target word with every source word.

        Args:
            s: s_{i-1}, (batch, n).
            keys: U_a h_j, (batch, n_source, n').

        Returns:
            (batch, n_source).
        """
        return torch.tanh((s @ self.W).unsqueeze(1) + keys) @ self.v

    def forward(self, s: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Return the weights alpha_ij (equation 6): a softmax over the words of the source.

        Args:
            s: s_{i-1}, (batch, n).
            keys: U_a h_j, (batch, n_source, n').
            mask: True where there is a word, (batch, n_source).

        Returns:
            (batch, n_source); sums to 1 and is 0 at padding.
        """
        return self.scores(s, keys).masked_fill(~mask, -torch.inf).softmax(-1)


class DeepOutput(nn.Module):
    """Deep output with one maxout layer (Pascanu et al. 2014; Goodfellow et al. 2013), appendix A.2.2. It reads the previous state.

    Args:
        network: sizes.
        n_context: width of the context.
        n_words: size of the target vocabulary.
    """

    def __init__(self, network: Network, n_context: int, n_words: int) -> None:
        super().__init__()
        pieces = 2 * network.maxout_size
        self.U = _matrix(network.hidden_size, pieces)
        self.V = _matrix(network.embed_size, pieces)
        self.C = _matrix(n_context, pieces)
        self.b = _vector(pieces)
        self.W = _matrix(network.maxout_size, n_words)
        self.b_word = _vector(n_words)

    def forward(self, s: Tensor, y: Tensor, c: Tensor) -> Tensor:
        """Return the logits of the next word.

        Args:
            s: s_{i-1}, (batch, n).
            y: embedding of the previous word, (batch, m).
            c: context c_i, (batch, n_context).

        Returns:
            (batch, n_words).
        """
        pieces = s @ self.U + y @ self.V + c @ self.C + self.b
        t = torch.maximum(pieces[:, 0::2], pieces[:, 1::2])
        return t @ self.W + self.b_word


class Translator(nn.Module):
    """RNNsearch or RNNencdec.

    Args:
        network: kind and sizes.
        n_source_words, n_target_words: sizes of the vocabularies.
        init: see `Settings.init`.
        generator: on the CPU, draws the initial weights.
    """

    def __init__(self, network: Network, n_source_words: int, n_target_words: int, *, init: str, generator: torch.Generator) -> None:
        super().__init__()
        self.attends = network.context == "attention"
        n = network.hidden_size
        width = 2 * n if network.encoder == "bidirectional" else n
        self.encoder = Encoder(network, n_source_words)
        self.W_s = _matrix(n, n)
        self.b_s = _vector(n)
        self.E = _matrix(n_target_words, network.embed_size)
        self.decoder = GatedUnit(network.embed_size, n, width)
        self.alignment = Alignment(n, width, network.alignment_size) if self.attends else None
        self.output = DeepOutput(network, width, n_target_words)
        initialise(self, init, generator)

    def encode(self, words: Tensor, mask: Tensor) -> Source:
        """Read source sentences, which happens once however many words are generated.

        Args:
            words: int64 (batch, n_source).
            mask: True where there is a word, (batch, n_source).

        Returns:
            Annotations, keys of the alignment, and the first state s_0 = tanh(W_s h).
        """
        annotations, last, first = self.encoder(words, mask)
        keys = annotations @ self.alignment.U if self.alignment is not None else annotations[..., :0]
        return Source(annotations, keys, mask, torch.tanh(first @ self.W_s + self.b_s), last)

    def step(self, word: Tensor, s: Tensor, source: Source) -> tuple[Tensor, Tensor, Tensor]:
        """Generate one word: align, predict, and update the state.

        Args:
            word: previous word y_{i-1}, int64 (batch,).
            s: s_{i-1}, (batch, n).
            source: what the encoder returned.

        Returns:
            Logits of y_i (batch, n_words), s_i (batch, n), and alpha_ij (batch, n_source), which is empty for RNNencdec.
        """
        y = self.E[word]
        if self.alignment is None:
            weights, c = s[:, :0], source.last
        else:
            weights = self.alignment(s, source.keys, source.mask)
            c = (weights.unsqueeze(1) @ source.annotations).squeeze(1)  # equation 5
        return self.output(s, y, c), self.decoder(y, s, c), weights

    def forward(self, source: Tensor, mask: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of whole target sentences, given the true previous words.

        Args:
            source: int64 (batch, n_source).
            mask: True where there is a source word, (batch, n_source).
            previous: the target sentences after the end symbol that stands for their beginning, int64 (batch, n_target).

        Returns:
            Logits (batch, n_target, n_words) and weights (batch, n_target, n_source).
        """
        encoded = self.encode(source, mask)
        s, logits, weights = encoded.start, [], []
        for i in range(previous.shape[1]):
            of_word, s, alpha = self.step(previous[:, i], s, encoded)
            logits.append(of_word)
            weights.append(alpha)
        return torch.stack(logits, 1), torch.stack(weights, 1)


def initialise(translator: Translator, init: str, generator: torch.Generator) -> None:
    """Draw initial weights (appendix B.1): recurrent matrices orthogonal, biases zero, the others normal.

    Args:
        translator: overwritten.
        init: 'published', deviation 0.01, of the alignment network 0.001 with v_a zero; or 'scaled', deviation 1 / sqrt(inputs) and
            0.1 for embeddings, because a hundredth is small for networks of a tenth of the published size.
        generator: on the CPU.
    """
    for name, parameter in translator.named_parameters():
        module, _, letter = name.rpartition(".")
        recurrent = letter.startswith("U") and module.endswith(("forwards", "backwards", "decoder"))
        with torch.no_grad():
            if parameter.ndim == 1 and not (letter == "v" and init == "scaled"):
                parameter.zero_()
            elif recurrent:
                parameter.copy_(torch.linalg.qr(torch.randn(parameter.shape, generator=generator))[0])
            else:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * _deviation(name, parameter, init))


def _deviation(name: str, parameter: Tensor, init: str) -> float:
    """Return the standard deviation of a parameter's initial values."""
    if init == "published":
        return 0.001 if name.startswith("alignment.") else 0.01
    return 0.1 if name.endswith("E") else 1 / math.sqrt(parameter.shape[0])


def _matrix(n_in: int, n_out: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(n_in, n_out))


def _vector(n: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(n))
