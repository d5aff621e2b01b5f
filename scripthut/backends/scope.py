"""Limits by control groups, where systemd gives them: a job runs in a scope of its own.

The kernel then holds a job and all that it starts to its memory and its share of the processors,
however fast they grow. Elsewhere local_end.py looks at them once a second.
"""

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

BOOTED = Path("/run/systemd/system")  # is there when systemd is what started the machine
LINGER = Path("/var/lib/systemd/linger")  # the users whose scopes outlive their sessions
TRIES_WITHIN = 5  # seconds for a scope to begin
BELIEVED = 60.0  # seconds for which one that began shows that the next one will
_MISSING = "systemd did not start this machine"


def unit(name: str) -> str:
    """The unit of a job with that token; its script knows its cgroup by it (core/script.py)."""
    return f"scripthut-{name.replace('.', '-')}.scope"


@dataclass
class Scopes:
    """Whether jobs get scopes here. `now`: seconds that only ever grow."""

    booted: Path = BOOTED
    linger: Path = LINGER
    now: Callable[[], float] = time.monotonic
    _tried: tuple[float, str | None] | None = field(default=None, init=False)

    @property
    def why_not(self) -> str | None:
        """Why there are none, as the end of a sentence; None when there are."""
        if self._tried is None or self.now() - self._tried[0] > BELIEVED:
            self._tried = self.now(), self._try()
        return self._tried[1]

    def before(self, name: str, memory: int | None, cpus: int) -> list[str]:
        """Words that put what follows them into a scope; none where there are no scopes.

        `systemd-run --scope` makes the scope and then becomes the command: it is the same process.
        """
        if self.why_not is not None:
            return []
        limits = [f"CPUQuota={cpus * 100}%"]
        if memory is not None:
            limits += [f"MemoryMax={memory}", "MemorySwapMax=0"]
        named = f"--unit={unit(name)}"
        return [*self._run(), named, *(f"--property={limit}" for limit in limits), "--"]

    def distrust(self) -> None:
        """Give none for a while: one did not begin."""
        self._tried = self.now(), "systemd-run did not begin the last one"

    def _run(self) -> list[str]:
        words = ["systemd-run", "--scope", "--quiet", "--collect"]
        if os.geteuid() == 0:
            return words
        # A service has no session, which would say where the user's own systemd listens.
        place = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")
        return ["env", f"XDG_RUNTIME_DIR={place}", words[0], "--user", *words[1:]]

    def _try(self) -> str | None:
        if not self.booted.is_dir() or shutil.which("systemd-run") is None:
            return _MISSING
        user = getpass.getuser()
        if os.geteuid() != 0 and not (self.linger / user).exists():
            # A user's scopes end with their last session, and with them their jobs.
            return f"{user} does not linger: `loginctl enable-linger {user}`"
        argv = [*self._run(), "--property=MemoryMax=64M", "--", "true"]
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=TRIES_WITHIN, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"systemd-run does not answer ({error})"
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return None if done.returncode == 0 else f"systemd-run refuses ({said[0]})"
