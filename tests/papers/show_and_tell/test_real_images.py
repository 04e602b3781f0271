"""Real photographs through the same code: Flickr8k and ImageNet weights from the local mirror."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from replications.papers.show_and_tell import data, experiment, metrics, vision
from replications.papers.show_and_tell.model import ImageFeatures
from replications.papers.show_and_tell.settings import Settings
from replications.papers.show_and_tell.trainer import Task
from replications.papers.show_and_tell.vision import Scale
from replications.papers.show_and_tell.vocabulary import Vocabulary
from replications.results.records import frame
from tests.contexts import make_context

MIRROR = Path(os.environ.get("REPLICATIONS_DATA") or Path(__file__).parents[4] / "shared" / "data")
PRESENT = (MIRROR / "hub" / "jxie" / "flickr8k").is_dir() and (MIRROR / "weights" / "squeezenet1_1_imagenet.pt").is_file()
SETTINGS = Settings.model_validate(
    {
        "dataset": "flickr8k",
        "cnn": "squeezenet1_1",
        "decoder": {"embed_size": 32, "hidden_size": 32},
        "dropout": 0.0,
        "min_count": 2,
        "batch_size": 20,
        "epochs": 25,
        "learning_rate": 0.01,
        "beam_size": 3,
        "max_length": 16,
        "retrieval_images": 10,
        "samples": 4,
    }
)


@pytest.mark.skipif(not PRESENT, reason=f"no Flickr8k and SqueezeNet under {MIRROR}; set REPLICATIONS_DATA")
def test_photographs_are_read_seen_learnt_and_captioned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATIONS_DATA", str(MIRROR))
    monkeypatch.setenv("REPLICATIONS_CACHE", str(tmp_path / "cache"))
    context = make_context(tmp_path / "state", "show_and_tell", (0,), tier="gpu")
    notes: data.Notes = {}
    whole = data.read_split("flickr8k", "test", notes)
    assert notes["flickr8k/test"]["rows"] == "1000"
    assert all(len(several) == 5 for several in whole.captions)

    few = whole.first(40)
    cnn = vision.build_cnn(context, "squeezenet1_1")
    found = vision.extract(context, cnn, "squeezenet1_1", few)
    assert found.vector.shape == (40, 1512)
    assert found.grid.shape == (40, 49, 512)
    again = vision.extract(context, cnn, "squeezenet1_1", replace(few, read=lambda rows: pytest.fail("features were not kept")))
    assert torch.equal(again.vector, found.vector)

    # The images that it was trained on: what must be possible, not how well it generalises.
    splits = {"train": few, "validation": few.first(10), "test": few.first(20)}
    seen = {name: ImageFeatures(found.vector[: len(split)], found.grid[: len(split)]) for name, split in splits.items()}
    vocabulary = Vocabulary.build((caption for several in few.tokens for caption in several), SETTINGS.min_count)
    task = Task(SETTINGS, splits, seen, Scale.of(found.vector), vocabulary, torch.nn.ModuleList([cnn]))
    model = experiment.train_decoder(task, context)
    metrics.record_metrics(context, task, model)
    records = frame(context.rows).set_index(["split", "metric"])["value"]
    assert records["test", "bleu_1"] > 50
    assert records["test", "search_median"] <= 3
    assert np.isfinite(records["test", "perplexity"])
    assert context.arrays["gallery_images"].shape == (4, 3, 96, 96)
