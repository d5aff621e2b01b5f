"""The hosts that ~/.ssh/config names, and what a host has for a scheduler."""

import glob
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from scripthut.core.errors import Unreachable

DEPTH = 8  # of files that include files
LOOK = "command -v sbatch || command -v qsub || echo none"
PATIENCE = 20  # seconds


def hosts(home: Path) -> list[str]:
    """The names after `Host` in ~/.ssh/config, in its order, without patterns."""
    return list(dict.fromkeys(_hosts(home / ".ssh" / "config", home, DEPTH)))


def _hosts(file: Path, home: Path, depth: int) -> Iterator[str]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        words = re.findall(r'"[^"]*"|[^\s=]+', line.partition("#")[0])
        if len(words) < 2:
            continue
        key, values = words[0].lower(), [word.strip('"') for word in words[1:]]
        if key == "host":
            yield from (value for value in values if not re.search(r"[*?!]", value))
        elif key == "include" and depth:
            for value in values:
                path = Path(value.replace("~", str(home), 1)) if value[:1] == "~" else Path(value)
                for found in sorted(glob.glob(str(home / ".ssh" / path))):  # noqa: PTH207
                    yield from _hosts(Path(found), home, depth - 1)


def scheduler(host: str) -> str | None:
    """`slurm`, `pbs`, or None for a host that has neither. Raises Unreachable."""
    words = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={PATIENCE}", "--", host, LOOK]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(f"{host} does not answer: {error}") from error
    if done.returncode != 0:
        raise Unreachable(f"{host} does not answer: {done.stderr.strip() or 'ssh gave up'}")
    last = done.stdout.strip().rsplit("/", 1)[-1]
    return {"sbatch": "slurm", "qsub": "pbs"}.get(last)
