"""What `qstat -f` prints, as text or as JSON: one mapping of attributes for each job."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from scripthut.core.errors import BadAnswer
from scripthut.core.jobs import Answer

Attributes: TypeAlias = Mapping[str, str]

_HEAD = re.compile(r"^Job Id:[ \t]+(\S+)[ \t]*$", re.MULTILINE)
_ATTRIBUTE = re.compile(r"(?:    |\t)([A-Za-z_][\w.]*) = (.*)", re.DOTALL)
_DATE = re.compile(r"\w{3} (\w{3}) +(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SIZE = re.compile(r"(\d{1,18})([kmgtp]?)([bw]?)", re.IGNORECASE)
_WORD = 8  # bytes
_OUTPUT_OF_SBATCH = "and the output was:\n"


def jobs(text: str) -> dict[str, Attributes]:
    """The jobs by id, whichever form the text has. BadAnswer when it was cut off."""
    found = _json(text) if text.lstrip().startswith("{") else _text(text)
    return dict(found)


def _json(text: str) -> Iterator[tuple[str, Attributes]]:
    """PBS prints a valid object without "Jobs" for no jobs, and also for no answer."""
    try:
        # What a job's environment holds may stand there with raw control characters.
        told = json.loads(text, strict=False)
    except ValueError as error:
        raise BadAnswer(f"the answer of qstat was cut off, or is no JSON: {error}") from error
    some = told.get("Jobs", {})
    if not isinstance(some, dict):
        raise BadAnswer("the answer of qstat holds no jobs by id")
    for job_id, attributes in some.items():
        if isinstance(attributes, dict):
            yield str(job_id), dict(_flat(attributes))


def _flat(attributes: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", str(v)) for inner, v in value.items())
        else:
            yield name, str(value)


def _text(text: str) -> Iterator[tuple[str, Attributes]]:
    """Blocks of `    name = value`; a long value goes on in a next line that begins with a tab.

    A newline inside of a value (a variable may hold one) is printed as it is. Slurm's commands
    begin each attribute with a tab, and fold nothing. A blank line ends each job.
    """
    if not text.strip():
        return
    heads = list(_HEAD.finditer(text))
    if not heads or not text.endswith("\n\n"):
        raise BadAnswer("the answer of qstat was cut off")
    ends = [*(match.start() for match in heads[1:]), len(text)]
    for head, end in zip(heads, ends, strict=True):
        lines = text[head.end() : end].strip("\n").split("\n")
        yield head[1], _block(lines, folds=lines[0].startswith(" "))


def _block(lines: list[str], folds: bool) -> Attributes:
    """The attributes of one job; the first of a name counts."""
    values: dict[str, str] = {}
    name = ""
    for line in lines:
        is_fold = folds and line.startswith("\t")
        if not is_fold and (match := _ATTRIBUTE.fullmatch(line)):
            name, value = match.groups()
            if name in values:
                name = ""
            else:
                values[name] = value
        elif name:
            values[name] += line[1:] if is_fold else "\n" + line
    return values


def time(text: str | None) -> datetime | None:
    """A time as qstat prints it under TZ=UTC, or as seconds since 1970; None when there is none.

    Not `strptime`, whose names of months are those of the process's locale.

    >>> print(time("Mon Nov 23 02:36:52 2026"), time("1795401418"), time("--"))
    2026-11-23 02:36:52+00:00 2026-11-23 02:36:58+00:00 None
    """
    if text is None:
        return None
    if re.fullmatch(r"[1-9]\d{8,10}", text):
        return datetime.fromtimestamp(int(text), UTC)
    match = _DATE.fullmatch(text.strip())
    if match is None or match[1] not in _MONTHS:
        return None
    month, day, hour, minute, second, year = match.groups()
    try:
        return datetime(
            *(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second)),
            tzinfo=UTC,
        )
    except ValueError:
        return None


def size(text: str | None) -> int | None:
    """Bytes in a size as PBS writes it; None when it is none. A word is 8 bytes.

    >>> [size(t) for t in ("75488kb", "200MB", "1gb", "512", "2kw", "--", None)]
    [77299712, 209715200, 1073741824, 512, 16384, None, None]
    """
    match = _SIZE.fullmatch(text or "")
    if match is None:
        return None
    power = " kmgtp".index(match[2].lower() or " ")
    return int(match[1]) * int(1024**power) * (_WORD if match[3].lower() == "w" else 1)


def said(answer: Answer) -> str:
    """PBS's own words, without the command's name before every line.

    Slurm's commands tell first how they called sbatch.
    """
    lines = (answer.err.strip() or answer.out.strip()).split(_OUTPUT_OF_SBATCH)[-1].splitlines()
    bare = [re.sub(r"^[' ]*(?:q\w+|sbatch): (?:error: )?", "", line).strip(" '") for line in lines]
    return " ".join(filter(None, bare))[:1000] or f"exit code {answer.code} and no word"
