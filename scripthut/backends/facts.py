"""The disks a login node sees: `df` for home, logs and clones, `quota` where there is one."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from scripthut.core.jobs import Answer
from scripthut.core.survey import Disk

KIB = 1024
SECONDS = 8  # for each question about a cluster: the look waits for all of them


# What is not there yet will be on the disk of the nearest directory that is.
_DF = (
    'for p do while [ -n "$p" ] && [ ! -e "$p" ]; do p=${p%/*}; done; '
    'set -- "$@" "${p:-/}"; shift; done; df -P -k -- "$@"'
)


def commands(home: PurePosixPath, clones: str | None = None) -> Mapping[str, list[str]]:
    """What to ask, by key. `clones`: the directory of commits, if there is one.

    A path that is not there yet, or a program, is no failure.
    """
    paths = [str(home), str(home / ".cache" / "scripthut")]
    if clones is not None:
        paths.append(str(home / clones[2:]) if clones.startswith("~/") else clones)
    return {"df": ["sh", "-c", _DF, "df", *paths], "quota": ["quota", "-w", "-p"]}


def disks(answers: Mapping[str, Answer]) -> tuple[Disk, ...]:
    """The file systems that were told, each once, then the quotas."""
    return (*_df(answers["df"].out), *_quota(answers["quota"].out))


def _df(text: str) -> Iterator[Disk]:
    """Lines of `df -P -k`.

    >>> text = "Filesystem 1024-blocks Used Available Capacity Mounted on\\n"
    >>> [(d.path, d.free) for d in _df(text + "nas:/h 100 60 30 67% /my home\\n")]
    [('/my home', 30720)]
    """
    seen: set[str] = set()
    for line in text.splitlines()[1:]:
        parts = line.rsplit("% ", 1)
        numbers = parts[0].split()[-4:-1]
        if len(parts) == 2 and len(numbers) == 3 and all(n.isdecimal() for n in numbers):
            _, used, free = (int(n) * KIB for n in numbers)
            if parts[1] not in seen:  # what root alone may use counts as used
                seen.add(parts[1])
                yield Disk(parts[1], used, used + free)


def _quota(text: str) -> Iterator[Disk]:
    """Lines of `quota -w -p`: a file system, then blocks of a KiB with their two limits.

    A star is behind blocks that are over the limit; without a limit there is no quota.

    >>> text = "Disk quotas for user ada (uid 1000): \\n"
    >>> text += "  Filesystem blocks quota limit grace files quota limit grace\\n"
    >>> text += "  nas:/home 900* 800 1000 1767139200 12 0 0 0\\n  /dev/sda1 5 0 0 0 1 0 0 0\\n"
    >>> [(d.path, d.used, d.most, d.free) for d in _quota(text)]
    [('nas:/home', 921600, 819200, 0)]
    """
    for line in text.splitlines():
        name, *numbers = line.split() or [""]
        blocks = [number.rstrip("*") for number in numbers[:3]]
        if len(blocks) == 3 and all(n.isdecimal() for n in blocks):
            used, soft, hard = (int(n) * KIB for n in blocks)
            if soft or hard:
                yield Disk(name, used, soft or hard, is_quota=True)
