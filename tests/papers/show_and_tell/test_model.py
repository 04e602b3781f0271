"""The plain decoders of `model.py` against torch's own LSTM and a worked step; the fused ones against the plain ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from replications.papers.show_and_tell.fused import CaptionerGroup, NicGroup, Noise
from replications.papers.show_and_tell.fused_attention import AttentiveGroup
from replications.papers.show_and_tell.model import Captioner, ImageFeatures, State, caption_loss, coverage_penalty, lstm_step
from replications.papers.show_and_tell.settings import Decoder

S, N, T, V, D, L, C = 2, 3, 5, 11, 7, 9, 4
VARIANTS: list[dict[str, object]] = [
    {},
    {"image": "every_step"},
    {"cell": "library"},
    {"cell": "tanh"},
    {"cell": "tanh", "image": "every_step"},
    {"attention": True},
]


def _group(dropout: float = 0.0, **options: object) -> CaptionerGroup:
    settings = Decoder.model_validate({"embed_size": 6, "hidden_size": 8, "attention_size": 5} | options)
    generators = [torch.Generator().manual_seed(slot) for slot in range(S)]
    if settings.attention:
        return AttentiveGroup(settings, C, V, dropout=dropout, generators=generators).double()
    return NicGroup(settings, D, V, dropout=dropout, generators=generators).double()


def _inputs() -> tuple[ImageFeatures, Tensor, Tensor]:
    """Features, words and targets of S slots; some captions are padded."""
    generator = torch.Generator().manual_seed(9)
    vector = torch.randn(S, N, D, generator=generator, dtype=torch.float64)
    grid = torch.randn(S, N, L, C, generator=generator, dtype=torch.float64)
    words, targets = torch.randint(0, V, (2, S, N, T), generator=generator)
    targets[:, 1, 3:] = -1
    return ImageFeatures(vector, grid), words, targets


def _of_slot(images: ImageFeatures, slot: int) -> ImageFeatures:
    assert images.grid is not None
    return ImageFeatures(images.vector[slot], images.grid[slot])


def _gradients_agree(group: CaptionerGroup, network: nn.Module, slot: int) -> None:
    for name, parameter in network.named_parameters():
        stacked = group.get_parameter(name).grad
        assert stacked is not None and parameter.grad is not None, name
        own = stacked[slot][0] if name.endswith("bias") else stacked[slot]
        own = own if parameter.ndim == 1 or name.startswith("word_embedding") else own.mT
        torch.testing.assert_close(own, parameter.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("options", VARIANTS)
def test_fused_outputs_and_gradients_equal_the_plain_loops(options: dict[str, object]) -> None:
    group = _group(**options)
    images, words, targets = _inputs()
    whole = group(images, words)
    loss, count = caption_loss(whole, targets)
    objective = loss / count
    if whole.attention is not None:
        objective = objective + coverage_penalty(whole.attention, targets)
    objective.sum().backward()
    for slot in range(S):
        network = group.network(slot)
        plain = network(_of_slot(images, slot), words[slot])
        torch.testing.assert_close(whole.logits[slot], plain.logits, rtol=1e-10, atol=1e-10)
        loss, count = caption_loss(plain, targets[slot])
        objective = loss / count
        if plain.attention is not None:
            assert whole.attention is not None
            torch.testing.assert_close(whole.attention[slot], plain.attention, rtol=1e-10, atol=1e-10)
            objective = objective + coverage_penalty(plain.attention, targets[slot])
        objective.backward()
        _gradients_agree(group, network, slot)


@pytest.mark.parametrize("options", VARIANTS)
def test_a_fused_step_equals_the_plain_step(options: dict[str, object]) -> None:
    group = _group(**options)
    images, words, _ = _inputs()
    state = group.start(images)
    networks = [group.network(slot) for slot in range(S)]
    plain: list[State] = [network.start(_of_slot(images, slot)) for slot, network in enumerate(networks)]
    for t in range(T):
        logits, state = group.step(words[:, :, t], state)
        for slot, network in enumerate(networks):
            scores, *_, plain[slot] = network.step(words[slot, :, t], plain[slot])
            torch.testing.assert_close(logits[slot], scores, rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(state.cell[slot], plain[slot].cell, rtol=1e-10, atol=1e-10)


class _Replay(nn.Module):
    """Dropout with masks that were drawn before, one per call."""

    def __init__(self, masks: list[Tensor]) -> None:
        super().__init__()
        self.masks = iter(masks)

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * next(self.masks)


@pytest.mark.parametrize("options", VARIANTS)
def test_dropout_acts_where_the_plain_networks_have_it(options: dict[str, object]) -> None:
    rate = 0.4
    group = _group(dropout=rate, **options)
    images, words, targets = _inputs()
    whole = group(images, words, Noise([torch.Generator().manual_seed(slot) for slot in range(S)]))
    loss, count = caption_loss(whole, targets)
    (loss / count).sum().backward()
    attentive, sizes = group.settings.attention, (group.settings.embed_size, group.settings.hidden_size)
    for slot in range(S):
        generator = torch.Generator().manual_seed(slot)
        draw: Callable[..., Tensor] = lambda *shape, g=generator: (torch.rand(*shape, generator=g) >= rate).double() / (1 - rate)  # noqa: E731
        first = [] if attentive else [draw(N, sizes[0])]
        embedded, outputs = draw(T, N, sizes[0]), draw(T, N, sizes[1])
        network = group.network(slot)
        network.dropout = _Replay(first + [mask for t in range(T) for mask in (embedded[t], outputs[t])])  # type: ignore[assignment]
        plain = network(_of_slot(images, slot), words[slot])
        torch.testing.assert_close(whole.logits[slot], plain.logits, rtol=1e-10, atol=1e-10)
        loss, count = caption_loss(plain, targets[slot])
        (loss / count).backward()
        _gradients_agree(group, network, slot)


def test_one_step_of_the_papers_cell_is_what_its_equations_give() -> None:
    gates, before = torch.tensor([[0.0, 1.0, -1.0, 0.5]], dtype=torch.float64), torch.tensor([[2.0]], dtype=torch.float64)
    sigmoid = lambda value: 1 / (1 + torch.exp(torch.tensor(-value, dtype=torch.float64)))  # noqa: E731
    cell = sigmoid(1.0) * 2 + sigmoid(0.0) * torch.tanh(torch.tensor(0.5, dtype=torch.float64))
    hidden, after = lstm_step(gates, before, library=False)
    torch.testing.assert_close(after[0, 0], cell)
    torch.testing.assert_close(hidden[0, 0], sigmoid(-1.0) * cell)
    torch.testing.assert_close(lstm_step(gates, before, library=True)[0][0, 0], sigmoid(-1.0) * cell.tanh())


def test_the_plain_network_with_the_image_at_every_step_is_torchs() -> None:
    network = _group(cell="tanh", image="every_step").network(0)
    assert isinstance(network, Captioner)
    assert network.every_step is not None
    images, words, _ = _inputs()
    torchs = nn.RNNCell(12, 8, bias=False, dtype=torch.float64)  # its input: the word and the image side by side
    with torch.no_grad():
        torchs.weight_ih.copy_(torch.cat([network.rnn.inputs.weight, network.every_step.weight], 1))
        torchs.weight_hh.copy_(network.rnn.hidden.weight)
    v = network.image(images.vector[0])
    hidden = torchs(torch.cat([v, torch.zeros_like(v)], 1))  # the image alone, before the first word
    wanted = []
    for word in words[0].unbind(1):
        hidden = torchs(torch.cat([network.word_embedding(word), v], 1), hidden)
        wanted.append(network.output(hidden))
    torch.testing.assert_close(network(_of_slot(images, 0), words[0]).logits, torch.stack(wanted, 1))


def test_the_library_cell_is_torchs() -> None:
    network = _group(cell="library").network(0)
    assert isinstance(network, Captioner)
    images, words, _ = _inputs()
    torchs = nn.LSTMCell(6, 8, dtype=torch.float64)
    order = torch.arange(32).view(4, 8)[[0, 1, 3, 2]].flatten()  # ours: input, forget, output, update; torch's: update before output
    with torch.no_grad():
        torchs.weight_ih.copy_(network.rnn.inputs.weight[order])
        torchs.weight_hh.copy_(network.rnn.hidden.weight[order])
        torchs.bias_ih.copy_(network.rnn.inputs.bias[order])
        torchs.bias_hh.zero_()
    hidden, cell = torchs(network.image(images.vector[0]))
    wanted = []
    for word in words[0].unbind(1):
        hidden, cell = torchs(network.word_embedding(word), (hidden, cell))
        wanted.append(network.output(hidden))
    torch.testing.assert_close(network(_of_slot(images, 0), words[0]).logits, torch.stack(wanted, 1))
