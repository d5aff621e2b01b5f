"""Files that are too large to be collected: shown a piece at a time, and fetched when asked for."""

import re
import time
from collections.abc import Iterator
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.cluster.fixtures import Cluster
from tests.stories.conftest import free_port, serving
from tests.stories.server import Server, until

GIB = 1024**3
SMALL = {"outputs": {"file_bytes": 100_000}}
# Text at both ends of ten gigabytes, and a hole that the disk does not hold between them.
SPARSE = """
import os
with open(os.environ["SCRIPTHUT_OUTPUT_DIR"] + "/big.csv", "wb") as file:
    file.write(b"step,energy\\n" + b"".join(b"%d,%.3f\\n" % (n, n / 7) for n in range(100000)))
    file.seek(10 * 1024**3)
    file.write(b"\\n" + b"".join(b"9%d,0.5\\n" % n for n in range(5000)) + b"last,row\\n")
"""
NOISE = 'head -c {size} /dev/urandom >"$SCRIPTHUT_OUTPUT_DIR/noise.bin"'


def python(text: str) -> str:
    """A command that runs a program of Python."""
    return f"python3 - <<'END'\n{text}\nEND\n"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Server]:
    """A server with this machine as its backend, that collects only small files."""
    server = Server(tmp_path, free_port(), [{"type": "local", "name": "local"}], SMALL)
    server.start()
    yield server
    server.stop()


def ran(server: Server, command: str, backend: str = "local", memory: str = "500M") -> str:
    """A run of one task `a` that has ended well and was collected."""
    run = server.run([{"id": "a", "command": command, "memory": memory}], backend)
    assert server.await_end(run) == "completed"
    return run


def listed(server: Server, run: str, path: str) -> dict[str, Any]:
    """A file as the JSON API lists it, once it does."""

    def files() -> list[dict[str, Any]]:
        found = server.get(f"/runs/{run}/tasks/a/outputs")["files"]
        return [file for file in found if file["path"] == path]

    until(lambda: bool(files()), 30, f"{path} among the outputs of {run}")
    return files()[0]


def shown(server: Server, path: str) -> tuple[str, float]:
    """A file's page, and the seconds until it shows the piece that was asked for."""
    began = time.monotonic()
    page = server.page(path)
    while 'class="awaited"' in page:
        assert time.monotonic() - began < 30, page
        time.sleep(0.1)
        page = server.page(path)
    return page, time.monotonic() - began


def link(page: str, said: str) -> str:
    """Where a page's link of this text leads."""
    found = re.search(rf'href="([^"]*)">{said}</a>', page)
    assert found, page
    return unescape(found[1])


def cells(page: str) -> list[str]:
    table = page.partition('<table class="data">')[2].partition("</table>")[0]
    return re.findall(r"<td[^>]*>([^<]*)</td>", table)


def pages_of_ten_gigabytes(server: Server, run: str, seconds: float) -> None:
    """What must hold of `big.csv` of a run, wherever it is."""
    file = listed(server, run, "big.csv")
    assert file["sha256"] is None
    assert file["size"] > 10 * GIB
    assert file["within_reach"]
    where = f"/runs/{run}/tasks/a/outputs/view/{file['id']}"
    page, took = shown(server, where)
    assert cells(page)[:3] == ["1", "0", "0.000"]
    assert "on the cluster" in page
    assert took < seconds
    second, _ = shown(server, link(page, "More"))
    assert cells(second)[:3] == ["201", "200", "28.571"]
    last, took = shown(server, link(page, "To the end"))
    assert cells(last)[-2:] == ["last", "row"]
    assert took < seconds
    again, took = shown(server, where)
    assert cells(again) == cells(page)
    assert took < 0.5  # it is kept


def test_ten_gigabytes_are_paged_from_their_head_to_their_end(here: Server) -> None:
    pages_of_ten_gigabytes(here, ran(here, python(SPARSE)), 5.0)


def test_a_file_that_changes_between_two_pages_says_so(here: Server, tmp_path: Path) -> None:
    go = tmp_path / "go"
    rows = "seq 100000 | sed 's/$/,x/'"
    again = f'{rows} >"$SCRIPTHUT_OUTPUT_DIR/t.csv"; until [ -e {go} ]; do sleep 0.1; done; '
    again += f'{rows} | tac >"$SCRIPTHUT_OUTPUT_DIR/t.csv"; sleep 60'
    run = here.run([{"id": "a", "command": again}], "local")
    where = f"/runs/{run}/tasks/a/outputs/view/{listed(here, run, 't.csv')['id']}"
    page, _ = shown(here, where)
    assert "has changed on the cluster" not in page
    go.touch()
    following = link(page, "To the end")

    def says_so() -> bool:
        return "has changed on the cluster" in shown(here, following)[0]

    until(says_so, 40, "the page says that the file has changed")
    here.post(f"/runs/{run}/cancel")


def fetch(server: Server, run: str, row: int, action: str = "fetch") -> dict[str, Any]:
    found: dict[str, Any] = server.post(f"/runs/{run}/tasks/a/outputs/{row}/{action}")
    return found


def state(server: Server, run: str, row: int) -> dict[str, Any]:
    found: dict[str, Any] = server.get(f"/runs/{run}/tasks/a/outputs/{row}/fetch")
    return found


def test_a_large_file_is_fetched_and_is_an_ordinary_one_then(here: Server) -> None:
    run = ran(here, NOISE.format(size=60_000_000) + '; sha256sum "$SCRIPTHUT_OUTPUT_DIR"/noise.bin')
    file = listed(here, run, "noise.bin")
    begun = fetch(here, run, file["id"])
    assert begun["fetch"]["state"] == "going"
    until(lambda: state(here, run, file["id"])["url"] is not None, 60, "the whole file")
    done = state(here, run, file["id"])
    assert done["fetch"] is None
    log = here.get(f"/runs/{run}/tasks/a/logs")["content"]
    assert done["sha256"] in log
    with urlopen(here.url + done["url"], timeout=60) as answer:
        tag, whole = answer.headers["ETag"], answer.read()
    assert sha256(whole).hexdigest() == done["sha256"]
    wanted = {"Range": "bytes=50000000-", "If-Range": tag}
    with urlopen(Request(here.url + done["url"], headers=wanted), timeout=60) as answer:
        assert answer.status == 206
        assert answer.read() == whole[50_000_000:]
    with urlopen(
        Request(here.url + done["url"], headers={**wanted, "If-Range": '"other"'}), timeout=60
    ) as answer:
        assert answer.status == 200  # another file: from the start


@pytest.mark.slow
def test_a_fetch_survives_the_death_of_the_server(here: Server) -> None:
    run = ran(here, NOISE.format(size=400_000_000))
    file = listed(here, run, "noise.bin")
    fetch(here, run, file["id"])
    until(lambda: (state(here, run, file["id"])["fetch"] or {"done": 1})["done"] > 0, 60, "a slice")
    here.kill()
    here.start()
    left = state(here, run, file["id"])["fetch"]
    assert left is not None, "the server was killed too late to show anything"
    assert 0 < left["done"] < 400_000_000
    until(lambda: state(here, run, file["id"])["url"] is not None, 120, "the whole file")
    (original,) = Path.home().glob(f".cache/scripthut/logs/story/outputs/{run}/a/noise.bin")
    digest = sha256(original.read_bytes()).hexdigest()
    original.unlink()
    assert state(here, run, file["id"])["sha256"] == digest


def test_a_fetch_that_is_stopped_leaves_nothing(here: Server, tmp_path: Path) -> None:
    run = ran(here, NOISE.format(size=400_000_000))
    file = listed(here, run, "noise.bin")
    fetch(here, run, file["id"])
    until(lambda: (state(here, run, file["id"])["fetch"] or {"done": 1})["done"] > 0, 60, "a slice")
    assert fetch(here, run, file["id"], "fetch/cancel")["fetch"] is None
    parts = tmp_path / "data" / "kept" / "parts"
    until(lambda: not list(parts.iterdir()), 30, "no part of it is left")
    assert listed(here, run, "noise.bin")["sha256"] is None
    for left in Path.home().glob(f".cache/scripthut/logs/story/outputs/{run}/a/noise.bin"):
        left.unlink()


def test_what_is_gone_from_the_cluster_is_said_to_be(here: Server) -> None:
    run = ran(here, NOISE.format(size=300_000))
    file = listed(here, run, "noise.bin")
    (original,) = Path.home().glob(f".cache/scripthut/logs/story/outputs/{run}/a/noise.bin")
    original.unlink()
    page, _ = shown(here, f"/runs/{run}/tasks/a/outputs/view/{file['id']}")
    assert "The file is not there any more." in page
    fetch(here, run, file["id"])

    def problem() -> str:
        return str((state(here, run, file["id"])["fetch"] or {})["problem"])

    until(lambda: "is not there any more" in problem(), 30, problem)


@pytest.mark.slurm
@pytest.mark.slow
def test_on_slurm_large_files_are_shown_and_a_cut_line_only_delays_a_fetch(
    slurm: Cluster, tmp_path: Path
) -> None:
    with serving(slurm, tmp_path, settings=SMALL) as server:
        noise = NOISE.format(size=250_000_000)
        run = ran(server, f'{python(SPARSE)}{noise}; sha256sum "$SCRIPTHUT_OUTPUT_DIR"/n*', "hpc")
        pages_of_ten_gigabytes(server, run, 2.0 + 2.0)
        row = listed(server, run, "noise.bin")["id"]
        fetch(server, run, row)
        until(lambda: state(server, run, row)["fetch"]["done"] > 0, 60, "a slice")
        slurm.fault("ssh-kill-sessions")
        assert state(server, run, row)["fetch"] is not None, "the line was cut too late"
        until(lambda: state(server, run, row)["url"] is not None, 120, "the whole file")
        log = server.get(f"/runs/{run}/tasks/a/logs")["content"]
        assert state(server, run, row)["sha256"] in log


SLOWLY = """
import os, time
text = "| größe | b |\\n|---|---|\\n" + "".join(f"| zeile{n} größ | {n} |\\n" for n in range(12))
with open(os.environ["SCRIPTHUT_TASK_SUMMARY"], "wb", buffering=0) as file:
    for at in range(0, len(text.encode()), 7):
        file.write(text.encode()[at : at + 7])
        time.sleep(0.2)
"""


def test_a_summary_that_grows_slowly_never_shows_half_a_row_or_character(here: Server) -> None:
    run = here.run([{"id": "a", "command": python(SLOWLY)}], "local")
    seen: set[str] = set()

    def is_over() -> bool:
        page = here.page(f"/runs/{run}/tasks/a/detail/outputs")
        seen.update(re.findall(r'data-html="([^"]*)"', page))
        return here.get(f"/runs/{run}")["status"] == "completed"

    until(is_over, 60, "the end")
    rows = [row for html in seen for row in re.findall(r"<tr>(.*?)</tr>", unescape(html))]
    whole = re.compile(r"<t(h|d)>(größe|zeile\d+ größ)</t\1><t\1>(b|\d+)</t\1>")
    assert len(seen) > 3, "it was seen while it grew"
    assert [row for row in rows if not whole.fullmatch(row)] == []
    assert "�" not in "".join(seen)


def test_a_directory_that_a_task_removes_is_said_to_be_gone_until_it_is_back(
    here: Server, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    waits = f"until [ -e {go}$n ]; do sleep 0.1; done"
    command = (
        'cd "$SCRIPTHUT_OUTPUT_DIR"; echo x >a.txt; n=1; '
        + waits
        + '; rm -r "$PWD"; n=2; '
        + waits
        + '; mkdir -p "$SCRIPTHUT_OUTPUT_DIR"; echo y >"$SCRIPTHUT_OUTPUT_DIR/b.txt"; n=3; '
        + waits
    )
    run = here.run([{"id": "a", "command": command}], "local")
    listed(here, run, "a.txt")
    Path(f"{go}1").touch()

    def problem() -> str:
        return str(here.get(f"/runs/{run}/tasks/a")["outputs_problem"])

    until(lambda: "is not there any more" in problem(), 20, problem)
    assert "It is tried again by itself" in here.page(f"/runs/{run}/tasks/a/detail/details")
    assert listed(here, run, "a.txt")["sha256"]
    Path(f"{go}2").touch()
    listed(here, run, "b.txt")
    assert problem() == "None"
    Path(f"{go}3").touch()
    assert here.await_end(run) == "completed"
