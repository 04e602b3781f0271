"""The networks as written, against loops over single numbers; and their fast form, against them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from replications.papers.align_and_translate.batches import make_batch
from replications.papers.align_and_translate.fused import TranslatorGroup
from replications.papers.align_and_translate.model import Alignment, DeepOutput, GatedUnit, Translator
from replications.papers.align_and_translate.scans import AttentiveScan, GatedScan
from replications.papers.align_and_translate.settings import Network
from tests.papers.align_and_translate.networks import KINDS, double_precision, make_pairs, make_translator


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _filled(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return module


def test_the_gated_unit_is_the_papers_number_by_number() -> None:
    """s = (1 - z) s' + z tanh(W x + U [r * s'] + C c + b), by loops."""
    unit = _filled(GatedUnit(2, 3, 2))
    x, h, c = ([0.3, -0.7], [0.2, -0.5, 0.9], [0.4, 1.1])
    p = {name: value.tolist() for name, value in unit.state_dict().items()}

    def inputs(gate: str, k: int) -> float:
        of_x = sum(x[i] * p[f"W{gate}"][i][k] for i in range(2))
        return of_x + sum(c[i] * p[f"C{gate}"][i][k] for i in range(2)) + p[f"b{gate}"][k]

    z = [_sigmoid(inputs("_z", k) + sum(h[i] * p["U_z"][i][k] for i in range(3))) for k in range(3)]
    r = [_sigmoid(inputs("_r", k) + sum(h[i] * p["U_r"][i][k] for i in range(3))) for k in range(3)]
    candidate = [math.tanh(inputs("", k) + sum(r[i] * h[i] * p["U"][i][k] for i in range(3))) for k in range(3)]
    wanted = [(1 - z[k]) * h[k] + z[k] * candidate[k] for k in range(3)]
    tensors = (torch.tensor([value], dtype=torch.float64) for value in (x, h, c))
    assert unit(*tensors)[0].tolist() == pytest.approx(wanted, abs=1e-12)


def test_the_gated_unit_is_not_that_of_the_library() -> None:
    """The library's reset gate stands outside the product U h, which is another function unless r is 1."""
    unit = _filled(GatedUnit(2, 3))
    library = nn.GRUCell(2, 3, dtype=torch.float64)
    weights = unit.state_dict()
    with torch.no_grad():
        library.weight_ih.copy_(torch.cat([weights["W_r"].T, -weights["W_z"].T, weights["W"].T]))
        library.weight_hh.copy_(torch.cat([weights["U_r"].T, -weights["U_z"].T, weights["U"].T]))
        library.bias_ih.copy_(torch.cat([weights["b_r"], -weights["b_z"], weights["b"]]))
        library.bias_hh.zero_()
        x, h = torch.ones(1, 2, dtype=torch.float64), torch.ones(1, 3, dtype=torch.float64)
        assert (library(x, h) - unit(x, h)).abs().max() > 1e-3
        library.bias_ih[:3] = 50.0  # r = 1 in both
        unit.b_r.fill_(50.0)
        torch.testing.assert_close(library(x, h), unit(x, h), rtol=0, atol=1e-12)


def test_alignment_scores_are_one_tanh_layer() -> None:
    alignment = _filled(Alignment(2, 3, 2))
    assert isinstance(alignment, Alignment)
    s, h = [0.5, -1.0], [0.1, 0.2, -0.3]
    w, u, v = alignment.W.tolist(), alignment.U.tolist(), alignment.v.tolist()
    hidden = [math.tanh(sum(s[i] * w[i][k] for i in range(2)) + sum(h[i] * u[i][k] for i in range(3))) for k in range(2)]
    keys = torch.tensor([[h]], dtype=torch.float64) @ alignment.U
    score = alignment.scores(torch.tensor([s], dtype=torch.float64), keys)
    assert score.item() == pytest.approx(sum(a * b for a, b in zip(v, hidden, strict=True)), abs=1e-12)


def test_the_output_takes_the_larger_of_neighbouring_pieces() -> None:
    output = DeepOutput(Network(embed_size=1, hidden_size=1, maxout_size=2), 1, 2)
    with torch.no_grad():
        output.U.copy_(torch.tensor([[1.0, 3.0, -2.0, -5.0]]))
        output.V.zero_()
        output.C.zero_()
        output.W.copy_(torch.eye(2))
    one = torch.ones(1, 1)
    assert output(one, one, one).tolist() == [[3.0, -2.0]]


@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_of_the_fast_form_are_those_of_the_model(kind: str) -> None:
    with double_precision():
        members, pairs = [make_translator(kind, seed) for seed in (0, 1)], make_pairs()
        group = TranslatorGroup(members)
        rows = [np.array([0, 1, 2]), np.array([3, 2, 1])]
        losses = group.losses(make_batch(pairs, rows))
        losses.sum().backward()
        for index, (member, chosen) in enumerate(zip(members, rows, strict=True)):
            single = []
            for row in chosen:
                source, target = torch.as_tensor(pairs.source[row])[None], torch.as_tensor(pairs.target[row])
                previous = torch.cat([torch.zeros(1, dtype=torch.long), target[:-1]])[None]
                logits, _ = member(source, torch.ones_like(source, dtype=torch.bool), previous)
                single.append(nn.functional.cross_entropy(logits[0], target, reduction="sum"))
            wanted = torch.stack(single)
            torch.testing.assert_close(losses[index], wanted, rtol=0, atol=1e-10)
            wanted.sum().backward()
            for name, parameter in member.named_parameters():
                gradient = group.weights[name.replace(".", "/")].grad
                assert gradient is not None
                torch.testing.assert_close(gradient[index], parameter.grad, rtol=0, atol=1e-10)


def test_weights_and_single_steps_of_the_fast_form_are_those_of_the_model() -> None:
    with double_precision():
        member, pairs = make_translator("search"), make_pairs()
        group = TranslatorGroup([member])
        batch = make_batch(pairs, [np.arange(4)])
        weights = group.alignments(batch)[0]
        encoded, plain = group.encode(batch.source, batch.source_mask), member.encode(batch.source[0], batch.source_mask[0])
        words = torch.tensor([4, 0, 7, 2])
        logits, state = group.step(words[None], encoded.start, encoded)
        wanted_logits, wanted_state, _ = member.step(words, plain.start, plain)
        torch.testing.assert_close(logits[0], wanted_logits, rtol=0, atol=1e-10)
        torch.testing.assert_close(state[0], wanted_state, rtol=0, atol=1e-10)
        torch.testing.assert_close(weights, member(batch.source[0], batch.source_mask[0], batch.previous[0])[1], rtol=0, atol=1e-10)


def test_gradients_of_the_scans_agree_with_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    keep = torch.ones(3, 1, 2, 1, dtype=torch.float64)
    keep[2, 0, 1] = 0
    assert torch.autograd.gradcheck(GatedScan.apply, (draw(3, 1, 2, 6), keep, draw(1, 2, 2), draw(1, 2, 4), draw(1, 2, 2)))
    hidden = torch.zeros(1, 2, 3, dtype=torch.float64)
    hidden[0, 1, 2] = -torch.inf
    inputs = (
        draw(2, 1, 2, 6),
        draw(1, 2, 2),
        draw(1, 2, 3, 2),
        draw(1, 2, 3, 2),
        hidden,
        draw(1, 2, 6),
        draw(1, 2, 2),
        draw(1, 2, 6),
        draw(1, 2),
    )
    assert torch.autograd.gradcheck(lambda *tensors: AttentiveScan.apply(*tensors)[:2], inputs)


def test_published_initial_weights_have_the_published_deviations() -> None:
    network = Network(embed_size=60, hidden_size=80, alignment_size=80, maxout_size=40)
    weights = dict(Translator(network, 100, 100, init="published", generator=torch.Generator().manual_seed(0)).named_parameters())
    for name in ("encoder.backwards.U_z", "decoder.U"):
        torch.testing.assert_close(weights[name] @ weights[name].T, torch.eye(80), rtol=0, atol=1e-5)
    assert weights["alignment.W"].std().item() == pytest.approx(0.001, rel=0.05)
    assert weights["alignment.U"].std().item() == pytest.approx(0.001, rel=0.05)
    assert weights["output.U"].std().item() == pytest.approx(0.01, rel=0.05)
    assert not weights["alignment.v"].any()
    assert not weights["decoder.b_r"].any()
