"""From video to words: the three decoders of Figure 5, which read a recogniser's beliefs instead of frames (section 6).

In the paper a CRF gives beliefs about activity, tool, object and place; here the trained clip network gives beliefs about object (the digit)
and action (the direction). (a) An encoder LSTM reads the most probable ones as a sequence, and a decoder begins with its state;
(b) the decoder reads the most probable ones at every word; (c) it reads the probabilities at every word.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from replications.engine.context import Context
from replications.papers.video_recognition import digits
from replications.papers.video_recognition.bleu import bleu_4
from replications.papers.video_recognition.clips import Clips
from replications.papers.video_recognition.data import ClipData
from replications.papers.video_recognition.evaluation import logits_of
from replications.papers.video_recognition.model import clip_probabilities
from replications.papers.video_recognition.settings import Settings
from replications.papers.video_recognition.trainer import Loss, Trainer

DECODERS = ("encoder", "maxima", "probabilities")
END = "."
WORDS = (END, *sorted({word for sentence in digits.captions(torch.arange(digits.N_CLASSES).numpy()) for word in sentence}))
LENGTH = 7
"""Words of a sentence with its end, at most."""
N_SLOTS, N_VALUES = 2, 4
"""Beliefs: digit and direction, of four values each."""


class Decoder(nn.Module):
    """An LSTM that writes a sentence from beliefs.

    Args:
        kind: one of `DECODERS`.
        hidden_size: units of the LSTM and of word embeddings.
    """

    def __init__(self, kind: str, hidden_size: int) -> None:
        super().__init__()
        self.kind = kind
        seen = 0 if kind == "encoder" else N_SLOTS * N_VALUES
        self.embed = nn.Embedding(len(WORDS), hidden_size)
        self.encoder = nn.LSTM(N_VALUES + N_SLOTS, hidden_size, batch_first=True) if kind == "encoder" else None
        self.lstm = nn.LSTM(hidden_size + seen, hidden_size, batch_first=True)
        self.classify = nn.Linear(hidden_size, len(WORDS))

    def start(self, beliefs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the LSTM's state before the first word.

        Args:
            beliefs: (batch, slots, values).

        Returns:
            h and c, (1, batch, hidden_size); zero where beliefs are read at every word instead.
        """
        if self.encoder is None:
            zero = beliefs.new_zeros(1, len(beliefs), self.lstm.hidden_size)
            return zero, zero
        slot = torch.eye(N_SLOTS, device=beliefs.device).expand(len(beliefs), -1, -1)
        state: tuple[Tensor, Tensor] = self.encoder(torch.cat([beliefs, slot], dim=2))[1]
        return state

    def forward(self, words: Tensor, beliefs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the logits of the word after each of these.

        Args:
            words: numbers of words, int64 (batch, length); a sentence begins after `END`.
            beliefs: (batch, slots, values).
            state: h and c before the first of them.

        Returns:
            Logits (batch, length, words), and the state after the last.
        """
        inputs = self.embed(words)
        if self.encoder is None:
            inputs = torch.cat([inputs, beliefs.flatten(1).unsqueeze(1).expand(-1, words.shape[1], -1)], dim=2)
        states, state = self.lstm(inputs, state)
        return self.classify(states), state

    @torch.no_grad()
    def greedy(self, beliefs: Tensor) -> Tensor:
        """Return the most probable next word, again and again; all sentences are written at once.

        Args:
            beliefs: (batch, slots, values).

        Returns:
            Numbers of words, int64 (batch, LENGTH).
        """
        state, words = self.start(beliefs), torch.zeros(len(beliefs), 1, dtype=torch.long, device=beliefs.device)
        written = []
        for _ in range(LENGTH):
            logits, state = self(words, beliefs, state)
            words = logits.argmax(-1)
            written.append(words)
        return torch.cat(written, dim=1)


def beliefs_of(networks: Sequence[nn.Module], clips: Clips) -> Tensor:
    """Return what trained networks believe about digit and direction.

    Args:
        networks: one per seed.
        clips: of moving digits.

    Returns:
        Probabilities, (seeds, clips, slots, values).
    """
    joint = clip_probabilities(logits_of(networks, clips.streams["rgb"])).unflatten(-1, (N_VALUES, N_VALUES))
    return torch.stack([joint.sum(-1), joint.sum(-2)], dim=2)


def maxima_of(beliefs: Tensor) -> Tensor:
    """Return one for the most probable value of each slot and zero for the others.

    Args:
        beliefs: (..., values).

    Returns:
        Of the same shape.
    """
    return functional.one_hot(beliefs.argmax(-1), beliefs.shape[-1]).to(beliefs.dtype)


def encode(labels: Tensor) -> Tensor:
    """Return the sentences of classes as numbers of words.

    Args:
        labels: int64 (clips,).

    Returns:
        int64 (clips, LENGTH), filled up with `END`.
    """
    sentences = digits.captions(labels.cpu().numpy())
    numbers = [[WORDS.index(word) for word in (*words, *[END] * (LENGTH - len(words)))] for words in sentences]
    return torch.tensor(numbers, device=labels.device)


def sentences_of(words: Tensor) -> list[list[str]]:
    """Return the words before the end of each sentence.

    Args:
        words: numbers, int64 (clips, length).

    Returns:
        Words of each sentence.
    """
    texts = [[WORDS[number] for number in row] for row in words.tolist()]
    return [text[: text.index(END)] if END in text else text for text in texts]


def describe(settings: Settings, context: Context, networks: Sequence[nn.Module], data: ClipData) -> None:
    """Train the three decoders on the networks' beliefs, and record how well each describes the scored clips.

    Args:
        settings: of the run.
        context: receives the records.
        networks: trained clip networks, one per seed.
        data: clips of moving digits.
    """
    train, scored = beliefs_of(networks, data.train), beliefs_of(networks, data.scored)
    targets = encode(data.train.labels)
    inputs = torch.cat([torch.zeros_like(targets[:, :1]), targets[:, :-1]], dim=1)
    # Padding after the first end is not asked for.
    ends = (targets == 0).cumsum(1)

    def loss_of(kind: str, seed_of: dict[int, int]) -> Loss:
        beliefs = train if kind == "probabilities" else maxima_of(train)

        def loss(decoder: nn.Module, rows: Tensor) -> Tensor:
            assert isinstance(decoder, Decoder)  # noqa: S101 (built below)
            of_seed = beliefs[seed_of[id(decoder)]][rows]
            logits, _ = decoder(inputs[rows], of_seed, decoder.start(of_seed))
            wanted = targets[rows].masked_fill(ends[rows] > 1, -100)
            return functional.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten())

        return loss

    seed_of: dict[int, int] = {}
    losses = {kind: loss_of(kind, seed_of) for kind in DECODERS}
    trainer = Trainer(
        settings,
        context,
        DECODERS,
        lambda kind: Decoder(kind, settings.hidden_size),
        losses,
        n_rows=len(targets),
        n_steps=settings.word_steps,
    )
    seed_of |= {id(decoder): seed for decoders in trainer.networks.values() for seed, decoder in enumerate(decoders)}
    trainer.run("words")
    references = digits.captions(data.scored.labels.cpu().numpy())
    split, step = settings.evaluate_on, settings.word_steps
    for kind, decoders in trainer.networks.items():
        beliefs = scored if kind == "probabilities" else maxima_of(scored)
        written = [sentences_of(d.greedy(beliefs[seed])) for seed, d in enumerate(decoders) if isinstance(d, Decoder)]
        context.record("bleu_4", [bleu_4(sentences, references) for sentences in written], model=kind, split=split, step=step)
        same = [100 * sum(a == b for a, b in zip(sentences, references, strict=True)) / len(references) for sentences in written]
        context.record("right_sentences", same, model=kind, unit="%", split=split, step=step)
        if kind == "probabilities":
            context.artifact("shown_sentences", np.asarray([" ".join(sentence) for sentence in written[0][:16]]))
    context.artifact("shown_references", np.asarray([" ".join(sentence) for sentence in references[:16]]))
