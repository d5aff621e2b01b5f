"""Notebooks as their programs write them, and as somebody else might."""

import json
import time

import pytest

from scripthut.core.files.folding import NotJson
from scripthut.core.files.notebook import CELLS, SEPARATOR, Way, image, page, parse, to_render


def made(*cells: object, **metadata: object) -> bytes:
    return json.dumps({"cells": cells, "metadata": metadata}).encode()


def out(**data: object) -> dict[str, object]:
    given = {name.replace("_", "/"): value for name, value in data.items()}
    return {"cell_type": "code", "source": "", "outputs": [{"data": given}]}


def test_a_source_is_text_or_lines() -> None:
    for source in ("a\nb", ["a\n", "b"]):
        assert parse(made({"cell_type": "code", "source": source})).cells[0].source == "a\nb"


def test_markdown_cells_are_rendered_together() -> None:
    data = made(
        {"cell_type": "markdown", "source": "# One"},
        {"cell_type": "code", "source": "1"},
        {"cell_type": "markdown", "source": f"two{SEPARATOR}"},
    )

    assert to_render(data).decode().split(SEPARATOR) == ["# One", "two"]
    assert [cell.part for cell in parse(data).cells] == [0, None, 1]


def test_an_output_is_shown_in_its_richest_safe_form() -> None:
    ways = {
        "table": (out(text_html="<div><table>\n\n<tr></table></div>", text_plain="x"), Way.PART),
        "page": (out(text_html="<table></table><script>1</script>"), Way.HTML),
        "image": (out(image_png="iVBORw==", text_plain="x"), Way.IMAGE),
        "text": (out(text_plain=["a", "b"]), Way.TEXT),
        "svg": (out(**{"image_svg+xml": "<svg>", "text_plain": "x"}), Way.TEXT),
    }

    found = parse(made(*(cell for cell, _ in ways.values())))

    assert [cell.outs[0].way for cell in found.cells] == [way for _, way in ways.values()]
    assert found.parts == ["<table>\n<tr></table>"]


def test_an_error_keeps_its_trace() -> None:
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["a", "b"]}
    short = {"output_type": "error", "ename": "E", "evalue": "v"}

    outs = parse(made({"cell_type": "code", "outputs": [error, short]})).cells[0].outs

    assert [(o.way, o.text) for o in outs] == [(Way.ERROR, "a\nb"), (Way.ERROR, "E: v")]


def test_the_language_is_the_notebooks() -> None:
    assert parse(made(language_info={"file_extension": ".jl"})).suffix == ".jl"
    assert parse(made(language_info={"file_extension": "/../x"})).suffix == ".py"


def test_more_cells_are_counted() -> None:
    found = parse(made(*[{"cell_type": "code"}] * (CELLS + 3)))

    assert (len(found.cells), found.more) == (CELLS, 3)


@pytest.mark.parametrize("ask", [(9, 0), (0, 9), (0, 0)])
def test_what_is_not_there_is_told(ask: tuple[int, int]) -> None:
    for find in (image, page):
        with pytest.raises(LookupError):
            find(made(out(text_plain="x")), *ask)
        with pytest.raises(LookupError):
            find(b"nope", *ask)
    with pytest.raises(LookupError):
        image(made(out(image_png="no base64!")), 0, 0)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b'{"cells": {}}', b"[" * 9999])
def test_what_is_no_notebook_is_told(data: bytes) -> None:
    with pytest.raises(NotJson):
        parse(data)
    assert to_render(data) == b""


ODD = [None, 1, "x", [], {}, [[]], True, [None], {"data": 1}, {"data": {"text/html": 1}}]


def test_no_shape_is_too_odd() -> None:
    for value in ODD:
        cells = [
            value,
            {"cell_type": value, "source": value, "outputs": value, "execution_count": value},
            {"cell_type": "markdown", "source": value},
            {"cell_type": "code", "outputs": [value, {"data": value, "text": value}]},
            {"cell_type": "code", "outputs": [{"output_type": "error", "traceback": value}]},
        ]
        parse(json.dumps({"cells": cells, "metadata": value}).encode())
        parse(json.dumps({"cells": cells, "metadata": {"language_info": value}}).encode())


def test_no_notebook_holds_a_worker() -> None:
    html = "<table" * 200_000 + "\n \n" * 200_000
    start = time.process_time()

    for end in ("", "</table", "</table>"):
        to_render(made(out(text_html=html + end)))

    assert time.process_time() - start < 3
