"""`scripthut import DATA_DIR`: the runs of an older version, with their files on this machine."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from scripthut.core.legacy import EXTERNAL, OldRun
from scripthut.core.tokens import token
from scripthut.engine.base import Hands, Watched
from scripthut.engine.jobs import job_of
from scripthut.engine.outputs.collect import collect
from scripthut.store import outputs, tasks
from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from scripthut.store.keeping.migrate import upgrade
from scripthut.store.making import importing
from scripthut.store.making.importing import Place

ROUNDS = 50  # of collecting one run's files, each of some seconds
AT_ONCE = 500  # tasks that are looked at together
SHOWN = 40  # problems in the table
LOGS = "~/.cache/scripthut/logs"  # of runs outside of repositories; the first versions say nothing


@dataclass(frozen=True)
class Result:
    """What an import did.

    `local`: the runs with files on this machine. `far`: how many have theirs on which backend;
    `unknown`: those of these backends that the configuration does not have.
    """

    read: Older
    imported: list[str] = field(default_factory=list)
    known: int = 0
    local: list[str] = field(default_factory=list)
    far: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)


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
    result = Result(found, sorted(found.runs)) if dry_run else _import(config, found)
    if as_json:
        print_json(_told(result, dry_run))
    else:
        _say(result, dry_run)


def _import(config: Config, found: Older) -> Result:
    upgrade(config.database_url)
    database = Database(config.database_url)
    result = Result(found)
    try:
        with database.reading() as session:
            known = importing.known(session, found.runs)
        kinds = {backend.name: backend.type for backend in config.backends}
        for run in sorted(found.runs.values(), key=lambda run: run.created_at):
            if run.id not in known:
                _take(config, database, run, kinds, result)
    finally:
        database.dispose()
    return replace(result, known=len(known))


def _take(
    config: Config, database: Database, run: OldRun, kinds: Mapping[str, str], result: Result
) -> None:
    """Take one run over, with what lies on this machine."""
    place = _place(run, kinds.get(run.backend))
    tokens = [token(run.id, n, 1) for n in range(len(run.tasks))]
    with database.writing() as session:
        rows = importing.add_run(session, run, place, tokens, utcnow())
    result.imported.append(run.id)
    if place.is_far:
        result.far[run.backend] += 1
        if run.backend not in kinds:
            result.unknown.add(run.backend)
    elif place.log_dir is not None and Path(place.log_dir).is_dir():
        result.local.append(run.id)
        for n in range(0, len(rows), AT_ONCE):
            _collect(config, database, run.backend, rows[n : n + AT_ONCE])


def _place(run: OldRun, kind: str | None) -> Place:
    """Where a run's files lie. `kind`: of its backend; None: the configuration has none."""
    is_elsewhere = "://" in (run.log_dir or "")  # with the cloud that it ran on
    if is_elsewhere or run.name.startswith(EXTERNAL) or not any(t.job_id for t in run.tasks):
        return Place(None, is_far=False)
    given = run.log_dir or f"{LOGS}/{run.name}"
    here = Path(given).expanduser()
    if kind == "local" or (kind is None and here.is_dir()):
        return Place(str(here), is_far=False)
    return Place(given, is_far=given.startswith(("/", "~/")))


def _collect(config: Config, database: Database, backend: str, rows: Sequence[int]) -> None:
    """Keep what tasks left on this machine, as the engine keeps it."""
    limits = config.settings.outputs.limits()
    names = frozenset(config.settings.secret_names)
    here = LocalBackend(backend, limits)
    kept = Kept(config.data_dir / "kept")
    hands = Hands(here, database.reading, database.writing, kept, limits, names)
    is_later = True  # not all has been told yet
    for _ in range(ROUNDS):
        with database.reading() as session:
            found = tasks.by_ids(session, rows)
            home = PurePosixPath(here.home())
            jobs = {task.id: job_of(task, home) for task in found}
            missing = outputs.known(session, rows).values()
            if not is_later and not any(_is_to_come(row.sha256, row.note) for row in missing):
                return
        watches = [Watch(j, live=False, tails={"output": -1, "error": -1}) for j in jobs.values()]
        seen = here.observe(watches)
        watched = [Watched(t.id, t.run_id, jobs[t.id], t.ended_seen_at, None) for t in found]
        collect(hands, {one.job.token: one for one in watched}, seen, utcnow())
        is_later = bool(seen.later)


def _is_to_come(sha256: str | None, note: str | None) -> bool:
    return sha256 is None and note is None


def _told(result: Result, is_dry: bool) -> dict[str, object]:
    return {
        "files": result.read.files,
        "runs": len(result.read.runs),
        "imported": [] if is_dry else list(result.imported),
        "known": result.known,
        "older_files_of_a_run": result.read.older,
        "with_files_here": len(result.local),
        "with_files_on": dict(result.far),
        "unknown_backends": sorted(result.unknown),
        "problems": result.read.problems,
    }


def _say(result: Result, is_dry: bool) -> None:
    read = result.read
    verb = "would be imported" if is_dry else "imported"
    click.echo(
        f"{read.files} files read, {len(read.runs)} runs: {len(result.imported)} {verb}, "
        f"{result.known} known already, {len(result.local)} with their files on this machine."
    )
    for name, count in sorted(result.far.items()):
        click.echo(f"{count} with their files on {name}: fetched from there when somebody looks.")
    for name in sorted(result.unknown):
        click.echo(
            f"The configuration has no backend {name}: with one of that name, the files of its "
            "runs can be fetched.",
            err=True,
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
