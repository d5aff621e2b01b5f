"""Markdown becomes HTML that does nothing but show."""

import json
import re
import time
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from bleach._vendor.html5lib import parseFragment, serialize

from scripthut.core.markdown import policy
from scripthut.core.markdown.highlight import KNOWN
from scripthut.core.markdown.policy import ANCHOR, BASE
from scripthut.core.markdown.render import render

CASES = json.loads(
    (Path(__file__).parents[1] / "payloads" / "markdown.json").read_text(encoding="utf-8")
)
HOSTILE = [case for case in CASES if case["expectation"].startswith("inert")]
LEGITIMATE = [case for case in CASES if case["expectation"] == "keep"]

# Written down apart from the policy, so that a slip there is seen here.
ELEMENTS = (
    "a abbr b blockquote br caption code dd del details dfn div dl dt em figcaption figure h1 h2 "
    "h3 h4 h5 h6 hr i img input ins kbd li mark ol p pre q rp rt ruby s samp small span strong "
    "sub summary sup table tbody td tfoot th thead tr tt u ul var wbr"
)
HARMLESS = frozenset(ELEMENTS.split())
ATTRIBUTES = {
    "align", "alt", "checked", "class", "colspan", "disabled", "height", "href", "id", "open",
    "rel", "rowspan", "src", "start", "title", "type", "width",
}  # fmt: skip
CLASS = re.compile(
    "(task-list|task-list-item|footnote|footnote-ref|footnote-backref|language-[a-z0-9_+#.-]+| |"
    "alert|alert-(note|tip|important|warning|caution|title)|anchor|drawing|math|"
    "hl-(comment|keyword|deleted|inserted|name|number|type|variable|string))+"
)
MATH = "{http://www.w3.org/1998/Math/MathML}"
MATH_ELEMENTS = (
    "math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow "
    "mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none"
)
MATHS = frozenset(MATH + name for name in MATH_ELEMENTS.split())
MATH_ATTRIBUTES = re.compile(
    "accent(under)?|column(align|lines|spacing)|depth|display(style)?|fence|form|height|largeop|"
    "linethickness|[lr]space|mathcolor|mathvariant|maxsize|minsize|movablelimits|notation|"
    "row(align|lines|spacing)|scriptlevel|separator|stretchy|symmetric|voffset|width"
)
HREF = re.compile(
    rf"(https?://[^\s@\\/]+([/?#].*)?|mailto:.*|#user-content-{ANCHOR}.+|{BASE}[^\\?#:]+)",
    re.DOTALL | re.IGNORECASE,
)
SRC = re.compile(rf"{BASE}[^\\?#:]+")
TEXT_ONLY = {"title", "alt"}


def parsed(html: str) -> Element:
    tree: Element = parseFragment(html, treebuilder="etree", namespaceHTMLElements=False)
    return tree


def elements(html: str) -> list[Element]:
    return [e for e in parsed(html).iter() if e.tag != "DOCUMENT_FRAGMENT"]


def wrongs(html: str) -> list[str]:
    """What a browser would find in the HTML that must not be there."""
    found = []
    for element in elements(html):
        if element.tag in MATHS:
            found += [f"{element.tag} {a}" for a in element.attrib.items() if not _is_math(*a)]
            continue
        if element.tag not in HARMLESS:
            found.append(f"element {element.tag}")
        for name, value in element.attrib.items():
            if name not in ATTRIBUTES or not _value_is_harmless(element, name, value):
                found.append(f"{element.tag} {name}={value!r}")
    return found


def _is_math(name: str, value: str) -> bool:
    return bool(MATH_ATTRIBUTES.fullmatch(name) and re.fullmatch(r"[A-Za-z0-9 #.%+-]*", value))


def _value_is_harmless(element: Element, name: str, value: str) -> bool:
    rules = {"href": HREF, "src": SRC, "class": CLASS, "id": re.compile(f"user-content-{ANCHOR}.+")}
    if name in rules:
        return bool(rules[name].fullmatch(value))
    if name == "type":
        return value == "checkbox" and "disabled" in element.attrib
    return name in TEXT_ONLY or re.fullmatch(r"[a-z0-9 %]*", value) is not None


def text_of(html: str) -> str:
    return "".join(parsed(html).itertext())


def has(html: str, selector: str) -> bool:
    """Whether a selector of names, descendants, `[a=b]`, `[a^=b]` and `[a$=b]` matches."""
    return any(_matches(parsed(html), one.split()) for one in selector.split(","))


def _matches(root: Element, steps: list[str]) -> bool:
    if not steps:
        return True
    return any(_matches(e, steps[1:]) for e in root.iter() if e is not root and _fits(e, steps[0]))


def _fits(element: Element, step: str) -> bool:
    name = re.match(r"[a-z0-9]+", step)
    assert name, step
    tests = re.findall(r"\[([a-z]+)(?:([\^$]?=)'?([^'\]]*)'?)?\]", step)
    return element.tag == name[0] and all(_has(element, *test) for test in tests)


def _has(element: Element, name: str, how: str, wanted: str) -> bool:
    value = element.get(name)
    if value is None:
        return False
    value = value.replace(BASE, "/file/")
    ways = {"": True, "=": value == wanted, "^=": value.startswith(wanted)}
    return ways[how] if how in ways else value.endswith(wanted)


def ids(cases: list[dict[str, Any]]) -> list[str]:
    return [case["name"] for case in cases]


@pytest.mark.parametrize("case", HOSTILE, ids=ids(HOSTILE))
def test_nothing_hostile_is_left(case: dict[str, Any]) -> None:
    html = render(case["payload"])

    assert wrongs(html) == []
    for text in case.get("text", []):
        assert text in text_of(html)


@pytest.mark.parametrize("case", HOSTILE, ids=ids(HOSTILE))
def test_hostile_text_in_a_long_table_is_as_harmless(case: dict[str, Any]) -> None:
    cell = case["payload"].replace("\n", " ").replace("|", "")
    table = "|a|b|\n|-|-|\n" + "|1|2|\n" * 250 + f"| {cell} | 2 |\n"

    html = render(table)

    assert wrongs(html) == []
    assert html.count("<tr>") >= 251


@pytest.mark.parametrize("case", HOSTILE, ids=ids(HOSTILE))
def test_no_markup_appears_by_being_read_and_written_again(case: dict[str, Any]) -> None:
    tree = parsed(render(case["payload"]))

    assert shape(parsed(serialize(tree, tree="etree"))) == shape(tree)


def shape(tree: Element) -> list[tuple[str, dict[str, str]]]:
    return [(e.tag, dict(e.attrib)) for e in tree.iter()]


@pytest.mark.parametrize("case", LEGITIMATE, ids=ids(LEGITIMATE))
def test_ordinary_documents_keep_their_form(case: dict[str, Any]) -> None:
    html = render(case["payload"])

    assert wrongs(html) == []
    assert [s for s in case["keep"] if not has(html, s)] == []
    assert [t for t in case["text"] if t not in text_of(html)] == []


def test_an_image_from_elsewhere_leaves_its_words() -> None:
    assert render("![a plot](https://example.org/p.png)") == "<p>a plot</p>"


def test_a_link_with_a_user_name_in_it_leads_nowhere() -> None:
    assert not has(render("[x](https://cluster.edu@example.org/)"), "a[href]")


@pytest.mark.parametrize(
    ("folder", "written", "meant"),
    [
        ("", "plot.png", "plot.png"),
        ("sub", "plot.png", "sub/plot.png"),
        ("sub", "../plot.png", "plot.png"),
        ("sub/deep", "./a/../b%20c.png", "sub/deep/b%20c.png"),
        ("", "./a:b.png", "a%3Ab.png"),
        ("", "50%25.png", "50%25.png"),
        ("", "%252e%252e/x.png", "%252e%252e/x.png"),
        ("", "größe.png", "gr%C3%B6%C3%9Fe.png"),
    ],
)
def test_an_address_is_that_of_the_tasks_own_file(folder: str, written: str, meant: str) -> None:
    html = render(f'<img src="{written}">', folder)

    assert [e.get("src") for e in elements(html) if e.tag == "img"] == [BASE + meant]


@pytest.mark.parametrize(
    "written",
    [
        *(
            "../x.png",
            "%2e%2e/x.png",
            "a/../../x.png",
            "a\\..\\b.png",
            "/runs",
            "//example.org/x.png",
        ),
        *(
            "https:x.png",
            "data:image/png;base64,AA==",
            "x.png?y=1",
            "%00.png",
            "",
            ".",
            "\ue000x.png",
        ),
    ],
)
def test_no_image_is_fetched_from_anywhere_else(written: str) -> None:
    html = render(f'<img src="{written}">')

    assert [e.get("src") for e in elements(html) if e.tag == "img"] in (
        [],
        [f"{BASE}%EF%BF%BDx.png"],
    )


@pytest.mark.parametrize("sign", ["\ue000", "\ue001", "\ue002", "&#xE000;", "&#xE002;0&#xE002;"])
def test_our_own_signs_cannot_be_written_by_a_user(sign: str) -> None:
    rows = "|a|b|\n|-|-|\n" + "|1|2|\n" * 250

    html = render(f'{sign} <b title="{sign}0{sign}">x</b> `{sign}`\n\n{rows}')

    assert wrongs(html) == []
    assert html.count("<table>") == 1
    assert not re.search("[\ue000-\uf8ff]", html)


@pytest.mark.parametrize(
    ("markdown", "selector"),
    [
        ("text\n- a\n- b", "ul li"),
        ("text\n1. a\n2. b", "ol li"),
        ("1. a\n   - b\n     - c", "ol ul ul li"),
        ("10. a\n    - b", "ol[start=10] ul li"),
        ("- a\n\n  more\n\n  | x | y |\n  |---|---|\n  | 1 | 2 |", "li table td"),
        ("- ```\n  code\n  ```", "li pre code"),
        ("> - a\n>   - b", "blockquote ul ul li"),
        ("> | a | b |\n> |---|---|\n> | 1 | 2 |", "blockquote table td"),
        ("> ```\n> x\n> ```", "blockquote pre code"),
        ("- a\n  > q", "li blockquote"),
        (
            "<details>\n<summary>S</summary>\n\n| a | b |\n|-|-|\n| 1 | 2 |\n\n</details>",
            "details td",
        ),
        ("<details>\n<summary>S</summary>\n\n```sh\nmake\n```\n\n</details>", "details pre code"),
        ('<div align="center">\n\n# Title\n\n</div>', "div[align=center] h1"),
        ("see https://example.org/a_b_c", "a[href='https://example.org/a_b_c']"),
        ("* a\n* b\n\n1. c", "ol li"),
        ("text\n# Head", "h1"),
        ("Title\n=====\n\ntext", "h1"),
        ("Title\n---", "h2"),
        ("- a\n***\n- b", "hr"),
        ("~~~\ncode\n~~~", "pre code"),
        ("``` \nunclosed", "pre code"),
        ("- [ ] a\n  - [x] b", "ul ul input[checked]"),
    ],
)
def test_markdown_reads_as_it_does_on_github(markdown: str, selector: str) -> None:
    html = render(markdown)

    assert has(html, selector), html


@pytest.mark.parametrize(
    ("markdown", "selector"),
    [
        ("The year was\n1986. A great year", "ol"),
        ("#1 is no heading", "h1"),
        ("a\n    b", "pre"),
        ("   three spaces", "pre"),
        ("- a\n- b\n- c", "li p"),
        ("- a\n  - b\n- c", "li p"),
        ("`<b>`", "b"),
    ],
)
def test_markdown_does_not_read_what_github_would_not(markdown: str, selector: str) -> None:
    html = render(markdown)

    assert not has(html, selector), html


def test_what_follows_broken_html_is_still_shown() -> None:
    html = render("<div>\n\n<b\n\n# Results\n\n| a | b |\n|-|-|\n| 1 | 2 |")

    assert has(html, "h1")
    assert has(html, "table td")


def test_a_long_table_keeps_alignment_and_markup() -> None:
    html = render("|a|b|\n|-:|-|\n" + "| 1 | **x** `<y>` |\n" * 300)

    assert html.count('<td align="right">1</td><td><strong>x</strong>') == 300
    assert text_of(html).count("<y>") == 300


def test_a_long_table_inside_details_stays_inside() -> None:
    rows = "| 1 | 2 |\n" * 300

    html = render(f"<details><summary>All</summary>\n\n|a|b|\n|-|-|\n{rows}\n</details>\n\nend")

    assert has(html, "details table td")
    assert not has(html, "details p")


def test_deeply_nested_html_is_shown_flat() -> None:
    html = render("<div>" * 500 + "deep" + "</div>" * 500)

    assert html.count("<div>") < 100
    assert "deep" in html


@pytest.mark.parametrize("kind", ["note", "tip", "important", "warning", "caution"])
def test_an_alert_says_what_it_is(kind: str) -> None:
    html = render(f"> [!{kind.upper()}]\n> Mind **this**.\n>\n> - and that")

    assert f'<div class="alert alert-{kind}"><p class="alert-title">{kind.capitalize()}' in html
    assert has(html, "div strong")
    assert has(html, "div ul li")
    assert "[!" not in text_of(html)


@pytest.mark.parametrize("text", ["> [!OTHER]\n> x", "> [!NOTE] x", "[!NOTE]\nx"])
def test_what_is_no_alert_is_a_quote_or_text(text: str) -> None:
    html = render(text)

    assert "alert" not in html
    assert "[!" in text_of(html)


def test_footnotes_are_numbered_as_they_are_referred_to() -> None:
    html = render(
        "b[^b] a[^a] b[^b] x[^none]\n\n[^a]: first\n[^b]: second\n\n    more\n[^c]: unused"
    )

    assert text_of(html).split("\n")[0] == "b1 a2 b1 x[^none]"
    assert [e.get("id") for e in elements(html) if e.tag == "li"] == [
        f"user-content-{ANCHOR}fn:{n}" for n in (1, 2)
    ]
    assert "unused" not in html
    assert html.count("↩") == 3


def test_footnotes_that_refer_to_each_other_come_to_an_end() -> None:
    html = render("x[^a]\n\n[^a]: see [^b]\n[^b]: see [^a]")

    assert html.count("<li") == 2


def test_the_word_label_gives_a_user_no_footnote() -> None:
    assert wrongs(render('x[^a] <sup label="a">y</sup>\n\n[^a]: z')) == []


@pytest.mark.parametrize(
    ("markdown", "element"),
    [
        ("$x_1 + y$", "msub"),
        ("as $\\frac{a}{b}$, say", "mfrac"),
        ("$$\\sum_{i=0}^n i$$", "munderover"),
        ("$$\n\\begin{pmatrix}1 & 2\\\\ 3 & 4\\end{pmatrix}\n+ 1\n$$", "mtable"),
        ("```math\n\\sqrt{2}\n```", "msqrt"),
        ("- a $\\hat{x}$", "mover"),
        ("| $x^2$ |\n|---|\n| $|$ |", "msup"),
        ("# On $\\alpha$", "mi"),
        ("$`x_1`$", "msub"),
    ],
)
def test_formulas_are_drawn(markdown: str, element: str) -> None:
    html = render(markdown)

    assert MATH + element in [e.tag for e in elements(html)], html
    assert wrongs(html) == []


@pytest.mark.parametrize(
    "text", ["$5 and $6", "a$b$c", "`$x$`", "\\$x\\$", "$ x $", "cost: $5-$6", "$HOME/x:$PATH"]
)
def test_money_and_variables_are_no_formulas(text: str) -> None:
    assert "<math" not in render(text)


@pytest.mark.parametrize(
    "source",
    [
        r"\href{javascript:alert(1)}{x}",
        r"\style{background:url(//x.example)}{x}",
        r"\class{top}{x}",
        r"\cssId{tasks}{x}",
        r"\text{<script>alert(1)</script>}",
        r"\text{</mtext><img src=x onerror=alert(1)>}",
        r"\text{&lt;img src=x onerror=alert(1)&gt;}",
        r"\mathcolor{red;x:url(//y)}{x}",
        r"\color{\"><script>}{x}",
        r"\unicode{x3c}script\unicode{x3e}",
        r"\begin{array}{<img src=x onerror=alert(1)>}x\end{array}",
        r"\hspace{1em\" onclick=\"x}",
    ],
)
def test_a_formula_only_shows(source: str) -> None:
    for html in (render(f"${source}$"), render(f"```math\n{source}\n```")):
        assert wrongs(html) == []
        tree = parsed(html)
        assert shape(parsed(serialize(tree, tree="etree"))) == shape(tree)


def test_half_a_formula_is_shown_as_it_is_written() -> None:
    assert '<code class="math">\\left( a</code>' in render("```math\n\\left( a\n```")


def test_code_is_coloured_and_keeps_its_text() -> None:
    code = "def f(x: int) -> str:\n    return '<b>' + str(x)  # why\n"

    html = render(f"```python\n{code}```")

    assert text_of(html) == code
    assert {"hl-keyword", "hl-string", "hl-comment"} <= {e.get("class") for e in elements(html)}
    assert wrongs(html) == []


@pytest.mark.parametrize("language", ["", "nosuchlanguage", "../../x", '"><script>', "c++", "sh"])
def test_code_in_any_language_keeps_its_text(language: str) -> None:
    html = render(f"~~~{language}\n<a> & b\n~~~")

    assert text_of(html) == "<a> & b\n"
    assert wrongs(html) == []


def test_every_colour_of_code_may_be_shown() -> None:
    for name in KNOWN:
        assert policy.filtered("span", {"class": name}, "") == {"class": name}


def test_a_diagram_shows_its_source_and_says_what_it_is() -> None:
    html = render("```mermaid\ngraph TD; A-->B\n```")

    assert has(html, "figure figcaption")
    assert has(html, "figure pre code")
    assert "A-->B" in text_of(html)


def test_headings_have_ids_of_their_own_and_a_link() -> None:
    html = render("# Results\n\n## Results\n\n### *A* `b`: c!\n\n[go](#results-1)")

    ids = [e.get("id") for e in elements(html) if e.tag in ("h1", "h2", "h3")]
    assert ids == [f"user-content-{ANCHOR}{name}" for name in ("results", "results-1", "a-b-c")]
    assert html.count('class="anchor"') == 3
    assert html.count(f'href="#user-content-{ANCHOR}results-1"') == 2


def test_emoji_names_stay_as_they_are_written() -> None:
    assert text_of(render(":tada: done :+1:")) == ":tada: done :+1:"


def test_addresses_begin_in_the_documents_folder_for_links_too() -> None:
    html = render("[x](table.csv) ![](../a.png)\n\n[ref]\n\n[ref]: sub/b.csv", "deep/er")

    found = [e.get("href") or e.get("src") for e in elements(html) if e.tag in ("a", "img")]
    assert found == [f"{BASE}deep/er/table.csv", f"{BASE}deep/a.png", f"{BASE}deep/er/sub/b.csv"]


def test_html_that_spans_blocks_stays_together_in_a_long_document() -> None:
    text = (
        "para\n\n" * 50
        + "<details>\n<summary>S</summary>\n\n"
        + "- a\n\n" * 50
        + "</details>\n\nend"
    )

    html = render(text)

    assert len([e for e in elements(html) if e.tag == "details"]) == 1
    assert has(html, "details ul li")
    assert not has(html, "details p") or "end" not in html.partition("</details>")[0]


def test_a_mebibyte_of_results_takes_less_than_the_limit() -> None:
    part = "## Step\n\nSome **text** with `code`, [a link](x.csv) and 1.25.\n\n- a\n- b\n\n"
    part += "| a | b |\n|---|--:|\n" + "| 0.5 | 17 |\n" * 8 + "\n"
    text = part * (1024 * 1024 // len(part))

    began = time.process_time()
    html = render(text)

    assert html.count("<h2") == text.count("## Step")
    assert time.process_time() - began < 4  # 2 s of a machine that does nothing else


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at <localhost:5001/x>", "localhost:5001/x"),
        ("a <tensor.float32> here", "&lt;tensor.float32&gt;"),
        ("write <MAILTO:me@example.org>", ">MAILTO:me@example.org</a>"),
        ("and <me+you@example.org>", 'href="mailto:me+you@example.org"'),
        (r"<foo\+@example.org>", "&lt;foo+@example.org&gt;"),
        ("see <https://example.org/?a=1&b=2>", "https://example.org/?a=1&amp;b=2</a>"),
    ],
)
def test_what_stands_between_angles_and_is_no_element_stays_to_be_read(
    text: str, shown: str
) -> None:
    html = render(text)
    assert shown in html
    assert "\x02" not in html
