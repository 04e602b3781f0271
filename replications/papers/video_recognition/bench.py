"""Speed comparison of this paper, for `replications bench video_recognition`."""

from __future__ import annotations

import torch
from torch import Tensor

from replications.engine.bench import Comparison
from replications.papers.video_recognition.cnn import StillCnn, features_of
from replications.papers.video_recognition.digits import N_CLASSES, N_FRAMES, SIDE
from replications.papers.video_recognition.fused import fast_head
from replications.papers.video_recognition.model import ClipNetwork, LSTMHead, clip_probabilities

N_CLIPS, WIDTH = 64, 64


def clips_against_frame_by_frame() -> Comparison:
    """Return the comparison of the batched clip network with a plain loop: frames of all clips at once, against one step after the other."""
    generator = torch.Generator().manual_seed(0)
    cnn = StillCnn(generator)
    frames = torch.rand(N_CLIPS, N_FRAMES, SIDE, SIDE, generator=generator)
    network = ClipNetwork(cnn.n_features, WIDTH, fast_head("lstm", WIDTH, WIDTH, N_CLASSES, 0.0), 0.0).eval()
    plain = ClipNetwork(cnn.n_features, WIDTH, LSTMHead(WIDTH, WIDTH, N_CLASSES, 0.0), 0.0).eval()
    plain.load_state_dict(network.state_dict())

    @torch.no_grad()
    def batched() -> Tensor:
        return clip_probabilities(network(features_of(cnn, frames)))

    @torch.no_grad()
    def looped() -> Tensor:
        features = torch.stack([cnn(frame) for frame in frames.unbind(1)], dim=1)
        return clip_probabilities(plain(features))

    return Comparison("clip network, 64 clips of 8 frames", batched, looped, "frames", N_CLIPS * N_FRAMES, "a loop over frames")
