"""ImageNet as a stream, on a mirror of a few tiny images: every run of the tier `paper`, one process and two, damaged files."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from replications.engine.context import Context
from replications.errors import DataError, InputError, Preempted
from replications.papers.vit_scaling.experiment import run
from replications.papers.vit_scaling.settings import Settings
from replications.papers.vit_scaling.streaming import Decoder, EncodedImage, endless
from replications.registry.run_grid import Run, load_runs

MakeContext = Callable[..., Context]
N_IMAGES = 24


def jpeg(number: int) -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A mirror whose ImageNets have 24 images. At the end of every pass `datasets` waits seconds for its threads; here, for a moment."""
    import pandas as pd

    folder = tmp_path_factory.mktemp("mirror")
    images = [{"bytes": jpeg(number), "path": None} for number in range(N_IMAGES)]
    places = {"ILSVRC/imagenet-1k": ("image", "label", ("train", "validation")), "timm/imagenet-w21-wds": ("jpg", "cls", ("train",))}
    for hub, (image, label, splits) in places.items():
        for split in splits:
            target = folder / "hub" / hub / "data" / f"{split}-00000-of-00001.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            pd.DataFrame({image: images, label: range(N_IMAGES)}).to_parquet(target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPLICATIONS_DATA", str(folder))
        patch.setattr("datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN", 0.05)
        yield folder


def reduced(settings: Settings, **changes: object) -> Settings:
    """The same network on fewer and smaller images, for two steps."""
    small = {
        "n_images": N_IMAGES,
        "image_size": 32,
        "n_steps": 2,
        "batch_size": 4,
        "workers": 2,
        "n_test": 8,
        "precision": "fp32",
        "transfer": "none",
        "shuffle_buffer": 8,
    }
    return settings.model_copy(update=small | changes)  # a copy is not validated: fewer images than classes


PAPER = [entry for entry in load_runs("vit_scaling", "paper") if entry.settings.experiment == "accuracy"]


# Runs that differ only in what is reduced here (images, batch, steps) are one.
DIFFERENT = {reduced(entry.settings).model_dump_json(): entry for entry in reversed(PAPER)}


@pytest.mark.parametrize("entry", list(DIFFERENT.values())[::-1], ids=lambda entry: entry.name)
def test_every_run_of_the_paper_tier_makes_two_steps(
    entry: Run, imagenet: Path, context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_context = context(tmp_path, seeds=(0,))
    monkeypatch.setattr(run_context, "save", lambda *_: None)  # 300 MB of state that nothing reads
    assert isinstance(entry.settings, Settings)
    assert entry.seeds_per_job == 1
    run(reduced(entry.settings), run_context)
    losses = [row["value"] for row in run_context.rows if row["metric"] == "loss"]
    assert len(losses) == 2
    assert losses[0] == pytest.approx(np.log(entry.settings.classes), rel=1e-3)  # an even guess over all classes
    assert run_context.cost["examples"] == 8


def tiny(**changes: object) -> Settings:
    base = next(entry.settings for entry in PAPER if entry.name == "plain")
    assert isinstance(base, Settings)
    return reduced(base, size="custom", width=16, depth=1, n_heads=2, image_size=16, patch_size=8, n_steps=4, **changes)


def losses(finished: Context) -> list[float]:
    return [row["value"] for row in finished.rows if row["metric"] == "loss"]


def test_a_stopped_stream_continues_where_it_stood(imagenet: Path, context: MakeContext, tmp_path: Path) -> None:
    whole = context(tmp_path / "whole", seeds=(0,))
    run(tiny(batch_size=10, dropout=0.1), whole)  # crosses the end of an epoch
    stopped = context(tmp_path / "stopped", seeds=(0,))
    stopped.control.stop.signal = "SIGTERM"
    with pytest.raises(Preempted):
        run(tiny(batch_size=10, dropout=0.1), stopped)
    resumed = context(tmp_path / "stopped", seeds=(0,))
    run(tiny(batch_size=10, dropout=0.1), resumed)
    assert resumed.rows == whole.rows


TEAM = """
import json, sys
from pathlib import Path
import datasets, torch
datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0.05
torch.set_num_threads(1)
from replications.engine.checkpoints import CheckpointStore
from replications.engine.chunk import Chunk
from replications.engine.context import Context
from replications.engine.control import Control
from replications.engine.distributed import team
from replications.engine.progress import Progress
from replications.papers.vit_scaling.experiment import run
from replications.papers.vit_scaling.settings import Settings

settings = Settings.model_construct(**json.loads(sys.argv[1]))
with team("cpu") as ours:
    folder = Path(sys.argv[2])
    store = CheckpointStore(folder / "state", "key", lambda _: None, discard=ours.main)
    context = Context(chunk=Chunk("vit_scaling", "r", "paper", (0,)), device=ours.device,
                      control=Control(store, Progress("test", every=1e9)), team=ours)
    run(settings, context)
    if ours.main:
        (folder / "rows.json").write_text(json.dumps([r for r in context.rows if r["metric"] in ("loss", "accuracy")]))
"""


def test_two_processes_give_the_losses_of_one(imagenet: Path, context: MakeContext, tmp_path: Path) -> None:
    import json

    alone = context(tmp_path / "alone", seeds=(0,))
    run(tiny(), alone)
    script = tmp_path / "team.py"
    script.write_text(TEAM)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    root = Path(__file__).resolve().parents[3]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*start, tiny().model_dump_json(), str(tmp_path)],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    together = json.loads((tmp_path / "rows.json").read_text())
    pairs = [row["value"] for row in together if row["metric"] == "loss"]
    assert pairs == pytest.approx(losses(alone), rel=1e-5)
    accuracy = [row["value"] for rows in (together, alone.rows) for row in rows if row["metric"] == "accuracy"]
    assert accuracy[0] == accuracy[1]


def test_a_smaller_subset_is_part_of_a_larger_one_and_repeats_in_new_order(imagenet: Path) -> None:
    def labels(n: int, count: int) -> list[int]:
        return [raw.label for raw in islice(endless(tiny(n_images=n, shuffle_buffer=100), "train"), count)]

    small, large = labels(6, 18), labels(12, 12)
    assert set(small[:6]) == set(small[6:12]) == set(small[12:]) < set(large)
    assert small[:6] != small[6:12]


def test_a_subset_larger_than_the_stream_is_refused(imagenet: Path) -> None:
    with pytest.raises(DataError, match=r"has 24 images, n_images asks for 30; lower n_images"):
        list(islice(endless(tiny(n_images=30), "train"), 25))


def test_unreadable_images_are_counted_skipped_and_then_an_error() -> None:
    settings = tiny(corrupt_share=0.05)
    good = [EncodedImage(jpeg(i), i, 0, i) for i in range(8)]
    decoder = Decoder(settings, 0, training=True)
    images, labels = decoder([*good[:3], EncodedImage(b"no image", 99, 0, 3), *good[4:]])
    assert decoder.corrupt == 1
    assert labels.tolist() == [0, 1, 2, 4, 4, 5, 6, 7]  # replaced by a neighbour
    assert torch.equal(images[3], images[4])
    for _ in range(24):
        decoder(good)
    decoder([EncodedImage(good[0].data[: len(good[0].data) // 3], 1, 0, 9), *good[:7]])  # truncated
    assert decoder.corrupt == 2
    with pytest.raises(DataError, match=r"images of imagenet-1k cannot be decoded .* corrupt_share allows 5.00%.*fetch it again"):
        for row in range(40):
            decoder([EncodedImage(b"", 1, 1, row), *good])
    decoder = Decoder(settings, 0, training=True)
    decoder(good)
    with pytest.raises(DataError, match=r"None of 2 consecutive images of imagenet-1k can be decoded\..*fetch it again"):
        decoder([EncodedImage(b"", 1, 0, 0), EncodedImage(b"", 2, 0, 1)])


def test_a_label_beyond_the_classes_is_refused() -> None:
    with pytest.raises(DataError, match="label 1000 of imagenet-1k does not fit its 1,000 classes"):
        Decoder(tiny(), 0, training=True)([EncodedImage(jpeg(0), 1000, 0, 0)])


def test_augmentation_follows_from_seed_epoch_and_place() -> None:
    raws = [EncodedImage(jpeg(0), 0, 0, 5), EncodedImage(jpeg(0), 0, 1, 5), EncodedImage(jpeg(0), 0, 0, 6)]
    first, _ = Decoder(tiny(), 0, training=True)(raws)
    again, _ = Decoder(tiny(), 0, training=True)(raws[::-1])
    assert torch.equal(first, again.flip(0))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_a_missing_stream_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hub" / "ILSVRC" / "imagenet-1k").mkdir(parents=True)
    monkeypatch.setenv("REPLICATIONS_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"imagenet-1k/train cannot be streamed.*Two ways to get it"):
        next(endless(tiny(), "train"))


def test_several_seeds_in_one_job_are_refused(context: MakeContext, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one seed per job, got 2"):
        run(tiny(), context(tmp_path))
