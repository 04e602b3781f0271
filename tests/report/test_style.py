"""Colours of the pages and exhibits: readable on every ground they stand on, in light and in dark (WCAG 2.2, contrast AA)."""

import re
from pathlib import Path

import pytest

from replications.presentation.exhibits import STYLE
from replications.verdicts.words import WORDS
from report.html import HERE, style
from report.inline_svg import themed_svg

CSS = style()
EXHIBITS = STYLE.read_text(encoding="utf-8")


def themes(css: str) -> list[dict[str, str]]:
    """The colours of the light and of the dark theme by name."""
    pairs = re.findall(r"--([\w-]+):\s*light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", css)
    return [{name: colours[dark] for name, *colours in pairs} for dark in (0, 1)]


PAGES = pytest.mark.parametrize("theme", themes(CSS), ids=["light", "dark"])
BOTH = pytest.mark.parametrize("theme", [*themes(CSS), *themes(EXHIBITS)], ids=["light", "dark", "light exhibit", "dark exhibit"])


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_of_contrast_is_right() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@BOTH
def test_text_is_readable_on_every_ground(theme: dict[str, str]) -> None:
    texts = [name for name in theme if name in ("ink", "quiet", "accent", "wrong") or name.startswith("v-")]
    assert {"ink", "quiet", "accent"} < set(texts)
    for name in texts:
        for ground in {"paper", "raised", "sunk"} & theme.keys():
            assert contrast(theme[name], theme[ground]) >= 4.5, f"{name} on {ground}"


@BOTH
def test_focus_controls_and_series_stand_out(theme: dict[str, str]) -> None:
    shapes = [name for name in theme if name in ("focus", "control") or name.startswith("series-")]
    assert len(shapes) >= 8
    for name in shapes:
        assert contrast(theme[name], theme["paper"]) >= 3, name


@PAGES
def test_the_banner_is_readable(theme: dict[str, str]) -> None:
    assert contrast(theme["banner-ink"], theme["banner"]) >= 4.5


def test_marks_in_the_pdf_are_readable_on_white() -> None:
    assert all(contrast(entry.colour, "#ffffff") >= 4.5 for entry in WORDS.values())


def test_every_word_has_its_colours_in_light_and_dark() -> None:
    light, dark = themes(CSS)
    for entry in WORDS.values():
        assert (light[f"v-{entry.slug}"], dark[f"v-{entry.slug}"]) == (entry.colour, entry.dark_colour)


def test_no_other_file_of_the_report_repeats_a_verdict_colour() -> None:
    colours = {colour for entry in WORDS.values() for colour in (entry.colour, entry.dark_colour)}
    for path in (path for path in HERE.rglob("*") if path.suffix in {".py", ".j2", ".css", ".typ", ".js"}):
        assert not [colour for colour in colours if colour in path.read_text(encoding="utf-8")], path.name


def test_motion_and_print_are_considered() -> None:
    assert "prefers-reduced-motion: reduce" in CSS
    assert "@media print" in CSS
    assert ":focus-visible" in CSS


def test_equal_images_of_a_drawing_share_no_id(tmp_path: Path) -> None:
    image = '<image id="imageabc" width="1" height="1"/>'
    path = tmp_path / "twice.svg"
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><g id="axes_1">{image}{image}</g></svg>')
    shown = themed_svg(path, "paths", "Two equal images")
    assert shown.count("<image") == 2
    assert re.findall(r'\bid="([^"]+)"', shown) == ["paths-axes_1", "paths-imageabc"]
