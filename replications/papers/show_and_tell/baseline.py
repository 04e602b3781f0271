"""The common implementation of caption search: one image at a time, a beam that shrinks as sentences end, library layers.

Its logic is that of the best-known public PyTorch captioning code (its evaluation loop), without attention. It is the baseline of
`bench`, and finds the same captions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from replications.papers.show_and_tell.fused import NicGroup
from replications.papers.show_and_tell.fused_lstm import SlotLSTM
from replications.papers.show_and_tell.vocabulary import END, START, UNKNOWN


class BaselineDecoder(nn.Module):
    """Embedding, LSTMCell and Linear with the weights of the first slot of a group that has the library's cell.

    Args:
        ours: gives the weights.

    Raises:
        ValueError: the group has another cell.
    """

    def __init__(self, ours: NicGroup) -> None:
        super().__init__()
        n_words, embed = ours.word_embedding.weight.shape[1:]
        hidden = ours.settings.hidden_size
        if not isinstance(ours.rnn, SlotLSTM) or ours.rnn.inputs.bias is None:
            raise ValueError("the baseline has the library's cell, this group another; build the group with cell: library")
        self.image = nn.Linear(ours.image.weight.shape[1], embed)
        self.embedding = nn.Embedding(n_words, embed)
        self.cell = nn.LSTMCell(embed, hidden)
        self.output = nn.Linear(hidden, n_words)
        with torch.no_grad():
            self.image.weight.copy_(ours.image.weight[0].T)
            self.embedding.weight.copy_(ours.word_embedding.weight[0])
            self.output.weight.copy_(ours.output.weight[0].T)
            for linear, layer in ((self.image, ours.image), (self.output, ours.output)):
                if layer.bias is not None:
                    linear.bias.copy_(layer.bias[0, 0])
            # Our order of the gates is input, forget, output, candidate; the library's is input, forget, candidate, output.
            order = torch.arange(4 * hidden).view(4, hidden)[[0, 1, 3, 2]].flatten()
            self.cell.weight_ih.copy_(ours.rnn.inputs.weight[0].T[order])
            self.cell.weight_hh.copy_(ours.rnn.hidden.weight[0].T[order])
            self.cell.bias_ih.copy_(ours.rnn.inputs.bias[0, 0][order])
            self.cell.bias_hh.zero_()


@torch.no_grad()
def baseline_search(
    decoder: BaselineDecoder, vectors: Tensor, beam_size: int, max_length: int, words_before_end: int | None = None
) -> list[list[int]]:
    """Find the best caption of each image.

    Args:
        decoder: the layers.
        vectors: image features, (n, D).
        beam_size: sentences per image that the search keeps at first.
        max_length: maximum length of a sentence in words.
        words_before_end: number of words after which every sentence is forced to end, to time untrained weights; None: not forced.

    Returns:
        Word numbers of each caption, without start and end symbol.
    """
    return [_search_one(decoder, vector, beam_size, max_length, words_before_end) for vector in vectors]


def _search_one(decoder: BaselineDecoder, vector: Tensor, beam_size: int, max_length: int, words_before_end: int | None) -> list[int]:
    k, n_words = beam_size, decoder.embedding.num_embeddings
    hidden, cell = decoder.cell(decoder.image(vector).expand(k, -1))
    last = torch.full((k,), START)
    sentences = torch.full((k, 1), START)
    beam_scores = torch.zeros(k, 1)
    complete: list[tuple[float, Sequence[int]]] = []
    for step in range(1, max_length + 1):
        hidden, cell = decoder.cell(decoder.embedding(last), (hidden, cell))
        scores = decoder.output(hidden).log_softmax(1)
        scores[:, START : UNKNOWN + 1] = -torch.inf
        if words_before_end is not None:
            scores[:, END] = 0.0 if step > words_before_end else -torch.inf
        scores = beam_scores.expand_as(scores) + scores
        best, flat = (scores[0] if step == 1 else scores.view(-1)).topk(k, 0)
        row, word = flat // n_words, flat % n_words
        sentences = torch.cat([sentences[row], word.unsqueeze(1)], dim=1)
        unfinished = [i for i, number in enumerate(word.tolist()) if number != END]
        complete += [(float(best[i]), sentences[i].tolist()) for i in set(range(len(word))) - set(unfinished)]
        k -= len(word) - len(unfinished)
        if k == 0:
            break
        sentences, last, beam_scores = sentences[unfinished], word[unfinished], best[unfinished].unsqueeze(1)
        hidden, cell = hidden[row[unfinished]], cell[row[unfinished]]
    if not complete:
        complete = [(float(value), sentence) for value, sentence in zip(beam_scores[:, 0].tolist(), sentences.tolist(), strict=True)]
    return [word for word in max(complete)[1] if word not in (START, END)]
