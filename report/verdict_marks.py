"""Small inline drawings: a mark for every verdict word, and seeds as dots beside the published value."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from replications.presentation.answers import Share
from replications.verdicts.words import WORDS
from report.claims import ClaimContent

_TICK = '<path class="in" d="M4.6 8.3l2.3 2.3 4.5-4.9"/>'
SHAPES: dict[str, str] = {
    "circle": f'<circle class="full" cx="8" cy="8" r="7"/>{_TICK}',
    "triangle": '<path class="full" d="M8 .8L15.4 14.4H.6z"/><path class="in" d="M8 12V6.6M5.8 8.6L8 6.3l2.2 2.3"/>',
    "diamond": '<path class="line" d="M8 1.2L14.8 8 8 14.8 1.2 8z"/><path class="full" d="M8 1.2V14.8L1.2 8z"/>',
    "square": '<rect class="line" x="1.8" y="1.8" width="12.4" height="12.4" rx="1.5"/><path class="out" d="M5 8h6"/>',
    "cross": '<path class="full" d="M3.6.8L8 5.2 12.4.8l2.8 2.8L10.8 8l4.4 4.4-2.8 2.8L8 10.8l-4.4 4.4L.8 12.4 5.2 8 .8 3.6z"/>',
    "open circle": '<circle class="line" cx="8" cy="8" r="6.3"/><path class="out" d="M5 8.2l2.1 2.1 3.9-4.3"/>',
    "open cross": '<path class="line" d="M3.8 1.6L8 5.8l4.2-4.2 2.2 2.2L10.2 8l4.2 4.2-2.2 2.2L8 10.2l-4.2 4.2-2.2-2.2L5.8 8 1.6 3.8z"/>',
    "open square": '<rect class="line" x="1.8" y="1.8" width="12.4" height="12.4" rx="1.5"/><path class="out" d="M5 6.2h6M5 9.8h6"/>',
    "split square": '<rect class="line" x="1.8" y="1.8" width="12.4" height="12.4" rx="1.5"/><path class="out" d="M5 6.2h6M5 9.8h6M10 4L6 12"/>',
    "barred circle": '<circle class="line" cx="8" cy="8" r="6.3"/><path class="out" d="M3.9 12.1l8.2-8.2"/>',
    "dash": '<path class="out" d="M3.5 8h9"/>',
}
"""Shape of `verdicts.words` -> its drawing in a 16 by 16 box: the shape alone tells the words apart."""

_STROKE = 'stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"'


def mark(word: str) -> Markup:
    """Return the mark of a verdict word; the word always stands beside it, so screen readers skip the mark.

    Args:
        word: a verdict word.

    Returns:
        An SVG element.
    """
    entry = WORDS[word]
    drawing = SHAPES[entry.shape]
    return Markup(f'<svg class="mark v-{entry.slug}" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">{drawing}</svg>')  # noqa: S704


def mark_file(word: str) -> str:
    """Return the mark as an SVG file in the word's light colour, for the PDF.

    Args:
        word: a verdict word.

    Returns:
        Text of the file.
    """
    entry = WORDS[word]
    drawing = (
        SHAPES[entry.shape]
        .replace('class="full"', f'fill="{entry.colour}"')
        .replace('class="in"', f'fill="none" stroke="#ffffff" {_STROKE}')
        .replace('class="line"', f'fill="none" stroke="{entry.colour}" stroke-width="1.5"')
        .replace('class="out"', f'fill="none" stroke="{entry.colour}" {_STROKE}')
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" width="16" height="16">{drawing}</svg>'


def verdict_style() -> str:
    """Return the style rules of the verdict words: a colour variable and a class each, for light and dark pages."""
    variables = "".join(f"  --v-{entry.slug}: light-dark({entry.colour}, {entry.dark_colour});\n" for entry in WORDS.values())
    classes = "".join(f".v-{entry.slug} {{ --v: var(--v-{entry.slug}); }}\n" for entry in WORDS.values())
    return f"\n/* Verdict words, from replications/verdicts/words.py */\n:root {{\n{variables}}}\n{classes}"


_HEIGHTS = {"real": 10, "ours": 10, "stand-in": 5, "counted": 5, "untested": 2}
"""Height of a part of the bar by what its verdicts rest on, in tenths of the bar: real results stand out without colour."""


def share_bar(shares: Sequence[Share]) -> Markup:
    """Return the parts of a paper's claims as one stacked bar; the words stand beside it, so screen readers skip it.

    Args:
        shares: parts in the order in which they are drawn.

    Returns:
        An SVG element, as wide as its container.
    """
    total = sum(share.count for share in shares)
    left, parts = 0.0, []
    for share in shares:
        width, height = 1000 * share.count / total, _HEIGHTS[share.group]
        place = f'x="{left:.1f}" y="{10 - height}" width="{max(width - 3, 1):.1f}" height="{height}"'
        parts.append(f'<rect class="{share.group} v-{WORDS[share.word].slug}" {place}/>')
        left += width
    return Markup(  # noqa: S704 (numbers and names of the table of words)
        f'<svg class="shares" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg>'
    )


WIDTH, HEIGHT, PAD = 168.0, 34.0, 9.0


def dot_plot(claim: ClaimContent) -> Markup:
    """Return a plot of every seed as a dot, our interval as a bar, the published value as an open diamond, its margin as a band.

    An order has a dashed line at the difference that it must reach.

    Args:
        claim: a claim as the report shows it.

    Returns:
        An SVG element; empty where there is nothing to draw.
    """
    verdict = claim.verdict
    points = [*verdict.values, *(v for v in (verdict.published, verdict.ours, verdict.low, verdict.high) if v is not None)]
    if not verdict.values and verdict.ours is None:
        return Markup("")
    band = None
    if verdict.published is not None and verdict.margin is not None and verdict.kind == "value":
        band = (verdict.published - verdict.margin, verdict.published + verdict.margin)
        points += band
    bound = verdict.margin if verdict.kind == "order" else None
    points += [bound] if bound is not None else []
    least, most = min(points), max(points)
    if most == least:
        least, most = least - 1, most + 1

    def x(value: float) -> str:
        return f"{PAD + (value - least) / (most - least) * (WIDTH - 2 * PAD):.1f}"

    middle = HEIGHT / 2
    parts = [f'<line class="axis" x1="{PAD}" x2="{WIDTH - PAD}" y1="{middle}" y2="{middle}"/>']
    if band:
        left, right = x(band[0]), x(band[1])
        parts.insert(0, f'<rect class="band" x="{left}" width="{float(right) - float(left):.1f}" y="5" height="{HEIGHT - 10}" rx="2"/>')
    if bound is not None:
        parts.append(f'<line class="bound" x1="{x(bound)}" x2="{x(bound)}" y1="4" y2="{HEIGHT - 4}"/>')
    if verdict.low is not None and verdict.high is not None:
        parts.append(f'<line class="interval" x1="{x(verdict.low)}" x2="{x(verdict.high)}" y1="{middle}" y2="{middle}"/>')
    if verdict.ours is not None:
        parts.append(f'<line class="mean" x1="{x(verdict.ours)}" x2="{x(verdict.ours)}" y1="{middle - 7}" y2="{middle + 7}"/>')
    parts += [f'<circle class="seed" cx="{x(value)}" cy="{middle}" r="3.4"/>' for value in verdict.values]
    if verdict.published is not None:
        centre = float(x(verdict.published))
        parts.append(f'<path class="theirs" d="M{centre:.1f} {middle - 6.5}l6.5 6.5-6.5 6.5-6.5-6.5z"/>')
    label = describe(claim)
    return Markup(  # noqa: S704 (numbers, and the label is escaped)
        f'<svg class="dots" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" width="{WIDTH:.0f}" height="{HEIGHT:.0f}" role="img"'
        f' aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def describe(claim: ClaimContent) -> str:
    """Return the dot plot in words.

    Args:
        claim: a claim as the report shows it.

    Returns:
        Published value, ours, interval and seeds, those that there are, joined by semicolons.
    """
    verdict = claim.verdict
    parts = [f"published {claim.shown_published}"] if verdict.published is not None else []
    if verdict.ours is not None:
        parts.append(f"ours {claim.shown_ours}")
    if claim.shown_interval:
        parts.append(f"{'range' if verdict.level is None else f'{100 * verdict.level:.0f} % interval'} {claim.shown_interval}")
    if verdict.values:
        parts.append("seeds " + ", ".join(claim.shown(value) for value in verdict.values))
    return "; ".join(parts)
