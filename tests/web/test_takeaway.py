"""A zip of what was written, and a run as one page that needs nothing else."""

import hashlib
import io
import json
import re
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from scripthut.core.jobs import Area
from scripthut.core.markdown import policy
from scripthut.core.markdown.render import render
from scripthut.store.files.kept import Kept
from scripthut.store.models import Output
from scripthut.store.outputs import folder_of, kind_of, shown_path
from scripthut.web.takeaway import reports
from tests.web.conftest import Hut

RUN = "abcdefgh"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360"
    "f8cf500f0003860180a0b2b7f20000000049454e44ae426082"
)
CASES = json.loads((Path(__file__).parents[1] / "payloads" / "markdown.json").read_text())
Write = Callable[..., None]


@pytest.fixture
def write(app: Flask, hut: Hut) -> Write:
    """Keep a file of a task as the engine does; `html` instead of what Markdown is rendered to."""
    kept: Kept = app.extensions["kept"]

    def keep(
        key: str,
        raw: bytes,
        data: bytes | None = b"x",
        area: Area = Area.OUTPUT,
        html: str | None = None,
        note: str | None = None,
    ) -> None:
        sha = None if data is None else kept.put(data)
        kind, folder, name = kind_of(area, raw), folder_of(area, raw), None
        if kind == "markdown" and sha is not None and data is not None:
            name = policy.key(sha, folder)
            made = render(data.decode(), folder) if html is None else html
            kept.put_as(name, made.encode())
        task_id = hut.task_id(RUN, key)
        facts = {"task_id": task_id, "area": area, "raw": raw, "path": shown_path(raw)}
        size = 9_000_000 if data is None else len(data)
        hut.add(
            Output(**facts, size=size, mtime_ns=10**18, kind=kind, sha256=sha, html=name, note=note)
        )
        hut.change(RUN, key, has_outputs=True)

    return keep


def unzipped(data: bytes) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    return archive


def test_a_runs_zip_keeps_the_tree_and_can_be_checked(client, hut, write, tmp_path):
    hut.run({"fit": "completed", "plot.1": "failed"}, RUN, "my study/2")
    write("fit", b"task-summary.md", b"# Hi")
    write("fit", b"deep/er/values.csv", b"a,b\n" * 100_000)
    write("fit", b"big.bin", None, note="is larger than the limit of 5.0 MiB a file")
    write("plot.1", b"plot.png", PNG)
    write("plot.1", b"plot.1.md", b"part", Area.FRAGMENT)
    answer = client.get(f"/runs/{RUN}/outputs.zip")
    assert answer.mimetype == "application/zip"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="my study_2-{RUN}.zip"'
    assert "Content-Length" not in answer.headers  # it is made while it is sent
    archive = unzipped(answer.data)
    assert archive.namelist() == [
        "fit/deep/er/values.csv",
        "fit/task-summary.md",
        "_run/plot.1.md",
        "plot.1/plot.png",
        "MANIFEST.txt",
    ]
    assert len(answer.data) < 10_000
    archive.extractall(tmp_path)
    checked = subprocess.run(
        ["sha256sum", "-c", "MANIFEST.txt"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.count(": OK") == 4
    manifest = (tmp_path / "MANIFEST.txt").read_text()
    assert "fit/big.bin (9000000 bytes): it is larger than the limit of 5.0 MiB a file" in manifest


def test_a_tasks_zip_has_its_files_alone(client, hut, write):
    hut.run({"fit": "completed", "plot": "completed"}, RUN)
    write("fit", b"a.txt")
    write("plot", b"b.txt")
    archive = unzipped(client.get(f"/runs/{RUN}/tasks/fit/outputs.zip").data)
    assert archive.namelist() == ["fit/a.txt", "MANIFEST.txt"]
    assert client.get(f"/runs/{RUN}/tasks/nope/outputs.zip").status_code == 404


def test_odd_names_can_be_unpacked_everywhere(client, hut, write):
    hut.run({"fit": "completed"}, RUN)
    names = (b"CON.txt", b"a:b", b"caf\xe9", b"x\\..\\y", b"end.", b"A", b"a", b"new\nline", b"-rf")
    for raw in names:
        write("fit", raw)
    archive = unzipped(client.get(f"/runs/{RUN}/outputs.zip").data)
    given = archive.namelist()
    assert len({name.lower() for name in given}) == len(names) + 1
    for name in given:
        assert not re.search(r'[<>:"|?*\\\x00-\x1f]|(^|/)\.\.?(/|$)|[. ]$', name), name
    assert "fit/_CON.txt" in given
    assert "#   fit/a_b was fit/a:b" in archive.read("MANIFEST.txt").decode()


def test_what_went_away_meanwhile_is_named(client, hut, write, app):
    hut.run({"fit": "completed"}, RUN)
    write("fit", b"a.txt", b"there")
    write("fit", b"b.txt", b"gone")
    app.extensions["kept"].path(hashlib.sha256(b"gone").hexdigest()).unlink()
    archive = unzipped(client.get(f"/runs/{RUN}/outputs.zip").data)
    assert archive.namelist() == ["fit/a.txt", "MANIFEST.txt"]
    assert (
        "fit/b.txt (4 bytes): it is not on the server any more"
        in archive.read("MANIFEST.txt").decode()
    )


def test_a_missing_run_is_a_sentence_in_json_below_api(client, hut):
    for what in ("report", "outputs.zip"):
        answer = client.get(f"/api/v1/runs/nosuchrn/{what}")
        assert answer.status_code == 404
        assert "There is no run nosuchrn" in answer.json["error"]


def filled(hut: Hut, write: Write, app: Flask) -> None:
    hut.run({"fit": "completed", "plot": "failed", "quiet": "completed"}, RUN)
    write("fit", b"fit.md", b"Both **fits** ![](plot.svg) [data](v.csv)", Area.FRAGMENT)
    write(
        "fit",
        b"task-summary.md",
        b"| n |\n|--|\n| 42 |\n\n![p](plot.svg) [v](v.csv) [out](https://x.org/)",
    )
    write("fit", b"plot.svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>")
    write("fit", b"v.csv", b"a,b\n1,<2>\n")
    write("plot", b"huge.bin", None, note="is larger than the limit of 5.0 MiB a file")
    write("plot", b"extra.png", PNG)
    app.extensions["kept"].append_log(f"{RUN}.1.1", "error", 0, b"KeyError: <k>\n")


def test_the_report_holds_everything_and_refers_to_nothing(client, hut, write, app):
    filled(hut, write, app)
    answer = client.get(f"/runs/{RUN}/report")
    page = answer.text
    for words in (
        "<strong>fits</strong>",
        "<td>42</td>",
        "a,b\n1,&lt;2&gt;",
        "KeyError: &lt;k&gt;",
        "is larger than the limit of 5.0 MiB a file",
        hashlib.sha256(PNG).hexdigest(),
        'src="data:image/png;base64,',
        'src="data:image/svg+xml;base64,',
        'href="https://x.org/"',
        'id="task-plot"',
    ):
        assert words in page, words
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors <= set(re.findall(r'\bid="([^"]+)"', page))
    addresses = re.findall(r'(?:src|href)="([^"#][^"]*)"', page)
    assert {a.partition(":")[0] for a in addresses} == {"data", "https"}
    assert not re.findall(r'url\("(?!data:)', page)
    assert "<script" not in page
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    assert (
        "attachment" in client.get(f"/runs/{RUN}/report?download=1").headers["Content-Disposition"]
    )


def test_what_has_no_room_in_the_report_is_named(client, hut, write, app, monkeypatch):
    monkeypatch.setattr(reports, "IMAGE", 10)
    monkeypatch.setattr(reports, "TEXT", 3)
    filled(hut, write, app)
    page = client.get(f"/runs/{RUN}/report").text
    assert "data:image/png" not in page
    assert "[p: not in this report]" in page
    assert page.count("is not in this report") == 3


@pytest.mark.browser
def test_the_report_opens_from_a_file_with_the_network_off(
    client, hut, write, app, browser, tmp_path
):
    filled(hut, write, app)
    file = tmp_path / "run.html"
    file.write_bytes(client.get(f"/runs/{RUN}/report").data)
    context = browser.new_context(offline=True)
    page = context.new_page()
    complaints, asked = [], []
    page.on("console", lambda m: complaints.append(m.text))
    page.on("request", lambda r: asked.append(r.url))
    page.goto(file.as_uri())
    sizes = page.evaluate("[...document.images].map(i => i.naturalWidth)")
    assert sizes and all(sizes)
    rounded = "getComputedStyle(document.querySelector('.state')).borderTopLeftRadius"
    assert page.evaluate(rounded) == "99px"  # the style sheet holds
    assert complaints == []
    assert {a.partition(":")[0] for a in asked} <= {"file", "data"}
    context.close()


@pytest.mark.browser
def test_nothing_in_a_report_runs_even_if_nothing_had_been_sanitised(
    client, hut, write, browser, tmp_path
):
    hut.run({"fit": "completed"}, RUN)
    hostile = [c["payload"] for c in CASES if c["expectation"].startswith("inert")]
    for n, payload in enumerate(hostile):
        text = f"{n}\n{payload}"
        write("fit", b"%d.md" % n, text.encode("utf-8", "replace"), html=payload)
    file = tmp_path / "run.html"
    file.write_bytes(client.get(f"/runs/{RUN}/report").data)
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("window.ran = []; window.alert = (w) => window.ran.push(String(w));")
    asked = []
    page.on("request", lambda r: asked.append(r.url))
    page.goto(file.as_uri())
    page.wait_for_timeout(500)
    assert page.evaluate("window.ran") == []
    assert page.url == file.as_uri()
    assert {a.partition(":")[0] for a in asked} <= {"file", "data"}
    odd = "script, iframe, object, embed, form, style ~ style, base, link, meta[http-equiv=refresh]"
    assert page.locator(f"main :is({odd})").count() == 0
    context.close()


def test_a_report_of_a_large_run_shows_what_has_something_to_say(
    client, hut: Hut, write: Write
) -> None:
    states = {f"t{n}": "completed" for n in range(2_000)} | {"bad": "failed", "after": "dep_failed"}
    hut.run(states)
    write("t7", b"note.txt", b"seven")
    page = client.get(f"/runs/{RUN}/report").text
    table = page.partition('<table class="tasks')[2].partition("</table>")[0]
    assert re.findall(r'href="#task-(\w+)"', table) == ["t7", "bad"]
    assert "And 2000 tasks that say nothing more" in page and "<b>1999</b> completed" in page


def test_a_report_leads_nowhere_that_it_has_not(client, hut: Hut, write: Write) -> None:
    hut.run({"prepare": "completed", "fit": "completed"})
    write("prepare", b"prepare.md", b"# Found", area=Area.FRAGMENT)
    write("fit", b"a.txt", b"text")
    page = client.get(f"/runs/{RUN}/report").text
    ids = set(re.findall(r' id="([^"]+)"', page))
    assert "Found" in page
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids
