"""Memory, exponents, gradients over time: against independent counts and autograd's own Jacobians."""

import numpy as np
import pytest
import torch

from replications.engine import precision
from replications.engine.optimisation import clip_norm_per_seed
from replications.papers.rnn_vs_transformer.cost import asymptotic_exponent
from replications.papers.rnn_vs_transformer.gradients import geometric_rate, gradient_by_distance, set_radius
from replications.papers.rnn_vs_transformer.language import loss_by_position, windows
from replications.papers.rnn_vs_transformer.mixers import Recurrent
from replications.papers.rnn_vs_transformer.model import SequenceModel, make_mixer, seed_gradients
from replications.papers.rnn_vs_transformer.profiling import median_seconds, peak_bytes
from replications.papers.rnn_vs_transformer.settings import Network

CPU = torch.device("cpu")


def generators(n: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(n)]


def test_peak_memory_counts_what_lives_at_once() -> None:
    def one_after_the_other() -> None:
        for _ in range(3):
            torch.zeros(1000).add_(1)

    def together() -> list[torch.Tensor]:
        return [torch.zeros(1000) for _ in range(3)]

    assert peak_bytes(one_after_the_other, CPU) == 4000
    assert peak_bytes(together, CPU) == 12000


def test_a_view_takes_no_memory() -> None:
    x = torch.zeros(100, 100)
    assert peak_bytes(lambda: x.T[3:, :5].unsqueeze(0), CPU) == 0


def test_timing_calls_every_input() -> None:
    seen: list[int] = []
    median_seconds([lambda: seen.append(0), lambda: seen.append(1)], CPU, repetitions=3, least_seconds=0.0)
    assert set(seen) == {0, 1}
    assert len(seen) >= 5


def test_exponents_are_fitted_where_lengths_are_large() -> None:
    points = [(n, 3.0 * n**2 + 1e6 * n) for n in (2**i for i in range(4, 30))]
    exponent = asymptotic_exponent([(n, y) for n, y in points])
    assert exponent == pytest.approx(2, abs=0.01)
    assert asymptotic_exponent([(64, 1.0)]) is None


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_gradient_norms_are_those_of_the_jacobian(cell: str) -> None:
    layer = Recurrent(cell, 6, generators=generators(1)).double()
    x = torch.randn(1, 1, 7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    out = torch.randn(1, 1, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    norms = gradient_by_distance(layer, x, out)[0]
    states = [layer.start(x)]
    for t in range(7):
        states.append(layer.step(x[:, :, t], states[-1])[1])
    for distance in (1, 3, 6):
        first = 7 - distance

        def last(*parts: torch.Tensor, first: int = first) -> torch.Tensor:
            state = parts
            for t in range(first, 7):
                _, state = layer.step(x[:, :, t], state)
            return state[0]

        jacobians = torch.autograd.functional.jacobian(last, states[first])
        expected = torch.cat([(out.view(-1) @ jacobian.reshape(6, 6)) for jacobian in jacobians]).norm()
        assert float(norms[distance]) == pytest.approx(float(expected), rel=1e-8)


def test_attention_s_gradient_is_that_to_its_inputs() -> None:
    layer = make_mixer(Network.model_validate("transformer"), 8, generators=generators(1), head_width=4).double()
    x = torch.randn(1, 1, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    out = torch.ones(1, 1, 8, dtype=torch.float64)
    norms = gradient_by_distance(layer, x, out)[0]
    jacobian = torch.autograd.functional.jacobian(lambda z: layer(z)[0, 0, -1], x)[:, 0, 0]
    torch.testing.assert_close(norms, jacobian.sum(0).norm(dim=-1).flip(0))


def test_a_linear_recurrence_s_rate_is_its_spectral_radius() -> None:
    layer = Recurrent("rnn", 24, generators=generators(2))
    set_radius(layer, 0.8)
    x = torch.zeros(2, 1, 80, 24)
    rate, fit = geometric_rate(gradient_by_distance(layer, x, torch.randn(2, 1, 24, generator=torch.Generator().manual_seed(0))))
    np.testing.assert_allclose(rate, 0.8, atol=0.03)
    assert (fit > 0.97).all()


def test_clipping_is_by_seed_and_keeps_direction() -> None:
    model = SequenceModel(Network.model_validate("lstm"), 5, 8, 1, generators=generators(2))
    tokens = torch.randint(5, (2, 3, 4), generator=torch.Generator().manual_seed(0))
    (model(tokens)[0].square().sum() + 1e-9 * model(tokens)[1].sum()).backward()
    before = [torch.cat([g.flatten() for g in part]).clone() for part in seed_gradients(model, 2)]
    norms = clip_norm_per_seed(seed_gradients(model, 2), 0.5)
    after = [torch.cat([g.flatten() for g in part]) for part in seed_gradients(model, 2)]
    assert float(norms[0]) == pytest.approx(float(before[0].norm()))
    torch.testing.assert_close(after[0], before[0] * 0.5 / before[0].norm())
    assert after[1].equal(before[1])


def test_loss_by_position_is_that_of_one_window_at_a_time() -> None:
    model = SequenceModel(Network.model_validate("gru"), 7, 8, 1, generators=generators(2))
    text = torch.randint(7, (50,), generator=torch.Generator().manual_seed(1))
    inputs, targets = windows(text, 12, 1000, "text")
    assert inputs.shape == (4, 12)
    assert targets[0].equal(text[1:13])
    expected = torch.zeros(2, 12)
    with torch.no_grad():
        for window, window_targets in zip(inputs, targets, strict=True):
            log_p = model(window.expand(2, 1, 12)).log_softmax(-1)[:, 0]
            expected -= log_p.gather(2, window_targets.expand(2, 12).unsqueeze(2)).squeeze(2) / 4
    torch.testing.assert_close(loss_by_position(model, inputs, targets, 3).float(), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "native", "expected"), [("lstm", True, True), ("gru", True, False), ("rnn", True, False), ("lstm", False, False)]
)
def test_bf16_is_used_on_a_cpu_only_where_it_is_faster(name: str, native: bool, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "native_bf16", lambda device: native)
    assert precision.uses_bf16("bf16", CPU, cell=Network.model_validate(name).mixer) is expected
    assert not precision.uses_bf16("fp32", CPU, cell=Network.model_validate(name).mixer)
