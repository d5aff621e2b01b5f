"""What outputs cost on a real Slurm cluster whose login node is 40 ms of round trip away.

    .venv/bin/python bench/outputs.py [--looks | --web | --wide] [RUNNING...]     (as root)

A proxy before the login node's sshd holds each piece back for 20 ms, both ways. RUNNING: how many
running tasks a look is measured with (default 200); --looks: nothing else; --web: only what holds
no network; --wide: a look at more tasks than this machine can run, whose files are there and whose
queue is written down.
"""

import gc
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path, PurePosixPath
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripthut.backends.cluster import ClusterBackend
from scripthut.core import paths
from scripthut.core.jobs import Area, Job, RemoteFile, Resources, Watch
from scripthut.core.markdown.render import render
from scripthut.core.states import State
from scripthut.engine.outputs.rendering import rendered
from scripthut.schedulers.slurm import Slurm
from scripthut.schedulers.slurm_text import FIELD, RECORD
from scripthut.store import outputs
from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from scripthut.store.models import Task
from scripthut.store.outputs import Found
from scripthut.transports.ssh import SSH
from scripthut.transports.ssh_config import Target
from tests.cluster.fixtures import Cluster, start_cluster
from tests.cluster.tcp_proxy import Proxy
from tests.stories.conftest import free_port
from tests.stories.server import Server, until

DELAY = 0.020  # seconds each way
MARKS = 60  # times that a running summary is written
ROUNDS = 15
SECTIONS = 200
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
LOGS = ".cache/scripthut/logs/bench"
LIMIT = {"outputs": {"file_bytes": 1_000_000}}
BIG = """python3 - <<'END'
import os
with open(os.environ["SCRIPTHUT_OUTPUT_DIR"] + "/big.csv", "wb") as file:
    file.write(b"step,energy\\n" + b"".join(b"%d,%.3f\\n" % (n, n / 7) for n in range(100000)))
    file.seek(10 * 1024**3)
    file.write(b"\\nlast,row\\n")
END
"""
MARKING = """n=0; while :; do n=$((n+1)); until [ -e "{go}$n" ]; do sleep 0.02; done
echo "- mark-$n" >>"$SCRIPTHUT_RUN_SUMMARY"; done"""
WRITING = 'echo "# Hi" >"$SCRIPTHUT_TASK_SUMMARY"; echo 42 >"$SCRIPTHUT_PROGRESS"; exec sleep 900'


def main(counts: Sequence[int], part: str = "") -> None:
    """Measure, and print the table of bench/README.md; or a part of it."""
    is_whole = not part
    print("| what | measured | times the floor |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="hut-bench-") as place:
        if part == "--wide":
            for count in counts:
                wide(count)
            return
        if part != "--looks":
            web(Path(place) / "web")
        if part == "--web":
            return
        with far(Path(place), max(counts)) as (cluster, proxy, server):
            floor = raw_floor(cluster, proxy)
            if is_whole:
                freshness(server, floor)
                first_screen(server, floor)
            for count in counts:
                looks(server, proxy, count)


def row(what: str, seconds: float | str, floor: float | None = None) -> None:
    """One line of the table."""
    said = seconds if isinstance(seconds, str) else f"{seconds * 1000:.1f} ms"
    times = f"{seconds / floor:.1f}" if floor and isinstance(seconds, float) else ""
    print(f"| {what} | {said} | {times} |", flush=True)


def spread(took: Sequence[float]) -> tuple[float, float]:
    """The middle one, and the one that 95 of a hundred are below."""
    ranked = sorted(took)
    return statistics.median(ranked), ranked[min(len(ranked) - 1, round(0.95 * len(ranked)))]


def timed(act: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The middle time of some rounds, in seconds."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


@contextmanager
def far(place: Path, running: int) -> Iterator[tuple[Cluster, Proxy, Server]]:
    """A cluster with room for so many tasks, 40 ms away, and a server connected to it."""
    room = {"HUT_CPUS": str(running), "HUT_MEM": str(running * 60 + 4000)}
    with start_cluster(**room) as cluster, Proxy(cluster.port) as proxy:
        proxy.delay = DELAY
        known = place / "known_hosts"
        text = cluster.known_hosts.read_text()
        known.write_text(text.replace(f":{cluster.port}", f":{proxy.port}"))
        ssh = {"host": cluster.host, "port": proxy.port, "user": cluster.user}
        ssh |= {"key_path": str(cluster.key), "known_hosts": str(known)}
        backend = {"type": "slurm", "name": "hpc", "ssh": ssh, "max_concurrent": running + 10}
        server = Server(place, free_port(), [backend], LIMIT)
        server.start()
        try:
            yield cluster, proxy, server
        finally:
            server.stop()
            cluster.cancel_jobs()


def known_to(cluster: Cluster, proxy: Proxy) -> Path:
    """The login node's key, as it is found behind the proxy."""
    known = cluster.base / "known_through_proxy"
    known.write_text(cluster.known_hosts.read_text().replace(f":{cluster.port}", f":{proxy.port}"))
    return known


def ssh_to(cluster: Cluster, proxy: Proxy) -> SSH:
    """A connection of its own through the proxy."""
    known = known_to(cluster, proxy)
    return SSH(Target(cluster.host, proxy.port, cluster.user, Path(cluster.key), known_hosts=known))


def raw_floor(cluster: Cluster, proxy: Proxy) -> float:
    """One `true` and one `cat`, by `ssh` and on an open connection; `true` there is the floor."""
    ssh = ssh_to(cluster, proxy)
    ssh.run(["true"], b"", 30)
    floor = timed(lambda: ssh.run(["true"], b"", 30))
    options = [
        "-F",
        "none",
        "-o",
        f"UserKnownHostsFile={known_to(cluster, proxy)}",
        "-i",
        str(cluster.key),
    ]
    there = ["ssh", *options, "-p", str(proxy.port), f"{cluster.user}@{cluster.host}"]
    for words in (["true"], ["cat", "/etc/passwd"]):
        took = timed(lambda words=words: subprocess.run([*there, *words], check=True, **QUIET))
        row(f"floor: `ssh host {words[0]}`, a connection of its own", took, floor)
    row("floor: `true` on an open connection", floor, floor)
    row(
        "floor: `cat` of 2 KiB likewise",
        timed(lambda: ssh.run(["cat", "/etc/passwd"], b"", 30)),
        floor,
    )
    ssh.close()
    return floor


def freshness(server: Server, floor: float) -> None:
    """From a line written to a summary until the server has it, while somebody looks."""
    go = Path(tempfile.mkdtemp(prefix="hut-bench-"))
    go.chmod(0o755)
    command = MARKING.format(go=go / "go")
    run = server.run([{"id": "a", "memory": "50M", "command": command}])
    server.await_states(run, {"a": "running"})
    took = []
    for n in range(1, MARKS + 1):
        server.page(f"/runs/{run}")
        time.sleep(0.37 * (n % 7))  # anywhere between two looks
        (go / f"go{n}").touch()
        began, asked = time.monotonic(), 0.0
        while not any(f"mark-{n}" in (s["html"] or "") for s in summary(server, run)):
            if time.monotonic() - asked > 2:  # as an open page does
                asked = time.monotonic()
                server.page(f"/runs/{run}/changes?since=0")
            time.sleep(0.05)
        took.append(time.monotonic() - began)
    server.post(f"/runs/{run}/cancel")
    middle, most = spread(took)
    row(f"freshness of a running summary, p50 of {MARKS}", middle, floor)
    row(f"freshness of a running summary, p95 of {MARKS}", most, floor)


def summary(server: Server, run: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = server.get(f"/runs/{run}/summary")["sections"]
    return found


def first_screen(server: Server, floor: float) -> None:
    """A page of a CSV of 10 GB that only the cluster has: its head, and its end."""
    run = server.run([{"id": "a", "memory": "200M", "command": BIG}])
    server.await_end(run)
    files: list[dict[str, object]] = []

    def is_listed() -> bool:
        files[:] = server.get(f"/runs/{run}/tasks/a/outputs")["files"]
        return bool(files)

    until(is_listed, 60, "the file")
    page = f"/runs/{run}/tasks/a/outputs/view/{files[0]['id']}"
    for what, path in (("first screen", page), ("end", f"{page}?end=1")):
        began = time.monotonic()
        while 'class="awaited"' in server.page(path):
            time.sleep(0.05)
        row(f"{what} of a CSV of 10 GB", time.monotonic() - began, floor)
        row(f"{what} of it, once more", timed(lambda path=path: server.page(path)), floor)


def looks(server: Server, proxy: Proxy, count: int) -> None:
    """The cost of a cycle with so many running tasks that have all written."""
    tasks = [{"id": f"t.{n}", "command": WRITING, "memory": "10M"} for n in range(count)]
    run = server.run(tasks)
    until(lambda: running(server, run) == count, 600, lambda: f"{running(server, run)} of {count}")
    until(lambda: written(server, run) == count, 300, "all summaries")
    server.page(f"/runs/{run}")
    before, began, cycles = proxy.answered, time.monotonic(), set[str]()
    commands = 0
    while time.monotonic() - began < 20:
        server.page(f"/runs/{run}/changes?since=0")
        backend = server.backend("hpc")
        cycles.add(backend["answered_at"])
        commands = max(commands, backend["commands"])
        time.sleep(0.5)
    size = (proxy.answered - before) / max(1, len(cycles))
    row(f"commands of a cycle at {count} running tasks", str(commands))
    row(
        f"bytes of an answer at {count} running tasks, nothing new, at most",
        f"{size / 1024:.1f} KiB",
    )
    server.post(f"/runs/{run}/cancel")
    server.await_end(run, 300)


def wide(count: int) -> None:
    """A look at so many tasks that have all written, by one command over the same connection."""
    with start_cluster(HUT_SLURM="0") as cluster, Proxy(cluster.port) as proxy:
        proxy.delay = DELAY
        backend = ClusterBackend("wide", Slurm(), ssh_to(cluster, proxy))
        shutil.rmtree(backend.home() / LOGS, ignore_errors=True)
        jobs = [_job(backend.home(), n) for n in range(count)]
        for job in jobs:
            _write(job)
        listed = cluster.base / "queue.txt"
        listed.write_text("".join(map(_queued, jobs)))
        squeue = cluster.base / "shim" / "squeue"
        squeue.write_text(f"#!/bin/sh\nexec cat {listed}\n")
        squeue.chmod(0o755)
        subprocess.run(["chown", "-R", f"{cluster.user}:", backend.home() / LOGS], check=True)
        seen = backend.observe([Watch(job) for job in jobs])
        assert len(seen.sightings) == len(seen.listings) == len(seen.progress) == count
        marks = {token: listing.mark for token, listing in seen.listings.items()}
        watches = [
            Watch(job, mark=marks[job.token], progress_mark=seen.progress[job.token].mark)
            for job in jobs
        ]
        before, commands = proxy.answered, backend.commands
        took = timed(lambda: backend.observe(watches), 5)
        row(f"a look at {count} running tasks, nothing new", took)
        row(f"its commands at {count}", str((backend.commands - commands) // 5))
        row(f"its answer at {count}", f"{(proxy.answered - before) / 5 / 1024:.1f} KiB")
        backend.close()
        shutil.rmtree(backend.home() / LOGS)


def _job(home: PurePosixPath, n: int) -> Job:
    token, logs = f"benchrun.{n}.1", home / LOGS
    return Job(
        token=token,
        run_id="benchrun",
        run_name="bench",
        key=f"t.{n}",
        name=f"t.{n}",
        attempt=1,
        command="true",
        working_dir="~",
        env={},
        resources=Resources(),
        paths=paths.for_task(logs, "benchrun", f"t.{n}", 1, token),
        job_id=str(100_000 + n),
    )


def _write(job: Job) -> None:
    for folder in (job.paths.outputs, job.paths.fragment.parent, job.paths.state):
        Path(folder).mkdir(parents=True, exist_ok=True)
    Path(job.paths.summary).write_text("# Hi\n")
    Path(job.paths.progress).write_text("42\n")
    Path(job.paths.claim).symlink_to(f"job:{job.job_id}")


def _queued(job: Job) -> str:
    """A row of squeue, as the real one writes it."""
    first = (job.job_id, "RUNNING", "None", "1795439798", "1795439799", "1795443399", "1:00:00")
    rest = ("n1", job.token, "normal", "hut", "1", "50M", "1", "N/A", "proj1", "N/A")
    return f"{RECORD}{FIELD.join([*map(str, first), *rest, f'{job.name} {job.token}'])}{RECORD}\n"


def running(server: Server, run: str) -> int:
    return int(server.get(f"/runs/{run}")["counts"].get("running", 0))


def written(server: Server, run: str) -> int:
    return sum(task["has_outputs"] for task in server.get(f"/runs/{run}")["tasks"])


def web(place: Path) -> None:
    """What the server itself needs: no cluster is asked."""
    server = Server(place, free_port(), [{"type": "local", "name": "local"}], {"engine": False})
    place.mkdir()
    server.start()
    try:
        tasks = [{"id": f"t.{n}", "command": "true"} for n in range(SECTIONS)]
        run = server.run(tasks, "local")
        keep(place, run)
        path = f"/runs/{run}/summary"
        row(f"a Run Summary of {SECTIONS} sections", timed(lambda: server.page(path)))
        with urlopen(f"{server.url}{path}") as answer:
            tag = answer.headers["ETag"]
        row("the same, not changed", timed(lambda: unchanged(server, path, tag)))
        row(
            "a task's outputs with a summary, cached",
            timed(lambda: server.page(f"/runs/{run}/tasks/t.0/detail/outputs")),
        )
    finally:
        server.stop()
    part = (
        "## Step {n}\n\nSome **text** with `code`, [a link](x.csv) and 1.{n}.\n\n- a\n- b {n}\n\n"
    )
    part += "| a | b |\n|---|--:|\n" + "| 0.5 | {n} |\n" * 8 + "\n"
    text = "".join(part.format(n=n) for n in range(6000))[: 1024 * 1024]
    gc.set_threshold(50_000)  # as the child does that renders
    began = time.process_time()
    render(text)
    row("rendering of a summary of 1 MiB, processor time", time.process_time() - began)


def unchanged(server: Server, path: str, tag: str) -> None:
    """Ask for what has not changed."""
    connection = HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", path, headers={"If-None-Match": tag})
    assert connection.getresponse().status == 304
    connection.close()


def keep(place: Path, run: str) -> None:
    """Parts of the run's summary, as the engine would have collected them."""
    database = Database(f"sqlite:///{place / 'data' / 'scripthut.db'}")
    kept = Kept(place / "data" / "kept")
    with database.writing() as session:
        for task in session.query(Task).filter_by(run_id=run):
            task.state = State.COMPLETED
            found = []
            for area, path in ((Area.FRAGMENT, b"part.md"), (Area.OUTPUT, b"task-summary.md")):
                text = f"**{task.key}**\n\n| n | v |\n|--|--|\n" + "| 1 | 2 |\n" * 10
                sha = kept.put(text.encode())
                html = rendered(kept, area, path, sha)
                file = RemoteFile(f"{run}.{task.n}.1", area, path, len(text), 1)
                found.append(Found(file, sha, html))
            outputs.record(session, task, found)
            task.has_outputs = task.has_run_summary = True
    database.dispose()


if __name__ == "__main__":
    words = sys.argv[1:]
    parts = [word for word in words if word.startswith("--")]
    main([int(word) for word in words if word.isdecimal()] or [200], *parts[:1])
