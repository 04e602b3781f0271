"""One run of this paper: train, test, transfer, analyse attention, record."""

from __future__ import annotations

from replications.engine.context import Context
from replications.engine.training import train
from replications.errors import InputError
from replications.papers.vit_scaling import scaling_analysis
from replications.papers.vit_scaling.attention_analysis import record_attention
from replications.papers.vit_scaling.classifier import Classifier
from replications.papers.vit_scaling.counting import record_size, training_flops
from replications.papers.vit_scaling.data import evaluation_images, training_images
from replications.papers.vit_scaling.networks import build
from replications.papers.vit_scaling.outlines import record_outlines
from replications.papers.vit_scaling.settings import Settings
from replications.papers.vit_scaling.stream_trainer import train_on_stream
from replications.papers.vit_scaling.trainer import Trainer, accuracy
from replications.papers.vit_scaling.transfer import transfer


def run(settings: Settings, context: Context) -> None:
    """Make one run: one training with its tests, or the sub-runs of a frontier, a tuning or a count.

    Args:
        settings: of the run.
        context: seeds and device; receives the records.

    Raises:
        InputError: there is no seed.
        DataError: images are missing, altered, of the wrong size, or too many of a stream are unreadable.
    """
    if not context.seeds:
        raise InputError(f"{context.chunk}: no seeds. Give at least one, for example --seeds 0-2.")
    if settings.experiment != "accuracy":
        _run_several(settings, context)
        return
    networks = [train_on_stream(settings, context)] if settings.streamed else fit(settings, context)
    if settings.transfer != "none":
        transfer(settings, context, networks)
    if settings.save_attention and not settings.streamed:
        record_attention(settings, context, networks)
    if settings.outlines:
        record_outlines(settings, context, networks)


def fit(settings: Settings, context: Context, model: str = "") -> list[Classifier]:
    """Train one network per seed and record its size and its accuracy on test, validation and training images.

    Args:
        settings: of the training.
        context: seeds and device; receives the records.
        model: label of the sub-run; empty in a run with one training.

    Returns:
        The trained networks, on the device.
    """
    seeds, device = context.seeds, context.device
    stage = f"train@{model}" if model else "train"
    data = [training_images(settings, context, seed) for seed in seeds]
    networks = [build(settings, context.generator(seed, "initialise", device="cpu")) for seed in seeds]
    trainer = Trainer(settings, context, networks, data, n_steps=settings.n_steps, learning_rate=settings.learning_rate, stage=stage)
    validation = evaluation_images(settings, context, "validation")

    def validate(step: int) -> None:
        values = [accuracy(network, validation, settings, device) for network in trainer.networks]
        context.record("accuracy", values, split="validation", model=model, step=step, unit="%")

    examples = settings.batch_size * len(seeds)
    train(
        context,
        trainer,
        n_steps=settings.n_steps,
        state=trainer.state,
        examples_per_step=examples,
        flops_per_step=examples * training_flops(settings),
        stage=stage,
        model=model,
        record_every=max(1, settings.n_steps // 40),
        evaluate=validate,
        evaluate_every=max(1, settings.n_steps // settings.evaluations),
    )
    record_size(settings, context, model)
    test = evaluation_images(settings, context, "test")
    on_test = [accuracy(network, test, settings, device) for network in trainer.networks]
    context.record("accuracy", on_test, model=model, step=settings.n_steps, unit="%")
    on_training = [accuracy(n, part[: len(test)], settings, device) for n, part in zip(trainer.networks, data, strict=True)]
    context.record("accuracy", on_training, split="train", model=model, step=settings.n_steps, unit="%")
    return trainer.networks


def _run_several(settings: Settings, context: Context) -> None:
    """Train or count every sub-run with the same seeds; compare the families' frontiers where the run asks for it."""
    sub_runs = {sub_run.label: settings.sub_run(sub_run.label) for sub_run in settings.sub_runs}
    for label, sub_run in sub_runs.items():
        if settings.experiment == "counts":
            record_size(sub_run, context, label)
        else:
            fit(sub_run, context, label)
    if settings.experiment == "frontier":
        _record_frontiers(sub_runs, context)


def _record_frontiers(sub_runs: dict[str, Settings], context: Context) -> None:
    """Record, per seed, the ratio of compute at equal accuracy, each hybrid's gain and each family's power law of error over compute."""
    last = {(row["metric"], row["model"], row["seed"]): row["value"] for row in context.rows if row["split"] == "test"}
    for seed in context.seeds:
        points = {label: (last["compute", label, seed], last["accuracy", label, seed]) for label in sub_runs}
        families = {
            family: [points[label] for label, sub_run in sub_runs.items() if sub_run.family == family]
            for family in ("vit", "resnet", "hybrid")
        }
        ratio = scaling_analysis.compute_ratio(families["vit"], families["resnet"])
        if ratio is None:
            context.progress.say(f"seed {seed}: the families share no range of accuracy, so no ratio of compute is recorded")
        else:
            context.record("compute_ratio", ratio.mean, seed=seed)
            context.record("compute_ratio_low", ratio.low, seed=seed)
            context.record("compute_ratio_high", ratio.high, seed=seed)
        for label, sub_run in sub_runs.items():
            gain = scaling_analysis.gain(points[label], families["vit"]) if sub_run.family == "hybrid" else None
            if gain is not None:
                context.record("hybrid_gain", gain, model=label, seed=seed, unit="%")
        for family, curve in families.items():
            if len(curve) >= 2:
                law = scaling_analysis.power_law([compute for compute, _ in curve], [100 - accuracy for _, accuracy in curve])
                context.record("error_exponent", law.exponent, model=family, seed=seed)
