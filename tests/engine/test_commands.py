"""The last commands on a backend: written down when somebody looks, or when they failed."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import event, select

from scripthut.config import Config
from scripthut.core.commands import Command
from scripthut.engine.loop import Engine
from scripthut.store.machines import commands, surveys
from scripthut.store.models import Base, CommandRow
from tests.engine.cluster import FakeCluster

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def command(n: int, code: int | None = 0) -> Command:
    return Command(NOW + timedelta(seconds=n), f"ask {n}", "node", code, 12, 60_000, 300)


def engine_of(directory: Path, cluster: FakeCluster) -> Engine:
    config = Config.model_validate(
        {
            "backends": [{"type": "slurm", "name": "hpc", "ssh": {"host": "none"}}],
            "settings": {"data_dir": str(directory)},
        }
    )
    engine = Engine(config, {"hpc": cluster})
    Base.metadata.create_all(engine.database.engine)
    engine.tick(NOW)
    engine.wait()
    return engine


def written(engine: Engine, just_bad: bool = False) -> list[str]:
    with engine.database.reading() as session:
        return [one.what for _, one in commands.last(session, "hpc", just_bad)]


def test_while_nobody_looks_nothing_is_written_and_nothing_more_is_asked(tmp_path: Path) -> None:
    cluster = FakeCluster()
    engine = engine_of(tmp_path, cluster)
    said: list[str] = []
    event.listen(
        engine.database.engine, "before_cursor_execute", lambda *words: said.append(words[2])
    )
    cluster.ring.add(command(1))
    engine.tick(NOW)
    assert said
    assert not [one for one in said if re.search(r"(FROM|INTO) commands\b", one)]
    assert written(engine) == []


def test_a_failure_is_written_at_once(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, cluster := FakeCluster())
    cluster.ring.add(command(1))
    cluster.ring.add(command(2, code=None))
    engine.tick(NOW)
    assert written(engine) == ["ask 2"]


def test_a_look_has_the_rest_written_in_its_order(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, cluster := FakeCluster())
    for n in (1, 2, 3):
        cluster.ring.add(command(n, code=1 if n == 2 else 0))
        engine.tick(NOW)
    surveys.look_at_log(engine.database, "hpc", NOW)
    engine.tick(NOW)
    assert written(engine) == ["ask 3", "ask 2", "ask 1"]
    assert written(engine, just_bad=True) == ["ask 2"]
    cluster.ring.add(command(4))
    engine.tick(NOW + surveys.LOOKS_FOR + timedelta(seconds=1))
    assert "ask 4" not in written(engine)


def test_to_look_at_the_commands_asks_nothing_of_the_machine(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, cluster := FakeCluster())
    before = cluster.commands
    surveys.look_at_log(engine.database, "hpc", NOW)
    engine.tick(NOW)
    engine.wait()
    assert cluster.commands == before


def test_the_table_keeps_the_last_of_each_kind(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, FakeCluster())
    with engine.database.writing() as session:
        commands.record(session, "hpc", [command(0, code=1)])
        commands.record(session, "other", [command(0)])
        for n in range(1, 4):
            some = [command(n * 100 + m) for m in range(100)]
            commands.record(session, "hpc", some)
    with engine.database.reading() as session:
        rows = session.scalars(select(CommandRow).where(CommandRow.backend == "hpc")).all()
        assert len(rows) == commands.MOST + 1
        assert min(row.at for row in rows if not row.is_bad) == NOW + timedelta(seconds=200)
        assert len(commands.last(session, "other")) == 1
