"""House numbers: crops around boxes, shifts, and a training on a mirror that is laid out like the hub's."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from replications.errors import DataError
from replications.papers.multiple_objects import house_numbers
from replications.papers.multiple_objects.experiment import run
from replications.papers.multiple_objects.house_numbers import (
    NumberGenerator,
    Numbers,
    boxes_and_labels,
    crop,
    load_numbers,
    middle_squares,
)
from replications.papers.multiple_objects.settings import Settings
from replications.registry.run_grid import load_runs
from tests.contexts import make_context

PAPER = "multiple_objects"
SMALL: dict[str, object] = {
    "dataset": "svhn",
    "task": "sequence",
    "fewest_digits": 1,
    "n_digits": 3,
    "canvas": 20,
    "crop_side": 24,
    "glimpse_side": 4,
    "glimpse_size": 6,
    "hidden_size": 5,
    "classifier_size": 5,
    "context_side": 12,
    "context_filters": (2, 2, 2),
    "glimpses": 1,
    "batch_size": 8,
    "n_steps": 4,
    "evaluations": 2,
    "samples": 2,
}
ROWS = {"train": 30, "test": 12, "extra": 20}


def numbered(width: int, height: int, boxes: list[list[int]]) -> Image.Image:
    """A dark photograph with a bright rectangle for each digit."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    for left, top, w, h in boxes:
        pixels[max(top, 0) : top + h, max(left, 0) : left + w] = 220
    return Image.fromarray(pixels)


def rows(n: int, *, digits: int = 3) -> dict[str, list[Any]]:
    """House numbers of 1, 2, ... digits in turn, in photographs of several sizes."""
    table: dict[str, list[Any]] = {"image": [], "digits": []}
    for row in range(n):
        boxes = [[10 + 9 * place, 12, 7, 16] for place in range(1 + row % digits)]
        table["image"].append(numbered(50 + row, 40 + row % 5, boxes))
        table["digits"].append({"bbox": boxes, "label": [(row + place) % 10 for place in range(len(boxes))]})
    return table


def write(folder: Path, split: str, table: dict[str, list[Any]]) -> None:
    digits = {
        "bbox": datasets.Sequence(datasets.Sequence(datasets.Value("int32"), length=4)),
        "label": datasets.Sequence(datasets.Value("int64")),
    }
    features = datasets.Features({"image": datasets.Image(), "digits": digits})
    target = folder / "hub" / "ufldl-stanford" / "svhn" / "full_numbers" / f"{split}-00000-of-00001.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(table, features=features).to_parquet(str(target))
    card = target.parents[1] / "README.md"
    files = "".join(f"  - split: {name}\n    path: full_numbers/{name}-*\n" for name in ROWS)
    card.write_text(f"---\nconfigs:\n- config_name: full_numbers\n  data_files:\n{files}---\n", encoding="utf-8")


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for split, n in ROWS.items():
        write(tmp_path / "mirror", split, rows(n))
    monkeypatch.setattr(house_numbers, "SVHN", dataclasses.replace(house_numbers.SVHN, splits=ROWS))
    monkeypatch.setenv("REPLICATIONS_DATA", str(tmp_path / "mirror"))
    monkeypatch.setattr(house_numbers, "_decoded", {})
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "mirror"


def test_the_crop_is_the_grown_box_around_all_digits_scaled_to_a_square() -> None:
    boxes = [[30, 20, 10, 20], [50, 20, 10, 20]]  # together 30 wide and 20 high, in the middle of 90x60
    square, centres = crop(numbered(90, 60, boxes), boxes, 52)
    # 30 percent more is 39x26 pixels from (25.5, 17): the first digit begins at 4.5 / 39 of the width and 3 / 26 of the height.
    np.testing.assert_allclose(centres, [[(35 - 25.5) * 52 / 39, 26], [(55 - 25.5) * 52 / 39, 26]])
    bright = square > 130
    assert square.shape == (52, 52)
    np.testing.assert_allclose([bright.any(0).argmax(), bright.any(1).argmax()], [6, 6], atol=1)
    assert not bright[:, 22:30].any(), "between the two digits"
    assert bright.mean() == pytest.approx(2 * 10 * 20 / (39 * 26), abs=0.03)


def test_a_box_beyond_the_border_is_cut_at_it() -> None:
    boxes = [[-4, -2, 20, 30]]
    square, centres = crop(numbered(40, 40, boxes), boxes, 32)
    assert (square > 130).mean() > 0.6
    np.testing.assert_allclose(centres, [[6 * 32 / 19, 13 * 32 / 32.5]])  # the crop is 0..19 by 0..32.5


def test_both_layouts_of_the_column_are_read() -> None:
    boxes, labels = [[1, 2, 3, 4], [5, 6, 7, 8]], [3, 9]
    by_digit = [{"bbox": box, "label": label} for box, label in zip(boxes, labels, strict=True)]
    assert boxes_and_labels({"bbox": boxes, "label": labels}) == boxes_and_labels(by_digit) == (boxes, labels)


@pytest.mark.parametrize(("boxes", "why"), [([], "no digit"), ([[60, 5, 8, 10]], "outside its 40x40 pixels")])
def test_a_photograph_without_a_number_says_so(boxes: list[list[int]], why: str) -> None:
    with pytest.raises(DataError, match=why):
        crop(numbered(40, 40, []), boxes, 32)


def test_shifts_move_pixels_and_digits_together_and_stay_inside() -> None:
    settings = Settings.model_validate(SMALL)
    crops = torch.arange(2 * 24 * 24).remainder(251).to(torch.uint8).view(2, 24, 24)
    numbers = Numbers(crops, torch.tensor([[1, 2, 10], [3, 10, 10]]), torch.full((2, 3, 2), 12))
    middle = middle_squares(settings, numbers)
    torch.testing.assert_close(middle.images, crops[:, 2:22, 2:22])
    assert middle.corners.unique().tolist() == [12 - 2 - 8]
    assert middle.targets.tolist() == [[1, 2, 10, 10], [3, 10, 10, 10]]
    uniforms = torch.rand(200, 3, generator=torch.Generator().manual_seed(1))
    taken = NumberGenerator(settings, numbers)(uniforms)
    shifts = 12 - 8 - taken.corners[:, 0]
    assert (shifts.min(0).values.tolist(), shifts.max(0).values.tolist()) == ([0, 0], [4, 4])
    for image, (x, y), value in zip(taken.images, shifts, taken.values, strict=True):
        torch.testing.assert_close(image, crops[0 if value[0] == 1 else 1, y : y + 20, x : x + 20].float())


def test_splits_do_not_share_a_number_and_longer_ones_are_left_out_of_training_alone(mirror: Path, tmp_path: Path) -> None:
    settings = Settings.model_validate(SMALL | {"n_validation": 9})
    context = make_context(tmp_path / "run", PAPER, (0,))
    parts = {split: load_numbers(context, settings, split) for split in ("train", "validation", "test")}
    assert {split: len(part.crops) for split, part in parts.items()} == {"train": 20 + 21, "validation": 9, "test": 12}
    of_rest = parts["train"].values[20:]
    assert of_rest[:3].tolist() == [[0, 10, 10], [1, 2, 10], [2, 3, 4]]
    assert parts["validation"].values[0].tolist() == [1, 10, 10], "row 21 of the source's 30"
    two = Settings.model_validate(SMALL | {"n_digits": 2, "n_validation": 9})
    assert len(load_numbers(context, two, "train").crops) == 14 + 14, "a third of the numbers have three digits"
    with pytest.raises(DataError, match=r"4 of the 12 house numbers of split test have more than n_digits = 2 digits"):
        load_numbers(context, two, "test")


def test_a_damaged_row_is_named(mirror: Path, tmp_path: Path) -> None:
    table = rows(ROWS["extra"])
    table["digits"][7] = {"bbox": [], "label": []}
    write(mirror, "extra", table)
    with pytest.raises(DataError, match=r"Row 7 of svhn/extra is no house number: it has no digit"):
        load_numbers(make_context(tmp_path / "run", PAPER, (0,)), Settings.model_validate(SMALL), "train")


def test_a_network_is_trained_and_scored_on_house_numbers(mirror: Path, tmp_path: Path) -> None:
    settings = Settings.model_validate(
        SMALL | {"n_validation": 9, "n_test": 12, "shown": 2, "glimpse_filters": (2, 2), "first_filter_side": 5}
    )
    context = make_context(tmp_path / "run", PAPER, (0, 1))
    run(settings, context)
    scored = {(row["metric"], row["split"]) for row in context.rows}
    assert {("error", "test"), ("error_averaged", "test"), ("error", "validation")} <= scored
    assert [row["value"] for row in context.rows if row["metric"] == "test_examples"] == [12, 12]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"task": "sums", "fewest_digits": None}, "set task to sequence"),
        ({"n_classes": 5}, "n_classes to 10"),
        ({"clutter": 2}, "house numbers stand in photographs"),
        ({"crop_side": 16}, "must be at most crop_side 16"),
    ],
)
def test_settings_that_house_numbers_do_not_have_are_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Settings.model_validate(SMALL | changes)


def test_the_published_run_takes_three_glimpses_a_target_at_the_published_size() -> None:
    (planned,) = [one for one in load_runs(PAPER, "paper") if one.labels.get("task") == "sequence" and one.name.startswith("svhn")]
    settings = planned.settings_as(Settings)
    assert (settings.n_glimpses, settings.canvas, settings.crop_side, settings.n_answers) == (18, 54, 64, 11)
    assert (settings.glimpse_filters, settings.first_filter_side, settings.hidden_size) == ((64, 64, 128), 5, 512)
    assert settings.n_test == house_numbers.SVHN.splits["test"]
