"""`scripthut preview DIR`: a folder as the site will show it, before any job runs.

It is the site itself, on a database of its own in a temporary directory, in which one task has
written the folder: what is listed, kept, rendered and refused is so by the same code.
"""

import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

import click
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from scripthut.backends.local import LocalBackend
from scripthut.clock import utcnow
from scripthut.config import Config, parse
from scripthut.core import paths
from scripthut.core.errors import Conflict, HutError, Missing, Refused
from scripthut.core.jobs import Got, Job, OutputLimits, Piece, Resources, Watch
from scripthut.core.states import Event
from scripthut.core.tokens import token
from scripthut.core.workflow.document import parse as parse_document
from scripthut.engine.base import Hands, Watched
from scripthut.engine.outputs import pieces
from scripthut.engine.outputs.collect import collect
from scripthut.engine.outputs.fetching import Fetcher
from scripthut.engine.outputs.thumbnails import Studio
from scripthut.ids import new_run_id
from scripthut.store import lease, runs, tasks
from scripthut.store.db import Database
from scripthut.store.files import wishes
from scripthut.store.files.kept import Kept
from scripthut.store.keeping.migrate import upgrade
from scripthut.store.making.create import NewRun, create_run
from scripthut.web import create_app

TASK = "preview"
PAUSE = 1.0  # seconds between two looks at the folder


@dataclass
class Preview:
    """A site whose one run is a folder."""

    app: Flask
    database: Database
    hands: Hands
    job: Job
    task_id: int
    fetcher: Fetcher
    studio: Studio

    @property
    def path(self) -> str:
        """Where on the site the folder is shown."""
        return f"/runs/{self.job.run_id}/tasks/{TASK}?tab=outputs"

    def look(self) -> None:
        """Take over what has changed in the folder."""
        lease.acquire(self.database, "preview")  # pages say where nobody acts
        with self.hands.reading() as session:
            task = runs.find_task(session, self.job.run_id, TASK)
        watch = Watch(self.job, live=False, mark=task.listing_mark)
        seen = self.hands.backend.observe([watch])
        # As if it had not ended: what vanishes from the folder vanishes from the page.
        watched = Watched(self.task_id, self.job.run_id, self.job, None, task.listing_mark)
        collect(self.hands, {self.job.token: watched}, seen, utcnow())
        self._bring(utcnow())
        self.studio.turn(utcnow())

    def _bring(self, now: datetime) -> None:
        """The parts of large files that a page waits for, and those that are fetched whole."""
        with self.hands.reading() as session:
            wished = wishes.wished(session, self.hands.backend.name, now)
        asked = pieces.asked(wished, self.hands.backend.home())
        pieces.answer(self.hands, wished, asked, self.hands.backend.read_pieces(asked), now)
        self.fetcher.run(now)


class _Folder(LocalBackend):
    """The machine here, on which every task has written the one folder."""

    def __init__(self, job: Job, limits: OutputLimits) -> None:
        super().__init__("local", limits)
        self._job = job

    def read_pieces(self, pieces: Sequence[Piece]) -> Mapping[int, Got]:
        return super().read_pieces([replace(one, job=self._job) for one in pieces])


@click.command("preview")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Else a free one.")
def preview_command(folder: Path, output: Path | None, port: int) -> None:
    """Show a folder as the site would show it as a task's outputs.

    On a page on loopback that follows what changes, until Ctrl-C; or, with -o, in one HTML FILE.
    """
    with opened(folder) as preview:
        preview.look()
        if output is not None:
            write(preview, output)
            click.echo(str(output))
        else:
            serve(preview, port)


@contextmanager
def opened(folder: Path) -> Iterator[Preview]:
    """A preview of a folder, gone with all it kept afterwards. Refused when it is no folder."""
    place = folder.expanduser().resolve()
    if not place.exists():
        raise Missing(str(folder))
    if not place.is_dir() or place == place.parent:
        raise Refused(f"{folder} cannot be shown: it is not a folder with a name")
    with tempfile.TemporaryDirectory(prefix="scripthut-preview-") as directory:
        words = {"data_dir": directory, "engine": False}
        config = parse({"backends": [{"type": "local", "name": "local"}], "settings": words})
        upgrade(config.database_url)
        app = create_app(config)
        database: Database = app.extensions["database"]
        try:
            yield _filled(app, database, config, place)
        finally:
            database.dispose()


def write(preview: Preview, output: Path) -> None:
    """Write the folder as one page that needs no server."""
    answer = preview.app.test_client().get(f"/runs/{preview.job.run_id}/report")
    try:
        output.write_bytes(answer.data)
    except OSError as error:
        raise Refused(f"{output} cannot be written: {error.strerror}") from error


def serve(preview: Preview, port: int) -> None:
    """Show the folder on loopback and follow its changes, until Ctrl-C."""
    try:
        server = make_server("127.0.0.1", port, preview.app, threaded=True, request_handler=_Quiet)
    except (OSError, SystemExit) as error:
        raise Conflict(f"port {port} is taken by another program: choose another port") from error
    stopped = threading.Event()
    follower = threading.Thread(target=_follow, args=(preview, stopped), daemon=True)
    follower.start()
    click.echo(f"http://127.0.0.1:{server.server_port}{preview.path}")
    try:
        server.serve_forever()
    finally:
        stopped.set()
        follower.join()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Requests of one's own are no news."""


def _follow(preview: Preview, stopped: threading.Event) -> None:
    while not stopped.wait(PAUSE):
        try:
            preview.look()
        except HutError as error:
            click.echo(f"scripthut: {error}", err=True)


def _filled(app: Flask, database: Database, config: Config, place: Path) -> Preview:
    """The site, with a run whose task has ended and whose outputs are still being collected."""
    now, run_id = utcnow(), new_run_id()
    document = parse_document([{"id": TASK, "name": _name(place), "command": "true"}])
    with database.writing() as session:
        create_run(session, run_id, NewRun(_name(place), "local", document), now)
        task = runs.find_task(session, run_id, TASK)
        word = token(run_id, task.n, task.attempt)
        tasks.move(session, task, Event.RESTORED, now, {"token": word, "submitted_at": now})
    limits, job = config.settings.outputs.limits(), _job(run_id, word, place)
    kept = Kept(config.data_dir / "kept")
    access = database.reading, database.writing
    hands = Hands(_Folder(job, limits), *access, kept, limits)
    return Preview(app, database, hands, job, task.id, Fetcher(hands), Studio(*access, kept))


def _job(run_id: str, word: str, place: Path) -> Job:
    """A job whose output directory is the folder; nothing else of it exists."""
    above = PurePosixPath(place.parent)
    where = paths.for_task(above, run_id, TASK, 1, word)
    return Job(
        token=word,
        run_id=run_id,
        run_name=place.name,
        key=TASK,
        name=place.name,
        attempt=1,
        command="true",
        working_dir="~",
        env={},
        resources=Resources(),
        paths=replace(where, outputs=PurePosixPath(place), logs=above),
    )


def _name(place: Path) -> str:
    return "".join(c if c.isprintable() else "_" for c in place.name)[:200]
