"""Colours of the pages: readable on every ground they stand on, in light and in dark (WCAG 2.2, contrast AA)."""

import re

import pytest

from report.html import HERE
from report.pdf import COLOURS

CSS = (HERE / "style" / "report.css").read_text(encoding="utf-8")
BLOCKS = [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6});", body)) for body in re.findall(r":root[^{]*\{([^}]*)\}", CSS)]
LIGHT, DARK, SYSTEM_DARK = BLOCKS[:3]
TEXTS = ["ink", "quiet", "accent", *(name for name in LIGHT if name.startswith("v-"))]


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


def test_the_system_dark_theme_is_the_chosen_one() -> None:
    assert DARK == SYSTEM_DARK


@pytest.mark.parametrize("theme", [LIGHT, LIGHT | DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", TEXTS)
def test_text_is_readable_on_every_ground(theme: dict[str, str], name: str) -> None:
    for ground in ("paper", "raised", "sunk"):
        assert contrast(theme[name], theme[ground]) >= 4.5, ground


@pytest.mark.parametrize("theme", [LIGHT, LIGHT | DARK], ids=["light", "dark"])
def test_banner_focus_and_series_stand_out(theme: dict[str, str]) -> None:
    assert contrast(theme["banner-ink"], theme["banner"]) >= 4.5
    assert contrast(theme["focus"], theme["paper"]) >= 3
    for name, colour in theme.items():
        assert not name.startswith("series-") or contrast(colour, theme["raised"]) >= 3, name


def test_marks_in_the_pdf_are_readable_on_white() -> None:
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in COLOURS.values())
    template = (HERE / "templates" / "report.typ").read_text(encoding="utf-8")
    assert dict(re.findall(r'"([a-z ()]+)": rgb\("(#[0-9a-f]{6})"\)', template)) == COLOURS


def test_motion_and_print_are_considered() -> None:
    assert "prefers-reduced-motion: reduce" in CSS
    assert "@media print" in CSS
    assert ":focus-visible" in CSS
