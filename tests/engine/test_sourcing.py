"""Orders on sources end, whatever is the matter with the source."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripthut.config import parse
from scripthut.engine.loop import Engine
from scripthut.store import source_orders, sources
from scripthut.store.models import Base
from scripthut.store.source_models import SourceOrder
from scripthut.store.source_orders import What
from tests.engine.cluster import FakeCluster

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
            "settings": {"data_dir": str(directory / "data")},
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
