"""Equations: LaTeX source to MathML for the pages, and from the same MathML to Typst for the PDF.

One parser reads the source, so that what the pages show and what the PDF shows cannot differ in meaning.
Not Typst's mitex: packages are downloaded when a document is typeset, and it would be a second parser.
"""

from __future__ import annotations

import functools
import re
import xml.etree.ElementTree as ET

import latex2mathml.converter

from replications.errors import InputError, nearest

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_ALIGNED = re.compile(r"\\(begin|end)\{(?:aligned|align)\}")
_BARE_AMPERSAND = re.compile(r"&(?!#?\w+;)")
_ACCENTS = {
    "^": "hat",
    "\u02c6": "hat",
    "~": "tilde",
    "\u02dc": "tilde",
    "\u00af": "macron",
    "\u2015": "overline",
    "\u203e": "overline",
    "_": "underline",
    "\u2192": "arrow",
    "\u02d9": "dot",
    "\u00a8": "dot.double",
    "\u23de": "overbrace",
    "\u23df": "underbrace",
}
_ENVIRONMENTS = {"aligned", "align", "align*", "cases", "matrix", "pmatrix", "bmatrix", "vmatrix", "array", "split"}
_ARITY = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}
_SPACES = {"2em": "quad quad", "1em": "quad", "0.278em": "thick", "0.222em": "med", "0.167em": "thin", "-0.167em": ""}


@functools.cache
def _tree(source: str, *, block: bool) -> ET.Element:
    _check_source(source)
    prepared = _ALIGNED.sub(r"\\\1{align*}", source.strip()).replace(r"\arg", r"\operatorname{arg}")
    try:
        text = latex2mathml.converter.convert(prepared, display="block" if block else "inline")
        root = ET.fromstring(_BARE_AMPERSAND.sub("&amp;", text))  # noqa: S314 (made by the line above)
    except Exception as error:  # the converter raises a dozen kinds, and the parser one more
        raise InputError(f"The equation '{source}' cannot be read: {error or type(error).__name__}.") from None
    elements = list(root.iter())
    for element in elements:
        element.tag = element.tag.rpartition("}")[2]
    for element in elements:
        if len(element) < _ARITY.get(element.tag, 0):
            raise InputError(f"The equation '{source}' lacks an argument of <{element.tag}>.")
        if element.text and element.text.startswith("\\") and len(element.text) > 1:
            raise InputError(f"The equation '{source}' uses {element.text}, which the report does not know.")
        _join_upright(element)
    return root


def _check_source(source: str) -> None:
    """Refuse what the converter would pass over in silence: open braces and environments it does not have."""
    bare = re.sub(r"\\[{}]", "", source)
    if bare.count("{") != bare.count("}"):
        raise InputError(f"The equation '{source}' opens and closes a different number of braces.")
    for name in re.findall(r"\\begin\{([^}]*)\}", source):
        if name not in _ENVIRONMENTS:
            raise InputError(f"The equation '{source}' uses the environment '{name}'. {nearest(name, _ENVIRONMENTS)}")


def _join_upright(row: ET.Element) -> None:
    r"""Make one identifier of the single letters that \mathrm{...} becomes."""
    letters = list(row)
    if len(letters) > 1 and all(child.tag == "mi" and child.get("mathvariant") == "normal" for child in letters):
        word = "".join(child.text or "" for child in letters)
        for child in letters:
            row.remove(child)
        ET.SubElement(row, "mi").text = word


def mathml(source: str, *, block: bool = False) -> str:
    """Return an equation as a MathML element that carries its LaTeX source as annotation.

    Args:
        source: LaTeX without delimiters.
        block: the equation stands in a paragraph of its own.

    Returns:
        A `math` element.

    Raises:
        InputError: when the source cannot be read or uses an unknown command.
    """
    root = _tree(source, block=block)
    inner = "".join(ET.tostring(child, encoding="unicode") for child in root)
    note = ET.Element("annotation", {"encoding": "application/x-tex"})
    note.text = source.strip()
    kind = "block" if block else "inline"
    return f'<math xmlns="{NAMESPACE}" display="{kind}"><semantics>{inner}{ET.tostring(note, encoding="unicode")}</semantics></math>'


def typst(source: str, *, block: bool = False) -> str:
    """Return an equation as Typst markup, `$...$`.

    Args:
        source: LaTeX without delimiters.
        block: the equation stands in a paragraph of its own.

    Returns:
        Typst markup.

    Raises:
        InputError: when the source cannot be read or uses a construction without a counterpart.
    """
    inner = _row(list(_tree(source, block=block)), source)
    return f"$ {inner} $" if block else f"${inner}$"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _row(children: list[ET.Element], source: str) -> str:
    parts: list[str] = []
    position = 0
    while position < len(children):
        matrix = children[position : position + 3]
        if [child.tag for child in matrix] == ["mo", "mtable", "mo"]:
            rows = "; ".join(", ".join(_row(list(cell), source) for cell in row) for row in matrix[1])
            parts.append(f"mat(delim: {_quoted(matrix[0].text or '')}, {rows})")
            position += 3
        else:
            parts.append(_convert(children[position], source))
            position += 1
    return " ".join(part for part in parts if part)


def _convert(element: ET.Element, source: str) -> str:  # noqa: PLR0912 (one branch per MathML element)
    children = list(element)
    text = (element.text or "").strip("\n")
    match element.tag:
        case "mrow" | "mstyle" | "mpadded" | "math" | "semantics" | "mtd":
            return _fenced(children, source)
        case "mi":
            if not text:
                return ""
            if len(text) == 1:
                return f"upright({_quoted(text)})" if element.get("mathvariant") == "normal" else _symbol(text)
            return f"op({_quoted(text)})"
        case "mn":
            return _quoted(text)
        case "mo":
            return f"op({_quoted(text)})" if len(text) > 1 and text.isalpha() else _symbol(text)
        case "mtext" | "ms":
            return _quoted(text.replace("\u00a0", " "))
        case "mspace":
            return "\\\n" if element.get("linebreak") else _SPACES.get(element.get("width", ""), "med")
        case "mfrac":
            return f"frac({_argument(children[0], source)}, {_argument(children[1], source)})"
        case "msqrt":
            return f"sqrt({_wrap(_row(children, source))})"
        case "mroot":
            return f"root({_argument(children[1], source)}, {_argument(children[0], source)})"
        case "msub" | "munder":
            return _under(children, source) if element.tag == "munder" else _attach(children[0], source, b=children[1])
        case "msup" | "mover":
            return _over(children, source) if element.tag == "mover" else _attach(children[0], source, t=children[1])
        case "msubsup" | "munderover":
            return _attach(children[0], source, b=children[1], t=children[2])
        case "mtable":
            return _table(children, source)
        case _:
            raise InputError(f"The equation '{source}' uses <{element.tag}>, which the PDF cannot show.")


def _symbol(text: str) -> str:
    """One character as Typst math: letters stay italic variables, everything else is itself, escaped."""
    if text.isalnum():
        return text if len(text) == 1 else _quoted(text)
    return "".join(f"\\{character}" if character in "#$%&_^/\\'\"`*~@<>()[]{}|,;:!" else character for character in text)


def _wrap(inner: str) -> str:
    return inner or '""'


def _argument(element: ET.Element, source: str) -> str:
    return _wrap(_convert(element, source))


def _attach(base: ET.Element, source: str, **scripts: ET.Element) -> str:
    placed = ", ".join(f"{place}: {_argument(script, source)}" for place, script in scripts.items())
    return f"attach({_argument(base, source)}, {placed})"


def _accent(script: ET.Element) -> str | None:
    return _ACCENTS.get((script.text or "").strip()) if script.tag == "mo" else None


def _over(children: list[ET.Element], source: str) -> str:
    name = _accent(children[1])
    base = _argument(children[0], source)
    if name in {"overline", "overbrace"}:
        return f"{name}({base})"
    return f"accent({base}, {name})" if name else f"attach(limits({base}), t: {_argument(children[1], source)})"


def _under(children: list[ET.Element], source: str) -> str:
    name = _accent(children[1])
    base = _argument(children[0], source)
    if name in {"underline", "underbrace"}:
        return f"{name}({base})"
    return f"attach(limits({base}), b: {_argument(children[1], source)})"


def _fenced(children: list[ET.Element], source: str) -> str:
    """A row; stretchy fences around it grow with what they hold, a lone brace before a table is a case distinction."""
    fences = [child for child in children if child.tag == "mo" and child.get("fence") == "true"]
    if len(children) > 1 and fences and children[0] is fences[0]:
        if children[0].text == "{" and children[1].tag == "mtable" and len(fences) == 1:
            return _table(list(children[1]), source, name="cases")
        if children[-1] is fences[-1] and len(fences) > 1 and children[1].tag != "mtable":
            return f"lr({_symbol(children[0].text or '')} {_row(children[1:-1], source)} {_symbol(children[-1].text or '')})"
    return _row(children, source)


def _table(rows: list[ET.Element], source: str, name: str = "") -> str:
    """Aligned equations as lines, or the rows of a case distinction."""
    lines = [" & ".join(_row(list(cell), source) for cell in row) for row in rows]
    return f"cases({', '.join(lines)})" if name else " \\\n".join(lines)
