"""Words and their numbers: every word seen at least n times in the training captions (section 4.3.1)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from replications.errors import CheckpointError, InputError

END, START, UNKNOWN = 0, 1, 2
SPECIAL = ("<end>", "<start>", "<unknown>")


class Vocabulary:
    """A fixed list of words. Numbers 0 to 2 are the end (S_N), the start (S_0) and words that are not in the list."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = (*SPECIAL, *words)
        self.number = {word: index for index, word in enumerate(self.words)}
        if len(self.number) != len(self.words):
            raise InputError("A vocabulary holds a word twice.")

    @classmethod
    def build(cls, captions: Iterable[Sequence[str]], min_count: int) -> Vocabulary:
        """The words of tokenized captions that occur at least `min_count` times, by falling count, then by name.

        Raises:
            InputError: when none does.
        """
        counts = Counter(token for caption in captions for token in caption)
        words = sorted((word for word, count in counts.items() if count >= min_count), key=lambda word: (-counts[word], word))
        if not words:
            raise InputError(f"No word occurs {min_count} times in the training captions. Lower min_count, or give more captions.")
        return cls(words)

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, tokens: Sequence[str]) -> list[int]:
        """Numbers of the tokens, without start and end."""
        return [self.number.get(token, UNKNOWN) for token in tokens]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Words up to the first end."""
        words = []
        for number in numbers:
            if number == END:
                break
            words.append(self.words[number])
        return words

    @property
    def digest(self) -> str:
        """Hash of the words in order."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()[:16]

    def state_dict(self) -> dict[str, Any]:
        """Identity of the vocabulary, kept in every checkpoint."""
        return {"digest": self.digest, "size": len(self)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Check that a checkpoint was made with this vocabulary.

        Raises:
            CheckpointError: when it was not; the checkpoint is left as it is.
        """
        if state_dict["digest"] != self.digest:
            raise CheckpointError(
                f"The vocabulary changed since the checkpoint: {state_dict['size']:,} words (hash {state_dict['digest']}) then, "
                f"{len(self):,} (hash {self.digest}) now. Restore the training captions it was made from, or remove the run's .state folder "
                "to start afresh; nothing was overwritten."
            )
