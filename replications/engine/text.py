"""Texts for models that read characters: vocabularies, corpora and their splits.

A character here is a *byte* of the text's UTF-8 form, shown as the Latin-1 character of that number, as in trainers that
read bytes. ASCII is unaffected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from replications.engine.datasets import DataSource
from replications.errors import CheckpointError, DataError, InputError, nearest

if TYPE_CHECKING:
    import datasets

Loader = Callable[[DataSource, str], "datasets.Dataset"]


@dataclass(frozen=True)
class CorpusSpec:
    """A corpus by name: its source, the language its structure is parsed in, and its split.

    Attributes:
        source: data set with one split 'all' of one row 'text'.
        language: 'prose', 'c' or 'cpp'.
        validation: share of the text for validation, in [0, 1); it is cut from the end, before the test part.
        test: share of the text for the test, in [0, 1); it is cut from the end. The rest trains.
    """

    source: DataSource
    language: str
    validation: float
    test: float


@dataclass(frozen=True)
class Vocabulary:
    """The characters a model knows, in code order; the position is the token."""

    characters: str

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """Return the vocabulary of a text: every character that is in it.

        Args:
            text: not empty.

        Returns:
            A vocabulary in code order.

        Raises:
            DataError: the text is empty.
        """
        if not text:
            raise DataError("The corpus is empty: it has no character to make a vocabulary of. Remove the file and fetch it again.")
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """Return the tokens of a text.

        Args:
            text: its characters must be in the vocabulary.

        Returns:
            int64 (len(text),).

        Raises:
            InputError: a character is not in the vocabulary; the message says which and where.
        """
        known = np.array([ord(c) for c in self.characters], dtype=np.uint32)
        codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        tokens = np.searchsorted(known, codes).clip(max=len(known) - 1)
        wrong = np.flatnonzero(known[tokens] != codes)
        if wrong.size:
            position = int(wrong[0])
            raise InputError(
                f"Character {text[position]!r} at position {position:,} is not among the {len(self)} characters of this model's corpus:"
                f" {self.characters!r}. Leave it out or train on a corpus that has it."
            )
        return tokens.astype(np.int64)

    def decode(self, tokens: np.ndarray | Tensor | list[int]) -> str:
        """Return the text of tokens.

        Args:
            tokens: positions in the vocabulary, (n,).

        Returns:
            n characters.
        """
        return "".join(self.characters[int(token)] for token in tokens)

    def state_dict(self) -> dict[str, Any]:
        """Return the characters as code points, for checkpoints."""
        return {"code_points": [ord(c) for c in self.characters]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Check that a checkpoint was trained on the same characters.

        Args:
            state_dict: what `state_dict` returned.

        Raises:
            CheckpointError: the characters differ.
        """
        saved = "".join(map(chr, state_dict["code_points"]))
        if saved != self.characters:
            lost, new = sorted(set(saved) - set(self.characters)), sorted(set(self.characters) - set(saved))
            raise CheckpointError(
                f"The checkpoint was trained on {len(saved)} characters, this corpus has {len(self)}: only there {lost}, only here {new}."
                f" Its weights do not fit. Restore the corpus, or delete the run's .state folder to start afresh."
            )


@dataclass(frozen=True)
class Corpus:
    """A split text.

    Attributes:
        name: of the corpus, for messages.
        language: see `CorpusSpec`.
        vocabulary: characters of the whole text, the held-out parts included.
        train: first part of the text.
        validation: the part before the last.
        test: last part.
    """

    name: str
    language: str
    vocabulary: Vocabulary
    train: str
    validation: str
    test: str

    def tokens(self, split: str, device: torch.device | str = "cpu") -> Tensor:
        """Return the tokens of one split.

        Args:
            split: 'train', 'validation' or 'test'.
            device: of the result.

        Returns:
            int64 (n,).
        """
        return torch.from_numpy(self.vocabulary.encode(getattr(self, split))).to(device)


def as_bytes(text: str) -> str:
    """Return the bytes of a text's UTF-8 form, each as one character (U+0000 to U+00FF).

    Args:
        text: any text; ASCII is returned unchanged.

    Returns:
        As many characters as the UTF-8 form has bytes.
    """
    return text if text.isascii() else text.encode("utf-8").decode("latin-1")


def split_text(text: str, validation: float, test: float) -> tuple[str, str, str]:
    """Cut a text into contiguous parts.

    Args:
        text: the whole text.
        validation: share of the validation part, in [0, 1).
        test: share of the test part at the end, in [0, 1).

    Returns:
        Training, validation and test part, which together are the text.
    """
    first, second = round(len(text) * (1 - validation - test)), round(len(text) * (1 - test))
    return text[:first], text[first:second], text[second:]


def load_corpus(name: str, corpora: Mapping[str, CorpusSpec], load: Loader) -> Corpus:
    """Return a corpus, loaded, verified and split.

    Args:
        name: key of `corpora`.
        corpora: declared corpora by name.
        load: opens one split of a source, for example `Context.load`.

    Returns:
        The corpus in its three parts.

    Raises:
        InputError: no corpus of this name.
        DataError: the source is missing, altered, empty, or not text in UTF-8.
    """
    if name not in corpora:
        raise InputError(f"No corpus is called '{name}'. {nearest(name, corpora)}")
    spec = corpora[name]
    text = as_bytes(load(spec.source, "all")[0]["text"])
    return Corpus(name, spec.language, Vocabulary.of(text), *split_text(text, spec.validation, spec.test))
