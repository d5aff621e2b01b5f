"""An application on a database of its own, and rows as the engine would have left them."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page
from sqlalchemy import insert, update
from werkzeug.serving import make_server

from scripthut.config import Config, parse
from scripthut.core.files import notebook
from scripthut.core.files.previews import RENDERED, Kind
from scripthut.core.jobs import Area, RemoteFile
from scripthut.core.markdown import policy
from scripthut.core.markdown.render import render
from scripthut.core.states import State
from scripthut.store import outputs
from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from scripthut.store.models import BackendRow, Base, EventRow, Lease, Run, Task
from scripthut.store.outputs import Found
from scripthut.store.versions import next_version
from scripthut.web import create_app
from tests.compiled import compiled
from tests.databases import places

Keep = Callable[..., int]
SOON = 6_000  # milliseconds; a page asks every 2 s, and this machine may be busy
SPEC: Mapping[str, object] = {
    "command": "echo hello",
    "deps": [],
    "working_dir": "~",
    "partition": None,
    "cpus": 2,
    "memory": 4 * 1024**3,
    "time_limit": 3600,
    "gres": None,
    "output_file": None,
    "error_file": None,
    "env": {"GREETING": "<b>hi</b>"},
}


class Hut:
    """The database behind the pages, written as the engine and its users would."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = datetime.now(UTC).replace(microsecond=0)

    def run(
        self,
        states: Mapping[str, str] | list[str],
        run_id: str = "abcdefgh",
        name: str = "study",
        age: timedelta = timedelta(minutes=5),
    ) -> str:
        """A run with these tasks: ids, or ids and states."""
        states = states if isinstance(states, Mapping) else dict.fromkeys(states, "pending")
        created = self.now - age
        rows = [
            _row(run_id, n, key, State(state), created, self.now)
            for n, (key, state) in enumerate(states.items())
        ]
        over = all(row["finished_at"] for row in rows)
        with self.database.writing() as session:
            session.add(
                Run(
                    id=run_id,
                    name=name,
                    backend="cluster",
                    created_at=created,
                    ended_at=self.now if over else None,
                    version=1,
                )
            )
            session.flush()
            session.execute(insert(Task), rows)
        return run_id

    def change(self, run_id: str, key: str, **facts: object) -> None:
        """Change a task's columns, under the run's next version."""
        with self.database.writing() as session:
            version = next_version(session, run_id)
            statement = update(Task).where(Task.run_id == run_id, Task.key == key)
            session.execute(statement.values(**facts, version=version))

    def end(self, run_id: str) -> None:
        """Complete every task of a run, all collected."""
        with self.database.writing() as session:
            facts = {"state": State.COMPLETED, "finished_at": self.now, "collected_at": self.now}
            version = next_version(session, run_id)
            session.execute(
                update(Task).where(Task.run_id == run_id).values(**facts, version=version)
            )
            session.execute(update(Run).where(Run.id == run_id).values(ended_at=self.now))

    def task_id(self, run_id: str, key: str) -> int:
        with self.database.reading() as session:
            return session.query(Task.id).filter_by(run_id=run_id, key=key).scalar()

    def add(self, *rows: object) -> None:
        with self.database.writing() as session:
            session.add_all(rows)

    def event(self, run_id: str, key: str, what: str, new: str | None = None) -> None:
        task_id = self.task_id(run_id, key)
        self.add(EventRow(run_id=run_id, task_id=task_id, at=self.now, what=what, new=new))

    def backend(self, **facts: object) -> None:
        """What the engine knows of the backend named `cluster`."""
        values = {"name": "cluster", "type": "local", "answered_at": self.now, **facts}
        with self.database.writing() as session:
            session.merge(
                BackendRow(**{"commands": 1, "submit_commands": 0, "watched": 0} | values)
            )

    def engine(self, is_acting: bool) -> None:
        until = datetime.now(UTC).timestamp() + (3600 if is_acting else -3600)
        with self.database.writing() as session:
            session.merge(Lease(name="engine", holder="somebody", epoch=1, until=until))


def _row(
    run_id: str, n: int, key: str, state: State, created: datetime, now: datetime
) -> dict[str, object]:
    is_over = state in (State.COMPLETED, State.FAILED, State.CANCELLED, State.DEP_FAILED)
    has_started = state in (State.RUNNING, State.COMPLETED, State.FAILED)
    return {
        "run_id": run_id,
        "n": n,
        "key": key,
        "name": key,
        "spec": {"id": key, "name": key, **SPEC},
        "deps": [],
        "state": state,
        "version": 1,
        "token": f"{run_id}.{n}.1" if has_started else None,
        "job_id": str(1000 + n) if has_started else None,
        "submitted_at": created + timedelta(seconds=2) if has_started else None,
        "started_at": created + timedelta(seconds=10) if has_started else None,
        "finished_at": now if is_over else None,
        "collected_at": now if is_over else None,
        "exit_code": {State.COMPLETED: 0, State.FAILED: 3}.get(state),
    }


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return parse(
        {
            "backends": [{"type": "local", "name": "cluster"}],
            "settings": {
                **places(tmp_path / "data"),
                "allowed_hosts": ["hut.example.org"],
                "trusted_proxies": ["10.0.0.1"],
            },
        }
    )


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    app = compiled(create_app(config))
    app.testing = True
    database: Database = app.extensions["database"]
    if database.engine.dialect.name == "sqlite":  # elsewhere they are there
        Base.metadata.create_all(database.engine)
    yield app
    database.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def hut(app: Flask) -> Hut:
    hut = Hut(app.extensions["database"])
    hut.backend()
    hut.engine(is_acting=True)
    return hut


@pytest.fixture
def keep(hut: Hut, app: Flask) -> Keep:
    """Writes a file as the engine would have collected it; the row's id is the answer."""
    kept: Kept = app.extensions["kept"]

    def keep(
        path: str | bytes,
        data: bytes = b"data",
        key: str = "fit",
        note: str | None = None,
        area: Area = Area.OUTPUT,
        run_id: str = "abcdefgh",
    ) -> int:
        raw = path.encode() if isinstance(path, str) else path
        sha = html = None
        if note is None:
            sha = kept.put(data)
        kind = outputs.kind_of(area, raw)
        if sha and kind in RENDERED:
            folder = outputs.folder_of(area, raw)
            html = policy.key(sha, folder)
            text = notebook.to_render(data) if kind is Kind.NOTEBOOK else data
            parts = text.decode().split(notebook.SEPARATOR)
            rendered = notebook.SEPARATOR.join(render(part, folder) for part in parts)
            kept.put_as(html, rendered.encode())
        task_id = hut.task_id(run_id, key)
        with hut.database.writing() as session:
            task = session.get(Task, task_id)
            assert task
            file = RemoteFile(task.token or "", area, raw, len(data), 1, note)
            written = outputs.record(
                session, task, [Found(file, sha, html, note)], keep_vanished=True
            )
            task.has_outputs = written.has_outputs
            task.has_run_summary = written.has_summary
            task.version = next_version(session, run_id)
        with hut.database.reading() as session:
            return outputs.known(session, [task_id])[task_id, area, raw].id

    return keep


@pytest.fixture
def serve() -> Iterator[Callable[[Flask], str]]:
    """Serve an application on loopback; gives its address."""
    running = []

    def start(app: Flask) -> str:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site(app: Flask, serve: Callable[[Flask], str]) -> str:
    return serve(app)


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complains of on `page`; a test that expects something takes it out."""
    return []


@pytest.fixture
def page(browser: Browser, site: str, complaints: list[str]) -> Iterator[Page]:
    """A page that must stay free of errors and of refused scripts, styles and requests."""
    context = browser.new_context(base_url=site, viewport={"width": 1400, "height": 900})
    context.set_default_timeout(SOON)
    page = context.new_page()
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []
