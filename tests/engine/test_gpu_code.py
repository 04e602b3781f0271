"""What runs on a GPU, run without one: every paper's training on a device that is pretended (see `pretended_gpu`)."""

import subprocess
import sys
from pathlib import Path

import pytest

from replications.paths import ROOT
from tests.workflow.conftest import environment

RUNS = {
    "recurrent_attention": ["digits-ram-2", "digits-random-4", "digits-conv", "digits-soft"],
    "char_rnn": ["program-text-64"],
    "show_and_tell": ["scenes-attention", "scenes-joint"],
    "vit_scaling": ["vit-n256", "resnet-n256+augmentation=strong"],
    "rnn_vs_transformer": ["cost-tokens", "language-lstm-16", "recall-transformer-32", "copying-transformer.alibi", "order-rnn-clipped"],
}
"""One run for each kind of training a paper has."""


def on_pretended_gpu(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.engine.pretended_gpu", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("paper", RUNS)
def test_every_kind_of_training_is_captured_and_keeps_to_its_device(paper: str, tmp_path: Path) -> None:
    on_pretended_gpu(paper, "smoke", str(tmp_path), *RUNS[paper])
    for run in RUNS[paper]:
        assert (tmp_path / paper / run / "seeds-0-1" / "records.parquet").is_file()


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
