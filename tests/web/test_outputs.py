"""What tasks wrote reaches the page, and does nothing there but show."""

import json
import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from scripthut.core.jobs import Area
from scripthut.core.markdown import policy
from scripthut.store.files.kept import Kept
from scripthut.store.models import Output, WatchRow
from tests.web.conftest import Hut, Keep

PATHS = json.loads(
    (Path(__file__).parents[1] / "payloads" / "paths.json").read_text(encoding="utf-8")
)
RUN = "abcdefgh"
FILES = f"/runs/{RUN}/tasks/fit/outputs/file/"
PANEL = f"/runs/{RUN}/tasks/fit/detail/outputs"
SUMMARY = f"/runs/{RUN}/summary"
JSON = {"Accept": "application/json"}
Write = Keep


@pytest.fixture
def kept(app: Flask) -> Kept:
    found: Kept = app.extensions["kept"]
    return found


@pytest.fixture
def write(hut: Hut, keep: Keep) -> Write:
    """Write a file as the engine would have collected it; the row's id is the answer."""
    hut.run({"fit": "running", "plot": "running", "late": "pending"}, RUN)

    return keep


def fragment(write: Write, key: str, text: str) -> int:
    return write(f"{key}.md", text.encode(), key, area=Area.FRAGMENT)


def shown(page: str) -> list[str]:
    """The HTML that hut-html elements would show."""
    return [unescape(found) for found in re.findall(r'data-html="([^"]*)"', page)]


def test_a_kept_file_is_served(client: FlaskClient, write: Write) -> None:
    row = write("plots/loss.png", b"\x89PNG data")

    for url in (f"{FILES}plots/loss.png", f"/runs/{RUN}/tasks/fit/outputs/id/{row}"):
        got = client.get(url)
        assert (got.status_code, got.data, got.mimetype) == (200, b"\x89PNG data", "image/png")


def test_a_file_is_shut_in_when_it_is_opened(client: FlaskClient, write: Write) -> None:
    write("x.png")

    headers = client.get(f"{FILES}x.png").headers

    assert headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "private" in headers["Cache-Control"]
    assert "Set-Cookie" not in headers
    assert "Last-Modified" not in headers


TYPES = {
    "plot.png": ("image/png", "inline"),
    "PLOT.JPG": ("image/jpeg", "inline"),
    "x.txt": ("text/plain; charset=utf-8", "inline"),
    "x.md": ("text/plain; charset=utf-8", "inline"),
    "x.csv": ("text/csv; charset=utf-8", "inline"),
    "x.json": ("application/json", "inline"),
    "x.js": ("text/plain; charset=utf-8", "inline"),
    "x.mjs": ("text/plain; charset=utf-8", "inline"),
    "x.css": ("text/plain; charset=utf-8", "inline"),
    "x.wasm": ("application/octet-stream", "attachment"),
    "x.svg": ("image/svg+xml", "attachment"),
    "X.SVG": ("image/svg+xml", "attachment"),
    "x.svgz": ("application/octet-stream", "attachment"),
    "x.html": ("text/html; charset=utf-8", "attachment"),
    "x.png.html": ("text/html; charset=utf-8", "attachment"),
    "x.xhtml": ("application/xhtml+xml", "attachment"),
    "x.xml": ("application/xml", "attachment"),
    "x.xsl": ("application/octet-stream", "attachment"),
    "x.pdf": ("application/pdf", "attachment"),
    "x.swf": ("application/octet-stream", "attachment"),
    "README": ("application/octet-stream", "attachment"),
}


@pytest.mark.parametrize("name", TYPES)
def test_nothing_that_could_run_is_opened(client: FlaskClient, write: Write, name: str) -> None:
    write(name, b"<script>alert(1)</script>")

    headers = client.get(FILES + name).headers

    expected, disposition = TYPES[name]
    assert headers["Content-Type"] == expected
    assert headers["Content-Disposition"].split(";")[0] == disposition


@pytest.mark.parametrize("dest", ["script", "style", "worker", "sharedworker", "serviceworker"])
def test_no_page_can_run_a_file(client: FlaskClient, write: Write, dest: str) -> None:
    row = write("x.js", b"alert(1)")

    for url in (f"{FILES}x.js", f"/runs/{RUN}/tasks/fit/outputs/id/{row}"):
        assert client.get(url, headers={"Sec-Fetch-Dest": dest}).status_code == 404
        assert client.get(url, headers={"Sec-Fetch-Dest": "image"}).status_code == 200


def test_a_file_is_a_download_when_asked_for_so(client: FlaskClient, write: Write) -> None:
    write("größe.png")

    said = client.get(f"{FILES}größe.png?download=1").headers["Content-Disposition"]

    assert said.startswith("attachment; ")
    assert "filename*=UTF-8''gr%C3%B6%C3%9Fe.png" in said


@pytest.mark.parametrize("name", [b'a";x=y.png', b"a\r\nSet-Cookie: x.png", b"caf\xe9.png", b"\\"])
def test_an_odd_name_cannot_break_a_header(client: FlaskClient, write: Write, name: bytes) -> None:
    row = write(name)

    got = client.get(f"/runs/{RUN}/tasks/fit/outputs/id/{row}?download=1")

    assert got.status_code == 200
    assert "Set-Cookie" not in got.headers
    assert len(got.headers.getlist("Content-Disposition")) == 1


def test_what_the_browser_has_is_not_sent_again(client: FlaskClient, write: Write) -> None:
    write("x.png", b"first")
    etag = client.get(f"{FILES}x.png").headers["ETag"]
    assert not etag.startswith("W/")
    assert client.get(f"{FILES}x.png", headers={"If-None-Match": etag}).status_code == 304

    write("x.png", b"second")

    again = client.get(f"{FILES}x.png", headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (200, b"second")


def test_a_part_of_a_file_is_served(client: FlaskClient, write: Write) -> None:
    write("x.bin", b"0123456789")
    url = f"{FILES}x.bin"
    etag = client.get(url).headers["ETag"]

    part = client.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.data) == (206, b"234")
    assert part.headers["Content-Range"] == "bytes 2-4/10"
    assert client.get(url, headers={"Range": "bytes=-3"}).data == b"789"
    assert client.get(url, headers={"Range": "bytes=20-"}).status_code == 416
    same = {"Range": "bytes=2-4", "If-Range": etag}
    other = {"Range": "bytes=2-4", "If-Range": '"other"'}
    assert client.get(url, headers=same).status_code == 206
    assert client.get(url, headers=other).data == b"0123456789"


def test_the_head_of_a_file_says_its_size(client: FlaskClient, write: Write) -> None:
    write("x.bin", b"0123456789")

    got = client.head(f"{FILES}x.bin")

    assert (got.status_code, got.data, got.headers["Content-Length"]) == (200, b"", "10")


def test_a_file_that_is_not_kept_is_not_there(client: FlaskClient, write: Write) -> None:
    row = write("huge.bin", note="is too large")

    assert client.get(f"{FILES}huge.bin").status_code == 404
    assert client.get(f"/runs/{RUN}/tasks/fit/outputs/id/{row}").status_code == 404


def test_a_kept_file_that_was_deleted_is_not_there(
    client: FlaskClient, write: Write, kept: Kept
) -> None:
    write("x.bin", b"gone")
    kept.path(kept.put(b"gone")).unlink()

    assert client.get(f"{FILES}x.bin").status_code == 404


def test_a_fragment_is_no_output(client: FlaskClient, write: Write) -> None:
    row = fragment(write, "fit", "text")

    assert client.get(f"{FILES}fit.md").status_code == 404
    assert client.get(f"/runs/{RUN}/tasks/fit/outputs/id/{row}").status_code == 404


def test_another_tasks_file_is_not_there(client: FlaskClient, write: Write) -> None:
    row = write("x.png", key="plot")

    assert client.get(f"{FILES}x.png").status_code == 404
    assert client.get(f"/runs/{RUN}/tasks/fit/outputs/id/{row}").status_code == 404
    assert client.get(f"/runs/otherrun/tasks/fit/outputs/id/{row}").status_code == 404


def test_an_earlier_attempts_file_is_not_there(client: FlaskClient, write: Write, hut: Hut) -> None:
    write("x.png")
    hut.change(RUN, "fit", attempt=2)

    assert client.get(f"{FILES}x.png").status_code == 404


def literal(payload: str) -> bytes:
    """The name that an address means."""
    return unquote_to_bytes(payload.partition("?")[0].partition("#")[0])


def can_be_listed(raw: bytes) -> bool:
    parts = raw.split(b"/")
    return b"\0" not in raw and not {b"", b".", b".."} & set(parts)


ASKED = [case for case in PATHS if case["payload"] and case["class"] != "listing"]


def test_what_is_not_listed_is_not_there_however_it_is_spelt(
    client: FlaskClient, write: Write
) -> None:
    write("unrelated.png", b"INSIDE")
    addresses = f"{FILES}no-such-file", "/no/such/page"
    nothing = {without_nonce(client.get(address).data) for address in addresses}

    answers = {case["name"]: client.get(FILES + case["payload"]) for case in ASKED}

    assert {name: got.status_code for name, got in answers.items() if got.status_code != 404} == {}
    assert [name for name, got in answers.items() if without_nonce(got.data) not in nothing] == []


def without_nonce(page: bytes) -> bytes:
    return re.sub(rb'(nonce|data-now)="[^"]*"', b"", page)


NAMED = [case for case in ASKED if can_be_listed(literal(case["payload"]))]


def test_a_listed_file_is_served_whatever_its_name(client: FlaskClient, write: Write) -> None:
    rows = {literal(case["payload"]): case["name"] for case in NAMED}
    for raw, name in rows.items():
        write(raw, name.encode())

    listed = client.get(PANEL, headers=JSON).get_json()["files"]

    served = {client.get(file["url"]).data.decode() for file in listed}
    assert served == set(rows.values())
    for case in NAMED:
        direct = client.get(FILES + case["payload"])
        wanted = rows[literal(case["payload"])].encode()
        assert direct.status_code == 404 or direct.data == wanted, case["name"]


def test_no_name_in_the_database_leads_out_of_what_is_kept(
    client: FlaskClient, write: Write, hut: Hut
) -> None:
    row = write("x.txt")
    with hut.database.writing() as session:
        for found in session.query(Output):
            found.sha256 = "../" * 18 + "etc/passwd"  # as long as a name

    assert client.get(f"/runs/{RUN}/tasks/fit/outputs/id/{row}").status_code == 404


def test_the_summary_stands_first_and_markdown_is_rendered(
    client: FlaskClient, write: Write
) -> None:
    write("a.md", b"# A")
    summary = write("task-summary.md", b"![loss](plots/loss.png) [top](#x)\n\n# x")

    page = client.get(PANEL).text

    first, second = shown(page)
    assert f'src="{FILES}plots/loss.png"' in first
    assert f'id="user-content-{summary}-x"' in first
    assert f'href="#user-content-{summary}-x"' in first
    assert "<h1" in second
    assert policy.BASE not in page
    assert policy.ANCHOR not in page


def test_users_html_never_stands_as_markup(client: FlaskClient, write: Write, kept: Kept) -> None:
    """Not even if the sanitiser let everything through."""
    evil = b'"><script>alert(1)</script><img src=x onerror=alert(1)><b hx-post="/x">'
    write("task-summary.md", b"x")
    fragment(write, "fit", "x")
    kept.put_as(policy.key(kept.put(b"x"), ""), evil)
    write("<script>alert(2)<script>.png")

    for url in (PANEL, SUMMARY):
        page = client.get(url).text
        assert "<script" not in page
        assert "onerror=alert(1)>" not in page
        assert not re.search(r"<b\b[^>]*hx-post", page)
        assert any("<script>alert(1)</script>" in html for html in shown(page))


def test_images_are_shown_lazily_and_others_are_links(client: FlaskClient, write: Write) -> None:
    write("plot.svg", b"<svg/>")
    row = write("data.bin", b"\0" * 2048)
    write("my table.csv", b"1,2")

    page = client.get(PANEL).text

    assert re.search(rf'<img src="{FILES}plot.svg" alt="plot.svg" loading="lazy"', page)
    assert f'href="/runs/{RUN}/tasks/fit/outputs/view/{row}">data.bin</a>' in page
    assert f'<a href="{FILES}data.bin?download=1" download>' in page
    assert f'<a href="{FILES}my%20table.csv?download=1" download>' in page
    assert "2.0 KiB" in page


def test_what_was_left_out_is_said(client: FlaskClient, write: Write, hut: Hut) -> None:
    write("huge.bin", b"x" * 3000, note="is larger than the limit of 5.0 MiB a file")
    hut.change(RUN, "fit", outputs_more=9000, outputs_problem="The disk is full: free some.")

    page = client.get(PANEL).text

    assert "huge.bin" in page
    assert "is larger than the limit of 5.0 MiB a file" in page
    assert "9000 more files" in page
    assert "The disk is full: free some." in page
    assert f'href="{FILES}huge.bin"' not in page


def test_html_of_an_older_renderer_is_not_shown(
    client: FlaskClient, write: Write, kept: Kept, hut: Hut
) -> None:
    write("a.md", b"# A")
    with hut.database.writing() as session:
        for row in session.query(Output):
            row.html = kept.put(b"<p>made by an older one</p>")

    page = client.get(PANEL).text

    assert shown(page) == []
    assert "a.md" in page


def test_a_page_too_long_shows_links_instead(client: FlaskClient, write: Write) -> None:
    for n in range(7):
        write(f"{n}.md", b"word " * 200_000 + b"%d" % n)

    page = client.get(PANEL).text

    assert 4 <= len(shown(page)) < 7
    assert f'href="{FILES}6.md?download=1"' in page


def test_an_empty_panel_says_what_to_do(client: FlaskClient, write: Write) -> None:
    assert "$SCRIPTHUT_OUTPUT_DIR" in client.get(PANEL).text


def test_an_open_panel_asks_again_until_all_is_collected(
    client: FlaskClient, write: Write, hut: Hut
) -> None:
    write("a.txt")
    assert 'hx-trigger="every' in client.get(PANEL).text

    hut.end(RUN)

    assert "hx-trigger" not in client.get(PANEL).text


def test_a_look_at_outputs_is_noted_while_the_task_lives(
    client: FlaskClient, write: Write, hut: Hut
) -> None:
    def looks() -> list[tuple[int, str]]:
        with hut.database.reading() as session:
            return [(row.task_id, row.what) for row in session.query(WatchRow)]

    client.get(PANEL)
    assert looks() == [(hut.task_id(RUN, "fit"), "outputs")]

    with hut.database.writing() as session:
        session.query(WatchRow).delete()
    hut.end(RUN)
    client.get(PANEL)
    assert looks() == []


@pytest.mark.parametrize("url", [PANEL, SUMMARY])
def test_a_fragment_that_did_not_change_is_not_sent_again(
    client: FlaskClient, write: Write, url: str
) -> None:
    fragment(write, "fit", "one")
    write("a.md", b"one")
    etag = client.get(url).headers["ETag"]

    assert client.get(url, headers={"If-None-Match": etag}).status_code == 304
    as_json = client.get(url, headers={"If-None-Match": etag, **JSON})
    assert as_json.status_code == 200

    fragment(write, "fit", "two")
    assert client.get(url, headers={"If-None-Match": etag}).status_code == 200


def test_the_run_summary_joins_the_parts_in_the_order_of_submission(
    client: FlaskClient, write: Write, hut: Hut
) -> None:
    late = hut.task_id(RUN, "late")
    fragment(write, "plot", "- **plot**: ![](p.png)")
    fragment(write, "fit", "- **fit**: done")
    fragment(write, "late", "- later")
    hut.change(RUN, "late", submitted_at=None)
    assert late

    page = client.get(SUMMARY).text

    parts = shown(page)
    assert "fit" in parts[-2]
    assert "plot" in parts[-1]
    assert f'src="/runs/{RUN}/tasks/plot/outputs/file/p.png"' in parts[-1]


def test_the_run_summary_skips_what_is_blank(client: FlaskClient, write: Write) -> None:
    fragment(write, "fit", "\n\n")
    fragment(write, "plot", "")

    page = client.get(SUMMARY).text

    assert shown(page) == []
    assert "$SCRIPTHUT_RUN_SUMMARY" in page


def test_a_part_that_is_not_kept_is_named_with_the_reason(
    client: FlaskClient, write: Write
) -> None:
    write("fit.md", b"x" * 10, note="is larger than the limit", area=Area.FRAGMENT)

    assert "is larger than the limit" in client.get(SUMMARY).text


def test_the_run_summary_as_json(client: FlaskClient, write: Write) -> None:
    fragment(write, "fit", "**done**")

    expected = {
        "task_id": "fit",
        "task_name": "fit",
        "markdown": "**done**",
        "html": "<p><strong>done</strong></p>",
    }
    for answer in (
        client.get(SUMMARY, headers=JSON).get_json(),
        client.get(f"/api/v1{SUMMARY}").get_json(),
    ):
        assert answer["run_id"] == RUN
        (section,) = answer["sections"]
        assert expected.items() <= section.items()


def test_the_outputs_as_json(client: FlaskClient, write: Write, kept: Kept) -> None:
    write("b.png", b"bb")
    write("a.bin", b"xxx", note="is too large")

    for answer in (
        client.get(PANEL, headers=JSON).get_json(),
        client.get(f"/api/v1/runs/{RUN}/tasks/fit/outputs").get_json(),
    ):
        assert (answer["task_id"], answer["truncated"]) == ("fit", False)
        too_large, image = answer["files"]
        assert too_large == {
            "id": too_large["id"],
            "page": f"/runs/{RUN}/tasks/fit/outputs/view/{too_large['id']}",
            "within_reach": True,
            "fetch": None,
            "was_sha256": None,
            "path": "a.bin",
            "size": 3,
            "kind": "other",
            "sha256": None,
            "url": None,
            "note": "is too large",
        }
        assert image == {
            "id": image["id"],
            "page": f"/runs/{RUN}/tasks/fit/outputs/view/{image['id']}",
            "within_reach": False,
            "fetch": None,
            "was_sha256": None,
            "path": "b.png",
            "size": 2,
            "kind": "image",
            "sha256": kept.put(b"bb"),
            "url": f"{FILES}b.png",
            "note": None,
        }


def test_the_outputs_of_a_run_are_those_of_its_tasks_and_few_questions(
    client: FlaskClient, write: Write, hut: Hut
) -> None:
    def asked() -> int:
        said: list[str] = []
        listener = lambda *words: said.append(words[2])  # noqa: E731
        event.listen(hut.database.engine, "before_cursor_execute", listener)
        listed = client.get(f"/api/v1/runs/{RUN}/outputs").get_json()["tasks"]
        event.remove(hut.database.engine, "before_cursor_execute", listener)
        one_by_one = [
            client.get(f"/api/v1/runs/{RUN}/tasks/{task['task_id']}/outputs").get_json()
            for task in listed
        ]
        assert listed == one_by_one
        tasks.append([task["task_id"] for task in listed])
        return len(said)

    tasks: list[list[str]] = []
    write("z.bin", b"xxx", "plot", note="is too large")
    few = asked()
    for key in ("late", "fit"):
        write("b.png", b"bb", key)
        write("task-summary.md", b"# Of it", key)
        write("part.md", b"a part", key, area=Area.FRAGMENT)

    assert (asked(), tasks) == (few, [["plot"], ["fit", "plot", "late"]])


def test_addresses_follow_the_place_the_site_is_mounted_at(app: Flask, write: Write) -> None:
    write("task-summary.md", b"![](plot.png)")
    client = app.test_client()

    page = client.get(PANEL, environ_overrides={"SCRIPT_NAME": "/hut"}).text

    assert f'src="/hut{FILES}plot.png"' in shown(page)[0]


@pytest.mark.parametrize("url", [PANEL, SUMMARY, f"{FILES}x.png"])
@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nothing_here_can_be_changed(
    client: FlaskClient, write: Write, url: str, method: str
) -> None:
    write("x.png")

    got = getattr(client, method)(url, headers={"Sec-Fetch-Site": "same-origin"})

    assert got.status_code == 405


@pytest.mark.parametrize("url", [PANEL.replace("fit", "nobody"), "/runs/nosuchid/summary"])
def test_what_does_not_exist_is_a_sentence(client: FlaskClient, write: Write, url: str) -> None:
    got = client.get(url)

    assert got.status_code == 404
    assert "There is no run" in got.text or "has no task" in got.text
