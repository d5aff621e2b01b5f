"""The examples of GitHub's own specification of its Markdown, section by section, and the score."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote
from xml.etree.ElementTree import Element

import pytest
from bleach._vendor.html5lib import parseFragment

from scripthut.core.markdown import policy
from scripthut.core.markdown.policy import ANCHOR, BASE
from scripthut.core.markdown.render import render

FOLDER = Path(__file__).parent / "gfm"
FENCE = "`" * 32
EXAMPLE = re.compile(rf"^{FENCE} example (\d+)\n(.*?)^\.\n(.*?)^{FENCE}$", re.M | re.S)
WHOLE = ("tables", "list_items", "task_list_items", "lists", "strikethrough", "autolinks")
LEAST = 0.86  # of all examples, the hostile and the remote ones among them


@dataclass(frozen=True)
class Example:
    """A piece of Markdown and the HTML that the specification wants of it."""

    section: str
    number: int
    markdown: str
    html: str


def examples(section: str) -> list[Example]:
    text = (FOLDER / f"{section}.txt").read_text(encoding="utf-8").replace("→", "\t")
    return [Example(section, int(n), m, html) for n, m, html in EXAMPLE.findall(text)]


class Code(str):
    """Text in which spaces count."""


def tree(html: str) -> Element:
    html = re.sub(r"\ue002\d+\ue002", "", html)
    found: Element = parseFragment(html, treebuilder="etree", namespaceHTMLElements=False)
    return found


def shape(element: Element) -> list[object]:
    """What of a tree is compared: elements, their telling attributes, their text.

    Left out is what we add on purpose (ids and links of headings, rel, breaks where the source has
    them, colours), and how addresses inside of the output directory are written.
    """
    found: list[object] = []
    _shape(element, found, False)
    return _joined(found)


def _shape(element: Element, found: list[object], is_code: bool) -> None:
    is_code = is_code or element.tag == "pre"
    for text, child in _content(element):
        if text:
            found.append(Code(text) if is_code else re.sub(r"\s+", " ", text))
        if child is None:
            continue
        if child.tag == "br":
            found.append(" ")
        elif child.tag == "img" and not _is_ours(child.get("src") or ""):
            found.append(child.get("alt") or "")
        elif child.tag == "span" or child.get("class") == "anchor":
            _shape(child, found, is_code)
        else:
            attributes = dict(_telling(child))
            found.append((str(child.tag), attributes))
            _shape(child, found, is_code)
            found.append(f"</{child.tag}>" if child.tag not in ("hr", "img", "input") else ())


def _is_ours(address: str) -> bool:
    return BASE in address or policy.file_address(address, "") is not None


def _content(element: Element) -> Iterator[tuple[str, Element | None]]:
    yield element.text or "", None
    for child in element:
        yield "", child if isinstance(child.tag, str) else None
        yield child.tail or "", None


def _telling(element: Element) -> Iterator[tuple[str, str]]:
    for name in ("align", "start", "href", "src", "title", "alt", "type", "checked", "disabled"):
        value = element.get(name)
        if name == "href" and value is not None and BASE not in value and ANCHOR not in value:
            value = policy.address(value, "")  # what leads nowhere here
        if value is not None:
            yield name, unquote(value).replace(BASE, "").replace(f"user-content-{ANCHOR}", "")


BLOCKS = "address blockquote dd details div dl dt h1 h2 h3 h4 h5 h6 hr input li ol p pre table "
BLOCKS += "tbody td th thead tr ul"


def _joined(found: list[object]) -> list[object]:
    """Neighbouring text in one piece, without what is at the edges of blocks."""
    joined: list[object] = []
    for one in found:
        is_text = isinstance(one, str) and not one.startswith("</")
        last = joined[-1] if joined else None
        if is_text and isinstance(last, str) and not last.startswith("</"):
            both = last + str(one)
            joined[-1] = Code(both) if isinstance(last, Code) else re.sub(" +", " ", both)
        else:
            joined.append(one)
    kept: list[object] = []
    for place, one in enumerate(joined):
        if isinstance(one, str) and not one.startswith("</"):
            before = joined[place - 1] if place else "</p>"
            after = joined[place + 1] if place + 1 < len(joined) else "</p>"
            is_text = not isinstance(one, Code)
            one = one.lstrip() if _is_block(before) and is_text else one
            one = one.rstrip() if _is_block(after) and is_text else one
        if one not in ("", ()):
            kept.append(one)
    return kept


def _is_block(one: object) -> bool:
    name = one[0] if isinstance(one, tuple) and one else str(one).strip("</>")
    return one == () or name in BLOCKS.split()


def passes(example: Example) -> bool:
    return shape(tree(render(example.markdown))) == shape(tree(example.html))


SECTIONS = sorted(path.stem for path in FOLDER.glob("*.txt"))


@pytest.mark.parametrize(
    "example",
    [example for section in WHOLE for example in examples(section)],
    ids=lambda e: f"{e.section}-{e.number}",
)
def test_what_a_summary_is_made_of_reads_as_the_specification_says(example: Example) -> None:
    assert shape(tree(render(example.markdown))) == shape(tree(example.html)), example.markdown


def test_the_score_over_all_sections() -> None:
    scores = {s: (sum(map(passes, examples(s))), len(examples(s))) for s in SECTIONS}
    for section, (good, of) in scores.items():
        print(f"{section:20} {good:3} of {of:3}")
    good, of = (sum(column) for column in zip(*scores.values(), strict=True))
    print(f"{'all':20} {good:3} of {of:3}: {good / of:.0%}")

    assert of > 600
    assert good / of >= LEAST
