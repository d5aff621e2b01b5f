"""Orders on sources end, whatever is the matter with the source."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripthut.config import GitSource, parse
from scripthut.core.errors import Refused
from scripthut.engine.loop import Engine
from scripthut.sources.repository import Repository as SourceCopy
from scripthut.store import source_orders, sources
from scripthut.store.models import Base, SourceOrder
from scripthut.store.source_orders import What
from tests.databases import places
from tests.engine.cluster import FakeCluster
from tests.repository import WORKFLOW, Repository

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def engines() -> Iterator[list[Engine]]:
    made: list[Engine] = []
    yield made
    for engine in made:
        engine.database.dispose()


def engine_of(engines: list[Engine], directory: Path, source: dict[str, Any]) -> Engine:
    """An engine of which a workflow of the source `study` was ordered."""
    config = parse(
        {
            "backends": [
                {"type": "slurm", "name": "hpc", "ssh": {"host": "none"}},
                {"type": "batch", "name": "cloud"},
            ],
            "sources": [{"name": "study", **source}],
            "settings": places(directory / "data"),
        }
    )
    (directory / "data").mkdir()
    engine = Engine(config, {"hpc": FakeCluster()})
    engines.append(engine)
    Base.metadata.create_all(engine.database.engine)
    with engine.database.writing() as session:
        words = {"source": "study", "what": What.RUN, "workflow": "fit", "backend": "hpc"}
        source_orders.order(session, SourceOrder(id="one", params={}, asked_at=NOW, **words))
    return engine


def turn(engine: Engine) -> SourceOrder:
    engine.tick(NOW)
    engine.wait()
    with engine.database.reading() as session:
        return source_orders.one(session, "one")


def test_a_directory_on_a_backend_that_cannot_be_used_is_refused(
    tmp_path: Path, engines: list[Engine]
) -> None:
    source = {"type": "path", "path": "~/x", "backend": "cloud"}
    engine = engine_of(engines, tmp_path, source)
    order = turn(engine)
    assert order.ended_at == NOW
    assert order.problems is not None and "AWS Batch is not used" in order.problems[0]
    with engine.database.reading() as session:
        row = sources.one(session, "study")
        assert row is not None and "cloud is kept" in (row.message or "")
        assert source_orders.busy(session) == frozenset()


def test_a_disk_that_takes_nothing_ends_the_order(tmp_path: Path, engines: list[Engine]) -> None:
    """A file where the copies are kept: what is written there fails, whoever writes, root too."""
    Repository(tmp_path / "theirs").commit({".hut/workflows/fit.json": WORKFLOW})
    source = {"type": "git", "url": f"file://{tmp_path}/theirs", "branch": "main"}
    engine = engine_of(engines, tmp_path, source)
    (tmp_path / "data" / "sources").write_text("")
    order = turn(engine)
    assert order.ended_at is not None
    assert order.problems is not None and "Look whether the disk is full" in order.problems[0]


def test_a_commit_that_cannot_be_packed_is_a_sentence(tmp_path: Path) -> None:
    theirs = Repository(tmp_path / "theirs")
    theirs.commit({".hut/workflows/fit.json": WORKFLOW})
    part = GitSource(type="git", name="study", url=theirs.url, branch="main")
    repository = SourceCopy(part, tmp_path / "cache")
    commit = repository.newest()
    (tmp_path / "cache" / "study.archives").write_text("")
    with pytest.raises(Refused, match="cannot work with its copy of study"):
        repository.packed(commit.sha, "main")
