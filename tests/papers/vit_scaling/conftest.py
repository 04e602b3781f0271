"""A context on the CPU and small settings for the tests of this paper."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from replications.engine.context import Context
from replications.papers.vit_scaling.settings import Settings
from tests.contexts import make_context

SMALL: dict[str, Any] = {
    "n_classes": 4,
    "siblings": 1,
    "colours": 0.4,
    "clutter": 0.0,
    "n_images": 64,
    "n_test": 64,
    "image_size": 8,
    "width": 16,
    "depth": 2,
    "n_heads": 2,
    "patch_size": 2,
    "stages": (1, 1),
    "channels": 8,
    "n_steps": 6,
    "batch_size": 8,
    "detail": 3,
}


def make_small(**changes: Any) -> Settings:
    return Settings.model_validate(SMALL | changes)


@pytest.fixture
def small() -> Callable[..., Settings]:
    """Settings of a network that trains in a moment."""
    return make_small


@pytest.fixture
def context() -> Callable[..., Context]:
    """A context that keeps its state in a folder."""
    return functools.partial(make_context, paper="vit_scaling")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
