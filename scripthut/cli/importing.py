"""`scripthut import DATA_DIR`: the runs of an older version, with their files on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import click
from rich.table import Table
from rich.text import Text

from scripthut.backends.local import LocalBackend
from scripthut.cli import older
from scripthut.cli.configuration import where
from scripthut.cli.older import Older
from scripthut.cli.options import config_option, json_option
from scripthut.cli.show import console, print_json
from scripthut.clock import utcnow
from scripthut.config import Config, environment, resolve
from scripthut.core.jobs import Watch
from scripthut.core.legacy import OldRun
from scripthut.engine.base import Hands, Watched
from scripthut.engine.collect import collect
from scripthut.engine.jobs import job_of
from scripthut.ids import token
from scripthut.store import importing, outputs, tasks
from scripthut.store.db import Database
from scripthut.store.kept import Kept
from scripthut.store.migrate import upgrade

ROUNDS = 50  # of collecting one run's files, each of some seconds
AT_ONCE = 500  # tasks that are looked at together
SHOWN = 40  # problems in the table


@dataclass(frozen=True)
class Result:
    """What an import did. `local`: how many of the runs have files on this machine."""

    read: Older
    imported: Sequence[str]
    known: int
    local: int


@click.command("import")
@click.argument("data_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--dry-run", is_flag=True, help="Read and report; write nothing.")
@config_option
@json_option
def import_command(data_dir: Path, dry_run: bool, config_file: Path | None, as_json: bool) -> None:
    """Take over the runs in DATA_DIR, the data directory of an older version (0.3 and later).

    It can be done again: runs that are here already stay as they are. Nothing in DATA_DIR changes.
    """
    config = resolve(where(config_file), environment()).config
    found = older.read(data_dir)
    result = Result(found, sorted(found.runs), 0, 0) if dry_run else _import(config, found)
    if as_json:
        print_json(_told(result, dry_run))
    else:
        _say(result, dry_run)


def _import(config: Config, found: Older) -> Result:
    upgrade(config.database_url)
    database = Database(config.database_url)
    try:
        with database.reading() as session:
            known = importing.known(session, found.runs)
        kinds = {backend.name: backend.type for backend in config.backends}
        imported, local = [], 0
        for run in sorted(found.runs.values(), key=lambda run: run.created_at):
            if run.id in known:
                continue
            log_dir = _log_dir(run, kinds.get(run.backend))
            tokens = [token(run.id, n, 1) for n in range(len(run.tasks))]
            with database.writing() as session:
                rows = importing.add_run(session, run, log_dir, tokens, utcnow())
            imported.append(run.id)
            if log_dir and Path(log_dir).is_dir() and kinds.get(run.backend, "local") == "local":
                local += 1
                for n in range(0, len(rows), AT_ONCE):
                    _collect(config, database, run.backend, rows[n : n + AT_ONCE])
        return Result(found, imported, len(known), local)
    finally:
        database.dispose()


def _log_dir(run: OldRun, kind: str | None) -> str | None:
    """Where a run's logs lie, absolute on its backend; None where nobody can tell from here."""
    given = run.log_dir or ""
    if "://" in given:
        return None  # with the cloud that it ran on
    if given.startswith("~"):
        return str(Path(given).expanduser()) if kind in (None, "local") else None
    return given if given.startswith("/") else None


def _collect(config: Config, database: Database, backend: str, rows: Sequence[int]) -> None:
    """Keep what tasks left on this machine, as the engine keeps it."""
    limits = config.settings.outputs.limits()
    names = frozenset(config.settings.secret_names)
    here = LocalBackend(backend, limits)
    kept = Kept(config.data_dir / "kept")
    hands = Hands(here, database.reading, database.writing, kept, limits, names)
    for is_first in (True, *[False] * ROUNDS):
        with database.reading() as session:
            found = tasks.by_ids(session, rows)
            home = PurePosixPath(here.home())
            jobs = {task.id: job_of(task, home) for task in found}
            missing = outputs.known(session, rows).values()
            if not is_first and not any(_is_to_come(row.sha256, row.note) for row in missing):
                return
        watches = [Watch(j, live=False, tails={"output": -1, "error": -1}) for j in jobs.values()]
        seen = here.observe(watches)
        watched = [Watched(t.id, t.run_id, jobs[t.id], t.finished_at, None) for t in found]
        collect(hands, {one.job.token: one for one in watched}, seen, utcnow())


def _is_to_come(sha256: str | None, note: str | None) -> bool:
    return sha256 is None and note is None


def _told(result: Result, is_dry: bool) -> dict[str, object]:
    return {
        "files": result.read.files,
        "runs": len(result.read.runs),
        "imported": [] if is_dry else list(result.imported),
        "known": result.known,
        "older_files_of_a_run": result.read.older,
        "with_files_here": result.local,
        "problems": result.read.problems,
    }


def _say(result: Result, is_dry: bool) -> None:
    read = result.read
    verb = "would be imported" if is_dry else "imported"
    click.echo(
        f"{read.files} files read, {len(read.runs)} runs: {len(result.imported)} {verb}, "
        f"{result.known} known already, {result.local} with their files on this machine."
    )
    if read.older:
        click.echo(f"{read.older} files hold former states of a run that was run again.")
    if not read.problems:
        return
    table = Table("Where", "What could not be read", box=None, pad_edge=False)
    for place, problems in list(read.problems.items())[:SHOWN]:
        table.add_row(Text(place), Text("\n".join(problems[:5])))
    console(is_error=True).print(table)
    if len(read.problems) > SHOWN:
        click.echo(f"and {len(read.problems) - SHOWN} more: see --json", err=True)
