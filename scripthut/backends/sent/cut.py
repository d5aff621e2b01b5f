"""On the login node: a table of jobs, of which some rows travel whole and the rest as counts."""

import json
import re

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from collections.abc import Iterator
    from typing import Any

FIELD = 200  # characters
GROUPS = 200  # of a user, a partition and a state
REASONS = 60
SHORT = 8  # characters: no column of users is narrower
_NUMBER = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?")


def cut(out: bytes, how: "dict[str, Any]") -> bytes:
    """The rows that are told and the counts of all, as JSON; `how` is schedulers.base.Cut."""
    at = how["at"]
    rows = [row for row in read(out.decode("utf-8", "replace"), how) if is_told(row, how)]
    runs = [row for row in rows if row[at["state"]] in how["runs"]]
    waits = [row for row in rows if row[at["state"]] not in how["runs"]]
    if "rank" in at:
        waits.sort(key=lambda row: order(row, how))
    room = max(how["most"] // 2, how["most"] - len(waits))
    told = runs[:room]
    told += waits[: how["most"] - len(told)]
    answer = {
        "columns": columns(told, how),
        "more": sum(jobs(row, how) for row in rows) - sum(jobs(row, how) for row in told),
        "users": len({row[at["user"]] for row in rows}) if "user" in at else 0,
        "groups": groups(rows, how) if "user" in at else [],
        "reasons": reasons(waits, how) if "reason" in at else [],
        "before": before(waits, how) if how["competes"] else [],
    }
    return json.dumps(answer).encode()


def columns(told: "list[list[str]]", how: "dict[str, Any]") -> "list[list[str]]":
    """The rows by column: what is alike stands together there, and packs to two thirds."""
    wide = range(how["fields"] if told else 0)
    return [[row[at][:FIELD].strip() for row in told] for at in wide]


def read(text: str, how: "dict[str, Any]") -> "Iterator[list[str]]":
    """The table's rows, the user's own name whole."""
    is_below, width = not how["below"], 0
    for record in text.split(how["record"]):
        line = record.strip("\r\n")
        if not is_below:
            is_below = line.startswith(how["below"])
            width = width_of(line, how) if is_below and how["is_short"] else 0
            continue
        row = line.split(how["field"], how["fields"] - 1) if how["field"] else line.split()
        more = len(row) - how["fields"]
        if more > 0 and "name" in how["at"]:  # only a name can hold blanks
            at = how["at"]["name"]
            row[at : at + more + 1] = [" ".join(row[at : at + more + 1])]
        if len(row) == how["fields"]:
            if how["is_short"]:
                row[how["at"]["user"]] = whole(row[how["at"]["user"]], width, how["user"])
            yield row


def width_of(dashes: str, how: "dict[str, Any]") -> int:
    """How wide the column of users is, by the line under its head; 0: it does not say."""
    columns = dashes.split()
    return len(columns[how["at"]["user"]]) if len(columns) == how["fields"] else 0


def whole(name: str, width: int, user: str) -> str:
    """The user's own name where its column cut it: with a star, or to its width without a sign."""
    cut = name[:-1] if name.endswith("*") else name if len(name) == width else None
    return user if cut and len(name) >= SHORT and user.startswith(cut) else name


def order(row: "list[str]", how: "dict[str, Any]") -> "tuple[int, int]":
    """What stands before what: the higher rank, then what came first."""
    at = how["at"]
    first = _NUMBER.match(row[at["id"]]) if "id" in at else None
    return -number(row[at["rank"]]), int(first.group()) if first else 0


def is_told(row: "list[str]", how: "dict[str, Any]") -> bool:
    """Whether a job is one of those that are told of."""
    return row[how["at"]["state"]] not in how["skips"]


def groups(rows: "list[list[str]]", how: "dict[str, Any]") -> "list[list[Any]]":
    """Jobs and CPUs by user, partition and state; those with the fewest stand together."""
    at = how["at"]
    found = {}  # type: dict[tuple[str, str, str], list[int]]
    for row in rows:
        key = (row[at["user"]], row[at["partition"]][:FIELD], row[at["state"]])
        count = jobs(row, how)
        add(found, key, count, count * max(0, number(row[at["cpus"]])))
    order = sorted(found, key=lambda key: (key[2] in how["runs"], found[key][::-1]), reverse=True)
    named = order if len(order) <= GROUPS else spread(order)
    rest = {}  # type: dict[tuple[str, str, str], list[int]]
    for key in set(order) - set(named):
        add(rest, ("", "", key[2]), *found[key])
    told = [list(key) + found[key] for key in named]
    return told + [list(key) + rest[key] for key in sorted(rest)]


def spread(order: "list[tuple[str, str, str]]") -> "list[tuple[str, str, str]]":
    """Those users' groups that there is room for, whole users alone, in their order."""
    users = {}  # type: dict[str, list[tuple[str, str, str]]]
    for key in order:
        users.setdefault(key[0], []).append(key)
    told = []  # type: list[tuple[str, str, str]]
    for key in order:
        own = users.pop(key[0], [])
        if len(told) + len(own) <= GROUPS:
            told += own
    return told


def add(
    found: "dict[tuple[str, str, str], list[int]]",
    key: "tuple[str, str, str]",
    count: int,
    cpus: int,
) -> None:
    """Count jobs, and the CPUs of all of them."""
    known = found.setdefault(key, [0, 0])
    known[0] += count
    known[1] += cpus


def reasons(waits: "list[list[str]]", how: "dict[str, Any]") -> "list[list[Any]]":
    """How many jobs wait for which reason; the rarest stand together."""
    found = {}  # type: dict[str, int]
    for row in waits:
        why = row[how["at"]["reason"]][:FIELD]
        found[why] = found.get(why, 0) + jobs(row, how)
    order = sorted(found, key=lambda why: (-found[why], why))
    rest = sum(found[why] for why in order[REASONS:])
    told = [[why, found[why]] for why in order[:REASONS]]  # type: list[list[Any]]
    return told + ([["", rest]] if rest else [])


def before(waits: "list[list[str]]", how: "dict[str, Any]") -> "list[list[Any]]":
    """In each partition where the user waits: how many jobs of how many others are before him."""
    at = how["at"]
    ranked = [
        (name, order(row, how), row)
        for row in waits
        if row[at["reason"]].strip("()") in how["competes"]
        for name in row[at["partition"]].split(",")
    ]
    first = {}  # type: dict[str, tuple[int, int]]
    for name, place, row in ranked:
        if row[at["user"]] == how["user"]:
            first[name] = min(place, first.get(name, place))
    told = []  # type: list[list[Any]]
    for name in sorted(first):
        others = [
            row
            for partition, place, row in ranked
            if partition == name and place < first[name] and row[at["user"]] != how["user"]
        ]
        users = {row[at["user"]] for row in others}
        told.append([name[:FIELD], sum(jobs(row, how) for row in others), len(users)])
    return told[:REASONS]


def jobs(row: "list[str]", how: "dict[str, Any]") -> int:
    """How many jobs stand behind a row: what of an array waits is one."""
    if "indices" not in how["at"]:
        return 1
    count = 0
    for part in row[how["at"]["indices"]].split("%")[0].split(","):
        match = _RANGE.fullmatch(part)
        if match:
            low, high, step = match.group(1), match.group(2) or match.group(1), match.group(3)
            count += max(0, (int(high) - int(low)) // max(1, int(step or 1)) + 1)
    return max(1, count)


def number(text: str) -> int:
    """A whole number; -1 for anything else."""
    return int(text) if _NUMBER.fullmatch(text) else -1
