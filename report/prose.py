"""A paper's own text, `section.md`: numbers are filled in from results, then Markdown becomes HTML and Typst.

Templates are Jinja2 in a sandbox; an undefined name is an error, a run that this tier does not have is words.
What the functions print is data: it is escaped for Markdown, so that no text of a result can become markup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin

from replications.errors import InputError
from report.mathematics import mathml, typst
from report.measured_numbers import escape_markdown
from report.template_functions import EMBED, TemplateFunctions

_PROTECTED = re.compile(r"`[^`\n]*`|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|\$\$.+?\$\$|\$[^$\n]+?\$", re.DOTALL)


@dataclass(frozen=True)
class Embed:
    """A figure, table or exhibit that stands between two paragraphs."""

    kind: str
    name: str


@dataclass(frozen=True)
class Section:
    """One part of the text under a second-level heading; the part before the first has no title."""

    title: str
    blocks: tuple[list[Token] | Embed, ...]


def parser() -> MarkdownIt:
    """CommonMark with tables and $equations$; raw HTML is text."""
    return MarkdownIt("commonmark", {"html": False}).enable("table").use(dollarmath_plugin, allow_blank_lines=False)


def fill(source: str, vocabulary: TemplateFunctions, where: str, faults: list[str] | None = None) -> str:
    """Return Markdown with every number filled in.

    Args:
        source: Markdown with template expressions.
        vocabulary: functions of the template.
        where: name of the file, for messages.
        faults: where calls with an unknown row, claim or setting are noted instead of being raised.

    Returns:
        Markdown without template expressions.

    Raises:
        InputError: an undefined name, an unknown row, claim or setting, or a template that cannot be read.
    """
    kept: list[str] = []

    def protect(match: re.Match[str]) -> str:
        if match[0][0] not in "`$":
            return match[0]
        kept.append(match[0])
        return f"\ue002{len(kept) - 1}\ue003"

    environment = SandboxedEnvironment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.finalize = lambda value: value if isinstance(value, Markup) else escape_markdown(value)
    try:
        template = environment.from_string(_PROTECTED.sub(protect, source))
        text = template.render(vocabulary.functions(faults))
    except (TemplateError, TypeError, InputError) as error:
        raise InputError(f"{where}: {error}") from None
    return re.sub("\ue002(\\d+)\ue003", lambda match: kept[int(match[1])], text)


def sections(markdown: str, where: str) -> list[Section]:
    """Return Markdown as sections of blocks.

    Args:
        markdown: text without template expressions.
        where: name of the file, for messages.

    Returns:
        Sections in the order written.

    Raises:
        InputError: a first-level heading (the report writes that one), an embedded figure inside a sentence, or an equation
            that cannot be read.
    """
    found: list[tuple[str, list[list[Token] | Embed]]] = [("", [])]
    tokens = parser().parse(markdown)
    for token in tokens:
        for part in (token, *(token.children or ())):
            if part.type in {"math_inline", "math_block"}:
                _check_equation(part.content, where)
    position = 0
    while position < len(tokens):
        end = _block_end(tokens, position)
        block = tokens[position:end]
        position = end
        if block[0].type == "heading_open" and block[0].tag == "h1":
            raise InputError(f"{where}: starts with a first-level heading; the report writes that one. Begin at '##'.")
        if block[0].type == "heading_open" and block[0].tag == "h2":
            found.append((block[1].content, []))
            continue
        text = block[1].content.strip() if block[0].type == "paragraph_open" else ""
        embed = EMBED.fullmatch(text)
        if embed:
            found[-1][1].append(Embed(embed[1], embed[2]))
            continue
        if any(EMBED.search(token.content) for token in block):
            raise InputError(f"{where}: a figure, table or exhibit must stand in a paragraph of its own.")
        last = found[-1][1]
        if last and isinstance(last[-1], list):
            last[-1].extend(block)
        else:
            last.append(block)
    return [Section(title, tuple(blocks)) for title, blocks in found if title or blocks]


def _check_equation(source: str, where: str) -> None:
    try:
        mathml(source)
        typst(source)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _block_end(tokens: list[Token], start: int) -> int:
    depth = 0
    for index in range(start, len(tokens)):
        depth += tokens[index].nesting
        if depth == 0:
            return index + 1
    return len(tokens)


_UNITS = (
    r"%|percent|percentage points?|points?\b|nats?\b|bits?\b|[mµ]?s\b|seconds?|minutes?|hours?|days?|images?/s|examples?/s|tokens?/s"
    r"|[kMGT]?i?B\b|[MGTPE]?FLOPs?|perplexity|BLEU|CIDEr|times (?:faster|slower|as)|[x\u00d7]\s*(?:faster|slower|as)"
)
_NUMBER = rf"(?:\d[\d,]*\.\d+(?:e[-+]?\d+)?(?!\.?\d)|\d+e[-+]?\d+\b|\d[\d,]*(?=\s?(?:{_UNITS})))"
_MEASURED = re.compile(rf"(?<![\w.\-/])[-+\u2212±~≈]?\s?{_NUMBER}")
_PLACES = re.compile(
    r"(?:sections?|sec\.|§|equations?|eqs?\.|tables?|figures?|fig\.|versions?|chapters?|appendix|arxiv:?|python|torch|cuda|v)\s*"
    r"\d+(?:\.\d+)*[a-z]?(?:(?:\s*(?:,|and|to|-|\u2013)\s*)\d+(?:\.\d+)*[a-z]?)*",
    re.IGNORECASE,
)
_BLANKED = re.compile(
    r"```.*?```|`[^`\n]*`|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|\]\([^)]*\)|https?://\S+|<!--.*?-->",
    re.DOTALL,
)
_MATH = re.compile(r"\$\$.+?\$\$|\$[^$\n]+?\$", re.DOTALL)


def bare_numbers(source: str) -> list[tuple[int, str]]:
    r"""Return the numbers in a `section.md` that look measured and were typed by hand.

    Measured-looking is every decimal number, and every number with a unit of time, score, size, speed or cost. Counts such as
    '8 glimpses', shapes such as '28x28', years, and places ('section 4.2', 'table 1a') are fine, as is everything inside
    `{{ ... }}`, code and links. Equations may hold numbers unless the whole equation is one, such as $1.29\%$.

    Args:
        source: Markdown with template expressions.

    Returns:
        Line, counted from 1, and text of each.
    """

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    def blank_equation(match: re.Match[str]) -> str:
        inner = match[0].strip("$").strip()
        return (
            match[0].replace("$", " ").replace("\\", " ")
            if re.fullmatch(r"[-+~\\approxsim\s]*[\d.,]+\s*(?:\\?%)?", inner)
            else blank(match)
        )

    text = _PLACES.sub(blank, _MATH.sub(blank_equation, _BLANKED.sub(blank, source)))
    return [(text.count("\n", 0, match.start()) + 1, match[0].strip()) for match in _MEASURED.finditer(text)]
