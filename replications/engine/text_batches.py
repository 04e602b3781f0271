"""Batches of a tokenised text: contiguous streams, which carry a state from chunk to chunk, or crops at random places."""

from __future__ import annotations

import torch
from torch import Tensor

from replications.errors import DataError


class Streams:
    """Contiguous streams for truncated back-propagation: chunk i continues every stream where chunk i - 1 ended.

    Args:
        tokens: int64 (n,); the streams cut it into `batch` equal parts, read side by side.
        batch, seq_len: streams, and characters of one chunk.
        offset: where the first stream begins; the text is read as a ring, so that seeds can cut it elsewhere.
        name: of the text, for the message.

    Raises:
        DataError: the text is shorter than one chunk of every stream.
    """

    def __init__(self, tokens: Tensor, batch: int, seq_len: int, *, offset: int = 0, name: str = "corpus") -> None:
        self.tokens, self.seq_len = tokens, seq_len
        self.n_chunks = (len(tokens) - 1) // (batch * seq_len)
        if self.n_chunks < 1:
            raise DataError(
                f"The {name} has {len(tokens):,} characters; one chunk of {batch} streams of {seq_len} needs {batch * seq_len + 1:,}. "
                "Use a longer text, or a smaller batch or seq_len."
            )
        starts = offset + torch.arange(batch, device=tokens.device) * (self.n_chunks * seq_len)
        self._index = starts + torch.arange(seq_len + 1, device=tokens.device).unsqueeze(1)

    def begins_anew(self, i: int) -> bool:
        """Return True when a chunk is the first of a pass over the text, so that carried state must be zeroed.

        Args:
            i: number of the chunk, from 0.

        Returns:
            False for all other chunks of the pass.
        """
        return i % self.n_chunks == 0

    def chunk(self, i: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of a chunk; passes over the text repeat for ever.

        Args:
            i: number of the chunk, from 0.

        Returns:
            Inputs and targets (the next characters), int64 (seq_len, batch) each.
        """
        window = self.tokens[(self._index + (i % self.n_chunks) * self.seq_len) % len(self.tokens)]
        return window[:-1], window[1:]


def random_crops(tokens: Tensor, batch: int, seq_len: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return inputs and targets at random places of a text.

    Args:
        tokens: int64 (n,).
        batch: number of crops.
        seq_len: characters of a crop.
        generator: source of the places.

    Returns:
        Inputs and targets (the next characters), int64 (batch, seq_len) each.

    Raises:
        DataError: the text is shorter than a crop and its last target.
    """
    if len(tokens) <= seq_len:
        raise DataError(f"The corpus has {len(tokens):,} characters; a crop of {seq_len} needs {seq_len + 1:,}. Use a smaller seq_len.")
    starts = torch.randint(len(tokens) - seq_len, (batch, 1), generator=generator, device=generator.device).to(tokens.device)
    window = tokens[starts + torch.arange(seq_len + 1, device=tokens.device)]
    return window[:, :-1], window[:, 1:]
