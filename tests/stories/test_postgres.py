"""Two servers on one PostgreSQL: killed, put to sleep, and the database restarted under them."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from scripthut.core.states import TERMINAL
from scripthut.store.db import Database
from scripthut.store.models import EventRow, Task
from tests.postgres import Postgres, running_postgres
from tests.serving import Site
from tests.stories.conftest import free_port
from tests.stories.server import Server, until

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.own_database("a PostgreSQL of its own is restarted"),
]
LOCAL = {"type": "local", "name": "local", "max_concurrent": 4}
TAKEN_OVER = 15  # seconds
COUNT = 24  # tasks


@dataclass
class Pair:
    """Two servers, the first of which leads, and a run that they are at work on."""

    postgres: Postgres
    first: Server
    second: Server
    tally: Path

    def run(self) -> str:
        """Start a run of tasks that note that they ran, and wait until the first ones did."""
        command = f'echo "$SCRIPTHUT_TASK_ID" >>{self.tally}; sleep 1'
        tasks = [{"id": f"t{i}", "command": command} for i in range(COUNT)]
        run = self.first.run(tasks, backend="local")
        until(self.tally.exists, 30, "the first tasks")
        return run

    def await_another(self) -> None:
        """Wait until the second server leads, for as long as that may take."""
        until(lambda: leads(self.second), TAKEN_OVER, lambda: self.second.log()[-3000:])

    def check(self) -> None:
        """Each task ran once, and came to one end."""
        assert sorted(self.tally.read_text().split()) == sorted(f"t{i}" for i in range(COUNT))
        database = Database(self.postgres.url)
        with database.reading() as session:
            ends = {state.value for state in TERMINAL}
            ended = session.scalars(select(EventRow.task_id).where(EventRow.new.in_(ends))).all()
            assert sorted(map(int, ended)) == sorted(session.scalars(select(Task.id)))
        database.dispose()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with running_postgres() as postgres:
        shared = {"data_dir": str(tmp_path / "data"), "database_url": postgres.url, "workers": 1}
        first, second = (
            Server(tmp_path / name, free_port(), [LOCAL], shared) for name in ("first", "second")
        )
        for server in (first, second):
            server.directory.mkdir()
            server.start()
            until(lambda: first.get("/health")["engine"] is not None, 30, "a leader")
        yield Pair(postgres, first, second, tmp_path / "tally")
        for server in (first, second):
            send(server, signal.SIGCONT)
            server.stop()


def send(server: Server, what: signal.Signals) -> None:
    assert server.process is not None
    if server.process.poll() is None:
        os.killpg(server.process.pid, what)


def leads(server: Server) -> bool:
    """Whether the engine of this very server leads, by its own log."""
    log = server.log()
    return log.rfind("this engine leads") > log.rfind("this one waits")


def test_a_killed_leader_is_followed_within_fifteen_seconds(pair: Pair) -> None:
    assert leads(pair.first)
    run = pair.run()
    pair.first.kill()
    pair.await_another()
    assert pair.second.await_end(run) == "completed"
    pair.check()


@pytest.mark.parametrize("asleep", [14, pytest.param(60, marks=pytest.mark.soak)])
def test_a_leader_that_sleeps_wherever_it_is_is_followed_and_acts_no_more(
    pair: Pair, asleep: int
) -> None:
    assert leads(pair.first)
    run = pair.run()
    send(pair.first, signal.SIGSTOP)  # in a write, it may be: PostgreSQL ends that
    slept = time.monotonic()
    pair.await_another()
    time.sleep(max(0.0, asleep - (time.monotonic() - slept)))  # the sleep is what is tested
    send(pair.first, signal.SIGCONT)
    assert pair.second.await_end(run) == "completed"
    until(lambda: not leads(pair.first), 30, "the first one to know that it does not lead")
    pair.check()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
def test_a_database_that_goes_and_comes_back_is_waited_for(pair: Pair, how: signal.Signals) -> None:
    run = pair.run()
    pair.postgres.stop(how)
    site = Site("127.0.0.1", pair.second.port)
    for reply in (site.get("/api/v1/runs"), site.post(f"/api/v1/runs/{run}/cancel", {})):
        assert reply.status == 503
        assert "The database does not answer" in reply.json["error"]
        assert reply.headers["retry-after"]
    assert site.get(f"/runs/{run}").status == 503
    time.sleep(3)  # tasks end meanwhile, unseen
    pair.postgres.start()
    back = time.monotonic()
    assert pair.second.await_end(run) == "completed"
    assert time.monotonic() - back < 25  # nobody makes a long pause for it
    pair.check()
    for server in (pair.first, pair.second):
        assert "Traceback" not in server.log()
        assert server.log().count("waiting for the database") <= 2
