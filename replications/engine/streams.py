"""Several networks on one GPU at once, each on its own CUDA stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Result = TypeVar("Result")


def make_streams(n_networks: int, device: torch.device) -> list[torch.cuda.Stream]:
    """Return one stream per network on a GPU, and no stream on a CPU or for a single network.

    Args:
        n_networks: networks that are updated together.
        device: of the networks.

    Returns:
        `n_networks` streams, or none.
    """
    return [torch.cuda.Stream(device) for _ in range(n_networks)] if device.type == "cuda" and n_networks > 1 else []


def run_on_streams(calls: Sequence[Callable[[], Result]], streams: Sequence[torch.cuda.Stream], device: torch.device) -> list[Result]:
    """Make each call on its own stream, and let the current stream wait for all of them; this can be captured in a graph.

    Args:
        calls: one per network; no call may read what another one writes.
        streams: one per call, or none: the calls are then made one after the other.
        device: of the streams.

    Returns:
        Results in the order of the calls.

    Raises:
        ValueError: the numbers of calls and streams differ.
    """
    if not streams:
        return [call() for call in calls]
    main = torch.cuda.current_stream(device)
    results = []
    for call, stream in zip(calls, streams, strict=True):
        stream.wait_stream(main)
        with torch.cuda.stream(stream):
            results.append(call())
    for stream in streams:
        main.wait_stream(stream)
    return results
