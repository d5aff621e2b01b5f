"""Making runs: what they are made of is kept, and one request never makes two."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from sqlalchemy import func, select

from scripthut.core.errors import Invalid
from scripthut.core.workflow.document import parse
from scripthut.core.workflow.rules import EnvRule, Layer
from scripthut.store import runs
from scripthut.store.db import Database
from scripthut.store.making import env
from scripthut.store.making.create import NewRun, Source, Workspace, create_run
from scripthut.store.models import Base, Run, Task

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DOCUMENT = {
    "title": "A study",
    "params": {"seed": 7, "model": ["small", "large"]},
    "env": [{"set": {"SEED": "${params.seed}", "WHERE": "${SITE}"}}],
    "tasks": [{"id": "fit", "command": "fit --seed ${params.seed}", "cache": False}],
}


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    Base.metadata.create_all(database.engine)
    yield database
    Base.metadata.drop_all(database.engine)
    database.dispose()


def make(database: Database, run_id: str, **words: object) -> str:
    new = NewRun("study", "hpc", parse(DOCUMENT, given={"model": "large"}), **words)  # type: ignore[arg-type]
    with database.writing() as session:
        return create_run(session, run_id, new, NOW).id


def test_everything_a_run_is_made_of_is_kept(database: Database) -> None:
    source = Source("repo", "flows/a.json", "git@host:a.git", "main", "f" * 40)
    site = Layer("server", [EnvRule(set={"SITE": "here"})])
    make(database, "abcdefgh", source=source, folder="/w", layers=[site], workspace=Workspace.RUN)
    with database.reading() as session:
        run, task = runs.find_run(session, "abcdefgh"), runs.find_task(session, "abcdefgh", "fit")
    assert (run.title, run.folder, run.workspace) == ("A study", "/w", "run")
    assert (run.source, run.workflow, run.git_sha) == ("repo", "flows/a.json", "f" * 40)
    assert run.params == {"seed": 7, "model": "large"}
    assert task.spec["command"] == "fit --seed 7"
    given = env.given(task, "slurm").values
    assert (given["SEED"], given["WHERE"]) == ("7", "here")
    assert (given["SCRIPTHUT_PARAM_model"], given["SCRIPTHUT_GIT_BRANCH"]) == ("large", "main")
    assert given["SCRIPTHUT_BACKEND_TYPE"] == "slurm"


def test_what_is_kept_and_not_used_is_said_once_for_a_run(database: Database) -> None:
    make(database, "abcdefgh", layers=[Layer("server", [EnvRule(set={"SCRIPTHUT_X": "1"})])])
    with database.reading() as session:
        notices = runs.find_run(session, "abcdefgh").notices or []
    assert [n.split(":")[0] for n in notices] == ["cache", "server"]


def test_a_request_that_comes_again_is_answered_with_the_first_run(database: Database) -> None:
    assert make(database, "aaaaaaaa", request_key="k") == "aaaaaaaa"
    assert make(database, "bbbbbbbb", request_key="k") == "aaaaaaaa"
    assert make(database, "cccccccc", request_key="other") == "cccccccc"
    assert make(database, "dddddddd") == "dddddddd"
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 3
        assert session.scalar(select(func.count()).select_from(Task)) == 3


def together(database: Database) -> None:
    """Eight requests with one key, at once."""
    start = Barrier(8)

    def one(n: int) -> str:
        start.wait()
        return make(database, f"request{n}", request_key="k")

    with ThreadPoolExecutor(8) as requests:
        found = set(requests.map(one, range(8)))
    assert len(found) == 1
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 1
        assert session.scalar(select(func.count()).select_from(Task)) == 1


def test_of_requests_that_come_together_one_makes_the_run(database: Database) -> None:
    together(database)


@pytest.mark.postgres
def test_of_requests_that_come_together_one_makes_the_run_on_postgresql(
    postgres: Database,
) -> None:
    together(postgres)


def test_rules_that_go_in_a_circle_make_no_run(database: Database) -> None:
    layer = Layer("server", [EnvRule(include=["a"])], {"a": [EnvRule(include=["a"])]})
    with pytest.raises(Invalid, match="a → a"):
        make(database, "abcdefgh", layers=[layer])
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 0
