"""Training the networks of all seeds of a run at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from replications.engine import training
from replications.engine.best_weights import BestWeights
from replications.engine.checkpoints import Stateful
from replications.engine.context import Context
from replications.engine.optimisation import clip_norm_per_seed, gradients_per_seed, schedule_factor, set_learning_rate
from replications.papers.align_and_translate.batches import Batches, Encoded, make_batch
from replications.papers.align_and_translate.fused import TranslatorGroup
from replications.papers.align_and_translate.model import Translator
from replications.papers.align_and_translate.pairs import Pairs
from replications.papers.align_and_translate.settings import Settings
from replications.papers.align_and_translate.vocabulary import Vocabulary

EVALUATED_AT_ONCE = 100


@dataclass(frozen=True)
class Task:
    """What a run trains and tests on.

    Attributes:
        settings: of the run.
        pairs: split -> pairs of any length.
        vocabularies: of source and target, from all training pairs.
    """

    settings: Settings
    pairs: dict[str, Pairs]
    vocabularies: tuple[Vocabulary, Vocabulary]

    def encode(self, pairs: Pairs, *, any_alphabet: bool = False) -> Encoded:
        """Return pairs as word numbers.

        Args:
            pairs: tokens.
            any_alphabet: see `Vocabulary.encode`.
        """
        sides = zip(self.vocabularies, (pairs.source, pairs.target), strict=True)
        return Encoded(*([words.encode(one, any_alphabet=any_alphabet) for one in sentences] for words, sentences in sides))


class Trainer:
    """Networks, their optimiser and their batches.

    Args:
        task: data and settings.
        context: gives seeds, device and generators; receives records and checkpoints.
    """

    def __init__(self, task: Task, context: Context) -> None:
        self.settings, self.context = task.settings, context
        settings = self.settings
        train = task.encode(task.pairs["train"].up_to(settings.max_words), any_alphabet=True)
        held_out = task.encode(task.pairs["validation"].up_to(settings.max_words).first(settings.validation_pairs))
        self.held_out = {"validation": held_out, "train": Encoded(*(side[: len(held_out.source)] for side in train))}
        orders = [context.generator(seed, "order", device="cpu") for seed in context.seeds]
        self.batches = Batches(train, settings.batch_size, settings.sorted_batches, orders)
        members = [
            Translator(
                settings.network,
                *(len(vocabulary) for vocabulary in task.vocabularies),
                init=settings.init,
                generator=context.generator(seed, "weights", device="cpu"),
            )
            for seed in context.seeds
        ]
        self.model = TranslatorGroup(members).to(context.device)
        self.optimiser = self._optimiser()
        self.best = BestWeights(len(context.seeds), stacked=self.model)

    def _optimiser(self) -> torch.optim.Optimizer:
        parameters, rate = self.model.parameters(), self.settings.learning_rate
        if self.settings.optimiser == "adam":
            return torch.optim.Adam(parameters, lr=rate, fused=True)
        return torch.optim.Adadelta(parameters, lr=rate, rho=0.95, eps=1e-6)

    @property
    def state(self) -> dict[str, Stateful]:
        """Parts of a checkpoint; batches and dropout follow from the number of the update."""
        return {"model": self.model, "optimiser": self.optimiser, "best": self.best}

    def update(self, step: int) -> dict[str, Tensor]:
        """Make one update of every network: the gradient of the mean over sentences of their negative log-likelihood.

        Args:
            step: number of the update, from 0.

        Returns:
            `cross_entropy` in nats per word, (seeds,).
        """
        settings, context = self.settings, self.context
        factor = schedule_factor(settings.schedule, step, settings.n_steps, warmup_share=settings.warmup_share)
        set_learning_rate(self.optimiser, factor * settings.learning_rate)
        batch = self.batches(step).to(context.device)
        generators = [context.generator(seed, f"dropout {step}") for seed in context.seeds] if settings.dropout else []
        self.optimiser.zero_grad()
        losses = self.model.losses(batch, self.model.draw_dropout(settings.batch_size, settings.dropout, generators))
        losses.mean(1).sum().backward()
        if settings.clip_norm is not None:
            clip_norm_per_seed(gradients_per_seed(self.model.parameters()), settings.clip_norm)
        self.optimiser.step()
        return {"cross_entropy": losses.detach().sum(1) / batch.counts.sum(1)}

    def train(self) -> None:
        """Train from the last checkpoint to the end, then put back the weights of each seed's lowest validation loss."""
        settings = self.settings
        flops, tokens = self._cost_per_step()
        training.train(
            self.context,
            self.update,
            n_steps=settings.n_steps,
            state=self.state,
            examples_per_step=settings.batch_size * len(self.context.seeds),
            tokens_per_step=tokens,
            flops_per_step=flops,
            evaluate=self.evaluate,
            evaluate_every=max(1, settings.n_steps // settings.evaluations),
        )
        self.best.restore()

    def _cost_per_step(self) -> tuple[float, int]:
        """Return counted FLOPs (backward counts twice) and target words of a batch of middle length, over all networks."""
        batch = self.batches(self.settings.sorted_batches // 2).to(self.context.device)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.model.losses(batch)
        return 3.0 * counter.get_total_flops(), int(batch.counts.sum())

    def evaluate(self, done: int) -> None:
        """Record losses on training and validation sentences, and keep the weights of seeds that improved.

        Args:
            done: updates made.
        """
        for split, pairs in self.held_out.items():
            if split == "train" and done < self.settings.n_steps:
                continue
            by_sentence = mean_losses(self.model, pairs, self.context.device)
            words = sum(len(sentence) for sentence in pairs.target) / len(pairs.target)
            self.context.record("sentence_loss", by_sentence, split=split, step=done, unit="nats/sentence")
            self.context.record("word_loss", by_sentence / words, split=split, step=done, unit="nats/word")
            if split == "validation":
                self.best.update(by_sentence, done)


@torch.no_grad()
def mean_losses(model: TranslatorGroup, pairs: Encoded, device: torch.device) -> Tensor:
    """Return the mean negative log-likelihood of target sentences.

    Args:
        model: networks.
        pairs: sentences, the same for all networks.
        device: of the networks.

    Returns:
        Nats per sentence, float64 (networks,).
    """
    order = np.argsort([len(a) + len(b) for a, b in zip(*pairs, strict=True)], kind="stable")
    total = torch.zeros(model.n_networks, dtype=torch.float64, device=device)
    for start in range(0, len(order), EVALUATED_AT_ONCE):
        batch = make_batch(pairs, [order[start : start + EVALUATED_AT_ONCE]] * model.n_networks).to(device)
        total += model.losses(batch).sum(1).double()
    return total / len(order)
