"""What is right and what is wrong with a backend, asked of the real machine; what to do is said."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from scripthut import config
from scripthut.backends import build, dialect, facts, transport
from scripthut.backends.asking import Node, Ring
from scripthut.backends.scope import Scopes
from scripthut.config import AnyBackend, Settings
from scripthut.core import tokens
from scripthut.core.errors import HutError, Unreachable
from scripthut.core.survey import Facts, Wish
from scripthut.core.units import size
from scripthut.schedulers.base import Dialect
from scripthut.transports.base import BadHostKey, BadLogin, Transport
from scripthut.transports.person import Person
from scripthut.transports.ssh import SSH

SLOW = 2.0  # seconds; a login shell that takes longer slows everything down
SKEW = timedelta(seconds=30)
AGES_AGO = timedelta(days=1)
ROOM = 200 * 1024**2  # bytes
PROGRAMS = {
    "slurm": ("sbatch", "squeue", "scancel", "sacct", "scontrol", "sinfo"),
    "pbs": ("qsub", "qstat", "qdel", "pbsnodes"),
}
_MISSING = 'for name do command -v "$name" >/dev/null 2>&1 || echo "$name"; done'
# A shell that sshd starts reads its .bashrc or .cshrc; one at level 0 with SSH_CLIENT does so, too.
_NOISE = 'SHLVL=0 SSH_CLIENT=${SSH_CLIENT:-x} "$SHELL" -c true 2>&1 | head -c 300'
_WRITES = (
    'mkdir -p -- "$1" && file=$(mktemp "$1/.scripthut-XXXXXX") && echo x >"$file" && rm -- "$file"'
)


class Level(StrEnum):
    """How a thing stands."""

    OK = "ok"
    NOTE = "note"  # worth knowing; nothing breaks
    BAD = "bad"  # something needs doing


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `todo`: what a person does about it; None: nothing."""

    what: str
    level: Level
    said: str
    todo: str | None = None


def check(
    part: AnyBackend,
    settings: Settings,
    now: Callable[[], datetime],
    person: Person | None = None,
) -> Iterator[Finding]:
    """Look at one backend, from its connection to its limits; ends where nothing can be asked.

    `person` answers what a login asks.
    """
    if isinstance(part, config.Local):
        yield from _check_local(part, settings)
        return
    way = transport(part, settings, person)
    try:
        began = now()
        if isinstance(way, SSH):
            host_key, key = way.introduce()
            yield Finding("host key", Level.OK, f"{host_key}, as known")
            yield Finding("key", Level.OK, f"{key} opens")
        home, user = way.home, way.user
        took = (now() - began).total_seconds()
        yield Finding("login", Level.OK, f"{user} at {part.ssh.host}, home {home}")
        yield from _check_shell(way, took)
        yield _check_clock(way, now)
        yield _check_python(way)
        yield _check_programs(way, PROGRAMS[part.type])
        yield from _check_directories(way, part)
        speaks = _met(way, dialect(part))
        yield from _check_scheduler(way, speaks, now())
        yield from _check_limits(way, speaks, part)
    except BadHostKey as error:
        yield Finding("host key", Level.BAD, str(error), "Nothing is sent until it is known.")
    except BadLogin as error:
        yield Finding("key", Level.BAD, str(error), "Mend this; the rest waits for it.")
    except HutError as error:
        yield Finding("connection", Level.BAD, str(error), "Mend this; the rest waits for it.")
    finally:
        way.close()


def _check_shell(way: Transport, took: float) -> Iterator[Finding]:
    shell = way.run(["sh", "-c", 'printf %s "$SHELL"']).out
    yield Finding("login shell", Level.OK, shell or "sh")
    if took > SLOW:
        todo = "See what ~/.bashrc, ~/.cshrc or /etc/profile.d do before a command runs."
        yield Finding("login time", Level.NOTE, f"a login took {took:.1f} s", todo)
    noise = " ".join(way.run(["sh", "-c", _NOISE]).out.split())
    if noise:
        todo = "It does no harm here, but breaks scp and sftp: print only when a terminal is there."
        yield Finding("shell start-up", Level.NOTE, f"it prints: {noise[:200]}", todo)


def _check_clock(way: Transport, now: Callable[[], datetime]) -> Finding:
    before = now()
    told = way.run(["date", "+%s"]).out.strip()
    if not told.isdecimal():
        return Finding("clock", Level.NOTE, f"`date` said {told!r}", "See whether `date` works.")
    off = timedelta(seconds=int(told)) - timedelta(seconds=before.timestamp())
    seconds = off.total_seconds()
    if abs(off) > SKEW:
        todo = "Times on the pages are wrong by so much: set the clock of both by NTP."
        return Finding("clock", Level.BAD, f"it differs by {seconds:+.0f} s", todo)
    return Finding("clock", Level.OK, f"within {abs(seconds):.0f} s of this machine's")


def _check_python(way: Transport) -> Finding:
    try:
        Node(way, Ring()).ask({}, 60)
    except Unreachable as error:
        return Finding("python3", Level.BAD, str(error), "Without it no task can be looked after.")
    return Finding("python3", Level.OK, "answers on the login node")


def _check_programs(way: Transport, names: tuple[str, ...]) -> Finding:
    missing = way.run(["sh", "-c", _MISSING, "sh", *names]).out.split()
    if missing:
        todo = "Put the scheduler's commands into the PATH that a command over SSH has (~/.bashrc)."
        return Finding("commands", Level.BAD, f"not found: {', '.join(missing)}", todo)
    return Finding("commands", Level.OK, ", ".join(names))


def _check_directories(way: Transport, part: config.Slurm | config.PBS) -> Iterator[Finding]:
    clones = part.clone_dir.replace("~", str(way.home), 1)
    places = {"logs": str(way.home / ".cache" / "scripthut" / "logs"), "clones": clones}
    for what, path in places.items():
        answer = way.run(["sh", "-c", _WRITES, "sh", path])
        if answer.code == 0:
            yield Finding(what, Level.OK, f"{path} can be written")
        else:
            why = (answer.err.strip().splitlines() or ["no word"])[-1]
            todo = "Make room, or give the directory to this user."
            yield Finding(what, Level.BAD, f"{path} cannot be written: {why}", todo)


def _met(way: Transport, speaks: Dialect) -> Dialect:
    argv = speaks.introduction()
    return speaks.introduced(way.run(argv)) if argv else speaks


def _check_scheduler(way: Transport, speaks: Dialect, now: datetime) -> Iterator[Finding]:
    queue = speaks.list_queue(way.run(speaks.queue(way.user), timeout=60), way.user)
    said = f"{queue.running} of your jobs run, {queue.waiting} wait"
    yield Finding("queue", Level.OK, said)
    yield _check_arrays(way, speaks)
    for argv in speaks.accounting(way.user, ["1"], [], now - AGES_AGO)[:1]:
        try:
            rows = speaks.parse_accounting(way.run(argv, timeout=60))
        except Unreachable as error:
            todo = "Endings wait for it where a job left no note; tell the cluster's administrator."
            yield Finding("accounting", Level.NOTE, str(error), todo)
            continue
        kept = "is kept" if rows is not None else "is not kept: jobs' own notes tell how they ended"
        yield Finding("accounting", Level.OK, f"{kept}")


def _check_arrays(way: Transport, speaks: Dialect) -> Finding:
    if speaks.arrays is None:
        return Finding("arrays", Level.OK, "not used here: tasks are submitted one by one")
    try:
        largest = speaks.arrays.array_limit(way.run(speaks.arrays.array_question()))
    except Unreachable as error:
        return Finding("arrays", Level.NOTE, str(error), "Tasks are submitted one by one.")
    if largest < 2:
        return Finding("arrays", Level.OK, "switched off here: tasks are submitted one by one")
    most = min(largest, tokens.ARRAY)
    return Finding("arrays", Level.OK, f"up to {most} tasks with `array: true` in one submission")


def _check_limits(
    way: Transport, speaks: Dialect, part: config.Slurm | config.PBS
) -> Iterator[Finding]:
    argvs = {**speaks.facts(way.user), **facts.commands(way.home, part.clone_dir)}
    answers = {key: way.run(argv, timeout=60) for key, argv in argvs.items()}
    told = speaks.parse_facts(answers)
    for disk in facts.disks(answers):
        what = "quota" if disk.is_quota else "disk"
        said = f"{disk.path}: {size(disk.free)} of {size(disk.most)} left"
        tight = disk.is_tight or disk.free < ROOM
        todo = "Make room: tasks cannot write their logs and outputs." if tight else None
        yield Finding(what, Level.BAD if tight else Level.OK, said, todo)
    for problem in told.problems:
        yield Finding("limits", Level.NOTE, problem)
    yield from _check_names(told, part)
    for limit in told.limits:
        yield Finding("limit", Level.OK, f"{limit.most} {limit.what} ({limit.whose})")


def _check_names(told: Facts, part: config.Slurm | config.PBS) -> Iterator[Finding]:
    """Whether the configuration names partitions and accounts that there are."""
    there = {p.name: p for p in told.partitions}
    if isinstance(part, config.PBS):
        wanted = [part.queue] if part.queue else []
    else:
        wanted = [*filter(None, [part.default_partition]), *part.partition_map.values()]
    for name in dict.fromkeys(wanted):
        if name not in there:
            todo = f"Name one of {', '.join(there)} in the configuration."
            yield Finding("partition", Level.BAD, f"{name} is not there", todo)
        elif not there[name].is_open:
            yield Finding("partition", Level.NOTE, f"{name} is closed", "What is submitted waits.")
    accounts = [share.account for share in told.shares]
    if part.account and accounts and part.account not in accounts:
        todo = f"Name one of {', '.join(accounts)} in the configuration."
        yield Finding("account", Level.BAD, f"{part.account} is not yours", todo)
    if there:
        yield Finding("partitions", Level.OK, f"{told.line}; soonest: {told.soonest[0].name}")


def _check_local(part: config.Local, settings: Settings) -> Iterator[Finding]:
    bash = shutil.which("bash")
    if bash is None:
        yield Finding("commands", Level.BAD, "there is no bash", "Install it: tasks are run by it.")
    else:
        yield Finding("commands", Level.OK, bash)
    backend = build(part, settings)
    try:
        _, told = backend.survey([], Wish(facts=True))
    finally:
        backend.close()
    why_not = Scopes().why_not
    if why_not is None:
        yield Finding("memory limits", Level.OK, "held by the kernel, in scopes of systemd's")
    else:
        said = f"looked at once a second: {why_not}"
        yield Finding("memory limits", Level.OK, said)
    if told.facts is not None:
        yield Finding("machine", Level.OK, f"{told.facts.line}; {told.facts.largest} for tasks")


def check_data(directory: Path) -> Finding:
    """Whether the server can keep its database and what it collects."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        todo = "Give the directory to the user that runs scripthut, or set settings.data_dir."
        return Finding("data_dir", Level.BAD, f"{directory}: {error.strerror}", todo)
    stats = os.statvfs(directory)
    free = stats.f_bavail * stats.f_frsize
    if free < ROOM:
        todo = "Make room: collecting stops on a full disk."
        return Finding("data_dir", Level.BAD, f"{directory}: {size(free)} left", todo)
    return Finding("data_dir", Level.OK, f"{directory}: {size(free)} left")
