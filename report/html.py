"""The content as one folder of pages that open from disk, with no network."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from replications.presentation.characteristics_csv import read_characteristics
from replications.presentation.citations import by_name, in_order
from replications.presentation.exhibits import write_page
from replications.registry.tuning import MISSING
from replications.verdicts.words import WORDS
from report import prose, verdict_marks
from report.bibliography import Entry
from report.claims import EVIDENCE, VERDICTS, ClaimContent
from report.content import EFFECTS, PaperContent, Report
from report.figures import FigureContent
from report.inline_svg import themed_svg
from report.mathematics import mathml
from report.run_tables import COST_COLUMNS, TableContent
from report.statements import summary, topics_of
from report.thumbnails import write_thumbnails

HERE = Path(__file__).resolve().parent
GENERATOR = '<meta name="generator" content="replications report">'
"""In the head of every page: by this an earlier report is known."""

FRAME = HERE / "scripts" / "frame.js"
"""Added to every exhibit: it tells the page its height and takes the page's theme."""

STATEMENTS = "statements.html"
"""The page that says where the statements of lectures are tested."""

LARGEST_INLINE = 400_000
"""Bytes of an SVG up to which a figure is put into the page; larger ones are shown as an image."""


def anchor_of(title: str) -> str:
    """Return a heading as an identifier that no other part of the page uses.

    Args:
        title: text of the heading.

    Returns:
        Identifier that begins with 'text-'.
    """
    return "text-" + "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


class _Renderer(RendererHTML):
    """Markdown tokens to HTML, with equations as MathML."""

    def math_inline(self, tokens: list[Token], index: int, *_: Any) -> str:
        return mathml(tokens[index].content)

    def math_block(self, tokens: list[Token], index: int, *_: Any) -> str:
        return f'<div class="equation" tabindex="0">{mathml(tokens[index].content, block=True)}</div>\n'


def ticks(text: str) -> Markup:
    """Return plain text with `code` between backticks shown as such, and no line break between a number and its per cent sign.

    Args:
        text: plain text.

    Returns:
        Escaped HTML.
    """
    parts = text.replace(" %", "\u00a0%").split("`")
    whole = len(parts) % 2 == 1
    return Markup("").join(Markup("<code>{}</code>").format(part) if whole and i % 2 else part for i, part in enumerate(parts))


def render_tokens(tokens: list[Token]) -> Markup:
    """Return Markdown tokens as HTML; raw HTML in the source was never parsed as such.

    Args:
        tokens: what the parser of `report.prose` returned.

    Returns:
        HTML with equations as MathML.
    """
    return Markup(_Renderer().render(tokens, prose.parser().options, {}))  # noqa: S704 (the parser escapes text)


def write_pages(report: Report, citations: dict[str, Entry], out: Path) -> None:
    """Write `index.html`, one page per paper, one on the statements of lectures, assets, and copies of figures, tables and exhibits into `out`.

    Args:
        report: the content of the report.
        citations: id -> citation.
        out: folder of the report.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"ticks": ticks, "by_name": by_name, "in_order": in_order}
    topics = topics_of(report)
    common = {
        "topics": topics,
        "report": report,
        "generator": Markup(GENERATOR),  # noqa: S704 (a constant)
        "citations": citations,
        "mark": verdict_marks.mark,
        "dots": verdict_marks.dot_plot,
        "shares": verdict_marks.share_bar,
        "words": WORDS,
        "verdicts": VERDICTS,
        "characteristics": read_characteristics(),
        "order": {word: position for position, word in enumerate(VERDICTS)},
        "evidence": EVIDENCE,
        "effects": EFFECTS,
        "deviations": {paper.name: len(paper.spec.deviations) for paper in report.papers},
        "tier_note": report.tier_note,
        "shorts": {paper.name: paper.spec.short for paper in report.papers},
        "drawing": _drawing,
        "index_anchor": lambda claim: f"claim-{claim.verdict.id}",
        "paper_anchor": lambda claim: claim.anchor,
    }
    _clear(out)
    for paper in report.papers:
        _copy_files(paper, out)
        write_page(out / f"{paper.name}.html", _paper_page(environment, common, paper))
    write_page(
        out / "index.html",
        environment.get_template("index.html.j2").render(
            common,
            page="index",
            judged_first=judged_first(report.claims),
            headlines={paper.name: paper.headline for paper in report.papers},
            exhibits=[(paper, item) for paper in report.papers for item in paper.exhibits if item.drawn],
            thumbnails=write_thumbnails(report.papers, out),
        ),
    )
    if topics:
        page = environment.get_template("statements.html.j2").render(common, page="statements", statement_counts=summary(topics))
        write_page(out / STATEMENTS, page)
    write_page(out / "assets" / "report.css", style())
    for source in (HERE / "scripts" / "theme.js", HERE / "scripts" / "report.js"):
        write_page(out / "assets" / source.name, source.read_text(encoding="utf-8"))


def style() -> str:
    """Return the style sheet of the pages, the colours of the verdict words included."""
    return (HERE / "style" / "report.css").read_text(encoding="utf-8") + verdict_marks.verdict_style()


def _paper_page(environment: Environment, common: dict[str, Any], paper: PaperContent) -> str:
    context = common | {"paper": paper, "page": paper.name}
    parts = environment.get_template("parts.html.j2").make_module(context)
    shown: dict[str, Sequence[FigureContent | TableContent]] = {"figure": paper.figures, "table": paper.tables, "exhibit": paper.exhibits}

    def show(section: prose.Section) -> Markup:
        pieces = []
        for block in section.blocks:
            if isinstance(block, prose.Embed):
                item = next(item for item in shown[block.kind] if item.name == block.name)
                pieces.append(Markup(getattr(parts, block.kind)(item, paper)))  # noqa: S704 (an autoescaped macro)
            else:
                pieces.append(render_tokens(block))
        inner = Markup("").join(pieces)
        if not section.title:
            return Markup('<section class="text">{}</section>').format(inner)
        return Markup('<section class="text" aria-labelledby="{0}"><h2 id="{0}">{1}</h2>{2}</section>').format(
            anchor_of(section.title), section.title, inner
        )

    before, after = paper.text_around_tables()
    rest = {kind: [item for item in items if item.name not in paper.embedded(kind)] for kind, items in shown.items()}
    columns = [(key, title) for key, title in COST_COLUMNS.items() if any(key in row.shown for row in paper.costs)]
    contents = [("exhibits", "Exhibits")] if rest["exhibit"] else []
    contents += [(anchor_of(section.title), section.title) for section in (*before, *after) if section.title]
    contents += [(f"exhibit-{item.name}", item.title) for item in paper.exhibits if item.drawn and item not in rest["exhibit"]]
    contents += [("claims", "Claims and verdicts")]
    contents += [(anchor, title) for anchor, title, there in _tail(paper, rest) if there]
    return environment.get_template("paper.html.j2").render(
        context,
        prose=show,
        no_tuning=MISSING,
        judged_first=judged_first(paper.claims),
        headline_claim=f"claim-{paper.answer.verdict.id.removeprefix(f'{paper.name}.')}" if paper.answer.verdict else "",
        before=before,
        after=after,
        tables=rest["table"],
        figures=rest["figure"],
        exhibits=rest["exhibit"],
        cost_columns=columns,
        contents=contents,
        commands=dict.fromkeys(origin.command for origin in paper.origins if origin.command),
        first_chunks={origin.run: origin for origin in reversed(paper.origins)},
    )


def judged_first(claims: tuple[ClaimContent, ...]) -> list[ClaimContent]:
    """Return claims in the order registered, those that this tier does not judge at the end.

    Args:
        claims: claims of one or more papers.

    Returns:
        The same claims.
    """
    return sorted(claims, key=lambda claim: claim.verdict.verdict == "not tested")


def _tail(paper: PaperContent, rest: dict[str, list[Any]]) -> list[tuple[str, str, bool]]:
    return [
        ("tables", "Published tables", bool(rest["table"])),
        ("differences", "What differs", bool(paper.spec.deviations)),
        ("tuning", "What was tried before", True),
        ("figures", "Figures", bool(rest["figure"])),
        ("cost", "Cost", bool(paper.costs)),
        ("provenance", "Provenance", bool(paper.origins)),
        ("cite", "How to cite", True),
    ]


def _drawing(picture: FigureContent) -> Markup | None:
    """The figure for inlining, or None where it is too large or damaged and the image is shown instead."""
    path = picture.files.get("svg")
    if path is None or path.stat().st_size > LARGEST_INLINE:
        return None
    try:
        return themed_svg(path, picture.name, picture.alt or picture.title)
    except ET.ParseError:
        return None


def _clear(out: Path) -> None:
    """Remove what an earlier report left, so that no figure outlives its function; any other folder is left alone."""
    index = out / "index.html"
    if index.is_file() and GENERATOR in index.read_text(encoding="utf-8", errors="replace"):
        for name in ("assets", "exhibits", "files", "workflow", "config"):
            shutil.rmtree(out / name, ignore_errors=True)
        for page in out.glob("*.html"):
            page.unlink()


def _copy_files(paper: PaperContent, out: Path) -> None:
    drawn = [figure for figure in paper.figures if figure.drawn]
    for kind, items in (("figures", drawn), ("tables", paper.tables)):
        for item in items:
            for path in item.files.values():
                target = out / "files" / paper.name / kind / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    for exhibit in paper.exhibits:
        if "html" in exhibit.files:
            target = out / "exhibits" / f"{paper.name}.{exhibit.name}.html"
            page = exhibit.files["html"].read_text(encoding="utf-8").replace("<body>", f"<body>\n{_way_back(paper, exhibit)}", 1)
            write_page(target, page + f"<script>{FRAME.read_text(encoding='utf-8')}</script>\n")


def _way_back(paper: PaperContent, exhibit: FigureContent) -> Markup:
    """Link from an exhibit on its own page to its place in the report; inside the report, frame.js takes it away."""
    return Markup(
        '<nav id="way-back" aria-label="Report" style="margin:0 0 10px;font:14px/1.4 system-ui,sans-serif">'
        '<a href="../{}.html#exhibit-{}" style="color:inherit">Back to {}</a></nav>'
    ).format(paper.name, exhibit.name, paper.spec.short)
