"""A real Slurm cluster, and a real login node without one, for the tests that need them.

`slurm` and `login_node` start once a session, on ports and in a directory of their own, and end
with the process that runs the tests, however that ends. After each test all faults are mended.
"""

import fcntl
import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.scratch import claimed

__all__ = ["Cluster", "login_node", "mended", "need_slurm", "slurm", "start_cluster"]

HERE = Path(__file__).parent
USERS = ("hut", "hut2")
PORTS = (6, 17, 18, 19, 20, 22, *range(30, 34))  # after PORTBASE, as in up.sh
NEEDS_SSHD = ("sshd", "ssh", "ssh-keygen", "setpriv", "ps")
NEEDS_SLURM = (
    *NEEDS_SSHD,
    *("slurmctld", "slurmd", "slurmdbd", "sbatch", "squeue", "sacct", "sacctmgr"),
    *("munged", "mariadbd", "mariadb-install-db"),
)


@dataclass
class Cluster:
    """A running cluster, or a login node alone."""

    base: Path
    portbase: int
    environment: Mapping[str, str] = field(repr=False)
    host: str = "127.0.0.1"
    user: str = USERS[0]
    is_broken: bool = field(default=False, init=False)  # a fault was injected and not mended yet

    @property
    def port(self) -> int:
        return self.portbase + 22

    @property
    def key(self) -> Path:
        return self.base / "client" / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.base / "client" / "known_hosts"

    @property
    def slurm_conf(self) -> Path:
        return self.base / "etc" / "login" / "slurm.conf"

    @property
    def sshd_config(self) -> Path:
        return self.base / "etc" / "sshd_config"

    def up(self) -> None:
        """Start what does not run."""
        self._script("up.sh", str(self.portbase))

    def fault(self, *words: str) -> str:
        """Break something; `fault.sh` lists what. It is mended after the test."""
        self.is_broken = True
        return self._script("fault.sh", *words)

    def mend(self) -> None:
        """Undo all faults, and start what they stopped."""
        self._script("fault.sh", "all-off")
        self.up()
        self.is_broken = False

    def sacct(self, *words: str) -> str:
        """The accounting's rows about everybody's jobs of two days, fields separated by `|`."""
        return self._ask("sacct", "-a", "-n", "-P", "-S", "now-2days", *words)

    def squeue(self, *words: str) -> str:
        """The queue's rows, without a header."""
        return self._ask("squeue", "-a", "-h", *words)

    def as_user(self, argv: Sequence[str], user: str | None = None) -> str:
        """What a command prints that a login user runs on the login node."""
        account = pwd.getpwnam(user or self.user)
        ids = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
        environment = {
            "HOME": account.pw_dir,
            "USER": account.pw_name,
            "SLURM_CONF": str(self.slurm_conf),
            "PATH": f"{self.base}/shim:/usr/local/bin:/usr/bin:/bin",
        }
        return _run(["setpriv", *ids, "--", *argv], environment, cwd=Path(account.pw_dir))

    def admin(self, *argv: str) -> str:
        """What a command of the cluster's administrator prints."""
        return self._ask(*argv)

    def cancel_jobs(self) -> None:
        """Cancel what is left in the queue, and wait until it is empty."""
        until = time.monotonic() + 30
        while ids := {re.split("[_+]", job_id)[0] for job_id in self.squeue("-o", "%i").split()}:
            if time.monotonic() > until:
                raise TimeoutError(f"jobs do not end: {ids}")
            self._ask("scancel", *sorted(ids))  # an element's own number is not always known
            time.sleep(0.2)

    def _ask(self, *argv: str) -> str:
        return _run(argv, {**os.environ, "SLURM_CONF": str(self.slurm_conf)})

    def _script(self, name: str, *words: str) -> str:
        return _run([str(HERE / name), str(self.base), *words], self.environment, timeout=180)


def _run(
    argv: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None, timeout: int = 60
) -> str:
    done = subprocess.run(
        argv, env=environment, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _missing(programs: Sequence[str]) -> str | None:
    """Why the real thing cannot be had on this machine; None when it can."""
    if os.geteuid() != 0:
        return "a real login node needs root"
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    absent = [program for program in programs if shutil.which(program, path=path) is None]
    return f"not installed: {', '.join(absent)} (see tests/parts.sh)" if absent else None


@contextmanager
def _free_ports() -> Iterator[int]:
    """A PORTBASE whose ports nobody listens on, and no other session takes."""
    for base in range(21000, 29000, 100):
        with ExitStack() as stack:
            lock = stack.enter_context(Path(f"/tmp/.hut-ports-{base}.lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for port in PORTS:
                    with socket.socket() as probe:
                        probe.bind(("127.0.0.1", base + port))
            except OSError:
                continue
            yield base
            return
    raise RuntimeError("no free ports between 21000 and 29000")


@contextmanager
def start_cluster(**settings: str) -> Iterator[Cluster]:
    """A cluster with HUT_... settings of up.sh, for as long as the `with` lasts.

    A guard ends it when this process is gone, were it killed: its pipe closes then.
    """
    environment = {"PATH": os.environ["PATH"], "HUT_USERS": " ".join(USERS), **settings}
    with claimed() as (base, lock), _free_ports() as portbase:
        guard = subprocess.Popen(
            ["sh", "-c", 'cat >/dev/null; exec "$@"', "guard", HERE / "down.sh", base, "--wipe"],
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=[lock],
        )
        try:
            cluster = Cluster(base, portbase, environment)
            cluster.up()
            yield cluster
        finally:
            assert guard.stdin is not None
            guard.stdin.close()
            guard.wait(120)


def need_slurm() -> None:
    """Leave the test out, saying why, where there can be no cluster."""
    if why := _missing(NEEDS_SLURM):
        pytest.skip(why)


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """A Slurm cluster with accounting and its login node."""
    need_slurm()
    with start_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def login_node() -> Iterator[Cluster]:
    """A login node without a scheduler; up in half a second."""
    if why := _missing(NEEDS_SSHD):
        pytest.skip(why)
    with start_cluster(HUT_SLURM="0") as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def mended(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave the cluster whole and its queue empty after each test."""
    yield
    for name, finish in _FINISH.items():
        if name in request.fixturenames:
            cluster: Cluster = request.getfixturevalue(name)
            if cluster.is_broken:
                cluster.mend()
            finish(cluster)


_FINISH: Mapping[str, Callable[[Cluster], None]] = {
    "slurm": Cluster.cancel_jobs,
    "login_node": lambda _: None,
}
