"""Sizes, durations and times: the words people, schedulers and programs write."""

import re
from datetime import datetime

KIB, MIB, GIB = 1024, 1024**2, 1024**3
_UNITS = {"": MIB, "K": KIB, "M": MIB, "G": GIB, "T": 1024 * GIB, "P": 1024**2 * GIB}
_SIZE = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([KMGTP]?)(?:I?B)?", re.IGNORECASE)
_NO_LIMIT = ("UNLIMITED", "INFINITE", "INFINITY")
_TIME = re.compile(
    r"""(?:(?P<days>\d+)-(?P<dh>\d+)(?::(?P<dm>\d+)(?::(?P<ds>\d+))?)?   # D-H, D-H:M, D-H:M:S
    |   (?P<h>\d+):(?P<hm>\d+):(?P<hs>\d+)                               # H:M:S
    |   (?P<m>\d+)(?::(?P<ms>\d+))?                                      # M, M:S
    )(?:\.\d+)?""",
    re.VERBOSE,
)
_DAY, _HOUR, _MINUTE = 86400, 3600, 60
_SECONDS = {"days": _DAY, "dh": _HOUR, "dm": _MINUTE, "ds": 1} | {
    **{"h": _HOUR, "hm": _MINUTE, "hs": 1},
    **{"m": _MINUTE, "ms": 1},
}
_SPAN = re.compile(r"(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m(?:in)?)?\s*(?:(\d+)s)?")
_LARGEST = 2**62  # what a database's integer holds, with room
_LONGEST = 100 * 366 * 86400  # seconds that can be added to a date


def memory(text: str) -> int:
    """Bytes in a size as people and `sbatch --mem` write it; a bare number is MiB.

    Powers of 1024, whatever the case. ValueError, a sentence, for anything else.

    >>> [memory(t) for t in ("4G", "512M", "1.5 GB", "1024", "100 kib")]
    [4294967296, 536870912, 1610612736, 1073741824, 102400]
    >>> memory("4 bananas")
    Traceback (most recent call last):
    ...
    ValueError: "4 bananas" is not a size: write a number and K, M, G or T, like 4G
    """
    match = _SIZE.fullmatch(text.strip()) if text.isascii() else None
    if match is None:
        raise ValueError(f'"{text}" is not a size: write a number and K, M, G or T, like 4G')
    count = float(match[1]) * _UNITS[match[2].upper()]
    if count > _LARGEST:
        raise ValueError(f'"{text}" is more memory than any machine has')
    return round(count)


def time_limit(text: str) -> int | None:
    """Seconds in a time limit as `sbatch --time` reads it; None: no limit.

    A bare number is minutes; after `D-` it is hours; zero means no limit, as it does to Slurm.
    ValueError, a sentence, for anything else.

    >>> [time_limit(t) for t in ("90", "1:30", "2:00:00", "1-12", "1-00:00:00", "UNLIMITED")]
    [5400, 90, 7200, 129600, 86400, None]
    """
    if text.strip().upper() in _NO_LIMIT:
        return None
    seconds = None if "." in text else elapsed(text)
    if seconds is None:
        raise ValueError(f'"{text}" is not a time limit: write minutes, H:MM:SS or D-HH:MM:SS')
    if seconds > _LONGEST:
        raise ValueError(f'"{text}" is longer than any job runs')
    return seconds or None


def duration(text: str) -> int:
    """Seconds in a span of time as people write it. ValueError, a sentence, for anything else.

    A bare number is refused: it is minutes to schedulers and seconds to most programs.

    >>> [duration(t) for t in ("90s", "5m", "1h 30m", "2d", "0:05:00", "0s")]
    [90, 300, 5400, 172800, 300, 0]
    """
    told = text.strip().lower()
    match = _SPAN.fullmatch(told) if told.isascii() and len(told) <= 40 else None
    if match is not None and any(match.groups()):
        parts = zip(match.groups(), (_DAY, _HOUR, _MINUTE, 1), strict=True)
        seconds: int | None = sum(int(count) * unit for count, unit in parts if count)
    else:
        seconds = elapsed(told) if ":" in told and "." not in told else None
    if seconds is None or seconds > _LONGEST:
        raise ValueError(f'"{text}" is not a span of time: write it like 90s, 5m, 1h 30m or 2d')
    return seconds


def elapsed(text: str) -> int | None:
    """Seconds in a duration that Slurm printed; None when it printed no duration.

    >>> [elapsed(t) for t in ("0:07", "1-02:03:04", "00:00.058", "UNLIMITED", "INVALID", "")]
    [7, 93784, 0, None, None, None]
    """
    match = _TIME.fullmatch(text.strip()) if text.isascii() else None
    if match is None or len(text) > 40:
        return None
    return sum(int(value) * _SECONDS[part] for part, value in match.groupdict().items() if value)


def clock(seconds: int) -> str:
    """A duration for people, and for `sbatch --time`.

    >>> [clock(s) for s in (7, 3723, 90000)]
    ['0:00:07', '1:02:03', '25:00:00']
    """
    minutes, rest = divmod(max(0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def size(count: int) -> str:
    """A number of bytes for people.

    >>> [size(n) for n in (0, 1023, 1536, 4 * 1024**3, 1024**4 - 1)]
    ['0 B', '1023 B', '1.5 KiB', '4.0 GiB', '1024.0 GiB']
    """
    if count < KIB:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, 6)
    return f"{count / 1024**power:.1f} {'KMGTPE'[power - 1]}iB"


def rfc3339(at: datetime | None) -> str | None:
    """A time as JSON has it.

    >>> rfc3339(datetime.fromisoformat("2026-11-27T09:30:00+00:00"))
    '2026-11-27T09:30:00Z'
    """
    return at.isoformat().replace("+00:00", "Z") if at else None
