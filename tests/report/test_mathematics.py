"""Equations: one source, MathML for pages and Typst for the PDF; both are accepted by their readers."""

import xml.etree.ElementTree as ET

import pytest
import typst as compiler

from replications.errors import InputError
from report.mathematics import mathml, typst

EQUATIONS = [
    r"\nabla_\theta J \approx \frac{1}{M}\sum_{i=1}^{M} \sum_{t=1}^T \nabla_\theta \log \pi(u_t^i \mid s_{1:t}^i;\theta)(R^i - b_t)",
    r"\mathcal{N}(0,\sigma^2 I), \mathbb{R}^d, \operatorname{softmax}\left(\frac{QK^\top}{\sqrt{d}}\right) V",
    r"f(x)=\begin{cases} 1, & x > 0 \\ 0, & \text{else; or so} \end{cases}",
    r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
    r"h_t = \tanh\left(W \begin{pmatrix} h_{t-1} \\ x_t \end{pmatrix}\right)",
    r"\hat{x} + \tilde c + \bar x + \overline{ab} + \vec v + \dot y + \underbrace{x}_{y}",
    r"\lVert x \rVert_2 \in [-1,1], \quad \sqrt[3]{x}, \quad \arg\max_a Q, \quad a/b, \quad 3.5\%, \{a, b\}, \# , \_",
    r"z_0 = [x_{\mathrm{class}};\, x_p^1 \mathbf{E}] + \mathbf{E}_{pos}",
]


@pytest.mark.parametrize("source", EQUATIONS)
def test_typst_sets_what_a_browser_shows(source: str) -> None:
    ET.fromstring(mathml(source))  # noqa: S314 (our own text)
    pdf, warnings = compiler.compile_with_warnings(typst(source, block=True).encode(), ignore_system_fonts=True)
    assert pdf.startswith(b"%PDF")
    assert warnings == []


def test_the_source_is_kept_for_readers_by_machine() -> None:
    root = ET.fromstring(mathml(r"a < b"))  # noqa: S314 (our own text)
    assert [node.text for node in root.iter() if node.tag.endswith("annotation")] == ["a < b"]


def test_a_word_stays_one_word() -> None:
    assert '"ReLU"' in typst(r"\mathrm{ReLU}(x)")


@pytest.mark.parametrize("source", [r"\foo{x}", r"\frac{1}", r"{x", r"\begin{nothing} x \end{nothing}"])
def test_what_cannot_be_read_is_an_error_that_shows_it(source: str) -> None:
    with pytest.raises(InputError, match="equation"):
        typst(source)
