"""Heads over the features of frames, as the paper writes them: one step at a time.

A clip is a sequence of feature vectors phi_t, from a CNN whose weights are the same for every frame (section 3). Every head gives logits at
every step; the probability of a class is the mean of the softmax over steps, and, for a video, over its clips (section 4.1). So heads
differ in one thing: what step t sees. The average sees frame t alone, the LSTM all frames up to t, the convolution a window, the
transformer all frames.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.randomness import SeededDropout
from replications.papers.video_recognition.settings import ATTENTION_HEADS, Head

KERNEL, N_LAYERS = 3, 2


class AverageHead(nn.Module):
    """The single-frame baseline of Table 1: every frame is classified alone.

    Args:
        n_in: features of a frame.
        n_classes: classes.
    """

    def __init__(self, n_in: int, n_classes: int) -> None:
        super().__init__()
        self.classify = nn.Linear(n_in, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of every step.

        Args:
            x: (batch, steps, n_in).

        Returns:
            (batch, steps, classes); step t depends on frame t.
        """
        return self.classify(x)


class LSTMHead(nn.Module):
    """LRCN: an LSTM reads the frames in order (section 2, equations of Figure 2), with dropout on its output.

    Args:
        n_in: features of a frame.
        hidden_size: units of the LSTM.
        n_classes: classes.
        dropout: share of its outputs dropped in training (0.5 in the paper).
    """

    def __init__(self, n_in: int, hidden_size: int, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_in, hidden_size, batch_first=True)
        self.dropout = SeededDropout(dropout)
        self.classify = nn.Linear(hidden_size, n_classes)

    def hidden_states(self, x: Tensor) -> Tensor:
        """Return h_t of every step.

        i_t = sigmoid(W_xi x_t + W_hi h_{t-1} + b_i), and f_t, o_t likewise; g_t = tanh(W_xc x_t + W_hc h_{t-1} + b_c);
        c_t = f_t c_{t-1} + i_t g_t; h_t = o_t tanh(c_t). The weights of all four are rows of one matrix.

        Args:
            x: (batch, steps, n_in).

        Returns:
            (batch, steps, hidden_size).
        """
        h = c = x.new_zeros(len(x), self.lstm.hidden_size)
        w_x, w_h, b_x, b_h = self.lstm.all_weights[0]
        states = []
        for x_t in x.unbind(1):
            gates = functional.linear(x_t, w_x, b_x) + functional.linear(h, w_h, b_h)
            i, f, g, o = gates.chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            states.append(h)
        return torch.stack(states, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of every step.

        Args:
            x: (batch, steps, n_in).

        Returns:
            (batch, steps, classes); step t depends on the frames up to t.
        """
        return self.classify(self.dropout(self.hidden_states(x)))


class ConvolutionHead(nn.Module):
    """Two convolutions over time, each of three frames; ours, for comparison.

    Args:
        n_in: features of a frame.
        hidden_size: channels.
        n_classes: classes.
        dropout: share of the outputs dropped in training.
    """

    def __init__(self, n_in: int, hidden_size: int, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv1d(n_in, hidden_size, KERNEL, padding=KERNEL // 2)
        self.second = nn.Conv1d(hidden_size, hidden_size, KERNEL, padding=KERNEL // 2)
        self.dropout = SeededDropout(dropout)
        self.classify = nn.Linear(hidden_size, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of every step.

        Args:
            x: (batch, steps, n_in).

        Returns:
            (batch, steps, classes); step t depends on the frames t - 2 to t + 2.
        """
        hidden = functional.relu(self.second(functional.relu(self.first(x.mT)))).mT
        return self.classify(self.dropout(hidden))


class TransformerLayer(nn.Module):
    """Self-attention over the steps and a layer for each step (Vaswani et al. 2017), normalised before each.

    Args:
        width: features of a step.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the steps after attention among them.

        Args:
            x: (batch, steps, width).

        Returns:
            (batch, steps, width).
        """
        q, k, v = self.qkv(self.attention_norm(x)).unflatten(2, (3, ATTENTION_HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.mlp(self.mlp_norm(x))


class TransformerHead(nn.Module):
    """A transformer encoder over the frames, with fixed codes of their positions; ours, for comparison.

    Args:
        n_in: features of a frame.
        hidden_size: width of the encoder, a multiple of 4.
        n_classes: classes.
        dropout: share of the outputs dropped in training.
    """

    def __init__(self, n_in: int, hidden_size: int, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(n_in, hidden_size)
        self.layers = nn.Sequential(*(TransformerLayer(hidden_size) for _ in range(N_LAYERS)), nn.LayerNorm(hidden_size))
        self.dropout = SeededDropout(dropout)
        self.classify = nn.Linear(hidden_size, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of every step.

        Args:
            x: (batch, steps, n_in).

        Returns:
            (batch, steps, classes); every step depends on all frames.
        """
        projected = self.project(x)
        hidden = self.layers(projected + position_codes(x.shape[1], projected.shape[2], x.device).to(projected.dtype))
        return self.classify(self.dropout(hidden))


def position_codes(n_steps: int, width: int, device: torch.device) -> Tensor:
    """Return sines and cosines of the step number at wavelengths from 2 pi to 10,000 x 2 pi (Vaswani et al. 2017, section 3.5).

    Args:
        n_steps: steps.
        width: numbers a step, even.
        device: of the result.

    Returns:
        (n_steps, width): sines, then cosines.
    """
    frequencies = torch.exp(torch.arange(width // 2, device=device) * (-math.log(1e4) / (width // 2)))
    angles = torch.arange(n_steps, device=device).unsqueeze(1) * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class ClipNetwork(nn.Module):
    """Features of frames, one layer for each frame (fc6 in the paper), and a head over the steps.

    Args:
        n_features: features of a frame, from the CNN.
        embedding_size: units of the layer for each frame.
        head: reads the sequence, (batch, steps, embedding_size) to (batch, steps, classes).
        frame_dropout: share of the units dropped in training (0.9 in the paper).
    """

    def __init__(self, n_features: int, embedding_size: int, head: nn.Module, frame_dropout: float) -> None:
        super().__init__()
        self.embed = nn.Linear(n_features, embedding_size)
        self.dropout = SeededDropout(frame_dropout)
        self.head = head

    def forward(self, frames: Tensor) -> Tensor:
        """Return the logits of every step.

        Args:
            frames: (batch, steps, n_features).

        Returns:
            (batch, steps, classes).
        """
        return self.head(self.dropout(functional.relu(self.embed(frames))))


def make_head(name: Head, n_in: int, hidden_size: int, n_classes: int, dropout: float) -> nn.Module:
    """Return a head as it is written here.

    Args:
        name: of the head.
        n_in: features of a frame.
        hidden_size: units or channels.
        n_classes: classes.
        dropout: share of its outputs dropped in training.

    Returns:
        Module from (batch, steps, n_in) to (batch, steps, classes).
    """
    if name == "average":
        return AverageHead(n_in, n_classes)
    if name == "lstm":
        return LSTMHead(n_in, hidden_size, n_classes, dropout)
    if name == "convolution":
        return ConvolutionHead(n_in, hidden_size, n_classes, dropout)
    return TransformerHead(n_in, hidden_size, n_classes, dropout)


def step_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy at every step, averaged: the clip's class is asked for at each (section 4.1).

    Args:
        logits: (batch, steps, classes).
        labels: int64 (batch,), or (batch, steps) where every frame has its own.

    Returns:
        Nats, ().
    """
    each = labels if labels.ndim == 2 else labels.unsqueeze(1).expand(logits.shape[:2])
    return functional.cross_entropy(logits.flatten(0, 1).float(), each.flatten())


def clip_probabilities(logits: Tensor) -> Tensor:
    """Return the probabilities of a clip: the mean of the softmax over steps (section 4.1).

    Args:
        logits: (..., steps, classes).

    Returns:
        (..., classes).
    """
    return logits.float().softmax(-1).mean(-2)


def fuse(rgb: Tensor, flow: Tensor, flow_weight: float) -> Tensor:
    """Return the late fusion of both streams: a weighted mean of their probabilities (Table 1).

    Args:
        rgb: (..., classes).
        flow: (..., classes).
        flow_weight: 1/2 or 2/3 in the paper.

    Returns:
        (..., classes).
    """
    return (1 - flow_weight) * rgb + flow_weight * flow
