"""Contexts of experiments on the CPU, with their state in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from replications.engine.checkpoints import CheckpointStore
from replications.engine.chunk import Chunk
from replications.engine.context import Context
from replications.engine.control import Control
from replications.engine.distributed import Team
from replications.engine.progress import Progress


def make_context(
    folder: Path,
    paper: str,
    seeds: tuple[int, ...] = (0, 1),
    *,
    tier: str = "smoke",
    warn: Callable[[str], object] = str,
    team: Team | None = None,
    **control: Any,
) -> Context:
    """A context that prints no progress and saves only at the end and on request."""
    store = CheckpointStore(folder, "key", warn)  # type: ignore[arg-type]
    options = {"checkpoint_seconds": 1e9} | control
    return Context(
        chunk=Chunk(paper, "test", tier, seeds),
        device=torch.device("cpu"),
        control=Control(store, Progress("test", every=1e9), **options),
        team=team or Team(),
    )
