"""Every file has a page of its own, a piece at a time, whatever is in it."""

import json
import re
import time
from base64 import b64encode
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from scripthut.core.markdown import policy
from scripthut.store.files.kept import Kept
from tests.web.conftest import Hut, Keep

RUN = "abcdefgh"
TASK = f"/runs/{RUN}/tasks/fit"
PANEL = f"{TASK}/detail/outputs"


@pytest.fixture
def write(keep: Keep, hut: Hut) -> Keep:
    hut.run({"fit": "completed", "plot": "completed"}, RUN)
    return keep


def shown(client: FlaskClient, row: int, **wishes: object) -> str:
    """The page, with the tags that only colour taken out."""
    answer = client.get(f"{TASK}/outputs/view/{row}", query_string=wishes)
    assert answer.status_code == 200
    return answer.text


def link(page: str, said: str) -> str:
    """Where a link of the page leads."""
    (found,) = re.findall(rf'<a [^>]*href="([^"]+)"[^>]*>{said}</a>', page)
    return unescape(found)


def cells(page: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(<td.*?)</tr>", page)
    return [re.findall(r'<td(?: class="num")?>(.*?)</td>', row) for row in rows]


CSV = b"name,loss\n" + b"".join(b"run %d,%d.5\n" % (n, 1000 - n) for n in range(1000))


def test_a_table_is_shown_page_by_page(client: FlaskClient, write: Keep) -> None:
    row = write("m.csv", CSV)
    page, seen = shown(client, row), []

    while True:
        seen += cells(page)
        if ">More</a>" not in page:
            break
        page = client.get(link(page, "More")).text

    assert seen == [[f"run {n}", f"{1000 - n}.5"] for n in range(1000)]
    assert '<td class="n">1000</td>' in page
    assert "From the start" in page
    assert ">loss</a></th>" in page


def test_a_table_sorts_and_filters_without_script(client: FlaskClient, write: Keep) -> None:
    row = write("m.csv", CSV)

    by_loss = client.get(link(shown(client, row), "loss")).text
    down = client.get(link(by_loss, "loss")).text
    found = shown(client, row, q="RUN 99", sort=1, order="up")

    assert cells(by_loss)[0] == ["run 999", "1.5"]
    assert 'aria-sort="ascending"' in by_loss
    assert cells(down)[0] == ["run 0", "1000.5"]
    assert [c[0] for c in cells(found)] == [f"run {n}" for n in [*range(999, 989, -1), 99]]
    assert "11 rows found" in found
    assert "1000 rows" in by_loss
    assert cells(client.get(link(by_loss, "More")).text)[0] == ["run 799", "201.5"]


def test_a_sorted_part_says_that_it_is_one(client: FlaskClient, write: Keep) -> None:
    row = write("m.csv", b"a,b\n" + b"1,2\n" * 400_000)

    assert "in the first part of the file" in shown(client, row, sort=0)


def test_json_is_folded_and_leads_on(client: FlaskClient, write: Keep) -> None:
    row = write("c.json", json.dumps({"many": list(range(250)), "x": "<b>"}).encode())
    page = shown(client, row)

    more = client.get(link(page, "150 more")).text

    assert "<details open>" in page
    assert "&#34;&lt;b&gt;&#34;" in page
    assert '<span class="json-number">199</span>' in more
    assert '<span class="json-number">99</span>' not in more
    assert link(more, "Show the whole") == f"{TASK}/outputs/view/{row}"
    assert client.get(f"{TASK}/outputs/view/{row}?place=7").status_code == 404


def test_json_that_is_none_is_text(client: FlaskClient, write: Keep) -> None:
    page = shown(client, write("c.json", b'{"a": NaN,\n oops'))

    assert "This file is not JSON" in page
    assert 'id="L2"' in page


def test_lines_of_json_fold_one_by_one(client: FlaskClient, write: Keep) -> None:
    data = b"".join(b'{"step": %d}\n' % n for n in range(150))
    page = shown(client, write("log.jsonl", data))

    more = client.get(link(page, "More")).text

    assert page.count("<details>") == 100
    assert 'data-n="101"' in more and "step: 100" in more


def test_a_log_has_colours_and_places(client: FlaskClient, write: Keep) -> None:
    data = b"".join(b"\x1b[31mline %d\x1b[0m\n" % n for n in range(1, 2501))
    page = shown(client, write("train.log", data))

    more = client.get(link(page, "More")).text

    assert '<span class="fg1">line 12</span>' in page
    assert '<a class="n" id="L12" href="#L12"' in page
    assert 'id="L1001"' in more and "line 1001<" in more
    assert "style=" not in page


def test_source_is_highlighted(client: FlaskClient, write: Keep) -> None:
    assert '<span class="k">import</span> os' in shown(client, write("a.py", b"import os\n"))


def test_other_bytes_are_shown_as_they_are(client: FlaskClient, write: Keep) -> None:
    row = write("w.bin", bytes(range(256)) * 40)
    page = shown(client, row)

    more = client.get(link(page, "More")).text

    assert "ABCDEFGHIJKLMNO" in page
    assert 'data-n="00001000"' in more
    assert link(more, "From the start")


def test_any_file_can_be_seen_as_text_and_as_bytes(client: FlaskClient, write: Keep) -> None:
    row = write("m.csv", b"a,b\n1,2\n")
    page = shown(client, row)

    assert '<pre class="lines"' in client.get(link(page, "as text")).text
    assert "61 2c 62 0a" in client.get(link(page, "as bytes")).text


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("p.png", '<img src="{url}"'),
        ("p.svg", '<img src="{url}"'),
        ("a.wav", '<audio controls preload="metadata" src="{url}"'),
        ("v.mp4", '<video controls preload="metadata" src="{url}"'),
    ],
)
def test_what_a_browser_shows_itself(
    client: FlaskClient, write: Keep, name: str, element: str
) -> None:
    page = shown(client, write(name))

    assert element.format(url=f"{TASK}/outputs/file/{name}") in page


def test_a_document_is_rendered(client: FlaskClient, write: Keep) -> None:
    page = shown(client, write("notes.md", b"# Title"))

    assert '<hut-html class="markdown"' in page
    assert "&lt;h1" in page


def test_a_page_leads_to_the_files_beside_it(client: FlaskClient, write: Keep) -> None:
    first, second, third = (write(name) for name in ("a.txt", "b.txt", "c.txt"))
    write("elsewhere.txt", key="plot")
    page = shown(client, second)

    assert link(page, "← Previous") == f"{TASK}/outputs/view/{first}"
    assert link(page, "Next →") == f"{TASK}/outputs/view/{third}"
    assert "2 of 3" in page
    assert f'href="{TASK}/outputs/file/b.txt?download=1"' in page


def test_the_panel_takes_a_file_without_the_page_around_it(
    client: FlaskClient, write: Keep
) -> None:
    row = write("a.txt", b"hello")
    asks = {"HX-Request": "true", "HX-Target": "section#panel"}

    page = client.get(f"{TASK}/outputs/view/{row}", headers=asks).text

    assert page.lstrip().startswith('<div class="panel">')
    assert "hello" in page and "<html" not in page


def test_a_file_that_was_left_out_has_a_page_that_says_why(
    client: FlaskClient, write: Keep
) -> None:
    page = shown(client, write("huge.h5", b"x" * 10, note="is larger than the limit"))

    assert "The server does not have this file: it is larger than the limit." in page
    assert "Download" not in page


def test_only_this_tasks_files_have_pages_here(client: FlaskClient, write: Keep, hut: Hut) -> None:
    other, own = write("x.txt", key="plot"), write("y.txt")

    assert client.get(f"{TASK}/outputs/view/{other}").status_code == 404
    hut.change(RUN, "fit", attempt=2)
    page = shown(client, own)  # its address is for good
    assert "Written by attempt 1; the task is at its attempt 2." in page
    url = link(page, "Download").removesuffix("?download=1")
    assert url == f"{TASK}/attempts/1/outputs/file/y.txt"
    assert client.get(url).data == b"data"
    assert client.get(f"{TASK}/outputs/file/y.txt").status_code == 404


def test_bytes_that_are_gone_are_told(client: FlaskClient, write: Keep, app: Flask) -> None:
    row, kept = write("x.txt", b"gone"), app.extensions["kept"]
    assert isinstance(kept, Kept)
    kept.path(kept.put(b"gone")).unlink()

    assert client.get(f"{TASK}/outputs/view/{row}").status_code == 404
    assert client.get(PANEL).status_code == 200


WISHES = [
    {"at": "9" * 30},
    {"at": "-1"},
    {"at": "x", "n": "y"},
    {"n": "9" * 5000},
    {"sort": "99999", "page": "9" * 20},
    {"sort": "-1"},
    {"place": ".".join("0" * 3000)},
    {"place": "9" * 6000},
    {"from": "9" * 40},
    {"as": "<script>"},
    {"as": "hex", "at": "3"},
    {"q": "<script>alert(1)</script>"},
]


@pytest.mark.parametrize("wishes", WISHES, ids=str)
@pytest.mark.parametrize(
    "name", ["a.csv", "a.json", "a.jsonl", "a.txt", "a.bin", "a.html", "a.pdf"]
)
def test_no_wish_is_too_odd(
    client: FlaskClient, write: Keep, name: str, wishes: dict[str, str]
) -> None:
    row = write(name, b'[1, "a"]\n{"b": 2}\n')

    answer = client.get(f"{TASK}/outputs/view/{row}", query_string=wishes)

    assert answer.status_code in (200, 404)
    assert "<script>alert" not in answer.text and "<script>&" not in answer.text


NAMES = ["x.csv", "x.tsv", "x.json", "x.jsonl", "x.log", "x.py", "x.ipynb", "x.bin", "x.html", "x"]
MiB = 1024 * 1024
HOSTILE = {
    "escapes": b"\x1b[31m<" * MiB,
    "markup": b"<script>&\"'" * (MiB // 2),
    "brackets": b"[" * (5 * MiB),
    "quotes": b'"' * (5 * MiB),
    "commas": b"," * (5 * MiB),
    "values": b"[" + b"[1],\n" * MiB + b"0]",
    "bytes": bytes(range(256)) * (20 * 1024),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE)
def test_no_file_holds_a_worker(client: FlaskClient, write: Keep, case: str) -> None:
    for name in NAMES:
        row = write(name, HOSTILE[case])
        for wishes in ({}, {"sort": 0}, {"q": "1"}, {"as": "lines"}, {"at": 12345}):
            start = time.process_time()
            page = shown(client, row, **wishes)
            assert time.process_time() - start < 3, (name, wishes)
            assert len(page) < 12 * MiB
            assert "<script>&\"'" not in page


def test_the_panel_shows_how_small_files_begin(client: FlaskClient, write: Keep) -> None:
    row = write("m.csv", CSV)
    write("note.txt", b"".join(b"line %d\n" % n for n in range(50)))
    write("w.bin", b"\0" * 100)

    page = client.get(PANEL).text

    assert [c[0] for c in cells(page)] == [f"run {n}" for n in range(12)]
    assert "line 11" in page and "line 12" not in page
    assert page.count("Open the whole file") == 2
    assert 'id="L1"' not in page
    assert f'href="{TASK}/outputs/view/{row}"' in page
    assert re.search(r'<a class="path" [^>]*>w.bin</a>', page)


def test_several_images_are_a_gallery(client: FlaskClient, write: Keep) -> None:
    rows = [write(f"{n}.png") for n in range(3)]

    page = client.get(PANEL).text

    assert 'class="gallery"' in page
    assert page.count('loading="lazy"') == 3
    assert all(f'href="{TASK}/outputs/view/{row}"' in page for row in rows)


def notebook(*cells: dict[str, object]) -> bytes:
    return json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}).encode()


def code(*outs: dict[str, object], source: str = "import os") -> dict[str, object]:
    outputs = [{"output_type": "display_data", "data": out} for out in outs]
    return {"cell_type": "code", "execution_count": 7, "source": source, "outputs": outputs}


PNG = b"\x89PNG\r\n\x1a\n"


def test_a_notebook_is_read_like_a_page(client: FlaskClient, write: Keep) -> None:
    cells = (
        {"cell_type": "markdown", "source": ["# Title\n", "\n", "*text*"]},
        code({"image/png": b64encode(PNG).decode()}, {"text/plain": "\x1b[31mred"}),
        code({"text/html": "<table><tr><td onclick=x>42</td></tr></table>"}),
        code({"text/html": "<script>1</script>"}),
    )
    row = write("n.ipynb", notebook(*cells))
    page = shown(client, row)
    title, table = (unescape(found) for found in re.findall(r'data-html="([^"]*)"', page))

    assert "<h1" in title and "<em>text</em>" in title
    assert "<td>42</td>" in table
    assert '<span class="k">import</span>' in page and "[7]" in page
    assert '<span class="fg1">red</span>' in page
    (image,) = re.findall(r'<img src="([^"]+)" alt="Output of cell 2"', page)
    answer = client.get(image)
    assert (answer.data, answer.content_type) == (PNG, "image/png")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    (frame,) = re.findall(r'<iframe [^>]*sandbox="allow-scripts"[^>]* src="([^"]+)"', page)
    assert client.get(frame).text == "<script>1</script>"
    assert client.get(frame).headers["Content-Security-Policy"].startswith("sandbox allow-scripts;")
    assert client.get(frame[:-1] + "9").status_code == 404
    assert client.get(frame.replace("/3/0", "/2/0")).status_code == 404
    assert client.get(image[:-3] + "3/0").status_code == 404


def test_a_cell_that_is_not_rendered_is_its_text(
    client: FlaskClient, write: Keep, app: Flask
) -> None:
    data = notebook({"cell_type": "markdown", "source": "<b>*raw*"}, code(source="1"))
    row, kept = write("n.ipynb", data), app.extensions["kept"]
    kept.path(policy.key(kept.put(data), "")).unlink()

    assert "<pre>&lt;b&gt;*raw*</pre>" in shown(client, row)


def test_what_is_no_notebook_is_text(client: FlaskClient, write: Keep) -> None:
    assert "has no cells" in shown(client, write("n.ipynb", b"{}"))
    assert "is not JSON" in shown(client, write("m.ipynb", b"hi"))
