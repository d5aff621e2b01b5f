"""What a run of ten thousand tasks costs the web: CPU time and size of each kind of answer.

.venv/bin/python bench/pages.py [TASKS]        the answers, of the application itself
.venv/bin/python bench/pages.py open [PAGES]   open pages of a calm run, that ask a real server
"""

import gc
import gzip
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from html import unescape
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event, Thread

import psutil
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from scripthut.config import parse
from scripthut.store.keeping.migrate import upgrade
from scripthut.web import create_app

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.serving import HUT, Site, serving  # noqa: E402

ROUNDS = 40
SECONDS = 30  # that open pages are watched
NEWS = 10.0  # seconds between two questions whether anything has happened elsewhere
PACE = 6.0  # seconds between two questions of a page that has heard nothing for a minute


def main(tasks: int) -> None:
    """Make the run, ask each question many times, print what it took."""
    with tempfile.TemporaryDirectory() as directory:
        config = parse({"settings": {"data_dir": str(Path(directory) / "data")}})
        upgrade(config.database_url)
        client = create_app(config).test_client()
        gc.collect()
        gc.freeze()  # as a worker of the server does
        began = time.process_time()
        reply = create(client, tasks)
        print(f"{tasks} tasks\n\n| question | ms | 95 % below | KiB | gzip |")
        print("|---|---:|---:|---:|---:|")
        row("create the run", [time.process_time() - began], reply)
        run = reply.get_json()["id"]
        page = client.get(f"/runs/{run}").get_data(as_text=True)
        news = re.search(rf"/runs/{run}/changes\?[^\"]*", page)
        assert news is not None, "the page asks for changes"
        here = {"HX-Request": "true", "HX-Current-URL": f"http://localhost/runs/{run}"}
        view = {"HX-Request": "true", "HX-Target": "div#task-view"}
        for what, path, headers in (
            ("the first page", "/", {}),
            ("the list of runs", "/runs", {}),
            ("the run's page", f"/runs/{run}", {}),
            ("a search", f"/runs/{run}?find=77", view),
            ("a filter and an order", f"/runs/{run}?state=pending&by=-task", view),
            ("the graph", f"/runs/{run}?view=graph", view),
            ("the chart", f"/runs/{run}?view=gantt", view),
            ("a task's panel", f"/runs/{run}/tasks/g7.700", {}),
            ("the palette", "/palette?find=g77", here),
            ("nothing new", unescape(news[0]), {}),
            ("no news", "/news?since=999999", {}),
            ("the run as JSON", f"/api/v1/runs/{run}", {}),
            ("the run's summary", f"/api/v1/runs/{run}/summary", {}),
        ):
            row(what, *timed(lambda p=path, h=headers: client.get(p, headers=h)))


def create(client: FlaskClient, tasks: int) -> TestResponse:
    """A fan-out of tasks in groups of a hundred, and one that waits for all."""
    body = {"backend": "local", "name": "bench", "document": document(tasks)}
    return client.post("/api/v1/runs", json=body)


def document(tasks: int) -> list[dict[str, object]]:
    """Tasks in groups of a hundred, and one that waits for all."""
    fan = [{"id": f"g{n // 100}.{n}", "command": "true"} for n in range(tasks - 1)]
    return [*fan, {"id": "end", "command": "true", "deps": ["g*"]}]


def timed(ask: Callable[[], TestResponse]) -> tuple[list[float], TestResponse]:
    """The times of some rounds, in seconds, and the last answer."""
    found = []
    ask()  # templates are read, and drawings made, once
    for _ in range(ROUNDS):
        began = time.process_time()
        reply = ask()
        found.append(time.process_time() - began)
    return found, reply


def row(what: str, seconds: Sequence[float], reply: TestResponse) -> None:
    """One line of the table."""
    assert reply.status_code < 300, reply.get_data(as_text=True)
    data, times = reply.get_data(), sorted(seconds)
    most = times[min(len(times) - 1, int(len(times) * 0.95))]
    packed = len(gzip.compress(data, 5)) / 1024 if data else 0.0
    middle = times[len(times) // 2]
    sizes = f"{len(data) / 1024:.1f} | {packed:.1f}"
    print(f"| {what} | {middle * 1000:.1f} | {most * 1000:.1f} | {sizes} |", flush=True)


def open_pages(count: int) -> None:
    """What so many open pages cost the server's processes, of one core, when nothing happens."""
    after = [{"id": f"g{n // 100}.{n}", "command": "true", "deps": ["wait"]} for n in range(9999)]
    long = [{"id": "wait", "command": "sleep 3600"}, *after]
    with tempfile.TemporaryDirectory() as directory, serving(Path(directory)) as site:
        run = site.run(long)
        page = site.get(f"/runs/{run}").text
        news = re.search(rf"/runs/{run}/changes\?[^\"]*", page)
        assert news is not None
        time.sleep(10)  # until the first tasks have been started and the run is calm
        waits = sorted(first_byte(site, f"/runs/{run}") for _ in range(100))
        print(f"first byte of the run's page: {waits[50]:.0f} ms, {waits[95]:.0f} ms at 95 %")
        page = site.get(f"/runs/{run}").text
        path = unescape(re.search(rf"/runs/{run}/changes\?[^\"]*", page)[0])  # type: ignore[index]
        idle = spent(SECONDS)
        stop = Event()
        news = re.search(r"/news\?since=\d+", site.get("/news").text)
        assert news is not None, "the page asks for news"
        for asked, pace in ((path, PACE), (news[0], NEWS)):
            for n in range(count):
                words = (site, asked, n / count * pace, pace, stop)
                Thread(target=look, args=words, daemon=True).start()
        time.sleep(PACE)
        busy = spent(SECONDS)
        stop.set()
        print(f"{count} open pages: {busy - idle:.1f} % of one core ({idle:.1f} % without)")
        site.post(f"/api/v1/runs/{run}/cancel", {})


def first_byte(site: Site, path: str) -> float:
    """Milliseconds until a page begins to arrive."""
    connection = HTTPConnection(site.host, site.port)
    connection.connect()
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    took = time.perf_counter() - began
    answer.read()
    connection.close()
    return took * 1000


def look(site: Site, path: str, delay: float, pace: float, stop: Event) -> None:
    """One page; by a connection each time, as the server closes those that are not used."""
    stop.wait(delay)
    while not stop.is_set():
        connection = HTTPConnection(site.host, site.port)
        with suppress(OSError, HTTPException):
            connection.request("GET", path, headers={"HX-Request": "true"})
            connection.getresponse().read()
        connection.close()
        stop.wait(pace)


def spent(seconds: float) -> float:
    """Percent of one core that the servers started from here use."""
    words = HUT[-1]
    ours = psutil.Process().children(recursive=True)
    live = [process for process in ours if process.status() != psutil.STATUS_ZOMBIE]
    servers = [process for process in live if words in process.cmdline()]
    before = sum(sum(p.cpu_times()[:2]) for p in servers)
    time.sleep(seconds)
    return 100 * (sum(sum(p.cpu_times()[:2]) for p in servers) - before) / seconds


if __name__ == "__main__":
    if sys.argv[1:2] == ["open"]:
        open_pages(int(sys.argv[2]) if len(sys.argv) > 2 else 100)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
