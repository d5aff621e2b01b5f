"""Markdown becomes HTML that does nothing but show."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from bleach._vendor.html5lib import parseFragment, serialize

from scripthut.core.policy import ANCHOR, BASE
from scripthut.core.render import render

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
    "(task-list|task-list-item|footnote|footnote-ref|footnote-backref|language-[a-z0-9_+#-]+| )+"
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
        if element.tag not in HARMLESS:
            found.append(f"element {element.tag}")
        for name, value in element.attrib.items():
            if name not in ATTRIBUTES or not _value_is_harmless(element, name, value):
                found.append(f"{element.tag} {name}={value!r}")
    return found


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
