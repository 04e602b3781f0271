"""Images: formula-driven ones are determined by the seed and separable; subsets nest; faults are reported."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch

from replications.engine.context import Context
from replications.engine.datasets import DataSource
from replications.errors import DataError, InputError
from replications.papers.vit_scaling import data
from replications.papers.vit_scaling.augmentation import augment, beta, mix, mixed_loss, normalise
from replications.papers.vit_scaling.data import LabelledImages, check, resized, stored, subset
from replications.papers.vit_scaling.fractals import FractalWorld, attractor, systems
from replications.papers.vit_scaling.settings import Settings
from replications.registry.yaml_models import validate
from tests.contexts import make_context

WORLD = FractalWorld(n_classes=8, siblings=1, spread=0.3, side=16, jitter=0.03, depth=4, clutter=0.0, colours=0.3)
MakeContext = Callable[..., Context]
SmallSettings = Callable[..., Settings]


def test_points_lie_on_the_attractor_that_a_random_walk_reaches() -> None:
    maps = systems(3, siblings=1, spread=0.3)
    points = attractor(maps, 6).numpy()
    rng = np.random.default_rng(0)
    for system, cloud in zip(maps.numpy(), points, strict=True):
        walker = np.zeros(2)
        for step in range(300):
            random_map = system[rng.integers(4)]
            walker = random_map[:, :2] @ walker + random_map[:, 2]
            if step > 100:  # by then within 1e-5 of the attractor; 4096 points lie dense on it
                assert np.linalg.norm(cloud - walker, axis=1).min() < 0.25 * np.ptp(cloud, axis=0).max()
        images = np.concatenate([cloud @ random_map[:, :2].T + random_map[:, 2] for random_map in system])
        nearest = np.linalg.norm(images[::97, None] - cloud[None], axis=2).min(1)
        assert nearest.max() < 0.1 * np.ptp(cloud, axis=0).max()  # the maps send the attractor into itself


def test_every_map_contracts() -> None:
    singular = torch.linalg.svdvals(systems(200, siblings=4, spread=0.5)[..., :2])
    assert float(singular.max()) <= 0.7501
    assert float(singular.min()) >= 0.1999


def test_images_are_determined_and_a_shorter_stream_begins_a_longer_one() -> None:
    images, labels = WORLD.images(1500, stream=0)
    again, _ = WORLD.images(300, stream=0)
    other, _ = WORLD.images(300, stream=1)
    assert torch.equal(images[:300], again)
    assert not torch.equal(again, other)
    assert torch.equal(labels[:300].bincount(), torch.tensor([38] * 4 + [37] * 4))
    assert not torch.equal(images[:8], replace(WORLD, seed=1).images(8, stream=0)[0])


def test_masks_are_where_the_shape_is_and_do_not_know_of_clutter() -> None:
    plain = FractalWorld(n_classes=8, siblings=1, spread=0.3, side=16, jitter=0.05, depth=4, clutter=0.0, colours=0.0)
    masks = plain.masks(1100, stream=3)  # beyond the first block
    pixels = plain.images(1100, stream=3)[0][:, 0]
    # White ink on a background between -30 and 30 %: one of 256 points covers a pixel by 39 %, two by 63 %.
    assert int(pixels[masks].min()) >= 255 * (0.63 - 0.3 * 0.37) - 1
    assert int(pixels[~masks].max()) <= 255 * (0.39 * 1 + 0.61 * 0.3) + 2
    assert torch.equal(masks, replace(plain, clutter=0.4).masks(1100, stream=3))
    assert torch.equal(masks[:5], plain.masks(5, stream=3))
    assert not torch.equal(masks[:5], plain.masks(5, stream=4))


def test_shapes_tell_classes_apart_and_colour_does_not() -> None:
    train, train_labels = WORLD.images(400, stream=0)
    test, test_labels = WORLD.images(160, stream=1)

    def nearest_class(of: Callable[[torch.Tensor], torch.Tensor]) -> float:
        centres = torch.stack([of(train[train_labels == label]).mean(0) for label in range(8)])
        return float((torch.cdist(of(test), centres).argmin(1) == test_labels).float().mean())

    def shape(images: torch.Tensor) -> torch.Tensor:
        grey = images.float().mean(1).flatten(1)
        return (grey - grey.mean(1, keepdim=True)) / grey.std(1, keepdim=True)

    assert nearest_class(shape) > 0.6  # chance: 0.125
    assert nearest_class(lambda images: images.float().flatten(2).amax(2)) < 0.3


def test_siblings_are_nearer_to_each_other_than_to_strangers() -> None:
    maps = systems(40, siblings=4, spread=0.2).flatten(1)
    distance = torch.cdist(maps, maps)
    family = torch.arange(40) // 4
    same = (family[:, None] == family) & ~torch.eye(40, dtype=torch.bool)
    assert float(distance[same].mean()) < 0.5 * float(distance[family[:, None] != family].mean())


def test_subsets_are_balanced_and_nested() -> None:
    labels = torch.arange(100) % 5
    images = LabelledImages(torch.arange(100)[:, None, None, None].expand(-1, 3, 4, 4).to(torch.uint8), labels, 5)

    def subset_of(n: int) -> LabelledImages:
        return subset(images, n, torch.Generator().manual_seed(3))

    assert torch.equal(subset_of(20).labels.bincount(), torch.full((5,), 4))
    ids = [set(subset_of(n).images[:, 0, 0, 0].tolist()) for n in (10, 35, 100)]
    assert ids[0] < ids[1] < ids[2]
    with pytest.raises(DataError, match=r"101 images was requested, but there are 100; lower n_images"):
        subset_of(101)


def test_digits_become_colour_images_by_other_writers(context: MakeContext, tmp_path: Path) -> None:
    parts = [stored(context(tmp_path), "digits", split, 16) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [1197, 240, 360]
    assert parts[0].images.shape == (1197, 3, 16, 16)
    assert int(parts[0].images.max()) == 255


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 4, 8, 8), "4 x 8 x 8"), ((2, 3, 8, 6), "3 x 8 x 6"), ((2, 3, 9, 9), "3 x 9 x 9")],
)
def test_images_of_the_wrong_size_or_mode_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=f"{message}.*expected 3 x 8 x 8"):
        check(LabelledImages(torch.zeros(shape, dtype=torch.uint8), torch.zeros(2, dtype=torch.long), 4), 8, "images")
    with pytest.raises(DataError, match="neither grey nor RGB"):
        resized(np.zeros((2, 8, 8, 4), dtype=np.uint8), 8, torch.device("cpu"))


def test_labels_that_do_not_fit_the_class_count_are_refused() -> None:
    with pytest.raises(DataError, match=r"labels run from 0 to 4, which does not fit 4 classes"):
        check(LabelledImages(torch.zeros((2, 3, 8, 8), dtype=torch.uint8), torch.tensor([0, 4]), 4), 8, "images")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "cifar10", "image_size": 32, "patch_size": 4, "n_classes": 12}, "n_classes 12 does not fit cifar10, which has 10"),
        ({"dataset": "cifar10", "image_size": 32, "patch_size": 4, "n_images": 50_000}, "larger than cifar10, which has 45,000"),
        ({"dataset": "cifar10", "image_size": 48, "patch_size": 4}, "image_size 48 is not a multiple of the 32 pixels"),
        ({"patch_size": 3}, "patch_size 3 does not divide the image"),
        ({"n_images": 10, "n_classes": 12}, "n_images 10 is smaller than n_classes 12"),
        ({"n_heads": 3, "width": 64}, "n_heads 3 does not divide width 64"),
        ({"family": "resnet", "stages": (1, 1, 1, 1), "image_size": 4}, "use fewer stages"),
        ({"stem": "convolution", "patch_size": 1, "family": "hybrid"}, "convolutional stem"),
        ({"experiment": "frontier"}, "needs two or more sub_runs"),
        (
            {"experiment": "frontier", "sub_runs": [{"label": "a", "settings": {"patch_size": 5}}, {"label": "b"}]},
            "patch_size 5 does not divide",
        ),
        ({"patch_sise": 4}, "Did you mean 'patch_size'"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_the_cure(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        validate(Settings, changes, "runs.yaml")
    assert message in str(caught.value)


def test_no_augmentation_leaves_images_and_light_shifts_whole_pixels() -> None:
    images = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(augment(images, "none", torch.empty(64, 0)), normalise(images))
    uniforms = torch.rand(64, 3, generator=torch.Generator().manual_seed(1))
    uniforms[:, 1:] = 0.5  # no shift: a flip or nothing
    light = augment(images, "light", uniforms)
    flipped = uniforms[:, 0] < 0.5
    torch.testing.assert_close(light[~flipped], normalise(images)[~flipped])
    torch.testing.assert_close(light[flipped], normalise(images)[flipped].flip(-1))
    shifted = augment(images, "light", torch.tensor([[0.9, 1.0, 0.5]]).expand(64, -1))
    torch.testing.assert_close(shifted[..., :7], normalise(images)[..., 1:])  # an eighth of 8 pixels, to the left
    assert torch.isfinite(augment(images, "strong", torch.rand(64, 10))).all()


def test_mixed_images_have_mixed_targets() -> None:
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
    share = torch.tensor(0.3)
    one = torch.nn.functional.one_hot(labels, 3).float()
    soft = 0.3 * one + 0.7 * one[[1, 0, 3, 2]]
    expected = -(soft * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(mixed_loss(logits, labels, share, 0.0), expected)
    images = torch.arange(4.0)[:, None, None, None]
    assert mix(images, share).flatten().tolist() == pytest.approx([0.7, 0.3, 2.7, 2.3])


def test_the_mixing_share_has_the_moments_of_its_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    samples = torch.stack([beta(0.2, generator, torch.device("cpu")) for _ in range(3000)])
    assert float(samples.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(samples.var()) == pytest.approx(1 / (4 * 1.4), abs=0.01)  # variance of Beta(a, a): 1 / (4 (2a + 1))


def test_a_copy_sorted_by_class_is_refused_because_its_last_rows_lack_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_: str) -> datasets.Dataset:
        features = datasets.Features({"img": datasets.Array3D((2, 2, 3), "uint8"), "label": datasets.Value("int64")})
        return datasets.Dataset.from_dict(
            {"img": [np.zeros((2, 2, 3), np.uint8)] * 40, "label": sorted(list(range(10)) * 4)}, features=features
        )

    monkeypatch.setattr(data, "CIFAR10", DataSource(name="sorted", splits={"train": 40}, licence="", citation="", build=build))
    monkeypatch.setattr(data, "N_VALIDATION", 12)
    with pytest.raises(DataError, match=r"sorted/validation has no image of class 0: this copy is sorted by class"):
        data.stored(make_context(tmp_path, "vit_scaling"), "cifar10", "validation", 2)
