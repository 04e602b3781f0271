"""Statements on recurrent networks, each beside a loop that computes one side in plain Python, or a worked number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch

from replications.papers.foundations import costs
from replications.papers.foundations import recurrent_statements as statements
from replications.papers.foundations.data import WORKED_STRING, all_strings, repeated_ones
from replications.papers.foundations.model import HANDMADE, Detector, GatedUnit, MemoryCell, detector_outputs, gated_step, memory_step
from replications.papers.foundations.training import bigram_loss, right_starts


def generator(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_handmade_detector_gives_the_outputs_of_the_lecture() -> None:
    outputs = detector_outputs(HANDMADE, torch.tensor([WORKED_STRING], dtype=torch.float64))
    assert outputs[0].tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 1]


def test_the_handmade_detector_follows_the_rule_on_every_string() -> None:
    """Weights written out by hand: y_t = relu(x_t + x_{t-1} - 1)."""
    checked = 0
    for length in range(1, 13):
        outputs = detector_outputs(HANDMADE, all_strings(length)).tolist()
        for string, answer in zip(itertools.product((0, 1), repeat=length), outputs, strict=True):
            assert answer == [max(0, x + before - 1) for before, x in zip((0, *string), string, strict=False)]
            checked += 1
    assert checked == 8190
    assert statements.wrong_strings(HANDMADE) == 0


def test_a_wrong_detector_is_counted_string_by_string() -> None:
    silent = HANDMADE._replace(w_hy=torch.zeros(3, dtype=torch.float64))
    with_repeat = sum("11" in "".join(s) for n in range(1, 13) for s in itertools.product("01", repeat=n))
    assert statements.wrong_strings(silent) == with_repeat


def test_repeated_ones_are_what_the_lecture_calls_so() -> None:
    assert repeated_ones(torch.tensor([WORKED_STRING], dtype=torch.float64))[0].tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 1]


def test_trained_networks_are_judged_one_by_one() -> None:
    both = Detector(*(torch.stack([w, torch.zeros_like(w)]).unsqueeze(0) for w in HANDMADE))
    assert right_starts(both).tolist() == [[True, False]]


def test_one_gated_step_agrees_with_scalar_arithmetic() -> None:
    double = lambda values: torch.tensor(values, dtype=torch.float64)  # noqa: E731
    unit = GatedUnit(double([[[0.5]], [[-1.0]], [[2.0]]]), double([[[1.0]], [[0.3]], [[-0.7]]]))
    h, z, c = gated_step(unit, double([0.4]), double([0.9]))
    sigmoid = lambda a: 1 / (1 + math.exp(-a))  # noqa: E731
    gate, reset = sigmoid(0.5 * 0.4 + 0.9), sigmoid(-0.4 + 0.3 * 0.9)
    candidate = math.tanh(2 * 0.4 - 0.7 * reset * 0.9)
    assert [float(z), float(c), float(h)] == pytest.approx([gate, candidate, (1 - gate) * 0.9 + gate * candidate], abs=1e-12)


def test_one_memory_step_agrees_with_torch() -> None:
    cell = MemoryCell(torch.randn(4, 3, 2, generator=generator()).double(), torch.randn(4, 3, 3, generator=generator(1)).double())
    order = (0, 1, 3, 2)  # torch: input, forget, candidate, output
    x, h, c = (torch.randn(n, generator=generator(n)).double() for n in (2, 3, 4))
    h, c = h[:3], c[:3]
    theirs = torch.nn.LSTMCell(2, 3, bias=False).double()
    theirs.weight_ih.data = torch.cat([cell.w[i] for i in order])
    theirs.weight_hh.data = torch.cat([cell.u[i] for i in order])
    expected_h, expected_c = theirs(x[None], (h[None], c[None]))
    ours_h, ours_c, _ = memory_step(cell, x, h, c)
    torch.testing.assert_close(ours_h, expected_h[0])
    torch.testing.assert_close(ours_c, expected_c[0])


@pytest.mark.parametrize(
    "statement",
    [
        statements.gated_state_is_weighted_sum,
        statements.gated_weights_sum_to_one,
        statements.cell_gradient_is_product_of_gates,
        statements.shared_gradient_is_sum_over_steps,
        statements.jacobian_bound_excess,
        statements.long_window_gives_full_gradient,
    ],
)
def test_both_sides_agree_to_rounding(statement: Callable[[torch.Generator], float]) -> None:
    assert max(statement(generator(seed)) for seed in range(5)) < 1e-12


def test_the_gradient_through_the_gates_is_a_further_part() -> None:
    assert statements.cell_gradient_rest(generator()) > 0.01


def test_the_truncated_gradient_equals_central_differences_of_each_window() -> None:
    """Every window starts from a constant state, so its loss can be differentiated numerically on its own."""
    x, w_xh, w_hh = (torch.randn(*shape, generator=generator()).double() for shape in ((6, 2), (3, 2), (3, 3)))

    def window_losses(weights: torch.Tensor) -> float:
        h, total = torch.zeros(3).double(), 0.0
        for start in (0, 3):
            inside = h
            for t in range(start, start + 3):
                inside = torch.tanh(w_xh @ x[t] + weights @ inside)
                h = torch.tanh(w_xh @ x[t] + w_hh @ h)
                total += float(inside.sum())
        return total

    expected = torch.zeros(3, 3).double()
    for i, j in itertools.product(range(3), repeat=2):
        step = torch.zeros(3, 3).double()
        step[i, j] = 1e-6
        expected[i, j] = (window_losses(w_hh + step) - window_losses(w_hh - step)) / 2e-6
    torch.testing.assert_close(statements.truncated_gradient(x, w_xh, w_hh, 3), expected, atol=1e-7, rtol=0)
    assert statements.short_window_cosine(generator()) < 1


def test_a_chain_forgets_whatever_its_singular_value() -> None:
    assert statements.nilpotent_product(2.0) == 0
    assert statements.nilpotent_product(1000.0) == 0


def test_counted_costs_are_those_by_hand() -> None:
    per_step = 2 * (statements.HIDDEN * statements.INPUTS + statements.HIDDEN**2)
    assert costs.recurrent_flops(5, generator()) == 5 * per_step
    assert costs.state_numbers(5, generator()) == statements.HIDDEN
    assert costs.saved_numbers(24, 12, generator()) == costs.saved_numbers(48, 12, generator())
    assert costs.saved_numbers(24, 24, generator()) == 2 * costs.saved_numbers(24, 12, generator())
    one = 2 * statements.INPUTS * statements.HIDDEN
    assert costs.attention_flops(10, hard=True) == one
    assert costs.attention_flops(10, hard=False) == 10 * one + 2 * 10 * statements.HIDDEN


def test_one_vector_holds_a_sentence_that_fits_and_loses_one_that_does_not() -> None:
    assert costs.bottleneck_accuracy(2, generator()) == 100
    assert costs.bottleneck_accuracy(32, generator()) < 60


def test_letters_alone_leave_two_of_four_guesses_open() -> None:
    assert bigram_loss() == pytest.approx(2 * math.log(2) / 4, abs=1e-12)
