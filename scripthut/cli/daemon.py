"""`scripthut daemon ...`: the server of this machine, in the background."""

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import psutil

from scripthut.cli.configuration import where
from scripthut.cli.options import config_option, json_option
from scripthut.cli.show import print_json
from scripthut.clock import utcnow
from scripthut.config import Config, environment, resolve
from scripthut.core.errors import Conflict, HutError, Refused

READY = 60.0  # seconds until a started server must serve
STOP = 20.0  # seconds that it has to end by itself
SLACK = 2.0  # seconds by which two readings of one process's start may differ
SERVING = re.compile(rb"serving at=http://(\S+):(\d+)")
SAID = 8  # last lines of its log that are shown when it does not start
NOT_RUNNING = 3  # exit code of `daemon status`
NO_LOG = 2


@dataclass(frozen=True)
class Daemon:
    """A server in the background. `born`: when its process began, so that no other one is it."""

    pid: int
    host: str
    port: int
    started_at: str
    born: float


@click.group("daemon")
def daemon_group() -> None:
    """Start, stop and look after this machine's server in the background."""


@daemon_group.command("start")
@config_option
@json_option
def start_command(config_file: Path | None, as_json: bool) -> None:
    """Start the server in the background; nothing happens when it runs."""
    found = start(_config(config_file), config_file)
    _say(found, as_json, f"runs at http://{found.host}:{found.port}, pid {found.pid}")


@daemon_group.command("stop")
@config_option
@json_option
def stop_command(config_file: Path | None, as_json: bool) -> None:
    """Stop the server; what runs on the clusters goes on."""
    config = _config(config_file)
    with _alone(config):
        found = known(config)
        if found is not None:
            _end(psutil.Process(found.pid))
        _file(config).unlink(missing_ok=True)
    _say(found, as_json, f"stopped, pid {found.pid}" if found else "was not running")


@daemon_group.command("status")
@config_option
@json_option
def status_command(config_file: Path | None, as_json: bool) -> None:
    """Say whether it runs; exit with 3 when it does not."""
    found = known(_config(config_file))
    here = f"runs at http://{found.host}:{found.port}, pid {found.pid}" if found else ""
    _say(found, as_json, here or "is not running")
    if found is None:
        sys.exit(NOT_RUNNING)


@daemon_group.command("logs")
@click.option("--tail", type=click.IntRange(1), default=100, show_default=True, metavar="N")
@config_option
@json_option
def logs_command(tail: int, config_file: Path | None, as_json: bool) -> None:
    """Print the end of its log."""
    log = log_of(_config(config_file))
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-tail:]
    except OSError as error:
        click.echo(f"scripthut: {log} cannot be read: {error.strerror}", err=True)
        sys.exit(NO_LOG)
    if as_json:
        print_json({"file": str(log), "lines": lines})
    else:
        click.echo("\n".join(lines))


def start(config: Config, file: Path | None) -> Daemon:
    """Start the server in the background, or find the one that runs. HutError when it does not."""
    with _alone(config):
        found = known(config)
        if found is not None:
            return found
        log = log_of(config)
        begin = log.stat().st_size if log.exists() else 0
        words = [sys.executable, "-m", "scripthut.cli", "serve"]
        words += ["--config", str(file)] if file else []
        with log.open("ab") as out:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        host, port = _ready(process, log, begin)
        born = psutil.Process(process.pid).create_time()
        started = Daemon(process.pid, host, port, utcnow().isoformat(timespec="seconds"), born)
        _write(_file(config), started)
        return started


def known(config: Config) -> Daemon | None:
    """The server that was started in the background, if that very process still runs."""
    try:
        found = Daemon(**json.loads(_file(config).read_text(encoding="utf-8")))
        process = psutil.Process(found.pid)
        is_it = abs(process.create_time() - found.born) < SLACK and process.is_running()
        is_it = is_it and process.status() != psutil.STATUS_ZOMBIE and "serve" in process.cmdline()
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return found if is_it else None


def moved(before: Config, config: Config, host: str, port: int) -> None:
    """Let the server in the background be found where it is now; its own process calls this."""
    found = known(before)
    if found is None or found.pid != os.getpid():
        return
    _file(config).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(_file(config), replace(found, host=host, port=port or found.port))
    if _file(config) != _file(before):
        _file(before).unlink(missing_ok=True)


def log_of(config: Config) -> Path:
    """Where the server in the background writes its events."""
    return config.data_dir / "daemon" / "daemon.log"


def _file(config: Config) -> Path:
    return config.data_dir / "daemon" / "daemon.json"


def _config(file: Path | None) -> Config:
    return resolve(where(file), environment()).config


def _say(found: Daemon | None, as_json: bool, words: str) -> None:
    if as_json:
        print_json({"running": found is not None, **(asdict(found) if found else {})})
    else:
        click.echo(words)


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    """Nobody else starts or stops it meanwhile."""
    folder = _file(config).parent
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise Refused(f"{folder} cannot be used: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ready(process: "subprocess.Popen[bytes]", log: Path, begin: int) -> tuple[str, int]:
    """Where the new process says that it serves. HutError with its own last words."""
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline:
        said = log.read_bytes()[begin:]
        serving = SERVING.search(said)
        if serving:
            return serving[1].decode(), int(serving[2])
        if process.poll() is not None:
            raise _failed(said)
        time.sleep(0.05)
    process.terminate()
    raise Conflict(f"the server does not serve within {READY:.0f} s: see {log}")


def _failed(said: bytes) -> HutError:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    own = [line for line in lines if line.startswith(("scripthut:", "  "))]
    return Conflict("the server does not start: " + " ".join(own or lines[-SAID:]))


def _end(process: psutil.Process) -> None:
    """End a process, gently first."""
    try:
        process.terminate()
        process.wait(STOP)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(STOP)
    except psutil.NoSuchProcess:
        return


def _write(file: Path, found: Daemon) -> None:
    part = file.with_suffix(".part")
    part.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
    os.replace(part, file)  # noqa: PTH105 - both paths are ours
