"""Scores of trained networks: accuracy by stream and fusion, and what shuffling and reversing the frames does to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from replications.engine.context import Context
from replications.papers.video_recognition.clips import STREAMS, Clips
from replications.papers.video_recognition.data import ClipData
from replications.papers.video_recognition.model import clip_probabilities, fuse
from replications.papers.video_recognition.settings import Settings

FUSIONS = {"half": 1 / 2, "third": 2 / 3}
"""Name in the records -> weight of motion: one half each, and one third RGB with two thirds motion (Table 1)."""
CLIPS_AT_ONCE = 1024
SHUFFLE_SEED = 1_000_003
"""Seed of the order of shuffled frames, the same for every network; each clip has an order of its own."""
ROUNDING = 1e-4
"""Largest difference of two logits that rounding in float32 explains: logits are at most a few tens."""
SHOWN = 16
"""Clips of the player and the figures."""


@torch.no_grad()
def logits_of(networks: Sequence[nn.Module], inputs: Tensor) -> Tensor:
    """Return the logits of every step of every clip.

    Args:
        networks: one per seed.
        inputs: (clips, steps, features).

    Returns:
        float32 (seeds, clips, steps, classes).
    """
    return torch.stack([torch.cat([network(part.float()).float() for part in inputs.split(CLIPS_AT_ONCE)]) for network in networks])


def by_video(probabilities: Tensor, videos: Tensor) -> Tensor:
    """Return the probabilities of videos: the mean over their clips.

    Args:
        probabilities: (seeds, clips, classes).
        videos: of each clip, int64 (clips,), from 0 without gaps.

    Returns:
        (seeds, videos, classes).
    """
    n_videos = int(videos.max()) + 1
    sums = probabilities.new_zeros(len(probabilities), n_videos, probabilities.shape[2]).index_add_(1, videos, probabilities)
    return sums / torch.bincount(videos, minlength=n_videos).view(1, -1, 1)


def labels_of_videos(clips: Clips) -> Tensor:
    """Return the class of each video.

    Args:
        clips: of which each video has one or more.

    Returns:
        int64 (videos,).
    """
    labels = clips.labels.new_zeros(int(clips.videos.max()) + 1)
    return labels.index_copy_(0, clips.videos, clips.labels)


def shuffled(inputs: Tensor, order: Tensor) -> Tensor:
    """Return clips whose frames are in another order, each clip in its own.

    Args:
        inputs: (clips, steps, features).
        order: int64 (clips, steps), a permutation in each row.

    Returns:
        (clips, steps, features).
    """
    return inputs.gather(1, order.unsqueeze(2).expand_as(inputs))


def random_orders(n_clips: int, n_steps: int) -> Tensor:
    """Return a random order of the frames of each clip, none of which is the original one.

    Args:
        n_clips: clips.
        n_steps: steps of a clip, at least 2.

    Returns:
        int64 (n_clips, n_steps).
    """
    generator = torch.Generator().manual_seed(SHUFFLE_SEED)
    orders = torch.rand(n_clips, n_steps, generator=generator).argsort(dim=1)
    same = (orders == torch.arange(n_steps)).all(dim=1, keepdim=True)
    return torch.where(same, orders.roll(1, dims=1), orders)


def evaluate(settings: Settings, context: Context, networks: Mapping[str, Sequence[nn.Module]], data: ClipData) -> None:
    """Record accuracy, the effects of order, and the artifacts of figures.

    Args:
        settings: of the run.
        context: receives records and artifacts.
        networks: stream -> one network per seed.
        data: what is scored.
    """
    clips, split, step = data.scored, settings.evaluate_on, settings.n_steps
    labels = labels_of_videos(clips)
    context.record("test_examples", [float(len(labels))] * len(context.seeds), split=split)
    orders = {stream: random_orders(len(clips), clips.streams[stream].shape[1]).to(context.device) for stream in STREAMS}
    arranged = {
        "accuracy": clips.streams,
        "shuffled_accuracy": {stream: shuffled(clips.streams[stream], orders[stream]) for stream in STREAMS},
        "reversed_accuracy": clips.backwards,
    }
    logits = {metric: {s: logits_of(networks[s], inputs[s]) for s in STREAMS} for metric, inputs in arranged.items()}
    for metric, by_stream in logits.items():
        scores = {stream: by_video(clip_probabilities(values), clips.videos) for stream, values in by_stream.items()}
        scores |= {name: fuse(scores["rgb"], scores["flow"], weight) for name, weight in FUSIONS.items()}
        for model, probabilities in scores.items():
            answers = probabilities.argmax(-1)
            context.record(metric, 100 * (answers == labels).double().mean(1), split=split, step=step, model=model, unit="%")
            if metric == "accuracy":
                context.artifact(f"wrong_accuracy_{split}_{model}", _packed(answers != labels))
                context.artifact(f"confusion_{model}", _confusion(answers, labels, len(data.class_names)))
                if data.stills is not None:
                    right = (data.stills[answers] == data.stills[labels]).double().mean(1)
                    context.record("object_accuracy", 100 * right, split=split, step=step, model=model, unit="%")
            if metric == "reversed_accuracy" and data.partner is not None:
                partner = 100 * (answers == data.partner[labels]).double().mean(1)
                context.record("reversed_is_partner", partner, split=split, step=step, model=model, unit="%")
    for stream in STREAMS:
        # Logits of a clip: their mean over steps, of the clip as it is and with its frames in another order.
        difference = (logits["accuracy"][stream].mean(2) - logits["shuffled_accuracy"][stream].mean(2)).abs().amax(-1)
        context.record("clips_apart", (difference > ROUNDING).double().mean(1), split=split, step=step, model=stream)
    if data.frames is not None:
        _store_shown(context, data, {metric: values["rgb"] for metric, values in logits.items()}, orders["rgb"])
    context.artifact("class_names", np.asarray(data.class_names))


def _packed(wrong: Tensor) -> np.ndarray:
    """Return which items each seed got wrong, packed to bits: (seeds, bytes)."""
    return np.packbits(wrong.cpu().numpy(), axis=1)


def _confusion(answers: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """Return how often each class was answered for each class: int64 (seeds, classes, answers)."""
    cells = labels * n_classes + answers
    return torch.stack([torch.bincount(row, minlength=n_classes**2).view(n_classes, n_classes) for row in cells])


def _store_shown(context: Context, data: ClipData, logits: Mapping[str, Tensor], orders: Tensor) -> None:
    """Store some clips and the probabilities of every step as they are, shuffled and reversed, of the first seed's network."""
    labels = data.scored.labels[: len(data.frames if data.frames is not None else ())].cpu().numpy()
    # The first clip of every class, so that the player shows each.
    chosen = [int(np.flatnonzero(labels == number)[0]) for number in np.unique(labels)][:SHOWN]
    context.artifact("shown_frames", np.round(255 * np.asarray(data.frames)[chosen]).astype(np.uint8))
    context.artifact("shown_labels", labels[chosen])
    context.artifact("shown_orders", orders[chosen])
    names = {"accuracy": "forward", "shuffled_accuracy": "shuffled", "reversed_accuracy": "reversed"}
    for metric, values in logits.items():
        context.artifact(f"shown_{names[metric]}", values[0, chosen].softmax(-1))


def evaluate_frames(settings: Settings, context: Context, networks: Sequence[nn.Module], data: ClipData) -> None:
    """Record the accuracy of per-frame labels, in all and at each step.

    Args:
        settings: of the run.
        context: receives the records.
        networks: one per seed.
        data: what is scored; its clips have labels of frames.
    """
    clips = data.scored
    assert clips.frame_labels is not None  # noqa: S101 (turning clips have them)
    right = (logits_of(networks, clips.streams["rgb"]).argmax(-1) == clips.frame_labels).double()
    split, step = settings.evaluate_on, settings.n_steps
    context.record("frame_accuracy", 100 * right.mean((1, 2)), split=split, step=step, unit="%")
    for t in range(right.shape[2]):
        context.record("frame_accuracy_at", 100 * right[:, :, t].mean(1), axis="frame", at=t + 1, split=split, step=step, unit="%")
