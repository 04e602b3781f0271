"""The decoders against torch's own LSTM, autograd and loops."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from replications.engine.optimisation import clip_norm_per_seed, gradients_per_seed
from replications.papers.show_and_tell.baseline import BaselineDecoder
from replications.papers.show_and_tell.fused import CaptionerGroup, NicGroup, Noise
from replications.papers.show_and_tell.fused_attention import AttentiveGroup
from replications.papers.show_and_tell.fused_lstm import recurrence
from replications.papers.show_and_tell.model import ImageFeatures, Output, caption_loss, coverage_penalty
from replications.papers.show_and_tell.settings import Decoder

SMALL = {"embed_size": 6, "hidden_size": 8, "attention_size": 5}


def _model(slots: int = 2, n_words: int = 11, seed: int = 0, dropout: float = 0.0, **options: object) -> CaptionerGroup:
    settings = Decoder.model_validate(SMALL | options)
    generators = [torch.Generator().manual_seed(seed + slot) for slot in range(slots)]
    if settings.attention:
        return AttentiveGroup(settings, 4, n_words, dropout=dropout, generators=generators)
    return NicGroup(settings, 7, n_words, dropout=dropout, generators=generators)


def _inputs(slots: int = 2, rows: int = 3, length: int = 5, n_words: int = 11) -> tuple[ImageFeatures, Tensor]:
    generator = torch.Generator().manual_seed(9)
    images = ImageFeatures(torch.randn(slots, rows, 7, generator=generator), torch.randn(slots, rows, 9, 4, generator=generator))
    return images, torch.randint(0, n_words, (slots, rows, length), generator=generator)


@pytest.mark.parametrize("library", [False, True])
def test_the_recurrence_and_its_gradients_equal_autograd_through_the_equations(library: bool) -> None:
    torch.manual_seed(0)
    gates, hidden, cell, weight = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 4, 3, 20), (2, 3, 5), (2, 3, 5), (2, 5, 20))
    )

    def slow(gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        outputs = []
        for step in range(gates.shape[1]):
            i, f, o, g = (gates[:, step] + hidden @ weight).chunk(4, -1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * (cell.tanh() if library else cell)
            outputs.append(hidden)
        return torch.stack(outputs, 1), cell

    parts = (gates, hidden, cell, weight)
    fast_out, slow_out = recurrence(*parts, library=library), slow(*parts)
    for fast, wanted in zip(fast_out, slow_out, strict=True):
        torch.testing.assert_close(fast, wanted)
    mix = [torch.randn_like(part) for part in slow_out]
    gradients = [torch.autograd.grad(sum((a * b).sum() for a, b in zip(out, mix, strict=True)), parts) for out in (fast_out, slow_out)]
    for fast, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, wanted)


def test_the_library_cell_is_torchs_lstm() -> None:
    ours = _model(slots=1, cell="library")
    baseline = BaselineDecoder(ours)
    images, words = _inputs(slots=1)
    hidden, cell = baseline.cell(baseline.image(images.vector[0]))
    wanted = []
    for word in words[0].unbind(1):
        hidden, cell = baseline.cell(baseline.embedding(word), (hidden, cell))
        wanted.append(baseline.output(hidden))
    torch.testing.assert_close(ours(images, words).logits[0], torch.stack(wanted, 1))


@pytest.mark.parametrize(
    "options", [{}, {"image": "every_step"}, {"cell": "library"}, {"cell": "tanh", "image": "every_step"}, {"attention": True}]
)
def test_whole_captions_and_single_steps_give_the_same_logits(options: dict[str, object]) -> None:
    model = _model(**options)
    images, words = _inputs()
    whole = model(images, words).logits
    state = model.start(images)
    for t in range(words.shape[2]):
        logits, state = model.step(words[:, :, t], state)
        torch.testing.assert_close(logits, whole[:, :, t])


@pytest.mark.parametrize("options", [{}, {"attention": True}])
def test_slots_do_not_feel_each_other(options: dict[str, object]) -> None:
    together, alone = _model(slots=2, seed=5, **options), _model(slots=1, seed=6, **options)
    images, words = _inputs()
    own = ImageFeatures(images.vector[1:], images.grid[1:] if images.grid is not None else None)
    for model, seen, said in ((together, images, words), (alone, own, words[1:])):
        loss, count = caption_loss(model(seen, said), said)
        (loss / count).sum().backward()
        clip_norm_per_seed(gradients_per_seed(model.parameters()), 0.01)
    for one, both in zip(alone.parameters(), together.parameters(), strict=True):
        assert one.grad is not None and both.grad is not None
        torch.testing.assert_close(both.grad[1:], one.grad)


def test_a_slots_dropout_comes_from_its_own_generator() -> None:
    model = _model(dropout=0.5)
    images, words = _inputs()

    def run(first: int, second: int) -> Tensor:
        return model(images, words, Noise([torch.Generator().manual_seed(first), torch.Generator().manual_seed(second)])).logits

    assert torch.equal(run(1, 2)[0], run(1, 3)[0])
    assert not torch.equal(run(1, 2)[1], run(1, 3)[1])


def test_scheduled_sampling_without_own_words_is_teacher_forcing_and_with_them_differs() -> None:
    model = _model()
    images, words = _inputs(length=8)
    noise = lambda p: Noise([torch.Generator().manual_seed(s) for s in (0, 1)], p)  # noqa: E731
    forced = model(images, words).logits
    torch.testing.assert_close(model(images, words, noise(1e-12)).logits, forced)
    own = model(images, words, noise(1.0)).logits
    torch.testing.assert_close(own[:, :, 0], forced[:, :, 0])
    assert not torch.allclose(own[:, :, 3], forced[:, :, 3])


def test_selected_slots_are_copies() -> None:
    model = _model(slots=3)
    chosen = model.select([2])
    assert torch.equal(chosen.word_embedding.weight[0], model.word_embedding.weight[2])
    with torch.no_grad():
        model.word_embedding.weight.zero_()
    assert chosen.word_embedding.weight.abs().sum() > 0
    assert chosen.n_slots == 1


def test_the_loss_counts_words_and_skips_padding() -> None:
    logits = torch.randn(2, 3, 4, 6)
    targets = torch.randint(0, 6, (2, 3, 4))
    targets[:, 1, 2:] = -1
    loss, count = caption_loss(Output(logits), targets)
    wanted = torch.zeros(2)
    for s in range(2):
        for r in range(3):
            for t in range(4):
                if targets[s, r, t] >= 0:
                    wanted[s] -= logits[s, r, t].log_softmax(-1)[targets[s, r, t]]
    torch.testing.assert_close(loss, wanted)
    assert count.tolist() == [10, 10]


def test_the_coverage_penalty_is_zero_when_every_location_gets_one() -> None:
    attention = torch.full((1, 1, 4, 4), 0.25)
    targets = torch.zeros(1, 1, 4, dtype=torch.long)
    assert coverage_penalty(attention, targets).item() == pytest.approx(0.0)
    assert coverage_penalty(attention, targets.index_fill(2, torch.tensor([2, 3]), -1)).item() == pytest.approx(4 * 0.25)


def test_attention_weights_are_a_distribution_over_locations() -> None:
    images, words = _inputs()
    attention = _model(attention=True)(images, words).attention
    assert attention is not None
    assert attention.shape == (2, 3, 5, 9)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 3, 5))
