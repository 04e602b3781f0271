"""Train, test, transfer, look, record: one run of this paper."""

from __future__ import annotations

from replications.engine.context import Context
from replications.engine.training import train
from replications.errors import InputError
from replications.papers.vit_scaling import analysis
from replications.papers.vit_scaling.data import evaluation_pictures, training_pictures
from replications.papers.vit_scaling.model import Classifier
from replications.papers.vit_scaling.networks import build, record_size, training_flops
from replications.papers.vit_scaling.settings import Settings
from replications.papers.vit_scaling.trainer import Trainer, accuracy


def run(settings: Settings, context: Context) -> None:
    """Make one run: one training with its tests, or the several of a frontier or a tuning.

    Raises:
        InputError: there is no seed.
        DataError: pictures are missing, altered, of the wrong size, or too many of a stream are unreadable.
    """
    if not context.seeds:
        raise InputError(f"{context.paper} {context.run}: no seeds. Give at least one, for example --seeds 0-2.")
    if settings.measure != "accuracy":
        _several(settings, context)
        return
    if settings.streamed:
        from replications.papers.vit_scaling.streaming import train_on_stream

        train_on_stream(settings, context)
        return
    networks = fit(settings, context)
    if settings.transfer != "none":
        from replications.papers.vit_scaling.transfer import transfer

        transfer(settings, context, networks)
    if settings.look:
        from replications.papers.vit_scaling.looking import look

        look(settings, context, networks)


def fit(settings: Settings, context: Context, label: str = "") -> list[Classifier]:
    """Train one network per seed and record its accuracy and compute.

    Args:
        label: of a member; its metrics are called <metric>@<label>, and it is tested on validation data alone when tuned.

    Returns:
        The trained networks, on the device.
    """
    suffix = f"@{label}" if label else ""
    seeds = context.seeds
    data = [training_pictures(settings, context, seed) for seed in seeds]
    networks = [build(settings, context.generator(seed, "initialise", device="cpu")) for seed in seeds]
    trainer = Trainer(settings, context, networks, data, n_steps=settings.n_steps, rate=settings.learning_rate, stage=f"train{suffix}")
    validation = evaluation_pictures(settings, context, "validation")

    def validate(step: int) -> None:
        found = [accuracy(network, validation, settings, context.device) for network in trainer.networks]
        context.record(f"accuracy{suffix}", found, split="validation", step=step, unit="%")

    examples = settings.batch_size * len(seeds)
    train(
        context,
        (lambda step: {f"loss{suffix}": trainer(step)["loss"]}) if suffix else trainer,
        n_steps=settings.n_steps,
        state=trainer.state,
        examples_per_step=examples,
        flops_per_step=examples * training_flops(settings),
        stage=f"train{suffix}",
        record_every=max(1, settings.n_steps // 40),
        evaluate=validate,
        evaluate_every=max(1, settings.n_steps // settings.evaluations),
    )
    test = evaluation_pictures(settings, context, "test")
    record_size(settings, context, suffix)
    context.record(
        f"accuracy{suffix}", [accuracy(n, test, settings, context.device) for n in trainer.networks], step=settings.n_steps, unit="%"
    )
    kept = [accuracy(n, d[: len(test)], settings, context.device) for n, d in zip(trainer.networks, data, strict=True)]
    context.record(f"accuracy{suffix}", kept, split="seen", step=settings.n_steps, unit="%")
    return trainer.networks


def _several(settings: Settings, context: Context) -> None:
    """Train every member with the same seeds; compare the families' frontiers, or the rates on validation data."""
    members = {member.label: settings.member(member.label) for member in settings.members}
    for label, member in members.items():
        if settings.measure == "counts":
            record_size(member, context, f"@{label}")
        else:
            fit(member, context, label)
    if settings.measure == "frontier":
        _frontiers(members, context)


def _frontiers(members: dict[str, Settings], context: Context) -> None:
    """Record, per seed, the ratio of compute at equal accuracy and each family's power law of error over compute."""
    last = {(row["metric"], row["seed"]): row["value"] for row in context.rows if row["split"] == "test"}
    for seed in context.seeds:
        curves: dict[str, list[tuple[float, float]]] = {"vit": [], "resnet": [], "hybrid": []}
        for label, member in members.items():
            curves[member.family].append((last[f"compute@{label}", seed], last[f"accuracy@{label}", seed]))
        ratio = analysis.compute_ratio(curves["vit"], curves["resnet"])
        if ratio is None:
            context.progress.say(f"seed {seed}: the families share no range of accuracy, so no ratio of compute is recorded")
        else:
            context.record("compute_ratio", ratio.mean, seed=seed)
            context.record("compute_ratio_low", ratio.low, seed=seed)
            context.record("compute_ratio_high", ratio.high, seed=seed)
        hybrids = sorted(curves["hybrid"])
        for name, point in (("small", hybrids[:1]), ("large", hybrids[-1:])):
            gain = analysis.gain(point[0], curves["vit"]) if point else None
            if gain is not None:
                context.record(f"hybrid_gain_{name}", gain, seed=seed, unit="%")
        for family, points in curves.items():
            if len(points) >= 2:
                law = analysis.power_law([c for c, _ in points], [100 - a for _, a in points])
                context.record(f"error_exponent_{family}", law.exponent, seed=seed)
