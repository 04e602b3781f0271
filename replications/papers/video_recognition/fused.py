"""The fast form of the LSTM: all steps in one call of the library; weights and results are those of `model.py`."""

from __future__ import annotations

from torch import Tensor, nn

from replications.papers.video_recognition.model import LSTMHead, make_head
from replications.papers.video_recognition.settings import Head


class FusedLSTMHead(LSTMHead):
    """`LSTMHead` whose states come from one call for all steps. Arguments as there."""

    def hidden_states(self, x: Tensor) -> Tensor:
        """Return h_t of every step.

        Args:
            x: (batch, steps, n_in).

        Returns:
            (batch, steps, hidden_size).
        """
        return self.lstm(x)[0]


def fast_head(name: Head, n_in: int, hidden_size: int, n_classes: int, dropout: float) -> nn.Module:
    """Return a head in its fast form; of all but the LSTM it is the only one. Arguments as of `model.make_head`.

    Args:
        name: of the head.
        n_in: features of a frame.
        hidden_size: units or channels.
        n_classes: classes.
        dropout: share of its outputs dropped in training.

    Returns:
        Module from (batch, steps, n_in) to (batch, steps, classes).
    """
    if name == "lstm":
        return FusedLSTMHead(n_in, hidden_size, n_classes, dropout)
    return make_head(name, n_in, hidden_size, n_classes, dropout)
