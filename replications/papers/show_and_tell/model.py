"""The caption decoders as their papers write them: one network, one word at a time.

`Captioner` is the Neural Image Caption generator (NIC) of Vinyals et al. 2015 (arXiv 1411.4555v2, section 3): an LSTM that receives the
image once, before the first word; a plain recurrent network can take the LSTM's place. `AttentiveCaptioner` is the soft attention model of
Xu et al. 2015 (arXiv 1502.03044, section 3): an LSTM that receives a weighted mean of image locations with every word. Nothing here is
optimised for speed: training and search run the same networks in the form of `fused.py`, and a test holds that both agree.

Shapes: n rows (captions or beams), T words, E embedding, H hidden, V vocabulary, D image features, L locations of C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.papers.show_and_tell.settings import Decoder as DecoderSettings


@dataclass(frozen=True)
class ImageFeatures:
    """CNN features of n images; in `fused.py` both arrays have a leading slot axis.

    Attributes:
        vector: CNN(I), (n, D).
        grid: annotation vectors a_1 ... a_L of Xu et al., (n, L, C); None where the decoder has no attention.
    """

    vector: Tensor
    grid: Tensor | None = None

    def rows(self, index: Tensor) -> ImageFeatures:
        """Select images.

        Args:
            index: image numbers, (m,) int64.

        Returns:
            Features of these images, (m, ...).
        """
        return ImageFeatures(self.vector[..., index, :], None if self.grid is None else self.grid[..., index, :, :])


@dataclass(frozen=True)
class State:
    """State of a decoder between two words.

    Attributes:
        hidden: m_t, the output of the LSTM, (n, H).
        cell: c_t, its memory cell, (n, H); zeros in a plain recurrent network.
        image: annotation vectors that attention weights before every word, (n, L, C); empty, (n, 0), for NIC.
        projected: image projection that is the same at every step and therefore computed once: the image's contribution to the
            pre-activations where NIC receives it with every word, (n, 4H) or (n, H), or to the attention scores, (n, L, A); otherwise empty, (n, 0).
    """

    hidden: Tensor
    cell: Tensor
    image: Tensor
    projected: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> State:
        """Apply a function to every tensor, for example one that selects rows.

        Args:
            function: maps a tensor with leading axis n to a tensor.

        Returns:
            State of the mapped tensors.
        """
        return State(function(self.hidden), function(self.cell), function(self.image), function(self.projected))


@dataclass(frozen=True)
class Output:
    """Outputs of a decoder over whole captions.

    Attributes:
        logits: scores of every next word before the softmax, (n, T, V).
        attention: weights alpha over locations before every word, (n, T, L); None for NIC.
    """

    logits: Tensor
    attention: Tensor | None = None


def lstm_step(gates: Tensor, cell: Tensor, *, library: bool) -> tuple[Tensor, Tensor]:
    """Compute one LSTM step (eqs 4-8).

    Args:
        gates: pre-activations W_x x_t + W_m m_{t-1} of input gate, forget gate, output gate and candidate, side by side, (n, 4H).
        cell: c_{t-1}, (n, H).
        library: apply tanh to the cell before the output gate, as libraries do and the paper does not.

    Returns:
        m_t and c_t, each (n, H).
    """
    i, f, o, candidate = gates.chunk(4, dim=-1)
    i = i.sigmoid()  # eq. 4
    f = f.sigmoid()  # eq. 5
    o = o.sigmoid()  # eq. 6
    cell = f * cell + i * candidate.tanh()  # eq. 7
    return o * (cell.tanh() if library else cell), cell  # eq. 8


class LSTM(nn.Module):
    """Weights of the LSTM: W_ix, W_fx, W_ox, W_cx of the input, and W_im, W_fm, W_om, W_cm of the previous output.

    Args:
        n_in: width of the input x_t.
        hidden: H.
        library: the cell of libraries: gates with biases, and tanh on the cell before the output gate.

    Attributes:
        n_blocks: pre-activations of a unit: three gates and the candidate.
    """

    n_blocks = 4

    def __init__(self, n_in: int, hidden: int, *, library: bool) -> None:
        super().__init__()
        self.library = library
        self.inputs = nn.Linear(n_in, 4 * hidden, bias=library)
        self.hidden = nn.Linear(hidden, 4 * hidden, bias=False)

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor, *further: Tensor) -> tuple[Tensor, Tensor]:
        """Run one step.

        Args:
            x: x_t, (n, n_in).
            hidden: m_{t-1}, (n, H).
            cell: c_{t-1}, (n, H).
            further: contributions of other inputs to the gate pre-activations, each (n, 4H).

        Returns:
            m_t and c_t, each (n, H).
        """
        return lstm_step(sum(further, self.inputs(x) + self.hidden(hidden)), cell, library=self.library)


class TanhRNN(nn.Module):
    """The plain recurrent network m_t = tanh(W_x x_t + W_m m_{t-1} + W_i v), the last term where the image v is fed with every word.

    It has no gates and no memory cell. Donahue et al. 2016 (arXiv 1411.4389v4, Table 6) caption images with it for comparison.

    Args:
        n_in: width of the input x_t.
        hidden: H.

    Attributes:
        n_blocks: pre-activations of a unit.
    """

    n_blocks = 1

    def __init__(self, n_in: int, hidden: int) -> None:
        super().__init__()
        self.inputs = nn.Linear(n_in, hidden, bias=False)
        self.hidden = nn.Linear(hidden, hidden, bias=False)

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor, *further: Tensor) -> tuple[Tensor, Tensor]:
        """Run one step.

        Args:
            x: x_t, (n, n_in).
            hidden: m_{t-1}, (n, H).
            cell: not used, (n, H).
            further: contributions of other inputs to the pre-activations, each (n, H): W_i v.

        Returns:
            m_t, (n, H), and the cell as it was.
        """
        return sum(further, self.inputs(x) + self.hidden(hidden)).tanh(), cell


class Captioner(nn.Module):
    """NIC, the Neural Image Caption generator (section 3.1).

    Args:
        settings: layer widths, type of cell, and whether the image is also fed with every word.
        n_features: width D of the image features.
        n_words: V.
        dropout: share of embeddings and LSTM outputs set to zero in training.
    """

    def __init__(self, settings: DecoderSettings, n_features: int, n_words: int, dropout: float) -> None:
        super().__init__()
        embed, hidden = settings.embed_size, settings.hidden_size
        self.image = nn.Linear(n_features, embed)
        self.word_embedding = nn.Embedding(n_words, embed)
        self.output = nn.Linear(hidden, n_words)
        self.rnn = TanhRNN(embed, hidden) if settings.cell == "tanh" else LSTM(embed, hidden, library=settings.cell == "library")
        self.every_step = nn.Linear(embed, self.rnn.n_blocks * hidden, bias=False) if settings.image == "every_step" else None
        self.dropout = nn.Dropout(dropout)

    def start(self, images: ImageFeatures) -> State:
        """Feed the image at t = -1, x_{-1} = CNN(I) (eq. 10), to an LSTM (or plain network) whose state is zero.

        Args:
            images: one image per row.

        Returns:
            State before the first word.
        """
        x = self.dropout(self.image(images.vector))
        zeros = x.new_zeros(len(x), self.rnn.hidden.in_features)
        hidden, cell = self.rnn(x, zeros, zeros)
        empty = x.new_empty(len(x), 0)
        return State(hidden, cell, empty, empty if self.every_step is None else self.every_step(x))

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one word S_t per row and score the next one.

        Args:
            words: word numbers, (n,).
            state: after the preceding words.

        Returns:
            Logits of p_{t+1} (eq. 9 is their softmax), (n, V), and the new state.
        """
        x = self.dropout(self.word_embedding(words))  # x_t = W_e S_t (eq. 11)
        further = () if self.every_step is None else (state.projected,)
        hidden, cell = self.rnn(x, state.hidden, state.cell, *further)  # p_{t+1} = LSTM(x_t) (eq. 12)
        return self.output(self.dropout(hidden)), replace(state, hidden=hidden, cell=cell)

    def forward(self, images: ImageFeatures, words: Tensor) -> Output:
        """Score every next word of captions, given the true preceding words.

        Args:
            images: one image per row.
            words: word numbers S_0 (start) ... S_{T-1}, (n, T).

        Returns:
            Logits (n, T, V).
        """
        state = self.start(images)
        logits = []
        for word in words.unbind(1):
            scores, state = self.step(word, state)
            logits.append(scores)
        return Output(torch.stack(logits, 1))


class AttentiveCaptioner(nn.Module):
    """Soft attention (Xu et al. 2015): the LSTM reads a weighted mean of the locations together with each word.

    Equations are those of arXiv 1502.03044. The cell is the library's, as there (eqs 1-3).

    Args:
        settings: layer widths.
        n_channels: width C of the annotation vectors.
        n_words: V.
        dropout: share of embeddings and LSTM outputs set to zero in training.
    """

    def __init__(self, settings: DecoderSettings, n_channels: int, n_words: int, dropout: float) -> None:
        super().__init__()
        embed, hidden, width = settings.embed_size, settings.hidden_size, settings.attention_size
        self.word_embedding = nn.Embedding(n_words, embed)
        self.output = nn.Linear(hidden, n_words)
        self.lstm = LSTM(embed, hidden, library=True)
        self.context_gates = nn.Linear(n_channels, 4 * hidden, bias=False)
        self.init_hidden = nn.Linear(n_channels, hidden)
        self.init_cell = nn.Linear(n_channels, hidden)
        self.attend_image = nn.Linear(n_channels, width)
        self.attend_hidden = nn.Linear(hidden, width, bias=False)
        self.attend_score = nn.Linear(width, 1, bias=False)
        self.beta = nn.Linear(hidden, n_channels)
        self.deep_context = nn.Linear(n_channels, hidden, bias=False)
        self.deep_word = nn.Linear(embed, hidden, bias=False)
        self.dropout = nn.Dropout(dropout)

    def start(self, images: ImageFeatures) -> State:
        """Compute the state before the first word from the mean annotation vector (section 3.1.2).

        Args:
            images: one image per row, with a grid.

        Returns:
            State before the first word.

        Raises:
            ValueError: the features have no grid.
        """
        a = annotation_vectors(images)
        mean = a.mean(1)
        return State(self.init_hidden(mean).tanh(), self.init_cell(mean).tanh(), a, self.attend_image(a))

    def attend(self, state: State) -> tuple[Tensor, Tensor]:
        """Compute the attention weights and the context vector before a word.

        Args:
            state: after the preceding words.

        Returns:
            Weights alpha_t over locations, (n, L), and the gated context z_t, (n, C).
        """
        e = self.attend_score((state.projected + self.attend_hidden(state.hidden)[:, None]).tanh()).squeeze(-1)  # eq. 4
        alpha = e.softmax(-1)  # eq. 5
        z = (alpha[..., None] * state.image).sum(1)  # eq. 6; phi is the mean under alpha (section 4.2)
        return alpha, self.beta(state.hidden).sigmoid() * z  # beta_t of section 4.2.1

    def step(self, words: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Attend, read one word per row, and score the next one.

        Args:
            words: word numbers y_{t-1}, (n,).
            state: after the preceding words.

        Returns:
            Logits (n, V), attention alpha_t (n, L), and the new state.
        """
        alpha, z = self.attend(state)
        x = self.dropout(self.word_embedding(words))
        hidden, cell = self.lstm(x, state.hidden, state.cell, self.context_gates(z))  # eqs 1-3
        deep = (self.dropout(hidden) + self.deep_context(z) + self.deep_word(x)).tanh()  # eq. 7
        return self.output(deep), alpha, replace(state, hidden=hidden, cell=cell)

    def forward(self, images: ImageFeatures, words: Tensor) -> Output:
        """Score every next word of captions, given the true preceding words.

        Args:
            images: one image per row, with a grid.
            words: word numbers from the start symbol on, (n, T).

        Returns:
            Logits (n, T, V) and attention (n, T, L).

        Raises:
            ValueError: the features have no grid.
        """
        state = self.start(images)
        logits, attention = [], []
        for word in words.unbind(1):
            scores, alpha, state = self.step(word, state)
            logits.append(scores)
            attention.append(alpha)
        return Output(torch.stack(logits, 1), torch.stack(attention, 1))


def annotation_vectors(images: ImageFeatures) -> Tensor:
    """Return the annotation vectors of images.

    Args:
        images: features of n images.

    Returns:
        The grid, (n, L, C).

    Raises:
        ValueError: the features have no grid.
    """
    if images.grid is None:
        raise ValueError("attention needs grid features, but these image features have none: extract them with a grid")
    return images.grid


def caption_loss(output: Output, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the negative log-likelihood of captions (eq. 13).

    Args:
        output: logits (..., n, T, V).
        targets: the next words, (..., n, T), -1 where a caption is padded.

    Returns:
        Loss summed over words, in nats, and number of words, each of the leading shape: (slots,), or () for one network.
    """
    losses = functional.cross_entropy(
        output.logits.transpose(-3, -2).flatten(0, -2), targets.mT.flatten(), ignore_index=-1, reduction="none"
    )
    return losses.view(*targets.shape[:-2], -1).sum(-1), (targets >= 0).flatten(-2).sum(-1)


def coverage_penalty(attention: Tensor, targets: Tensor) -> Tensor:
    """Compute the doubly stochastic penalty (Xu et al. 2015, eq. 14): sum over locations of (1 - sum over words of attention)^2.

    Args:
        attention: weights over locations, (..., n, T, L).
        targets: the next words, (..., n, T), -1 where a caption is padded.

    Returns:
        Penalty summed over rows, of the leading shape: (slots,), or () for one network.
    """
    total = (attention * (targets >= 0).unsqueeze(-1)).sum(-2)
    return (1 - total).square().sum((-2, -1))
