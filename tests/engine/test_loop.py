"""The engine's thread: leading anew, and stopping while a machine hangs."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from scripthut.config import SSH, Config
from scripthut.config.backends import Prices
from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Accepted, Job, Rejected, Token
from scripthut.core.states import State
from scripthut.core.workflow.document import parse
from scripthut.core.workflow.spec import TaskSpec
from scripthut.engine import loop
from scripthut.engine.loop import Engine
from scripthut.store import lease
from scripthut.store.making.create import NewRun, create_run
from scripthut.store.models import Base, Lease, Task
from tests.databases import places
from tests.engine.cluster import FakeCluster

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Hanging(FakeCluster):
    """A cluster that does not answer until its connection is closed."""

    asked: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)

    def submit(self, jobs: Sequence[Job]) -> Mapping[Token, Accepted | Rejected]:
        self.asked.set()
        assert self.closed.wait(60)
        raise Unreachable("the connection was closed")

    def close(self) -> None:
        self.closed.set()


@dataclass
class Connected(FakeCluster):
    """A cluster that knows whether its connection was given up."""

    is_closed: bool = False

    def close(self) -> None:
        self.is_closed = True


def engine_of(directory: Path, cluster: FakeCluster) -> Engine:
    config = Config.model_validate(
        {
            "backends": [{"type": "slurm", "name": "hpc", "ssh": {"host": "none"}}],
            "settings": places(directory),
        }
    )
    engine = Engine(config, {"hpc": cluster})
    Base.metadata.create_all(engine.database.engine)
    with engine.database.writing() as session:
        document = parse([{"id": "a", "command": "true"}])
        create_run(session, "abcdefgh", NewRun("x", "hpc", document), NOW)
    return engine


def test_a_machine_that_hangs_does_not_keep_the_engine_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LET_END", 0.2)
    cluster = Hanging()
    engine = engine_of(tmp_path, cluster)
    thread = threading.Thread(target=engine.run)
    thread.start()
    assert cluster.asked.wait(30)
    began = time.monotonic()
    engine.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - began < 5
    with engine.database.reading() as session:
        assert lease.leader(session) is None
        assert session.scalars(select(Task.state)).one() is State.SUBMITTING


def test_an_engine_that_slept_counts_no_silence_from_before(tmp_path: Path) -> None:
    """A laptop that was closed for an hour has not looked for an hour."""
    engine = engine_of(tmp_path, cluster := FakeCluster())
    cluster.drops_questions = True

    def look(after: timedelta) -> State:
        assert engine.tick(NOW + after)
        engine.wait()
        with engine.database.reading() as session:
            return session.scalars(select(Task.state)).one()

    assert look(timedelta(0)) is State.SUBMITTING
    pace = engine._fleet.members["hpc"].pace
    pace.due = pace.failures = 0  # without the pause
    assert look(timedelta(seconds=10)) is State.SUBMITTING  # absent for the first time
    with engine.database.writing() as session:
        session.execute(update(Lease).values(until=0.0))
    before = engine.lead.epoch
    while engine.lead.epoch == before:  # it renews once a second
        assert engine.lead.renew()
        time.sleep(0.05)
    assert look(timedelta(hours=1)) is State.SUBMITTING
    engine._close()


class Breaking(Engine):
    """An engine whose ticks meet what no part of it foresees."""

    meets: Callable[[], None]

    def tick(self, now: datetime) -> bool:
        self.meets()
        return True


def breaking(directory: Path, meets: Callable[[], None]) -> Engine:
    engine = Breaking(Config.model_validate({"settings": places(directory)}))
    Base.metadata.create_all(engine.database.engine)
    engine.meets = meets
    return engine


def test_a_lack_of_files_is_waited_out(tmp_path: Path) -> None:
    errors, well = [OSError(24, "Too many open files")], threading.Event()
    broke = threading.Event()
    engine = breaking(tmp_path, lambda: raises(errors.pop()) if errors else well.set())
    engine.start(broke.set)
    assert well.wait(30)
    engine.stop()
    assert not broke.is_set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_that_broke_says_so_and_its_process_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "BREAK", 0.05)
    broke = threading.Event()
    engine = breaking(tmp_path, lambda: raises(RuntimeError("can't start new thread")))
    engine.start(broke.set)
    assert broke.wait(30)
    assert "engine broke" in caplog.text and "can't start new thread" in caplog.text
    engine.database.dispose()


def raises(error: Exception) -> None:
    raise error


def test_the_engine_knows_what_this_machine_has(tmp_path: Path) -> None:
    here = {"type": "local", "name": "hpc", "cpus": 2}
    config = Config.model_validate({"backends": [here], "settings": places(tmp_path)})
    engine = Engine(config, {"hpc": FakeCluster()})
    Base.metadata.create_all(engine.database.engine)
    assert engine.tick(NOW)
    engine.wait()
    said = engine._fleet.members["hpc"].cycle.hands.beyond
    assert len(said([TaskSpec(id="a", name="a", command="true", cpus=3)])) == 1
    engine.database.dispose()


def test_a_connection_outlives_a_change_of_limits_pace_and_prices(tmp_path: Path) -> None:
    """A person may have given a second factor for it."""
    cluster = Connected()
    engine = engine_of(tmp_path, cluster)
    assert engine.tick(NOW)
    engine.wait()
    config = engine.live.config
    changes = {"max_concurrent": 7, "prices": Prices(cpu_hour=1.0), "env_groups": {}}
    (part,) = config.backends
    engine.live.config = config.model_copy(
        update={
            "backends": [part.model_copy(update=changes)],
            "settings": config.settings.model_copy(
                update={
                    "poll_interval": 77,
                    "secret_names": ["MY_WORD"],
                    "outputs": config.settings.outputs.model_copy(update={"keep_days": 7}),
                }
            ),
        }
    )
    assert engine.tick(NOW)
    engine.wait()
    member = engine._fleet.members["hpc"]
    assert (cluster.is_closed, member.backend) == (False, cluster)
    assert cluster.ring.secret_names == member.cycle.hands.secret_names == {"MY_WORD"}
    assert (member.part.max_concurrent, member.pace.slow) == (7, 77.0)
    other = part.model_copy(update={"ssh": SSH(host="elsewhere")})
    engine.live.config = config.model_copy(update={"backends": [other]})
    assert engine.tick(NOW)
    engine.wait()
    assert cluster.is_closed
    assert engine._fleet.members["hpc"].backend is not cluster
    engine._close()
