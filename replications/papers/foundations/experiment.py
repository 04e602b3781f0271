"""One run: the statements of a group are checked on random cases, or a small network is trained; everything is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from replications.engine.context import Context
from replications.papers.foundations import attention_statements as attention
from replications.papers.foundations import combination_statements as combination
from replications.papers.foundations import costs, estimators
from replications.papers.foundations import recurrent_statements as recurrent
from replications.papers.foundations import training_statements as training
from replications.papers.foundations.data import WORKED_STRING
from replications.papers.foundations.looking_enough import train_observers
from replications.papers.foundations.model import HANDMADE, detector_outputs, detector_states
from replications.papers.foundations.model import attention as softmax_attention
from replications.papers.foundations.patches_and_words import train_captioners
from replications.papers.foundations.same_or_different import train_comparers
from replications.papers.foundations.settings import Settings
from replications.papers.foundations.training import train_detector, train_hello
from replications.papers.foundations.visual_questions import train_answerers


@dataclass(frozen=True)
class Statement:
    """A function that makes a case and returns how far two sides are apart, and the difference that rounding explains."""

    function: Callable[[torch.Generator], float]
    tolerance: float = 1e-12


STATEMENTS = {
    "embedding": Statement(attention.embedding_is_one_hot_product, 0.0),
    "equivariance": Statement(attention.attention_is_equivariant),
    "positions": Statement(attention.positions_break_equivariance, 1e-3),
    "causal-order": Statement(attention.causal_mask_breaks_equivariance, 1e-3),
    "pooling": Statement(attention.pooled_output_is_invariant),
    "causal-prefixes": Statement(attention.causal_outputs_equal_prefixes),
    "gated-sum": Statement(recurrent.gated_state_is_weighted_sum),
    "gated-weights": Statement(recurrent.gated_weights_sum_to_one),
    "cell-gradient": Statement(recurrent.cell_gradient_is_product_of_gates),
    "jacobian-bound": Statement(recurrent.jacobian_bound_excess),
    "shared-gradient": Statement(recurrent.shared_gradient_is_sum_over_steps),
    "long-window": Statement(recurrent.long_window_gives_full_gradient),
    "fourier-shift": Statement(attention.fourier_shift_is_rotation),
    "fourier-product": Statement(attention.fourier_product_depends_on_offset),
    "one-by-one": Statement(attention.tokenwise_layer_is_convolution),
    "fixed-attention": Statement(attention.convolution_is_fixed_attention, 1e-6),
    "deep-sets": Statement(attention.set_network_is_invariant),
    "message-passing": Statement(attention.attention_is_message_passing),
    "uniform-attention": Statement(attention.uniform_attention_is_set_network),
    "soft-passes": Statement(estimators.soft_passes_are_equal, 0.0),
    "soft-slopes": Statement(estimators.soft_agrees_with_finite_differences, 1e-6),
    "hard-varies": Statement(estimators.hard_gradient_varies, 1e-9),
    "reinforce-expectation": Statement(estimators.expectation_is_gradient),
}
"""Name in the records -> statement. Of `positions`, `causal-order` and `hard-varies` every case must differ, of all others none."""

FURTHER_STATEMENTS = {
    "masked-loss": Statement(training.masked_loss_is_stepwise_losses),
    "clipped-vanished": Statement(training.clipping_keeps_vanished_gradients, 0.0),
    "clipped-shares": Statement(training.clipping_keeps_shares),
    "open-cell": Statement(training.open_cell_is_residual_network),
    "heads": Statement(combination.heads_are_a_sum),
    "concatenation": Statement(combination.concatenation_is_addition),
    "added-pairs": Statement(combination.added_glimpses_forget_pairs),
    "multiplied-pairs": Statement(combination.multiplied_glimpses_keep_pairs, 1e-3),
    "convolution-reach": Statement(combination.convolution_stops_at_its_reach, 0.0),
    "attention-reach": Statement(combination.attention_reaches_everything, 1e-6),
    "two-episodes": Statement(estimators.two_episodes_halve_variance),
    "new-images": Statement(estimators.new_images_beat_new_episodes, 1e-9),
    "fixed-entropy": Statement(estimators.entropy_does_not_move_the_mean),
}
"""As `STATEMENTS`, of the run `statements-further`. Of `multiplied-pairs`, `attention-reach` and `new-images` every case must differ."""

WIDTHS = (4, 64, 1024)
SENTENCES = (4, 8, 16, 32)
ANGLES = 121


def check_statements(settings: Settings, context: Context) -> None:
    """Record every exact statement, the counted costs and the worked examples.

    Args:
        settings: of the run.
        context: receives the records.
    """
    _record_differences(STATEMENTS, settings, context)
    for metric, function in {"cell_gradient_rest": recurrent.cell_gradient_rest, "window_cosine": recurrent.short_window_cosine}.items():
        cases = [_cases(context, seed, metric, function, settings.n_cases) for seed in context.seeds]
        context.record(metric, [sum(values) / len(values) for values in cases])
    for width in WIDTHS:
        generators = [context.generator(seed, f"vectors {width}", device="cpu") for seed in context.seeds]
        deviations = [attention.dot_product_deviation(width, settings.n_vectors, g) for g in generators]
        context.record("deviation", deviations, axis="d_k", at=width)
        for model, scaled in {"scaled": True, "unscaled": False}.items():
            entropies = [attention.softmax_entropy(width, g, scaled=scaled) for g in generators]
            context.record("entropy", entropies, model=model, unit="nats", axis="d_k", at=width)
    for words in SENTENCES:
        copied = [costs.bottleneck_accuracy(words, context.generator(seed, f"copy {words}", device="cpu")) for seed in context.seeds]
        context.record("copied_words", copied, axis="words", at=words, unit="%")
    _record_counted(context)
    _record_worked_examples(context)


def check_further_statements(settings: Settings, context: Context) -> None:
    """Record the exact statements on training and on combining parts, and how much gradient reaches back through many layers.

    Args:
        settings: of the run.
        context: receives the records.
    """
    _record_differences(FURTHER_STATEMENTS, settings, context)
    for kind in ("plain", "residual", "cell"):
        by_seed = [training.gradient_by_depth(kind, context.generator(seed, f"layers {kind}", device="cpu")) for seed in context.seeds]
        for depth in training.DEPTHS:
            context.record("gradient_share", [shares[depth] for shares in by_seed], model=kind, axis="depth", at=depth)


def _record_differences(statements: dict[str, Statement], settings: Settings, context: Context) -> None:
    """Record of every statement the largest difference of its sides, and the share of cases in which they are apart."""
    for name, statement in statements.items():
        apart = [_cases(context, seed, name, statement.function, settings.n_cases) for seed in context.seeds]
        context.record("difference", [max(cases) for cases in apart], model=name)
        context.record("cases_apart", [sum(d > statement.tolerance for d in cases) / len(cases) for cases in apart], model=name)


def _cases(context: Context, seed: int, name: str, function: Callable[[torch.Generator], float], n_cases: int) -> list[float]:
    """Return what a function says of several cases of one seed."""
    generator = context.generator(seed, name, device="cpu")
    return [function(generator) for _ in range(n_cases)]


def _record_counted(context: Context) -> None:
    """Record what is counted and the same for every seed."""
    counts: list[tuple[str, str, str, float, float]] = []
    for length in costs.LENGTHS:
        generator = context.generator(0, "counted", device="cpu")
        counts += [
            ("state_numbers", "", "length", length, costs.state_numbers(length, generator)),
            ("forward_flops", "", "length", length, costs.recurrent_flops(length, generator)),
            ("saved_numbers", "full", "length", length, costs.saved_numbers(length, length, generator)),
            ("saved_numbers", "truncated", "length", length, costs.saved_numbers(length, costs.WINDOW, generator)),
        ]
    for locations in costs.LOCATIONS:
        for model, hard in {"hard": True, "soft": False}.items():
            counts.append(("reading_flops", model, "locations", locations, costs.attention_flops(locations, hard=hard)))
    for metric, model, axis, at, value in counts:
        context.record(metric, [value] * len(context.seeds), model=model, axis=axis, at=at)
    context.record("wrong_strings", [recurrent.wrong_strings(HANDMADE)] * len(context.seeds))
    context.record("chain_product", [recurrent.nilpotent_product()] * len(context.seeds))


def _record_worked_examples(context: Context) -> None:
    """Record the worked attention, and store what the figures and the exhibit of both worked examples draw."""
    output, weights = attention.worked_example()
    for metric, values in {"worked_output": output, "worked_weight": weights}.items():
        for i, value in enumerate(values.tolist(), start=1):
            context.record(metric, [value] * len(context.seeds), axis="component", at=i)
    string = torch.tensor([WORKED_STRING], dtype=torch.float64)
    context.artifact("string", string[0])
    context.artifact("states", detector_states(HANDMADE, string)[0])
    context.artifact("outputs", detector_outputs(HANDMADE, string)[0])
    for name, matrix in HANDMADE._asdict().items():
        context.artifact(name, matrix)
    context.artifact("query", attention.WORKED_QUERY)
    context.artifact("keys", attention.WORKED_KEYS)
    angles = torch.linspace(-180, 180, ANGLES, dtype=torch.float64)
    queries = torch.stack([angles.deg2rad().cos(), angles.deg2rad().sin()], dim=1)
    context.artifact("angles", angles)
    for length in (1, 5):
        context.artifact(f"weights_{length}", softmax_attention(length * queries, attention.WORKED_KEYS, attention.WORKED_KEYS)[1])


def measure_estimators(settings: Settings, context: Context) -> None:
    """Record bias and variance of the gradients of hard and soft attention, estimated from draws.

    Args:
        settings: of the run.
        context: receives the records.
    """
    for seed in context.seeds:
        problem = estimators.make_problem(context.generator(seed, "problem", device="cpu"))
        exact = estimators.policy_gradient(estimators.expected_reward, problem)
        for baseline in estimators.BASELINES:
            generator = context.generator(seed, f"locations {baseline}", device="cpu")
            draws = estimators.reinforce_draws(problem, baseline, settings.n_draws, generator)
            context.record("relative_bias", estimators.relative_bias(draws, exact), model=baseline, seed=seed)
            context.record("gradient_variance", estimators.noise(draws), model=baseline, seed=seed)
        soft = estimators.soft_draws(problem, 50)
        context.record("gradient_variance", float((soft - soft[0]).square().sum()), model="soft", seed=seed)


EXPERIMENTS = {
    "statements": check_statements,
    "further": check_further_statements,
    "estimators": measure_estimators,
    "detector": train_detector,
    "hello": train_hello,
    "same": train_comparers,
    "captions": train_captioners,
    "questions": train_answerers,
    "glimpses": train_observers,
}


def run(settings: Settings, context: Context) -> None:
    """Do what `settings.experiment` names, and record it.

    Args:
        settings: of the run.
        context: receives the records.
    """
    EXPERIMENTS[settings.experiment](settings, context)
