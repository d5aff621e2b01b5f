"""What is known of sources, what is asked of them, and directories of commits."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scripthut.core.errors import NotFound, Refused
from scripthut.core.workflow.document import parse
from scripthut.core.workflow.workflows import Workflow
from scripthut.store import source_orders, sources
from scripthut.store.db import Database
from scripthut.store.machines import checkouts
from scripthut.store.machines.checkouts import Stage
from scripthut.store.making.create import NewRun, Source, create_run
from scripthut.store.models import Base, Checkout, Run, SourceOrder
from scripthut.store.sources import Look

pytestmark = pytest.mark.own_database("each test runs on both kinds by itself")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Each kind of database in turn, with all tables and nothing in them."""
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/hut.db" if is_sqlite else request.getfixturevalue("postgres_url")
    made = Database(url)
    Base.metadata.create_all(made.engine)
    yield made
    Base.metadata.drop_all(made.engine)
    made.dispose()


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def an_order(order_id: str, key: str | None = None) -> SourceOrder:
    return SourceOrder(
        id=order_id, source="s", what="run", workflow="w", params={}, request_key=key, asked_at=NOW
    )


def test_a_look_replaces_what_was_known_and_a_failure_keeps_it(database: Database) -> None:
    with database.writing() as session:
        sources.looked(session, "s", "git", Look([Workflow("a.json"), Workflow("b.json")]), NOW)
        sources.looked(session, "s", "git", Look([Workflow("b.json", "B", 2)]), NOW)
    later = NOW + timedelta(minutes=1)
    with database.writing() as session:
        sources.failed(session, "s", "git", "down", later)
        sources.failed(session, "s", "git", "still down", later + timedelta(minutes=1))
    with database.reading() as session:
        row = sources.one(session, "s")
        assert row is not None
        assert (row.looked_at, row.failing_since, row.message) == (NOW, later, "still down")
        assert [w.title for w in sources.workflows(session, "s")["s"]] == ["B"]
        assert sources.workflow(session, "s", "b").path == "b.json"
        with pytest.raises(NotFound, match=r"In s there are: b\.json"):
            sources.workflow(session, "s", "a")
    with database.writing() as session:
        sources.seen(session, "s", later)
    with database.reading() as session:
        assert sources.every(session)["s"].failing_since is None


def test_two_files_of_a_name_must_be_told_apart(database: Database) -> None:
    with database.writing() as session:
        look = Look([Workflow("x/fit.json"), Workflow("y/fit.json")])
        sources.looked(session, "s", "git", look, NOW)
    with database.reading() as session, pytest.raises(Refused, match="may be any of"):
        sources.workflow(session, "s", "fit")


def test_an_order_is_served_once_and_forgotten_after_an_hour(database: Database) -> None:
    with database.writing() as session:
        source_orders.order(session, an_order("one"))
        source_orders.order(session, an_order("two"))
    with database.reading() as session:
        assert source_orders.busy(session) == {"s"}
    with database.writing() as session:
        source_orders.serve(session, "one", NOW, result={"tasks": ["é"]})
        source_orders.refuse(session, "two", ["no"], NOW)
    with database.writing() as session:
        assert source_orders.to_do(session, ["s"]) == []
        assert source_orders.result_of(source_orders.one(session, "one")) == {"tasks": ["é"]}
        assert source_orders.one(session, "two").problems == ["no"]
        source_orders.forget_old(session, NOW + timedelta(minutes=61))
        with pytest.raises(NotFound, match="forgotten after an hour"):
            source_orders.one(session, "one")


def test_a_request_s_key_is_one_order(database: Database) -> None:
    with database.writing() as session:
        source_orders.order(session, an_order("one", "k"))
    with database.writing() as session:
        assert source_orders.order(session, an_order("two", "k")).id == "one"
        assert source_orders.order(session, an_order("three")).id == "three"


def test_a_refused_order_does_not_hold_its_request_s_key(database: Database) -> None:
    with database.writing() as session:
        source_orders.order(session, an_order("one", "k"))
        source_orders.refuse(session, "one", ["The remote is down."], NOW)
    with database.writing() as session:
        assert source_orders.order(session, an_order("two", "k")).id == "two"
    with database.writing() as session:
        assert source_orders.order(session, an_order("three", "k")).id == "two"
        source_orders.serve(session, "two", NOW, run_id="abcdefgh")
    with database.writing() as session:
        assert source_orders.order(session, an_order("four", "k")).run_id == "abcdefgh"
        assert source_orders.one(session, "one").problems == ["The remote is down."]


def a_checkout() -> Checkout:
    return Checkout(
        backend="hpc", root="~/c", name="n", source="s", label="0" * 40, ref="main", keep=False
    )


def test_a_directory_is_one_row_for_all_runs_that_wait(database: Database) -> None:
    document = parse([{"id": "a", "command": "true"}])
    for run_id in ("run00001", "run00002"):
        new = NewRun("x", "hpc", document, source=Source("s", git_sha="0" * 40))
        with database.writing() as session:
            create_run(session, run_id, new, NOW)
            checkouts.attach(session, run_id, a_checkout())
    with database.reading() as session:
        (row,) = checkouts.to_do(session, "hpc", NOW)
        before = session.get_one(Run, "run00001").version
        assert checkouts.waiting(session, "hpc") == {"run00001", "run00002"}
    with database.writing() as session:
        checkouts.change(session, row.id, Stage.WORKING, message="make")
    with database.reading() as session:
        found = checkouts.of_run(session, "run00002")
        assert found is not None
        assert found.message == "make"
        assert session.get_one(Run, "run00001").version > before  # the page has news
    with database.writing() as session:
        checkouts.change(session, row.id, Stage.READY, path="/c/n")
    with database.reading() as session:
        assert checkouts.waiting(session, "hpc") == frozenset()
        assert session.get_one(Run, "run00002").folder == "/c/n"
        assert checkouts.of_run(session, "run00002") is None
