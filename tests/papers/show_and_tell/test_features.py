"""Cached features are those of the images, in the order and with the weights of now; weights that torch loads are loaded."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models

from replications.errors import DataError
from replications.papers.show_and_tell import data, vision
from replications.papers.show_and_tell.data import read_folder
from tests.contexts import make_context

RED, GREEN, BLUE, WHITE = [255.0, 0.0, 0.0], [0.0, 255.0, 0.0], [0.0, 0.0, 255.0], [255.0] * 3


class MeanColour(nn.Module):
    """A network whose features are known without it: the mean colour, times a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        mean = pixels.float().mean((2, 3)) * self.weight
        return mean, mean[:, None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPLICATIONS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "own" / "images").mkdir(parents=True)
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "white")):
        Image.new("RGB", (8, 8), colour).save(tmp_path / "own" / "images" / f"{name}.png")
    return tmp_path / "own"


def features(folder: Path, names: str, network: nn.Module | None = None) -> list[list[float]]:
    (folder / "test.tsv").write_text("".join(f"{name}.png\ta dog\n" for name in names))
    context = make_context(folder / "state", "show_and_tell")
    vector = vision.extract(context, network or MeanColour(), "scene", read_folder(folder, "test", side=8)).vector
    return [[float(v) for v in row] for row in vector]


def test_features_are_of_the_images_that_are_there_in_their_order(folder: Path) -> None:
    assert features(folder, "ab") == [RED, BLUE]
    assert features(folder, "ba") == [BLUE, RED]
    assert features(folder, "ca") == [WHITE, RED]
    Image.new("RGB", (8, 8), "lime").save(folder / "images" / "a.png")
    assert features(folder, "ab") == [GREEN, BLUE]


def test_other_weights_give_other_features(folder: Path) -> None:
    assert features(folder, "a") == [RED]
    changed = MeanColour()
    nn.init.constant_(changed.weight, 0.5)
    assert features(folder, "a", changed) == [[127.5, 0.0, 0.0]]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_weights_in_half_precision_and_another_layout_are_loaded(tmp_path: Path, kind: torch.dtype) -> None:
    original = nn.Conv2d(3, 4, 3)
    stored = {name: value.to(kind) for name, value in original.state_dict().items()}
    stored["weight"] = stored["weight"].contiguous(memory_format=torch.channels_last)
    torch.save(stored, tmp_path / "weights.pt")
    loaded = vision.load_weights(nn.Conv2d(3, 4, 3), tmp_path / "weights.pt")
    torch.testing.assert_close(loaded.state_dict()["weight"], original.weight.detach().to(kind).float())


def test_features_of_a_network_in_half_precision_are_cached(folder: Path) -> None:
    assert features(folder, "a", MeanColour().bfloat16()) == [RED]


def test_the_same_images_are_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert features(folder, "ab") == [RED, BLUE]
    monkeypatch.setattr(data, "decode_image", lambda *_: pytest.fail("features were not kept"))
    assert features(folder, "ab") == [RED, BLUE]


def test_damaged_features_are_computed_anew(folder: Path) -> None:
    features(folder, "ab")
    for stored in (folder.parent / "cache" / "features").glob("*.npy"):
        stored.write_bytes(stored.read_bytes()[:90])
    assert features(folder, "ab") == [RED, BLUE]


def test_the_note_on_a_folder_follows_captions_and_images(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "captions").mkdir()
    own = folder.rename(folder.parent / "captions" / "own")
    source = dataclasses.replace(data.PASCAL, name="own", file="captions/own", splits={"test": 1})
    monkeypatch.setenv("REPLICATIONS_DATA", str(folder.parent))
    monkeypatch.setattr(data, "_BY_NAME", {"own": source})
    notes = []
    for line in ("a.png\ta dog\n", "a.png\ta cat\n", "b.png\ta dog\n", "a.png\ta dog\n"):
        (own / "test.tsv").write_text(line)
        data._read_once.cache_clear()
        note: data.Notes = {}
        data.read_split("own", "test", note, side=8)
        notes.append(note["own/test"]["fingerprint"])
    assert len(set(notes)) == 3
    assert notes[0] == notes[3]


def test_weights_older_than_the_counters_of_batch_normalisation_are_loaded(tmp_path: Path) -> None:
    original = models.resnet18(weights=None)
    old = {name: value for name, value in original.state_dict().items() if not name.endswith("num_batches_tracked")}
    models.resnet18(weights=None).load_state_dict(old)  # torch itself takes them
    torch.save(old, tmp_path / "old.pt")
    loaded = vision.load_weights(models.resnet18(weights=None), tmp_path / "old.pt")
    assert torch.equal(loaded.state_dict()["layer4.1.bn2.running_var"], old["layer4.1.bn2.running_var"])


@pytest.mark.parametrize("auxiliary", [True, False], ids=["as-published", "as-stored-from-a-loaded-network"])
def test_both_kinds_of_googlenet_files_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auxiliary: bool) -> None:
    (tmp_path / "weights").mkdir()
    stored = models.googlenet(weights=None, init_weights=False, aux_logits=auxiliary).state_dict()
    torch.save(stored, tmp_path / "weights" / "googlenet_imagenet.pt")
    monkeypatch.setenv("REPLICATIONS_DATA", str(tmp_path))
    assert torch.equal(vision._imagenet_network("googlenet").state_dict()["fc.bias"], stored["fc.bias"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "is not a state dict"),
        ({"state_dict": {"weight": torch.zeros(2, 3)}}, "is not a state dict"),
        ({"module.weight": torch.zeros(2, 3), "module.bias": torch.zeros(2)}, "another architecture than Linear: 4 layers differ"),
        ({"weight": torch.zeros(2, 3), "bias": torch.tensor([0.0, np.nan])}, "the weights of bias are not all finite"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2, dtype=torch.int8)}, "the weights of bias are of another kind of number"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2, device="meta")}, "holds names and shapes without weights"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "learning_rate": 0.1}, "is not a state dict"),
    ],
    ids=["a-list", "wrapped", "of-a-parallel-network", "not-a-number", "integers", "without-content", "with-settings"],
)
def test_files_that_do_not_hold_the_weights_say_so(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(DataError, match=message):
        vision.load_weights(nn.Linear(3, 2), tmp_path / "weights.pt")


def test_offline_no_weights_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "true")
    monkeypatch.delenv("REPLICATIONS_DATA", raising=False)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(models, "get_model", lambda *_, **__: pytest.fail("the network was asked"))
    with pytest.raises(DataError, match=r"ImageNet weights of squeezenet1_1 are not on this machine .*switched off"):
        vision._imagenet_network("squeezenet1_1")
