"""The words that a verdict can be, in one table: symbol, shape, colours, slug and meaning.

HTML, CSS, Typst and figures read this table, so that a new word is a new entry here and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VerdictWord:
    """One word, and how it is drawn, so that no reader depends on colour.

    Attributes:
        symbol: for text.
        shape: for figures and icons.
        colour: on a light page, as #rrggbb.
        dark_colour: on a dark page.
        slug: for identifiers and classes.
        meaning: one sentence.
        positive: the claim holds.
    """

    symbol: str
    shape: str
    colour: str
    dark_colour: str
    slug: str
    meaning: str
    positive: bool = False


WORDS = {
    "replicated": VerdictWord(
        "✓",
        "circle",
        "#0a6b4b",
        "#5fc9a0",
        "replicated",
        "Our interval, errors of seeds and of the test set included, lies inside the margin, or every test of the order, trend or count holds.",
        positive=True,
    ),
    "exceeded": VerdictWord(
        "▲", "triangle", "#0b5cad", "#79b8f5", "exceeded", "Our interval lies wholly on the better side of the margin.", positive=True
    ),
    "compatible": VerdictWord(
        "≈",
        "diamond",
        "#4f6300",
        "#b5c95a",
        "compatible",
        "Weak: our seeds spread too widely for the margin, but one of them could have given the published value; or what was published is"
        " only recalled.",
    ),
    "inconclusive": VerdictWord(
        "?",
        "square",
        "#805300",
        "#e0b055",
        "inconclusive",
        "The seeds or the test set do not decide, planned seeds are missing, or the decision does not outlast the adjustment for all claims.",
    ),
    "contradicted": VerdictWord(
        "✗",
        "cross",
        "#ad2b12",
        "#f58b70",
        "contradicted",
        "Our interval lies wholly on the wrong side, or an exact test says that most seeds deny the claim.",
    ),
    "counted as published": VerdictWord(
        "=",
        "open square",
        "#4a4f57",
        "#aeb3bb",
        "counted-as-published",
        "Arithmetic on sizes or operations, not sampled: our count is the published one within the margin.",
        positive=True,
    ),
    "differs": VerdictWord(
        "≠", "split square", "#7a3b69", "#d69ac5", "differs", "Arithmetic on sizes or operations: our count is not the published one."
    ),
    "withheld": VerdictWord(
        "!",
        "barred circle",
        "#8a1c1c",
        "#ff9c9c",
        "withheld",
        "The records are not what the runs wrote, or were made with different settings, so that nothing is judged from them.",
    ),
    "not tested": VerdictWord(
        "·",
        "dash",
        "#5f636b",
        "#9da2aa",
        "not-tested",
        "No run of this tier tests it, its runs are not finished, or what must hold first does not.",
    ),
    "supported (proxy)": VerdictWord(
        "(✓)",
        "open circle",
        "#0a6b4b",
        "#5fc9a0",
        "supported-proxy",
        "Holds on a scaled-down stand-in, which says nothing certain about the published size.",
        positive=True,
    ),
    "contradicted (proxy)": VerdictWord(
        "(✗)", "open cross", "#ad2b12", "#f58b70", "contradicted-proxy", "Does not hold on a scaled-down stand-in."
    ),
}

AGREES = ("replicated", "compatible", "counted as published")
"""Words of a rule that finds what was published."""

CONTRADICTED = ("contradicted", "contradicted (proxy)")
"""Words that deny a claim by a test."""

POSITIVE = tuple(word for word, entry in WORDS.items() if entry.positive)

PROXY_WORDS = {
    "replicated": "supported (proxy)",
    "exceeded": "supported (proxy)",
    "contradicted": "contradicted (proxy)",
    "counted as published": "supported (proxy)",
    "differs": "contradicted (proxy)",
    "compatible": "inconclusive",
    "inconclusive": "inconclusive",
}
"""What a rule's word becomes where a scaled-down stand-in was tested."""
