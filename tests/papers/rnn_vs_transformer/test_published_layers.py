"""Mamba, RWKV-4 and the dilated convolution against independent loops, their parallel forms, initial weights and counted costs."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from replications.engine.optimisation import decay_groups
from replications.errors import InputError
from replications.papers.rnn_vs_transformer.accounting import flops, network_flops, path_length, sequential_operations, state_size
from replications.papers.rnn_vs_transformer.convolution import layers_that_join
from replications.papers.rnn_vs_transformer.fused import (
    ConvolvedTimeInvariantMamba,
    ParallelDilatedConvolution,
    ScannedMamba,
    ScannedTimeMixing,
    ShiftedChannelMixing,
)
from replications.papers.rnn_vs_transformer.mamba import Mamba
from replications.papers.rnn_vs_transformer.mixers import Mixer
from replications.papers.rnn_vs_transformer.model import SequenceModel, make_mixer
from replications.papers.rnn_vs_transformer.profiling import matrix_flops
from replications.papers.rnn_vs_transformer.residual import LayerNorm, RMSNorm
from replications.papers.rnn_vs_transformer.rwkv import wkv_by_sums, wkv_step
from replications.papers.rnn_vs_transformer.settings import Network

WIDTH = 24  # no multiple of 16, so that the rank of delta is rounded up


def generators(n: int = 2) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(n)]


def away_from_the_start(module: torch.nn.Module) -> None:
    """Add noise to all weights, because RWKV-4 starts with an output of zero."""
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=noise, dtype=parameter.dtype))


LAYERS = {
    "mamba": lambda seeds: ScannedMamba(WIDTH, generators=seeds),
    "mamba-lti": lambda seeds: ConvolvedTimeInvariantMamba(WIDTH, generators=seeds),
    "rwkv4 time mixing": lambda seeds: ScannedTimeMixing(WIDTH, generators=seeds, layer=1, layers=3),
    "rwkv4 channel mixing": lambda seeds: ShiftedChannelMixing(WIDTH, generators=seeds, layer=1, layers=3),
    "convolution": lambda seeds: ParallelDilatedConvolution(WIDTH, generators=seeds, layer=1),
}


def layer(name: str, n_seeds: int = 2) -> Mixer:
    mixer: Mixer = LAYERS[name](generators(n_seeds))
    away_from_the_start(mixer)
    return mixer.double()


def inputs(n: int = 37) -> Tensor:
    return torch.randn(2, 3, n, WIDTH, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def array(parameter: Tensor | None) -> np.ndarray:
    """Weights of the first seed."""
    assert parameter is not None
    return parameter[0].detach().double().numpy()


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def mamba_loop(mixer: Mamba, u: np.ndarray) -> np.ndarray:
    """Algorithm 2 of Gu and Dao (2023), one number at a time, as the authors' code orders its operations."""
    W_in, W_x, W_dt, W_out = (array(linear.weight) for linear in (mixer.in_proj, mixer.x_proj, mixer.dt_proj, mixer.out_proj))
    taps, bias, dt_bias = array(mixer.conv1d), array(mixer.conv1d_bias), array(mixer.dt_bias)
    A, D = -np.exp(array(mixer.A_log)), array(mixer.D)
    n, E, N, R = len(u), 2 * u.shape[1], 16, math.ceil(u.shape[1] / 16)
    h, outputs = np.zeros((E, N)), []
    xz = u @ W_in
    for t in range(n):
        x = np.empty(E)
        for e in range(E):
            convolved = bias[e] + sum(taps[3 - j, e] * xz[t - j, e] for j in range(4) if t >= j)
            x[e] = convolved * sigmoid(convolved)
        of_x = x @ W_x
        dt, B, C = of_x[:R], of_x[R : R + N], of_x[R + N :]
        y = np.empty(E)
        for e in range(E):
            delta = math.log1p(math.exp(dt @ W_dt[:, e] + dt_bias[e]))
            for i in range(N):
                h[e, i] = math.exp(delta * A[e, i]) * h[e, i] + delta * B[i] * x[e]
            z = xz[t, E + e]
            y[e] = (h[e] @ C + D[e] * x[e]) * z * sigmoid(z)
        outputs.append(y @ W_out)
    return np.array(outputs)


def test_mamba_is_the_published_algorithm() -> None:
    mixer, x = layer("mamba"), inputs(12)
    assert isinstance(mixer, Mamba)
    expected = mamba_loop(mixer, x[0, 0].numpy())
    for outputs in (mixer.loop(x), mixer(x)):
        np.testing.assert_allclose(outputs[0, 0].detach().numpy(), expected, atol=1e-10, rtol=1e-10)


def rwkv_loop(mixer: ScannedTimeMixing, x: np.ndarray) -> np.ndarray:
    """Time mixing with two plain sums per channel, without a shared exponent: right while e^k does not overflow."""
    mu_k, mu_v, mu_r = (array(shift.mu) for shift in (mixer.shift_k, mixer.shift_v, mixer.shift_r))
    W_k, W_v, W_r, W_o = (array(linear.weight) for linear in (mixer.W_k, mixer.W_v, mixer.W_r, mixer.W_o))
    w, u = np.exp(-np.exp(array(mixer.theta))), array(mixer.u)
    before, num, den, outputs = np.zeros(x.shape[1]), 0.0, 0.0, []
    for x_t in x:
        k, v, r = ((mu * x_t + (1 - mu) * before) @ W for mu, W in ((mu_k, W_k), (mu_v, W_v), (mu_r, W_r)))
        wkv = (num + np.exp(u + k) * v) / (den + np.exp(u + k))
        num, den = w * num + np.exp(k) * v, w * den + np.exp(k)
        outputs.append((sigmoid(r) * wkv) @ W_o)
        before = x_t
    return np.array(outputs)


def test_time_mixing_is_the_recurrence_of_two_sums() -> None:
    mixer, x = layer("rwkv4 time mixing"), inputs()
    assert isinstance(mixer, ScannedTimeMixing)
    expected = rwkv_loop(mixer, x[0, 0].numpy())
    assert np.abs(expected).max() > 0.1
    for outputs in (mixer.loop(x), mixer(x)):
        np.testing.assert_allclose(outputs[0, 0].detach().numpy(), expected, atol=1e-10, rtol=1e-10)


def test_channel_mixing_is_two_shifted_products() -> None:
    mixer, x = layer("rwkv4 channel mixing"), inputs(5)
    assert isinstance(mixer, ShiftedChannelMixing)
    mu_k, mu_r, sequence = array(mixer.shift_k.mu), array(mixer.shift_r.mu), x[0, 0].numpy()
    before = np.vstack([np.zeros(WIDTH), sequence[:-1]])
    k = np.maximum((mu_k * sequence + (1 - mu_k) * before) @ array(mixer.W_k.weight), 0) ** 2
    r = sigmoid((mu_r * sequence + (1 - mu_r) * before) @ array(mixer.W_r.weight))
    np.testing.assert_allclose(mixer(x)[0, 0].detach().numpy(), r * (k @ array(mixer.W_v.weight)), atol=1e-10)


def test_the_convolution_is_a_sum_over_positions_three_apart() -> None:
    mixer, x = layer("convolution"), inputs()
    assert isinstance(mixer, ParallelDilatedConvolution)
    W, b, sequence = array(mixer.taps.weight).reshape(3, WIDTH, WIDTH), array(mixer.taps.bias), x[0, 0].numpy()
    expected = [b[0] + sum(sequence[t - 3 * j] @ W[2 - j] for j in range(3) if t >= 3 * j) for t in range(len(sequence))]
    np.testing.assert_allclose(mixer(x)[0, 0].detach().numpy(), np.array(expected), atol=1e-10)


@pytest.mark.parametrize("n", [1, 5, 64])
def test_wkv_by_its_sums_is_the_stable_recurrence(n: int) -> None:
    noise = torch.Generator().manual_seed(n)
    k, v = (torch.randn(1, 2, n, 6, generator=noise, dtype=torch.float64) for _ in range(2))
    decay, u = torch.rand(1, 1, 6, generator=noise, dtype=torch.float64), torch.randn(1, 1, 6, generator=noise, dtype=torch.float64)
    zero = torch.zeros(1, 2, 6, dtype=torch.float64)
    state, stepped = (zero, zero, zero - 1e38), []
    for t in range(n):
        wkv, state = wkv_step(k[:, :, t], v[:, :, t], decay, u, state)  # type: ignore[assignment]  # a tuple of any length
        stepped.append(wkv)
    torch.testing.assert_close(torch.stack(stepped, 2), wkv_by_sums(k, v, decay, u), atol=1e-12, rtol=1e-12)


def test_time_mixing_does_not_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys enter by their differences alone: 1,000 more in all of them, whose exponential is infinite, changes nothing."""
    mixer, x = layer("rwkv4 time mixing"), inputs()
    assert isinstance(mixer, ScannedTimeMixing)
    expected, receive = mixer(x), mixer.receive

    def larger(*arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r, k, v = receive(*arguments)
        return r, k + 1000, v

    monkeypatch.setattr(mixer, "receive", larger)
    for outputs in (mixer(x), mixer.loop(x)):
        torch.testing.assert_close(outputs, expected, atol=1e-9, rtol=1e-9)


def outputs_and_gradients(mixer: Mixer, x: Tensor, *, stepped: bool) -> list[Tensor]:
    """Output, gradient to the input, and gradients to all weights."""
    mixer.zero_grad()
    x = x.clone().requires_grad_()
    y = mixer.loop(x) if stepped else mixer(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    assert x.grad is not None
    gradients = [(p, p.grad) for p in mixer.parameters()]  # none for a decay that one step does not need
    return [y.detach(), x.grad, *(torch.zeros_like(p) if gradient is None else gradient.clone() for p, gradient in gradients)]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("n", [1, 37, 70])
def test_the_parallel_form_equals_the_steps_in_outputs_and_gradients(name: str, n: int) -> None:
    mixer, x = layer(name), inputs(n)
    for fast, stepped in zip(outputs_and_gradients(mixer, x, stepped=False), outputs_and_gradients(mixer, x, stepped=True), strict=True):
        torch.testing.assert_close(fast, stepped, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_neither_the_future_nor_another_seed_changes_anything(name: str) -> None:
    mixer, x = layer(name), inputs()
    changed = x.clone()
    changed[1:] += 1
    changed[:, :, 20:] += 1
    assert not torch.equal(mixer(x)[0, :, 20:], mixer(changed)[0, :, 20:])
    torch.testing.assert_close(mixer(x)[0, :, :20], mixer(changed)[0, :, :20], atol=1e-10, rtol=1e-10)


def test_mamba_starts_as_its_authors_code() -> None:
    mixer = Mamba(WIDTH, generators=generators())
    assert (mixer.d_inner, mixer.dt_rank, tuple(mixer.conv1d_bias.shape)) == (48, 2, (2, 48))
    torch.testing.assert_close(-mixer.A_log.exp(), -torch.arange(1.0, 17).expand(2, 48, 16))
    assert mixer.D.eq(1).all()
    wide = Mamba(512, generators=generators(1))
    delta = functional.softplus(wide.dt_bias).detach()
    assert 1e-3 * (1 - 1e-4) <= float(delta.min()) < 0.0012
    assert 0.09 < float(delta.max()) <= 0.1 * (1 + 1e-4)
    assert float(delta.log().mean()) == pytest.approx(math.log(1e-2), abs=0.15), "uniform in the logarithm"
    assert 0.9 < float(wide.dt_proj.weight.detach().abs().max()) * math.sqrt(wide.dt_rank) <= 1


def test_rwkv_starts_as_its_authors_code() -> None:
    """Decays from e^-5 to e^3 a step, a zigzag around log 0.3 as bonus, and shares of the present input that grow with the channel."""
    first, last = (ScannedTimeMixing(10, generators=generators(1), layer=layer, layers=4) for layer in (0, 3))
    assert (first.theta[0, 0].item(), first.theta[0, -1].item(), last.theta[0, -1].item()) == (-5, 3, 3)
    assert last.theta[0, 3].item() == pytest.approx(-5 + 8 * (3 / 9) ** 2)
    np.testing.assert_allclose(first.u[0, :4].detach(), math.log(0.3) + np.array([0, 0.5, -0.5, 0]), rtol=1e-6)
    np.testing.assert_allclose(first.shift_k.mu[0].detach(), np.arange(10) / 10, rtol=1e-6)
    np.testing.assert_allclose(last.shift_v.mu[0].detach(), (np.arange(10) / 10) ** 0.25 + 0.3, rtol=1e-6)
    assert not any(linear.weight.any() for linear in (first.W_k, first.W_r, first.W_o))
    torch.testing.assert_close(first.W_v.weight[0] @ first.W_v.weight[0].T, torch.eye(10), atol=1e-5, rtol=0)


def test_norms_are_their_definitions() -> None:
    x = inputs().float()
    rms, layer_norm = RMSNorm(WIDTH, 2), LayerNorm(WIDTH, 2)
    away_from_the_start(rms)
    away_from_the_start(layer_norm)
    expected = x / torch.sqrt(x.square().mean(-1, keepdim=True) + 1e-5) * rms.gain[:, None, None]
    torch.testing.assert_close(rms(x), expected)
    centred = x - x.mean(-1, keepdim=True)
    expected = centred / torch.sqrt(centred.square().mean(-1, keepdim=True) + 1e-5)
    torch.testing.assert_close(layer_norm(x), expected * layer_norm.gain[:, None, None] + layer_norm.bias[:, None, None])


def model(name: str, width: int = 32, layers: int = 2, n_positions: int = 0) -> SequenceModel:
    return SequenceModel(Network.model_validate(name), 10, width, layers, generators=generators(), n_positions=n_positions)


def test_a_and_d_of_mamba_have_no_weight_decay_and_its_matrices_have() -> None:
    network = model("mamba")
    decayed, others = (
        {id(parameter) for parameter in group["params"]}
        for group in decay_groups(network, 0.1, exclude=("norm", "bias", *network.undecayed))
    )
    for block in network.blocks:
        mixer = block.mixer
        assert isinstance(mixer, Mamba)
        assert {id(mixer.A_log), id(mixer.D), id(mixer.conv1d_bias), id(mixer.dt_bias)} <= others
        assert {id(linear.weight) for linear in (mixer.in_proj, mixer.x_proj, mixer.dt_proj, mixer.out_proj)} <= decayed
    assert len(network.undecayed) == 2 * 4
    assert model("ssm").undecayed == (), "the layer inside the common block is trained as before"


def test_parameters_of_a_block_grow_as_published() -> None:
    """Two layers of Mamba have 12 width^2 in their two large products and 4 width^2 / 8 in those of delta; RWKV-4 has 13 width^2."""
    for name, expected in (("mamba", 12.5), ("mamba-lti", 12.0), ("rwkv4", 13.0)):
        narrow, wide = (model(name, width, 1).n_parameters for width in (32, 64))
        assert (wide - 2 * narrow) / (2 * 32**2) == expected, name


def test_two_layers_of_mamba_stand_for_one_block_and_nothing_else_is_in_it() -> None:
    blocks = model("mamba", layers=3).blocks
    assert len(blocks) == 6
    assert {name.split(".")[0] for name, _ in blocks[0].named_parameters()} == {"norm", "mixer"}
    weight = blocks[0].mixer.get_parameter("out_proj.weight")
    assert 0.98 < weight.abs().max().item() * math.sqrt(6) * math.sqrt(64) <= 1, "divided by the square root of the number of layers"


@pytest.mark.parametrize("name", ["mamba", "mamba-lti", "rwkv4", "convolution", "mamba.loop"])
def test_generating_equals_reading(name: str) -> None:
    network = model(name).double()
    away_from_the_start(network)
    tokens = torch.randint(10, (2, 3, 12), generator=torch.Generator().manual_seed(4))
    states, logits = network.start(tokens), []
    for t in range(12):
        scores, states = network.step(tokens[:, :, t], states, t)
        logits.append(scores)
    torch.testing.assert_close(torch.stack(logits, 2), network(tokens), atol=1e-9, rtol=1e-9)


def test_a_sequence_longer_than_the_kernel_of_the_state_space_layer_is_refused() -> None:
    network = model("mamba-lti", n_positions=6)
    assert network(torch.zeros(2, 1, 6, dtype=torch.int64)).shape == (2, 1, 6, 10)
    with pytest.raises(InputError, match=r"the sequence has 7 positions, the kernel .* was made for 6\. .* use mamba"):
        network(torch.zeros(2, 1, 7, dtype=torch.int64))
    assert model("mamba", n_positions=6)(torch.zeros(2, 1, 7, dtype=torch.int64)).shape == (2, 1, 7, 10), "a scan has no longest sequence"


@pytest.mark.parametrize("name", LAYERS)
def test_the_state_that_is_counted_is_the_state_that_is_carried(name: str) -> None:
    mixer, x = layer(name), inputs(5)
    state = mixer.start(x)
    for x_t in x.unbind(2):
        _, state = mixer.step(x_t, state)
    assert state_size(mixer, 5) == state_size(mixer, 5000) == sum(part.numel() for part in state) // (2 * 3)


@pytest.mark.parametrize("name", LAYERS)
def test_counted_flops_are_those_of_the_products_made(name: str) -> None:
    mixer, n = layer(name, 1), 40
    with torch.no_grad():
        products = matrix_flops(lambda: mixer(inputs(n)[:1, :1]))
    by_hand: dict[str, float] = {  # per position, besides matrix products
        "mamba": 48 * (2 * 4 + 4 * 16),  # convolution; the state's update and reading
        "rwkv4 time mixing": 24 * (3 * 2 + 4 * 2),  # shifts; two sums updated and read
        "rwkv4 channel mixing": 24 * 2 * 2,
    }
    if name == "mamba-lti":  # the response of the kernel is a product; by hand the transforms, the product of spectra and the convolution
        by_hand[name] = 48 * (3 * 2.5 * 2 * math.log2(2 * n) + 6 + 2 * 4)
    assert flops(mixer, n) == pytest.approx(products + n * by_hand.get(name, 0), rel=1e-6)


def test_a_network_of_published_layers_costs_what_its_layers_do() -> None:
    network = model("rwkv4", layers=1)
    assert network_flops(network, 7) == sum(flops(block.mixer, 7) for block in network.blocks) + 2 * 32 * 10 * 7


def test_sequential_operations_grow_as_the_forms_say() -> None:
    def counted(name: str) -> list[int]:
        return [sequential_operations(make_mixer(Network.model_validate(name), 16, generators=generators(1)), n) for n in (64, 1024)]

    assert counted("mamba") == counted("rwkv4") == [12, 20]
    assert counted("mamba.loop") == counted("rwkv4.loop") == [64, 1024]
    assert counted("convolution") == [1, 1]
    assert counted("mamba-lti") == [15, 23]  # two transforms of twice the length, and a product between them


@pytest.mark.parametrize("n", [2, 3, 4, 9, 10, 27, 28])
def test_dilated_convolutions_join_the_ends_in_logarithmically_many_layers(n: int) -> None:
    """The last output depends on the first input from that number of layers on, and not before."""
    stack = [ParallelDilatedConvolution(2, generators=generators(1), layer=i) for i in range(layers_that_join(n, 3))]

    def reaches(layers: list[ParallelDilatedConvolution]) -> bool:
        x = torch.ones(1, 1, n, 2, requires_grad=True)
        y = x
        for convolution in layers:
            y = convolution(y)
        (gradient,) = torch.autograd.grad(y[:, :, -1].sum(), x)
        return bool(gradient[0, 0, 0].any())

    assert reaches(stack)
    assert len(stack) == 1 or not reaches(stack[:-1])
    assert path_length(stack[0], n) == len(stack) == max(1, math.ceil(round(math.log(n, 3), 9)))
