"""The pretended GPU refuses what a GPU refuses. What papers run on it stands in their own tests."""

import pytest

from tests.engine.gpu_checks import on_pretended_gpu


@pytest.mark.slow
def test_the_pretended_gpu_refuses_what_a_gpu_refuses() -> None:
    said = dict(line.split(": ", maxsplit=1) for line in on_pretended_gpu("faults").splitlines())
    assert said["none"] == "nothing"
    for fault, reason in {
        "mixed": "in host memory meets one on the GPU",
        "waiting": "waits for the GPU inside a captured graph",
        "copied": "copies between host and GPU inside a captured graph",
        "fetched": "copies between host and GPU inside a captured graph",
        "stranger": "from a generator that was not registered",
        "optimiser": "param_groups' capturable is False",
        "numpy": "can't convert a tensor on the GPU to numpy",
    }.items():
        assert reason in said[fault], said
    assert said["eager"] == "[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]", "a step that cannot be captured is made all the same, each time once"
