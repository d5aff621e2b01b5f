"""Rendering ends, whatever is rendered."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import scripthut
from scripthut.core.files.notebook import SEPARATOR
from scripthut.engine.children import workshop
from scripthut.engine.children.workshop import TURNS, WALL, Workshop
from scripthut.engine.outputs.rendering import TEXT, Renderer

CASES = json.loads(
    (Path(__file__).parents[1] / "payloads" / "hostile_markdown.json").read_text(encoding="utf-8")
)
LENGTH = 16_000
Own = tuple[Renderer, Callable[[], list[int]], Workshop]
NOT_RENDERED = "could not be rendered"


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    workshop = Workshop()
    yield Renderer(workshop)
    workshop.close()


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_hostile_text_ends_in_bounded_time(renderer: Renderer, case: dict[str, str]) -> None:
    text = eval(case["gen"], {"n": LENGTH})  # the generators are our own data

    began = time.monotonic()
    html = renderer.render(text.encode("utf-8", "surrogatepass"))

    assert time.monotonic() - began < WALL + 2
    assert NOT_RENDERED not in html or html.rstrip().endswith("</pre>")


def test_a_document_after_a_hostile_one_is_rendered(renderer: Renderer) -> None:
    assert NOT_RENDERED in renderer.render(b"[" * 16_000)

    assert "<strong>fine</strong>" in renderer.render(b"**fine**")


def test_what_cannot_be_rendered_is_shown_as_text(renderer: Renderer) -> None:
    html = renderer.render(b"x <script>alert(1)</script>" + b"[" * 16_000)

    assert NOT_RENDERED in html
    assert "<pre>x &lt;script&gt;alert(1)&lt;/script&gt;[[[" in html
    assert "<script" not in html


def test_a_small_document_that_makes_a_huge_page_is_shown_as_text(renderer: Renderer) -> None:
    """The rows are empty, and each is filled up to the width of the first."""
    columns = 8_000

    html = renderer.render(b"|a" * columns + b"|\n" + b"|-" * columns + b"|\n" + b"|\n" * columns)

    assert NOT_RENDERED in html
    assert len(html) < 100_000


def test_a_child_imports_the_package_that_it_is_of_and_nothing_of_it_by_a_short_name() -> None:
    assert Path(scripthut.__file__).is_relative_to(workshop._ROOT)
    assert not (workshop._ROOT / "core").exists()


def test_the_child_may_take_half_a_gibibyte_and_no_more(own: Own) -> None:
    (pid,) = own[1]()

    limits = Path(f"/proc/{pid}/limits").read_text()

    assert re.search(r"Max address space +536870912 +536870912", limits)


def test_a_long_document_is_cut_and_says_so(renderer: Renderer) -> None:
    html = renderer.render("é".encode() * TEXT)

    assert html.startswith("<p><em>Only the first 1.0 MiB of this document’s 2.0 MiB are shown.")
    assert "\ufffd" not in html, "no character was cut in two"


def test_bytes_that_are_no_text_are_shown_as_such(renderer: Renderer) -> None:
    assert renderer.render(b"caf\xe9 \x00 ok") == "<p>caf\ufffd  ok</p>"


def test_addresses_begin_in_the_documents_folder(renderer: Renderer) -> None:
    assert 'src="\ue000sub/a.png"' in renderer.render(b"![](a.png)", "sub")


@pytest.fixture
def own() -> Iterator[Own]:
    """A renderer, and a way to see the children that it has now."""
    others = set(children())
    workshop = Workshop()
    renderer = Renderer(workshop)
    renderer.render(b"x")
    yield renderer, lambda: [pid for pid in children() if pid not in others], workshop
    workshop.close()


def test_a_child_that_was_killed_is_replaced(own: Own) -> None:
    renderer, its, _ = own
    (pid,) = its()
    os.kill(pid, signal.SIGKILL)

    htmls = [renderer.render(b"**y**") for _ in range(2)]

    assert htmls[1] == "<p><strong>y</strong></p>"
    assert its() != [pid]


def test_one_child_renders_many_documents(own: Own) -> None:
    renderer, its, _ = own
    before = its()
    for n in range(20):
        renderer.render(b"document %d" % n)

    assert its() == before
    assert len(before) == 1
    assert TURNS > 20


def test_a_closed_renderer_leaves_no_child(own: Own) -> None:
    _, its, workshop = own
    assert len(its()) == 1

    workshop.close()

    assert its() == []


def test_the_child_knows_nothing_of_the_server(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("HUT_SECRET", "a secret of the server's")
    own: Own = request.getfixturevalue("own")
    (pid,) = own[1]()

    assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()


def children() -> list[int]:
    """The processes that this one has started and that are not over."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return sorted(int(pid) for pid in listed)


def test_parts_are_rendered_each_for_itself(renderer: Renderer) -> None:
    html = renderer.render(SEPARATOR.join(["<div>*open*", "# Title"]).encode())

    first, second = html.split(SEPARATOR)
    assert "<h1" in second and "<h1" not in first
