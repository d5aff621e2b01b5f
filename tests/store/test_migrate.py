"""Migrations: an empty database becomes what the models say, on SQLite and on PostgreSQL."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url, text

from scripthut.core.errors import Conflict, Invalid, Unreachable
from scripthut.store.db import Database
from scripthut.store.keeping import migrate
from scripthut.store.models import Base

pytestmark = pytest.mark.own_database("each test runs on both kinds by itself")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/hut.db"
        return
    address = request.getfixturevalue("postgres_url")
    yield address
    database = Database(address)
    with database.writing() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    database.dispose()


def revision(url: str) -> str | None:
    database = Database(url)
    with database.reading() as session:
        found = MigrationContext.configure(session.connection()).get_current_revision()
    database.dispose()
    return found


def schema(path: Path) -> list[tuple[str, list[str]]]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL "
            "AND name != 'alembic_version' ORDER BY name"
        ).fetchall()
    return [(name, _parts(sql)) for name, sql in rows]


def _parts(sql: str) -> list[str]:
    """What a statement declares; SQLite puts a column that was added behind all the rest."""
    plain = " ".join(sql.replace('"', "").split())
    head, _, inner = plain.partition("(")
    return [head.strip(), *sorted(part.strip() for part in inner.removesuffix(")").split(","))]


def test_upgrading_an_empty_database_equals_the_models(url: str) -> None:
    migrate.upgrade(url)
    database = Database(url)
    with database.reading() as session:
        context = MigrationContext.configure(
            session.connection(), opts={"compare_server_default": True}
        )
        differences = compare_metadata(context, Base.metadata)
    database.dispose()
    assert differences == []
    assert revision(url) == migrate.head()


def test_sqlite_reads_the_same_statements_from_migrations_and_models(tmp_path: Path) -> None:
    migrate.upgrade(f"sqlite:///{tmp_path}/migrated.db")
    database = Database(f"sqlite:///{tmp_path}/made.db")
    with database.writing() as session:
        Base.metadata.create_all(session.connection())
    database.dispose()
    assert schema(tmp_path / "migrated.db") == schema(tmp_path / "made.db")


def test_upgrading_twice_changes_nothing(url: str) -> None:
    migrate.upgrade(url)
    migrate.upgrade(url)
    assert revision(url) == migrate.head()


def test_servers_that_start_together_migrate_once(url: str) -> None:
    with ThreadPoolExecutor(4) as servers:
        for server in [servers.submit(migrate.upgrade, url) for _ in range(4)]:
            server.result(timeout=60)
    assert revision(url) == migrate.head()


def test_a_database_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hut.db"
    migrate.upgrade(url)
    with sqlite3.connect(tmp_path / "hut.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'tomorrow'")
    with pytest.raises(Conflict, match="newer scripthut"):
        migrate.upgrade(url)
    assert revision(url) == "tomorrow"


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "hut.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE tasks (mine TEXT)")  # in the way of the third table
    with pytest.raises(Unreachable, match="tasks"):
        migrate.upgrade(f"sqlite:///{path}")
    assert [name for name, _ in schema(path)] == ["tasks"]


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        ("not an address", Invalid, "settings.database_url"),
        ("sqlite:////proc/nowhere/hut.db", Unreachable, "cannot be made"),
        ("sqlite:////proc/hut.db", Unreachable, "cannot be upgraded"),
        ("mysql+pymysql://host/hut", Invalid, "pip install"),
        ("nosuch://host/hut", Invalid, "settings.database_url"),
    ],
)
def test_an_address_that_leads_nowhere_is_said_in_a_sentence(
    url: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        migrate.upgrade(url)


def test_a_file_that_is_no_database_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "hut.db").write_bytes(b"my thesis, chapter one\n" * 100)
    with pytest.raises(Unreachable, match="cannot be upgraded: file is not a database"):
        migrate.upgrade(f"sqlite:///{tmp_path}/hut.db")
    assert (tmp_path / "hut.db").read_bytes().startswith(b"my thesis")


@pytest.mark.postgres
def test_a_database_in_which_no_table_may_be_made_is_said_in_a_sentence(postgres_url: str) -> None:
    url = make_url(postgres_url)
    with create_engine(url, isolation_level="AUTOCOMMIT").connect() as owner:
        owner.exec_driver_sql("DROP ROLE IF EXISTS guest")
        owner.exec_driver_sql("CREATE ROLE guest LOGIN")
    with pytest.raises(Unreachable, match="may its user create tables there"):
        migrate.upgrade(url.set(username="guest").render_as_string(hide_password=False))


def test_a_password_is_never_shown() -> None:
    with pytest.raises(Unreachable) as problem:
        migrate.upgrade("postgresql+psycopg://ada:sesame@127.0.0.1:1/hut")
    assert "sesame" not in str(problem.value)
    assert "127.0.0.1" in str(problem.value)
