"""A section's numbers come from results; what is typed by hand is found; markup of text stays text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replications.errors import InputError
from replications.paths import PAPERS
from replications.presentation.citations import by_name
from replications.registry.papers import load_papers
from replications.results.reader import Results
from report import prose
from report.html import render_tokens
from report.markup import typst_markup
from report.measured_numbers import escape_markdown
from report.template_functions import TemplateFunctions


@pytest.fixture(scope="module")
def vocabulary(finished: Path) -> TemplateFunctions:
    results = Results.read(load_papers()[0], "gpu", finished)
    return TemplateFunctions(results, {"six-looks": "replicated"}, {"figure": ["error_by_looks"]})


def fill(text: str, vocabulary: TemplateFunctions) -> str:
    return prose.fill(text, vocabulary, "section.md").replace("\\", "")


def html(text: str) -> str:
    blocks = [block for section in prose.sections(text, "section.md") for block in section.blocks]
    return "".join(str(render_tokens(block)) for block in blocks if isinstance(block, list))


def test_a_value_is_the_mean_over_seeds(vocabulary: TemplateFunctions) -> None:
    mean = vocabulary.results.final("looks-6", "error").mean()
    assert fill('{{ value("looks-6", "error", digits=3) }}', vocabulary) == f"{mean:.3f}\u00a0%"


def test_an_interval_is_the_t_interval(vocabulary: TemplateFunctions) -> None:
    from scipy import stats

    values = vocabulary.results.final("looks-6", "error").to_numpy()
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert fill('{{ interval("looks-6", "error", digits=4) }}', vocabulary) == f"{low:.4f} to {high:.4f}\u00a0%"


def test_a_difference_is_paired_by_seed(vocabulary: TemplateFunctions) -> None:
    results = vocabulary.results
    expected = (results.final("looks-4", "error") - results.final("looks-6", "error")).mean()
    assert fill('{{ difference("looks-4", "looks-6", "error", digits=3) }}', vocabulary) == f"{expected:.3f}\u00a0%"


@pytest.mark.parametrize(
    "call",
    ['value("large", "error")', 'interval("large", "error")', 'seeds("large")', 'setting("large", "looks")', 'cost("large", "flops")'],
)
def test_a_run_that_the_tier_lacks_is_words(call: str, vocabulary: TemplateFunctions) -> None:
    assert fill(f"{{{{ {call} }}}}", vocabulary) == "*not measured at this tier*"


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ("valu('looks-6', 'error')", "'valu' is undefined"),
        ("published('table-1a', 'Lantern, 6 looks', 'v2')", "Valid: journal, v1"),
        ("published('table-1a', 'Lantern, 5 looks', 'v1')", "Did you mean 'Lantern, [468] looks'?"),
        ("setting('looks-6', 'lok')", "Did you mean 'looks'?"),
        ("verdict('six-lokks')", "Did you mean 'six-looks'?"),
        ("figure('error_by_look')", "Did you mean 'error_by_looks'?"),
        ("cite('othr')", "Valid: other, paper"),
    ],
)
def test_a_wrong_name_is_an_error_with_the_nearest_right_one(call: str, hint: str, vocabulary: TemplateFunctions) -> None:
    with pytest.raises(InputError, match=hint.replace("?", r"\?")):
        prose.fill(f"{{{{ {call} }}}}", vocabulary, "section.md")


def test_a_template_cannot_reach_the_machine(vocabulary: TemplateFunctions) -> None:
    with pytest.raises(InputError, match="unsafe"):
        prose.fill("{{ value.__globals__ }}", vocabulary, "section.md")


def test_braces_in_equations_and_code_are_left_alone(vocabulary: TemplateFunctions) -> None:
    text = r"$x_{{i}} = \frac{1}{{2}}$ and `{{ code }}`"
    assert prose.fill(text, vocabulary, "section.md") == text


def test_what_functions_print_cannot_become_markup(vocabulary: TemplateFunctions, hostile: str) -> None:
    filled = prose.fill("{{ stated(text, 'sec. 1') }}".replace("text", repr(hostile)), vocabulary, "section.md")
    shown = html(filled)
    for tag in ("<script", "<em>", "<strong>", "<a ", "<math"):
        assert tag not in shown


@given(
    st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1)
)
def test_escaped_text_survives_markdown(text: str) -> None:
    tokens = prose.parser().parse(f"x{escape_markdown(text)}x")
    assert [child.type for child in tokens[1].children or []] == ["text"]
    assert tokens[1].content and (tokens[1].children or [])[0].content == f"x{text}x"


def test_a_first_level_heading_is_refused() -> None:
    with pytest.raises(InputError, match="Begin at '##'"):
        prose.sections("# Title", "section.md")


def test_a_figure_in_the_middle_of_a_sentence_is_refused(vocabulary: TemplateFunctions) -> None:
    with pytest.raises(InputError, match="paragraph of its own"):
        prose.sections(prose.fill('See {{ figure("error_by_looks") }} here.', vocabulary, "section.md"), "section.md")


@pytest.mark.parametrize("equation", [r"$\foo$", r"$$\frac{1}$$"])
def test_an_equation_that_cannot_be_read_is_refused(equation: str) -> None:
    with pytest.raises(InputError, match=r"section\.md: The equation"):
        prose.sections(f"## A\n\n{equation}\n", "section.md")


def test_html_in_a_section_is_text() -> None:
    assert "&lt;img" in html("## A\n\n<img src=x onerror=alert(1)>\n")


def test_typst_markup_keeps_lists_tables_code_and_equations() -> None:
    tokens = prose.parser().parse("- *a* **b**\n- `c#d`\n\n| x | y |\n| - | - |\n| 1 | $z^2$ |\n")
    markup = typst_markup(tokens)
    assert markup.startswith("#list([#emph[a] #strong[b]")
    assert '#raw("c#d")' in markup
    assert "#table(columns: 2, table.header([x],[y],table.hline" in markup
    assert '$attach(z, t: "2")$' in markup


@pytest.mark.parametrize(
    "text",
    [
        "Error fell to 1.86.",
        "It reached 5 % of errors.",
        "We ran 3,000 images/s.",
        "That is 3x faster.",
        "It took 40 minutes.",
        "A step takes 12 ms.",
        "The error is $1.29\\%$.",
        "A gap of 2 points remained.",
        "Loss of 1.2e-3 at the end.",
        "Rate 1e-3 was best.",
        "Perplexity of ±0.2.",
    ],
)
def test_measured_numbers_typed_by_hand_are_found(text: str) -> None:
    assert prose.bare_numbers(f"## A\n\n{text}\n")[0][0] == 3


@pytest.mark.parametrize(
    "text",
    [
        "Error fell to {{ value('a', 'error', digits=2) }} %.",
        "Eight glimpses of 12x12x3 on 60x60 images with 5 seeds.",
        "See section 4.2, tables 1a and 2.3, eq. 7, arXiv 1406.6247, in 2014.",
        "The policy has $\\sigma = 0.25$ and `--rate 0.5`.",
        "[Code](https://example.org/v1.5)",
        "ViT-B/16 and 2 layers of 256 units, as in Figure 3.",
    ],
)
def test_counts_shapes_places_and_generated_numbers_are_fine(text: str) -> None:
    assert prose.bare_numbers(text) == []


SECTIONS = sorted(PAPERS.glob("*/section.md"))


@pytest.mark.parametrize("path", SECTIONS, ids=[path.parent.name for path in SECTIONS])
def test_no_paper_types_a_measured_number(path: Path) -> None:
    assert prose.bare_numbers(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("author", ["Aidan N. Gomez", "Gomez, Aidan N."])
def test_authors_are_read_with_the_given_name_first(author: str) -> None:
    assert by_name(["Ada Okafor", author]) == "Ada Okafor and Aidan N. Gomez"
