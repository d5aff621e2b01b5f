"""The commands that ask a running server, as a shell runs them."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from tests.cluster.tcp_proxy import Proxy
from tests.serving import HUT, ROOT, Site, ended, serving, until

WRITES = r"""
printf '# Fits\n\n| n | value |\n|---|--:|\n| 1 | 2.5 |\n' > "$SCRIPTHUT_RUN_SUMMARY"
echo '# Mine' > "$SCRIPTHUT_TASK_SUMMARY"
mkdir "$SCRIPTHUT_OUTPUT_DIR/deep"
printf 'a,b\n1,2\n' > "$SCRIPTHUT_OUTPUT_DIR/deep/v 1.csv"
echo one; echo two
"""


def hut(
    *words: str, cwd: Path = ROOT, site: Site | None = None
) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "120"}
    if site is not None:
        env["SCRIPTHUT_SERVER"] = site.url
    return subprocess.run(
        [*HUT, *words], capture_output=True, text=True, cwd=cwd, env=env, timeout=90, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("hut")) as site:
        yield site


@pytest.fixture(scope="module")
def run(site: Site) -> str:
    """A run of which `fit` completed and wrote, and `bad` failed."""
    tasks = [{"id": "fit", "command": WRITES}, {"id": "bad", "command": "echo oh >&2; exit 3"}]
    run_id = site.run({"tasks": tasks}, "my study")
    ended(site, run_id)
    tasks_of = f"/api/v1/runs/{run_id}/tasks"
    until(lambda: site.get(f"{tasks_of}/fit/outputs").json["files"])
    until(lambda: site.get(f"{tasks_of}/bad/logs?type=error").json["content"])
    return run_id


def test_runs_are_listed_and_shown(site: Site, run: str) -> None:
    listed = hut("run", "list", site=site)
    assert listed.returncode == 0
    assert re.search(rf"{run} +my study +failed +2/2 +local", listed.stdout)
    shown = hut("run", "view", run, site=site).stdout
    assert re.search(r"fit +completed", shown)
    assert re.search(r"bad +failed", shown)
    assert f"{site.url}/runs/{run}" in shown
    told = json.loads(hut("run", "view", run, "--json", site=site).stdout)
    assert [task["id"] for task in told["tasks"]] == ["fit", "bad"]


def test_of_a_large_run_the_failures_are_shown_and_the_rest_is_counted(site: Site) -> None:
    tasks = [{"id": f"t{n}", "command": "true", "deps": ["bad"]} for n in range(300)]
    run = site.run([{"id": "bad", "command": "false"}, *tasks], "large")
    site.post(f"/api/v1/runs/{run}/cancel", {})
    ended(site, run)
    shown = hut("run", "view", run, site=site).stdout
    assert shown.count("\n") < 270 and "more: --all shows them" in shown
    assert hut("run", "view", run, "--all", site=site).stdout.count("\n") > 300


def test_a_run_is_watched_to_its_end(site: Site) -> None:
    run_id = site.run(
        [{"id": "a", "command": "sleep 6"}, {"id": "b", "command": "exit 4", "deps": ["a"]}]
    )
    watched = hut("run", "watch", run_id, "--interval", "0.3", "--exit-status", site=site)
    assert watched.returncode == 1
    assert re.search(r"a: running\n(.*\n)*a: completed\n(.*\n)*b: failed\n", watched.stdout)
    assert re.search(r"  b: .*4", watched.stdout)
    assert hut("run", "watch", run_id, site=site).returncode == 0


def test_ctrl_c_is_130(site: Site) -> None:
    run_id = site.run([{"id": "a", "command": "sleep 60"}])
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SCRIPTHUT_SERVER": site.url}
    watching = subprocess.Popen([*HUT, "run", "watch", run_id], env=env, stdout=subprocess.PIPE)
    assert watching.stdout is not None
    watching.stdout.readline()  # it watches
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=20)
    assert watching.returncode == 130
    assert "cancelling" in hut("run", "cancel", run_id, site=site).stdout
    assert ended(site, run_id)["status"] == "cancelled"
    assert "has ended" in hut("run", "cancel", run_id, site=site).stdout


def test_logs_are_printed_and_followed(site: Site, run: str) -> None:
    assert hut("run", "logs", run, "fit", "--tail", "1", site=site).stdout == "two\n"
    assert hut("run", "logs", run, "bad", "--error", site=site).stdout == "oh\n"
    run_id = site.run([{"id": "a", "command": "for n in 1 2 3; do echo line $n; sleep 1; done"}])
    until(lambda: site.get(f"/api/v1/runs/{run_id}").json["status"] == "running")
    followed = hut("run", "logs", run_id, "a", "-f", "--interval", "0.3", site=site)
    assert followed.returncode == 0
    assert followed.stdout.endswith("line 1\nline 2\nline 3\n")
    assert followed.stdout.count("line 2") == 1


def test_outputs_are_listed_and_fetched(site: Site, run: str, tmp_path: Path) -> None:
    listed = hut("outputs", "list", run, site=site).stdout
    assert re.search(r"fit +deep/v 1\.csv +8 B", listed)
    told = json.loads(hut("outputs", "list", run, "fit", "--json", site=site).stdout)
    assert {f["path"] for f in told["tasks"][0]["files"]} == {"task-summary.md", "deep/v 1.csv"}
    one = hut("outputs", "get", run, "fit", "deep/v 1.csv", "-o", "-", site=site)
    assert one.stdout == "a,b\n1,2\n"
    whole = hut("outputs", "get", run, "-o", "all", site=site, cwd=tmp_path)
    assert whole.stdout == "2 files in all\n"
    assert (tmp_path / "all" / "fit" / "deep" / "v 1.csv").read_text() == "a,b\n1,2\n"
    missing = hut("outputs", "get", run, "fit", "nope", site=site)
    assert missing.returncode == 1
    assert "fit wrote no nope" in missing.stderr


@pytest.fixture(scope="module")
def large(site: Site) -> str:
    """A run that wrote a file beyond what is collected."""
    noise = 'head -c 12000000 /dev/urandom >"$SCRIPTHUT_OUTPUT_DIR/big one.bin"'
    link = 'ln -s /etc/passwd "$SCRIPTHUT_OUTPUT_DIR/link"; sha256sum "$SCRIPTHUT_OUTPUT_DIR"/big*'
    run_id = site.run([{"id": "fit", "command": f"{noise}; {link}"}])
    ended(site, run_id)
    until(lambda: site.get(f"/api/v1/runs/{run_id}/tasks/fit/outputs").json["files"])
    until(lambda: "big" in site.get(f"/api/v1/runs/{run_id}/tasks/fit/logs").json["content"])
    return run_id


def test_a_large_file_is_fetched_first_and_survives_a_cut_line(
    site: Site, large: str, tmp_path: Path
) -> None:
    left = hut("outputs", "get", large, "--kept", site=site, cwd=tmp_path)
    assert left.returncode == 0
    assert "left out: fit/big one.bin is larger than the limit" in left.stderr
    assert "left out: fit/link is a symbolic link" in left.stderr
    with Proxy(site.port) as proxy:
        fetched = hut("outputs", "get", large, "-o", "all", site=site, cwd=tmp_path)
        assert fetched.stdout == "1 file in all\n"
        proxy.cut_after = 5_000_000
        through = Site("127.0.0.1", proxy.port)
        one = hut("outputs", "get", large, "fit", "big one.bin", site=through, cwd=tmp_path)
        assert one.returncode == 0, one.stderr
        assert proxy.cut_after is None
        assert proxy.connections >= 3  # the listing, the file, and its rest
    log = site.get(f"/api/v1/runs/{large}/tasks/fit/logs").json["content"]
    for path in (tmp_path / "all" / "fit" / "big one.bin", tmp_path / "big one.bin"):
        assert sha256(path.read_bytes()).hexdigest() in log


def test_a_run_is_pinned_and_let_go(site: Site, run: str) -> None:
    pinned = hut("outputs", "pin", run, site=site)
    assert re.fullmatch(rf"pinned: {run}, which holds \d+ B\n", pinned.stdout), pinned
    assert site.get(f"/api/v1/runs/{run}/holding").json["pinned_at"]
    assert "no longer pinned" in hut("outputs", "pin", run, "--off", site=site).stdout
    assert site.get(f"/api/v1/runs/{run}/holding").json["pinned_at"] is None


def test_the_summary_is_rendered_in_the_terminal(site: Site, run: str) -> None:
    shown = hut("summary", run, site=site)
    assert "Fits" in shown.stdout
    assert "# Fits" not in shown.stdout
    assert "2.5" in shown.stdout
    assert hut("summary", run, "--watch", site=site).returncode == 0


def test_the_report_is_one_file(site: Site, run: str, tmp_path: Path) -> None:
    done = hut("report", run, "-o", "run.html", site=site, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert '<td align="right">2.5</td>' in (tmp_path / "run.html").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["run.html"]


@pytest.mark.parametrize(
    "words",
    [
        ("run", "view", "nosuchrn"),
        ("run", "cancel", "nosuchrn"),
        ("summary", "nosuchrn"),
        ("report", "nosuchrn", "-o", "x.html"),
        ("outputs", "get", "nosuchrn"),
    ],
)
def test_a_run_that_is_not_there_is_a_sentence(
    site: Site, words: list[str], tmp_path: Path
) -> None:
    done = hut(*words, site=site, cwd=tmp_path)
    assert done.returncode == 1
    assert "There is no run nosuchrn" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_word_is_exit_code_2() -> None:
    done = hut("run", "view")
    assert done.returncode == 2
    assert "Missing argument" in done.stderr


def test_what_a_former_attempt_wrote_is_listed_and_fetched(site: Site, tmp_path: Path) -> None:
    count = "n=$(cat n 2>/dev/null || echo 0); echo $((n + 1)) >n; "
    command = f'cd {tmp_path}; {count}echo "was $n" >"$SCRIPTHUT_OUTPUT_DIR/x.txt"; exit 1'
    run = site.run([{"id": "a", "command": command}])
    for _ in range(2):
        ended(site, run)
        found = f"/api/v1/runs/{run}/tasks/a/outputs"
        until(lambda found=found: [f["url"] for f in site.get(found).json["files"]][:1] != [None])
        until(lambda found=found: len(site.get(found).json["files"]) == 1)
        if site.get(f"/api/v1/runs/{run}").json["tasks"][0]["attempt"] == 1:
            assert hut("run", "retry", run, site=site).returncode == 0
    for attempt, said in (("1", "was 0\n"), ("2", "was 1\n")):
        words = ("outputs", "get", run, "a", "x.txt", "--attempt", attempt, "-o", "-")
        assert hut(*words, site=site).stdout == said
    assert "x.txt" in hut("outputs", "list", run, "a", "--attempt", "1", site=site).stdout
    refused = hut("outputs", "list", run, "--attempt", "1", site=site)
    assert "--attempt is of one task" in refused.stderr


def test_a_folder_is_previewed_as_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "results of <mine>"
    folder.mkdir()
    (folder / "task-summary.md").write_text("# Look\n\n![](p.svg)\n")
    (folder / "p.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "big.bin").write_bytes(b"\0" * 6_000_000)
    done = hut("preview", str(folder), "-o", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text()
    assert ">Look<" in page
    assert 'src="data:image/svg+xml' in page
    assert "is larger than the limit" in page
    assert "results of &lt;mine&gt;" in page


@contextmanager
def previewing(folder: Path) -> Iterator[str]:
    """The address of a folder's preview, which Ctrl-C ends."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    shows = subprocess.Popen(
        [*HUT, "preview", str(folder)], env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        assert shows.stdout is not None
        yield shows.stdout.readline().strip().partition("?")[0]
    finally:
        shows.send_signal(signal.SIGINT)
        assert shows.wait(20) == 0


def test_a_preview_on_a_page_follows_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "task-summary.md").write_text("# First\n")
    with previewing(folder) as address:

        def panel() -> str:
            with urlopen(f"{address}/detail/outputs", timeout=10) as answer:
                return str(answer.read().decode())

        assert "First" in panel()
        (folder / "task-summary.md").write_text("# Second\n")
        until(lambda: "Second" in panel())
        (folder / "task-summary.md").unlink()
        until(lambda: "Second" not in panel())


def test_a_preview_has_thumbnails_and_parts_of_large_files(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    Image.new("RGB", (1600, 900), "teal").save(folder / "p.png")
    (folder / "big.csv").write_text(
        "step,energy\n" + "".join(f"{n},{n / 7}\n" for n in range(400_000))
    )
    with previewing(folder) as address:
        site, task = address.partition("/runs/")[0], address.partition("/runs/")[2]

        def get(path: str, data: bytes | None = None) -> bytes:
            headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
            with urlopen(Request(f"{site}{path}", data, headers), timeout=20) as answer:
                return bytes(answer.read())

        listed = json.loads(get(f"/api/v1/runs/{task}/outputs"))["files"]
        big, picture = (next(f for f in listed if f["path"] == p) for p in ("big.csv", "p.png"))
        thumb = f"/runs/{task}/outputs/thumb/{picture['id']}"
        until(lambda: len(get(thumb)) < picture["size"] and get(thumb)[:4] == b"RIFF")
        piece = get(f"/api/v1/runs/{task}/outputs/{big['id']}/piece?start=1000000&length=2000")
        assert piece == (folder / "big.csv").read_bytes()[1_000_000:1_002_000]
        fetch = f"/api/v1/runs/{task}/outputs/{big['id']}/fetch"
        get(fetch, b"{}")
        url = until(lambda: json.loads(get(fetch))["url"])
        assert get(url) == (folder / "big.csv").read_bytes()
        assert b"No engine is acting" not in get(big["page"])


def test_what_is_no_folder_cannot_be_previewed(tmp_path: Path) -> None:
    done = hut("preview", str(tmp_path / "nothing"))
    assert done.returncode == 2
    assert "there is nothing of that name" in done.stderr
    (tmp_path / "file").touch()
    done = hut("preview", str(tmp_path / "file"))
    assert done.returncode == 1
    assert "it is not a folder" in done.stderr


def test_a_large_file_of_a_task_that_was_taken_over_is_fetched_from_where_it_was_written(
    site: Site, tmp_path: Path
) -> None:
    big = 'head -c 6000000 /dev/zero | tr "\\0" x > "$SCRIPTHUT_OUTPUT_DIR/big.txt"'
    first = site.run([{"id": "a", "command": big}, {"id": "b", "command": "exit 1"}])
    ended(site, first)
    until(lambda: site.get(f"/api/v1/runs/{first}/tasks/a/outputs").json["files"])
    again = hut("run", "rerun", first, "--failed", site=site).stdout.strip()
    ended(site, again)
    done = hut("outputs", "get", again, "a", "big.txt", "-o", "big", site=site, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "big").read_bytes() == b"x" * 6_000_000
