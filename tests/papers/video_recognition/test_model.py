"""Heads: the LSTM against the library, what each step may see, and the invariance of averaging."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from replications.papers.video_recognition import evaluation
from replications.papers.video_recognition.bench import clips_against_frame_by_frame
from replications.papers.video_recognition.fused import FusedLSTMHead
from replications.papers.video_recognition.model import (
    ClipNetwork,
    LSTMHead,
    TransformerHead,
    clip_probabilities,
    fuse,
    make_head,
    step_loss,
)
from replications.papers.video_recognition.settings import Head


def network(head: Head) -> nn.Module:
    torch.manual_seed(0)
    return ClipNetwork(5, 8, make_head(head, 8, 8, 4, 0.0), 0.0).double().eval()


def frames(steps: int = 6) -> Tensor:
    return torch.randn(3, steps, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_step_wise_lstm_agrees_with_the_library_in_outputs_and_gradients() -> None:
    torch.manual_seed(0)
    plain, fused = LSTMHead(5, 7, 4, 0.0).double(), FusedLSTMHead(5, 7, 4, 0.0).double()
    fused.load_state_dict(plain.state_dict())
    outputs, gradients = [], []
    for head in (plain, fused):
        x = frames().requires_grad_()
        y = head(x)
        y.square().sum().backward()
        outputs.append(y)
        gradients.append([x.grad, *(weight.grad for weight in head.parameters())])
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-10, rtol=0)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(("head", "before", "after"), [("average", 0, 0), ("lstm", 5, 0), ("convolution", 2, 2), ("transformer", 5, 5)])
def test_a_step_sees_no_more_than_its_head_says(head: Head, before: int, after: int) -> None:
    """Frames outside the window do not change the logits of step 3, those at its edges do."""
    model, x, t = network(head), frames(10), 4
    original = model(x)[:, t]
    for changed in range(10):
        other = x.clone()
        other[:, changed] += 1
        moved = float((model(other)[:, t] - original).detach().abs().max())
        inside = t - before <= changed <= t + after
        assert (moved > 1e-6) if inside else (moved == 0), changed


def test_averaging_does_not_depend_on_the_order_of_frames_and_the_others_do() -> None:
    x = frames()
    order = evaluation.random_orders(3, 6)
    for head in ("average", "lstm", "convolution", "transformer"):
        model = network(head)
        apart = (model(x).mean(1) - model(evaluation.shuffled(x, order)).mean(1)).detach().abs().max()
        assert (apart < 1e-12) if head == "average" else (apart > 1e-4), head


def test_shuffling_gives_each_clip_an_order_of_its_own() -> None:
    orders = evaluation.random_orders(500, 3)
    assert (orders.sort(dim=1).values == torch.arange(3)).all()
    assert not (orders == torch.arange(3)).all(dim=1).any()
    x = torch.arange(12.0).view(2, 6, 1)
    order = torch.tensor([[5, 4, 3, 2, 1, 0], [1, 0, 2, 3, 4, 5]])
    assert evaluation.shuffled(x, order).flatten().tolist() == [5, 4, 3, 2, 1, 0, 7, 6, 8, 9, 10, 11]


def test_without_positions_a_transformer_would_not_read_order(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    head = TransformerHead(5, 8, 4, 0.0).double().eval()
    monkeypatch.setattr(
        "replications.papers.video_recognition.model.position_codes", lambda n, width, device: torch.zeros(n, width, device=device)
    )
    x = frames()
    torch.testing.assert_close(head(x).mean(1), head(x.flip(1)).mean(1), atol=1e-12, rtol=0)


def test_the_loss_asks_for_the_class_at_every_step() -> None:
    logits = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([1, 3])
    expected = -sum(float(logits[b, t].log_softmax(0)[labels[b]]) for b in range(2) for t in range(3)) / 6
    assert float(step_loss(logits, labels)) == pytest.approx(expected, rel=1e-6)
    assert float(step_loss(logits, labels.unsqueeze(1).expand(2, 3))) == pytest.approx(expected, rel=1e-6)


def test_probabilities_are_averaged_over_steps_then_clips_then_inputs() -> None:
    """Two steps with odds 1:1 and 3:1 give 5/8; a second clip of the same video with 1/8 gives 3/8; fused with 1 at two thirds, 19/24."""
    logits = torch.tensor([[[0.0, 0.0], [math.log(3), 0.0]]])
    clip = clip_probabilities(logits)
    assert clip[0].tolist() == pytest.approx([5 / 8, 3 / 8])
    clips = torch.stack([clip[0], torch.tensor([1 / 8, 7 / 8])]).unsqueeze(0)
    videos = evaluation.by_video(clips, torch.tensor([0, 0]))
    assert videos[0, 0].tolist() == pytest.approx([3 / 8, 5 / 8])
    assert fuse(videos, torch.tensor([1.0, 0.0]), 2 / 3)[0, 0].tolist() == pytest.approx([19 / 24, 5 / 24])


def test_the_batched_clip_network_and_the_loop_over_frames_agree() -> None:
    comparison = clips_against_frame_by_frame()
    torch.testing.assert_close(comparison.ours(), comparison.baseline(), atol=1e-6, rtol=1e-5)
