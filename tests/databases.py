"""Where tests keep their data: in SQLite, or with `--on-postgres` in a real PostgreSQL.

A data directory has one database, for whoever works on it: the servers of a test, one after the
other or side by side, and the test itself. Tests that choose their database themselves say so with
`@pytest.mark.own_database("why")`; they are the same with and without the option.
"""

import shutil
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from scripthut.store.keeping.migrate import upgrade

TEMPLATE = "template_hut"
_numbers = count()
_made: dict[Path, str] = {}  # a data directory -> its database's name
_server: list[str] = []  # the address of the PostgreSQL to use, if one is


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--on-postgres",
        action="store_true",
        help="keep the tests' databases in a real PostgreSQL",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what would be the same once more."""
    if config.getoption("--on-postgres"):
        own = [item for item in items if item.get_closest_marker("own_database")]
        config.hook.pytest_deselected(items=own)
        items[:] = [item for item in items if not item.get_closest_marker("own_database")]


def address(data: Path, has_tables: bool = True) -> str:
    """The address of the database of a data directory. On PostgreSQL a new one has all tables."""
    if not _server:
        return f"sqlite:///{data / 'scripthut.db'}"
    if data not in _made:
        _made[data] = f"test{next(_numbers)}"
        _create(_made[data], TEMPLATE if has_tables else "template0")
    return _named(_server[0], _made[data])


def places(data: Path) -> dict[str, str]:
    """The settings that say where the data are."""
    return {"data_dir": str(data)} | ({"database_url": address(data)} if _server else {})


def begin_anew(data: Path) -> None:
    """Remove a data directory; its database is as new, at the same address."""
    shutil.rmtree(data)
    if data in _made:
        _drop(_made[data])
        _create(_made[data], TEMPLATE)


def is_postgres() -> bool:
    return bool(_server)


@pytest.fixture(scope="session", autouse=True)
def postgres_for_all(request: pytest.FixtureRequest) -> None:
    """With the option, a PostgreSQL with a template of all tables."""
    if request.config.getoption("--on-postgres"):
        url = str(request.getfixturevalue("postgres_url"))
        _administer(url, f"CREATE DATABASE {TEMPLATE}")
        upgrade(_named(url, TEMPLATE))
        _server.append(url)


@pytest.fixture(autouse=True)
def databases_dropped() -> Iterator[None]:
    """After a test its databases are gone; those of fixtures that live longer stay."""
    before = set(_made)
    yield
    for data in _made.keys() - before:
        _drop(_made.pop(data))


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def _create(name: str, template: str) -> None:
    _administer(_server[0], f"CREATE DATABASE {name} TEMPLATE {template}")


def _drop(name: str) -> None:
    _administer(_server[0], f"DROP DATABASE {name} WITH (FORCE)")


def _administer(url: str, statement: str) -> None:
    with _administrator(url).connect() as connection:
        connection.execute(text(statement))


@cache
def _administrator(url: str) -> Engine:
    """Whose one connection is kept: to connect takes longer than to create a database."""
    return create_engine(url, isolation_level="AUTOCOMMIT", pool_size=1)
