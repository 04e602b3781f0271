"""Every mixer in its forms: fused and parallel forms equal the step-by-step definition in outputs and gradients."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from replications.papers.rnn_vs_transformer.accounting import flops, network_flops, sequential_operations, state_size
from replications.papers.rnn_vs_transformer.attention import Attention, LinearAttention, hard_alibi, rotate
from replications.papers.rnn_vs_transformer.mixers import Mixer
from replications.papers.rnn_vs_transformer.model import SequenceModel, make_mixer
from replications.papers.rnn_vs_transformer.profiling import matrix_flops
from replications.papers.rnn_vs_transformer.scan import linear_scan, scan_depth
from replications.papers.rnn_vs_transformer.settings import Network

MIXERS = ("rnn", "gru", "lstm", "mingru", "minlstm", "ssm", "linear", "transformer", "transformer.alibi", "transformer.nope")


def generators(n: int = 2) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(n)]


def layer(name: str, width: int = 32) -> Mixer:
    return make_mixer(network(name), width, generators=generators(), head_width=16)


def network(name: str) -> Network:
    return Network.model_validate(name)


def linear_loop(a: Tensor, b: Tensor) -> Tensor:
    """The recurrence of `linear_scan`, one step after the other."""
    h, state = [], torch.zeros_like(b[0])
    for a_t, b_t in zip(a.unbind(0), b.unbind(0), strict=True):
        state = a_t * state + b_t
        h.append(state)
    return torch.stack(h)


def graph_depth(output: Tensor) -> int:
    """Longest chain of dependent operations behind a tensor, views left out: its autograd graph's longest path."""
    depth: dict[Any, int] = {}
    stack = [output.grad_fn]
    while stack:
        node = stack[-1]
        if node is None or node in depth:
            stack.pop()
            continue
        parents = [parent for parent, _ in node.next_functions if parent is not None]
        waiting = [parent for parent in parents if parent not in depth]
        if waiting:
            stack += waiting
            continue
        view = any(word in node.name() for word in ("View", "Select", "Transpose", "Unbind", "Stack", "Slice", "Permute", "AccumulateGrad"))
        depth[node] = max((depth[parent] for parent in parents), default=0) + (not view)
        stack.pop()
    return depth.get(output.grad_fn, 0)


def inputs(n: int = 37, width: int = 32) -> Tensor:
    return torch.randn(2, 3, n, width, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 33, 100])
def test_the_parallel_scan_equals_the_loop_with_its_gradient(n: int) -> None:
    a, b, weight = (torch.rand(n, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in range(3))
    results = []
    for recurrence in (linear_scan, linear_loop):
        leaves = [part.clone().requires_grad_() for part in (a, b)]
        h = recurrence(*leaves)
        (h * weight).sum().backward()
        results.append([h.detach(), leaves[0].grad, leaves[1].grad])
    for scanned, looped in zip(*results, strict=True):
        torch.testing.assert_close(scanned, looped)


def test_the_scan_of_no_step_is_empty() -> None:
    assert linear_scan(torch.zeros(0, 5), torch.zeros(0, 5)).shape == (0, 5)


FORMS = (*MIXERS, "rnn.loop", "gru.loop", "lstm.loop", "transformer.naive", "transformer.naive.alibi")


def outputs_and_gradients(mixer: Mixer, x: Tensor, *, stepped: bool) -> list[Tensor]:
    """Output, gradient to the input, and gradients to all weights."""
    mixer.zero_grad()
    x = x.clone().requires_grad_()
    y = mixer.loop(x) if stepped else mixer(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    gradients = [x.grad, *(parameter.grad for parameter in mixer.parameters())]
    assert all(gradient is not None for gradient in gradients)
    return [y.detach(), *(gradient.clone() for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("n", [1, 37, 70])
def test_every_form_equals_the_steps_in_outputs_and_gradients(name: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    mixer, x = layer(name).double(), inputs(n).double()
    if name.startswith("transformer"):
        monkeypatch.setattr("replications.papers.rnn_vs_transformer.attention.rotate", rotate_in_float64)
    for fast, stepped in zip(outputs_and_gradients(mixer, x, stepped=False), outputs_and_gradients(mixer, x, stepped=True), strict=True):
        torch.testing.assert_close(fast, stepped, atol=1e-10, rtol=1e-10)


def rotate_in_float64(x: Tensor, positions: Tensor) -> Tensor:
    """Rotary positions as a rotation of complex numbers."""
    half = x.shape[-1] // 2
    angles = positions.double().unsqueeze(-1) * 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    turned = torch.complex(x[..., :half].contiguous(), x[..., half:].contiguous()) * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([turned.real, turned.imag], -1)


@pytest.mark.parametrize("name", FORMS)
def test_forms_agree_in_single_precision(name: str) -> None:
    mixer = layer(name)
    torch.testing.assert_close(mixer.loop(inputs()), mixer(inputs()), atol=2e-5, rtol=2e-4)


@pytest.mark.parametrize("name", MIXERS)
def test_the_future_changes_nothing(name: str) -> None:
    mixer, x = layer(name), inputs()
    changed = x.clone()
    changed[:, :, 20:] += 1
    torch.testing.assert_close(mixer(x)[:, :, :20], mixer(changed)[:, :, :20], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", MIXERS)
def test_a_seed_does_not_depend_on_its_company(name: str) -> None:
    together = layer(name)(inputs())
    alone = make_mixer(network(name), 32, generators=generators()[1:], head_width=16)(inputs()[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-6, rtol=1e-5)


def test_linear_attention_equals_its_definition() -> None:
    """Katharopoulos et al. (2020), equation 8, as a double loop over positions."""
    mixer, x = layer("linear", 16), inputs(11, 16)
    assert isinstance(mixer, LinearAttention)
    q, k, v = (part[0, 0, :, 0].double() for part in mixer.features(x))
    expected = torch.stack([sum((q[i] @ k[j]) * v[j] for j in range(i + 1)) / sum(q[i] @ k[j] for j in range(i + 1)) for i in range(11)])
    out = mixer.out_proj.weight[0].double()
    torch.testing.assert_close(mixer(x)[0, 0].double(), expected @ out, atol=1e-5, rtol=1e-4)


def test_attention_equals_a_library_with_the_same_weights() -> None:
    mixer, x = Attention(32, generators=generators(1), positions="nope", head_width=8), inputs()[:1]
    library = torch.nn.MultiheadAttention(32, 4, bias=False, batch_first=True)
    with torch.no_grad():
        library.in_proj_weight.copy_(mixer.in_proj.weight[0].T)
        library.out_proj.weight.copy_(mixer.out_proj.weight[0].T)
    mask = torch.ones(37, 37, dtype=torch.bool).triu(1)
    torch.testing.assert_close(mixer(x)[0], library(x[0], x[0], x[0], attn_mask=mask)[0], atol=1e-5, rtol=1e-4)


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    q, k = torch.randn(2, 1, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    score = [float(rotate(q, torch.tensor([float(i)])) @ rotate(k, torch.tensor([float(j)])).T) for i, j in ((5, 2), (105, 102), (3, 0))]
    assert np.ptp(score) < 1e-4 * abs(score[0])
    turned = rotate(q, torch.tensor([7.0]))
    assert float(turned.norm()) == pytest.approx(float(q.norm()), rel=1e-6)


def test_hard_alibi_sees_the_last_positions() -> None:
    mask = hard_alibi(4, 6, torch.device("cpu"))
    assert mask[0].equal(torch.eye(6, dtype=torch.bool))
    assert mask[1].sum(1).tolist() == [1, 2, 2, 2, 2, 2]
    assert mask[3].equal(torch.ones(6, 6, dtype=torch.bool).tril())


@pytest.mark.parametrize(
    "name", ["rnn.loop", "gru.loop", "lstm.loop", "mingru", "minlstm", "ssm", "linear", "transformer.naive", "transformer"]
)
def test_counted_flops_are_those_of_the_products_made(name: str) -> None:
    mixer = make_mixer(network(name), 32, generators=generators(1), head_width=16)
    x = inputs(200)[:1, :1]
    with torch.no_grad():
        products = matrix_flops(lambda: mixer(x))
    state = {"mingru": 2 * 32, "minlstm": 2 * 32, "ssm": 8 * 32 + 4 * 32 * 8}.get(name, 0) * 200  # updates of the state are no products
    if name == "linear":
        state = 256 * 32 * 2  # the running sums, padded to whole chunks of 64
    assert flops(mixer, 200) == pytest.approx(products + state, rel=0.02)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_library_kernels_do_the_loop_s_work(name: str) -> None:
    assert flops(layer(name), 50) == flops(layer(f"{name}.loop"), 50) == 2 * 2 * {"rnn": 1, "gru": 3, "lstm": 4}[name] * 32**2 * 50


def test_sequential_depth_is_that_of_the_graph() -> None:
    def depth(name: str, n: int) -> int:
        return graph_depth(layer(name)(inputs(n).requires_grad_()).sum())

    assert depth("rnn.loop", 80) - depth("rnn.loop", 40) == pytest.approx(40 * 2, abs=2)  # product and tanh a step
    assert depth("transformer", 80) == depth("transformer", 40)
    assert depth("mingru", 80) == depth("mingru", 40)  # one node: its inner depth is counted
    for n in (1, 2, 5, 64, 1000):
        assert scan_depth(n) == 2 * int(math.log2(n))


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "mingru", "minlstm", "ssm", "linear", "transformer"])
def test_all_networks_have_the_parameters_of_the_transformer(name: str) -> None:
    model = SequenceModel(network(name), 10, 64, 3, generators=generators(1))
    assert model.n_parameters == pytest.approx(12 * 64**2 * 3, rel=0.01)


@pytest.mark.parametrize("name", ["lstm", "ssm", "transformer.learned", "transformer"])
def test_generating_equals_reading(name: str) -> None:
    model = SequenceModel(network(name), 10, 32, 2, generators=generators(), head_width=16, n_positions=12)
    tokens = torch.randint(10, (2, 3, 12), generator=torch.Generator().manual_seed(4))
    states, logits = model.start(tokens), []
    for t in range(12):
        scores, states = model.step(tokens[:, :, t], states, t)
        logits.append(scores)
    torch.testing.assert_close(torch.stack(logits, 2), model(tokens), atol=1e-5, rtol=1e-4)


def test_six_n_d_holds_where_the_width_is_large() -> None:
    """Kaplan et al. (2020), section 2.1: forward 2 N + 2 n_layer n_ctx d a token (theirs counts one masked product; ours both whole)."""
    model = SequenceModel(network("transformer.naive"), 16, 128, 2, generators=generators(1), head_width=32)
    n = 24
    tokens = torch.zeros(1, 1, n, dtype=torch.int64)
    with torch.no_grad():
        forward = matrix_flops(lambda: model(tokens))
    assert forward == pytest.approx(network_flops(model, n), rel=1e-6)
    assert forward / n == pytest.approx(2 * model.n_parameters + 4 * 2 * n * 128 + 2 * 16 * 128, rel=0.01)
    counted = matrix_flops(lambda: model(tokens).sum().backward())
    assert counted == pytest.approx(6 * model.n_parameters * n, rel=0.1)


def test_the_state_that_is_counted_is_the_state_that_is_carried() -> None:
    for name in MIXERS:
        mixer, x = layer(name), inputs(5)
        state = mixer.start(x)
        for x_t in x.unbind(2):
            _, state = mixer.step(x_t, state)
        assert state_size(mixer, 5) == sum(part.numel() for part in state) // (2 * 3), name


def test_sequential_operations_grow_as_the_forms_say() -> None:
    counted = {
        name: [sequential_operations(layer(name), n) for n in (64, 1024)] for name in ("lstm", "mingru", "mingru.loop", "transformer")
    }
    assert counted == {"lstm": [64, 1024], "mingru": [12, 20], "mingru.loop": [64, 1024], "transformer": [1, 1]}


@pytest.mark.parametrize("name", ["lstm", "gru.loop", "transformer", "transformer.naive", "transformer.naive.learned", "transformer.alibi"])
def test_a_network_is_recorded_under_its_short_notation(name: str) -> None:
    assert network(name).name == name
    assert Network.model_validate(network(name).model_dump()) == network(name)
