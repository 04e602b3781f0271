"""Transfer of a trained network to another data set: linear probes in closed form, and fine-tuning."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from replications.engine.context import Context
from replications.engine.training import train
from replications.papers.vit_scaling.classifier import Classifier
from replications.papers.vit_scaling.counting import training_flops
from replications.papers.vit_scaling.data import LabelledImages, stored, subset
from replications.papers.vit_scaling.networks import replace_head
from replications.papers.vit_scaling.settings import Settings
from replications.papers.vit_scaling.trainer import Trainer, accuracy, outputs

PENALTIES = (1e-2, 1e-1, 1.0, 1e1, 1e2)
"""Ridge penalties relative to the total variance of the features; validation accuracy selects one."""

FINETUNE_WARMUP_SHARE = 0.2
"""Linear warm-up of fine-tuning, as a share of its updates."""


@dataclass(frozen=True)
class Features:
    """Representations of the images of one split.

    Attributes:
        values: (n, features).
        labels: (n,) int64.
    """

    values: Tensor
    labels: Tensor


def least_squares(training: Features, classes: int, penalty: float) -> tuple[Tensor, Tensor]:
    """Return the regularised least-squares map from features to {-1, 1}^K (section 4.1, 'few-shot accuracies'), in closed form.

    Args:
        training: n representations and their labels.
        classes: K.
        penalty: ridge penalty on the weights, positive; offsets are not penalised.

    Returns:
        Weights (features, classes) and offsets (classes,), in float64.
    """
    x = training.values.double()
    targets = 2.0 * nn.functional.one_hot(training.labels, classes).double() - 1
    centre, mean = x.mean(0), targets.mean(0)
    x, targets = x - centre, targets - mean
    n, d = x.shape
    if n < d:  # the dual problem has the same solution and a smaller matrix
        weights = x.mT @ torch.linalg.solve(x @ x.mT + penalty * torch.eye(n, device=x.device, dtype=x.dtype), targets)
    else:
        weights = torch.linalg.solve(x.mT @ x + penalty * torch.eye(d, device=x.device, dtype=x.dtype), x.mT @ targets)
    return weights, mean - centre @ weights


def score(test: Features, weights: Tensor, offsets: Tensor) -> float:
    """Return the accuracy of a linear probe.

    Args:
        test: representations (n, features) and their labels.
        weights: (features, classes) float64.
        offsets: (classes,) float64.

    Returns:
        Per cent.
    """
    predicted = (test.values.double() @ weights + offsets).argmax(1)
    return float((predicted == test.labels).double().mean() * 100)


def probe(training: Features, validation: Features, test: Features, classes: int) -> float:
    """Return the test accuracy of the least-squares probe whose penalty has the highest validation accuracy.

    Args:
        training: representations for the fit.
        validation: representations for the selection of the penalty.
        test: representations for the score.
        classes: number of classes.

    Returns:
        Per cent.
    """
    scale = training.values.double().var(0).sum().item() or 1.0
    fits = [least_squares(training, classes, penalty * scale) for penalty in PENALTIES]
    best = max(range(len(fits)), key=lambda index: score(validation, *fits[index]))
    return score(test, *fits[best])


def _standardised(parts: dict[str, Features]) -> dict[str, Features]:
    """Return all splits, standardised with mean and standard deviation of the training split.

    Args:
        parts: splits by name, 'train' among them.
    """
    values = parts["train"].values
    mean, deviation = values.mean(0), values.std(0).clamp(min=1e-6)
    return {name: Features((part.values - mean) / deviation, part.labels) for name, part in parts.items()}


def transfer(settings: Settings, context: Context, networks: list[Classifier]) -> None:
    """Record linear probes at every number of shots, one on many images, and fine-tuning, on the data set `settings.transfer`.

    Args:
        settings: settings of the run.
        context: seeds and device; receives the records.
        networks: one per seed, on the device.
    """
    parts = {split: stored(context, settings.transfer, split, settings.image_size) for split in ("train", "validation", "test")}
    parts |= {split: parts[split][: settings.n_test] for split in ("validation", "test")}
    n_probe, classes = settings.probe_images or len(parts["train"]), parts["train"].classes
    probe_accuracies: list[float] = []
    few_shot_accuracies: dict[int, list[float]] = {shots: [] for shots in settings.shots}
    for seed, network in zip(context.seeds, networks, strict=True):
        training = subset(parts["train"], n_probe, context.generator(seed, "probe subset", device="cpu"))
        splits = {"train": training, "validation": parts["validation"], "test": parts["test"]}
        features = _standardised({name: _features(network, part, settings, context) for name, part in splits.items()})
        probe_accuracies.append(probe(features["train"], features["validation"], features["test"], classes))
        for shots, values in few_shot_accuracies.items():
            values.append(_few_shot(settings, context, seed, features, shots, classes))
    context.record("probe_accuracy", probe_accuracies, split="transfer", step=settings.n_steps, unit="%")
    for shots, values in few_shot_accuracies.items():
        context.record("few_shot_accuracy", values, split="transfer", axis="shots", at=shots, step=settings.n_steps, unit="%")
    if settings.finetune_steps:
        finetune(settings, context, networks, parts)


def _features(network: Classifier, data: LabelledImages, settings: Settings, context: Context) -> Features:
    return Features(outputs(network, data, settings, context.device, features=True), data.labels)


def _few_shot(settings: Settings, context: Context, seed: int, features: dict[str, Features], shots: int, classes: int) -> float:
    """Return the mean test accuracy over random selections of `shots` images per class, in per cent.

    Args:
        settings: settings of the run.
        context: provides the generators; selections are the same for every network of a seed.
        seed: the seed.
        features: standardised splits by name.
        shots: images per class.
        classes: number of classes.
    """
    results = []
    labels = features["train"].labels.cpu()
    for draw in range(settings.probe_draws):
        order = torch.randperm(len(labels), generator=context.generator(seed, f"{shots} shots, draw {draw}", device="cpu"))
        rows = torch.cat([order[labels[order] == label][:shots] for label in range(classes)]).to(features["train"].labels.device)
        few = Features(features["train"].values[rows], features["train"].labels[rows])
        results.append(probe(few, features["validation"], features["test"], classes))
    return sum(results) / len(results)


def finetune(settings: Settings, context: Context, networks: list[Classifier], parts: dict[str, LabelledImages]) -> None:
    """Record the test accuracy of copies of the networks, fine-tuned on the transfer set with a new linear head (section 3.2).

    Args:
        settings: settings of the run.
        context: seeds and device; receives the records.
        networks: one per seed, on the device; not changed.
        parts: splits 'train' and 'test' of the transfer set.
    """
    copies = [copy.deepcopy(network) for network in networks]
    for network in copies:
        replace_head(network, parts["train"].classes)
    n_images = settings.probe_images or len(parts["train"])
    data = [subset(parts["train"], n_images, context.generator(seed, "probe subset", device="cpu")) for seed in context.seeds]
    recipe = settings.model_copy(update={"augmentation": "light", "warmup_share": FINETUNE_WARMUP_SHARE})
    n_steps, learning_rate = settings.finetune_steps, settings.finetune_learning_rate
    trainer = Trainer(recipe, context, copies, data, n_steps=n_steps, learning_rate=learning_rate, stage="finetune")
    examples = settings.batch_size * len(context.seeds)
    train(
        context,
        lambda step: {"finetune_loss": trainer(step)["loss"]},
        n_steps=n_steps,
        state=trainer.state,
        examples_per_step=examples,
        flops_per_step=examples * training_flops(settings),
        stage="finetune",
    )
    results = [accuracy(network, parts["test"], settings, context.device) for network in trainer.networks]
    context.record("finetuned_accuracy", results, split="transfer", step=n_steps, unit="%")
