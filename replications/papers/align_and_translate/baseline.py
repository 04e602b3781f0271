"""The logic of public re-implementations, for comparison: everything inside the loop over target words, one sentence at a time in translation.

Each step concatenates the repeated state with all annotations and multiplies both with one matrix, so that the part that depends on the
source alone is computed again for every target word; each step also runs the product with the vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from replications.papers.align_and_translate.model import Translator
from replications.papers.align_and_translate.vocabulary import END


class PerStepTranslator(nn.Module):
    """RNNsearch as tutorials write it; the same function of the same weights as `Translator`.

    Args:
        translator: RNNsearch whose weights are used.
    """

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self.translator = translator

    def step(self, word: Tensor, s: Tensor, annotations: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Generate one word.

        Args:
            word: previous word, int64 (batch,).
            s: state, (batch, n).
            annotations: (batch, n_source, k).
            mask: True where there is a word, (batch, n_source).

        Returns:
            Logits (batch, n_words) and the next state.
        """
        model, alignment = self.translator, self.translator.alignment
        assert alignment is not None  # noqa: S101 (only RNNsearch is compared)
        both = torch.cat([s.unsqueeze(1).repeat(1, annotations.shape[1], 1), annotations], -1)
        scores = torch.tanh(both @ torch.cat([alignment.W, alignment.U])) @ alignment.v
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        c = (weights.unsqueeze(1) @ annotations).squeeze(1)
        y = model.E[word]
        return model.output(s, y, c), model.decoder(y, s, c)

    def loss(self, source: Tensor, mask: Tensor, previous: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over sentences of the summed cross-entropy.

        Args:
            source: int64 (batch, n_source).
            mask: True where there is a source word, (batch, n_source).
            previous: int64 (batch, n_target).
            targets: int64 (batch, n_target), -1 at padding.
        """
        encoded = self.translator.encode(source, mask)
        s, total = encoded.start, encoded.start.new_zeros(())
        for i in range(previous.shape[1]):
            logits, s = self.step(previous[:, i], s, encoded.annotations, mask)
            total = total + nn.functional.cross_entropy(logits, targets[:, i], ignore_index=-1, reduction="sum")
        return total / len(source)

    @torch.no_grad()
    def greedy(self, sentence: Tensor, max_length: int) -> list[int]:
        """Translate one sentence.

        Args:
            sentence: int64 (n_source,), with its end.
            max_length: of the translation, in words.

        Returns:
            Word numbers, without the end.
        """
        mask = torch.ones(1, len(sentence), dtype=torch.bool)
        encoded = self.translator.encode(sentence[None], mask)
        s, word, written = encoded.start, torch.tensor([END]), []
        for _ in range(max_length):
            logits, s = self.step(word, s, encoded.annotations, mask)
            word = logits.argmax(-1)
            if int(word) == END:
                break
            written.append(int(word))
        return written
