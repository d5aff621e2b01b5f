"""A real PostgreSQL for the tests that must hold there too."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scratch import quick, scratch


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of an empty PostgreSQL database; the server lives for the session."""
    with running_postgres() as server:
        yield server.url


@dataclass
class Postgres:
    """A PostgreSQL of its own, on a socket in `base`, that can be ended and started again."""

    base: Path
    programs: Path
    as_owner: Sequence[str]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://hut@/postgres?host={self.base}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        serve = ["-D", self.base / "data", "-k", self.base]
        serve += ["-c", "listen_addresses=", "-c", "fsync=off"]
        words = [*self.as_owner, self.programs / "postgres", *serve]
        with (self.base / "log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, cwd="/")
        ready = [self.programs / "pg_isready", "-h", self.base, "-t", "1", "-q"]
        while subprocess.run(ready, check=False).returncode != 0:
            assert self.process.poll() is None, (self.base / "log").read_text()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is a fast shutdown: open connections are cut. SIGQUIT is as good as a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=30)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A PostgreSQL, empty, for as long as the `with` lasts."""
    programs = _programs()
    if programs is None or shutil.which("setpriv") is None:
        pytest.skip("no PostgreSQL here (Debian packages postgresql and util-linux)")
    with scratch(quick()) as place:  # short: a socket's path is limited
        place.chmod(0o711)
        base = place / "pg"
        base.mkdir()
        server = Postgres(base, programs, _give_away(base))
        init = [programs / "initdb", "-D", base / "data", "-U", "hut", "-A", "trust", "--no-sync"]
        subprocess.run([*server.as_owner, *init], check=True, capture_output=True, cwd="/")
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _programs() -> Path | None:
    """The directory of PostgreSQL's programs; Debian keeps them out of the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    found = str(debian[-1]) if debian else shutil.which("postgres")
    return Path(found).parent if found else None


def _give_away(directory: Path) -> list[str]:
    """The words before a command that make it run as the directory's new owner, and end with us."""
    with_us = ["setpriv", "--pdeathsig", "INT"]
    if os.getuid() != 0:
        return [*with_us, "--"]
    user = next(u for u in ("postgres", "nobody") if u in {p.pw_name for p in pwd.getpwall()})
    owner = pwd.getpwnam(user)
    os.chown(directory, owner.pw_uid, owner.pw_gid)
    return [*with_us, f"--reuid={user}", f"--regid={owner.pw_gid}", "--clear-groups", "--"]
