"""One run: load clips, train a head on both streams, and record what it recognises and what the order of frames has to do with it."""

from __future__ import annotations

from torch import Tensor, nn

from replications.engine.context import Context
from replications.papers.video_recognition.clips import STREAMS
from replications.papers.video_recognition.data import ClipData, load_clips
from replications.papers.video_recognition.description import describe
from replications.papers.video_recognition.evaluation import evaluate, evaluate_frames
from replications.papers.video_recognition.fused import fast_head
from replications.papers.video_recognition.model import ClipNetwork, step_loss
from replications.papers.video_recognition.settings import Settings
from replications.papers.video_recognition.trainer import Loss, Trainer


def make_trainer(settings: Settings, context: Context, data: ClipData, streams: tuple[str, ...] = STREAMS) -> Trainer:
    """Return the trainer of the networks of all seeds and streams.

    Args:
        settings: of the run.
        context: of the run.
        data: its clips.
        streams: which inputs are trained on.

    Returns:
        A trainer whose networks have their initial weights.
    """
    clips = data.train
    targets = clips.labels if clips.frame_labels is None else clips.frame_labels

    def build(stream: str) -> nn.Module:
        head = fast_head(settings.head, settings.embedding_size, settings.hidden_size, len(data.class_names), settings.dropout)
        return ClipNetwork(clips.streams[stream].shape[2], settings.embedding_size, head, settings.frame_dropout)

    def loss_on(inputs: Tensor) -> Loss:
        return lambda network, rows: step_loss(network(inputs[rows].float()), targets[rows])

    losses = {stream: loss_on(clips.streams[stream]) for stream in streams}
    return Trainer(settings, context, streams, build, losses, n_rows=len(clips), n_steps=settings.n_steps)


def run(settings: Settings, context: Context) -> None:
    """Train and score the networks of a run.

    Args:
        settings: of the run.
        context: receives the records.
    """
    data = load_clips(settings, context)
    streams = STREAMS if settings.task == "classify" else ("rgb",)
    trainer = make_trainer(settings, context, data, streams)
    trainer.run()
    n_parameters = [float(sum(weight.numel() for weight in trainer.networks["rgb"][0].parameters()))] * len(context.seeds)
    context.record("parameters", n_parameters)
    if settings.task == "classify":
        evaluate(settings, context, trainer.networks, data)
    elif settings.task == "label-frames":
        evaluate_frames(settings, context, trainer.networks["rgb"], data)
    else:
        describe(settings, context, trainer.networks["rgb"], data)
