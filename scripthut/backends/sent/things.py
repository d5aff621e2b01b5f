"""On the login node: what of ours lies where, and how large it is.

Sent to the node, like its siblings: the standard library of Python 3.4 and later, alone. What is in
a directory is reached by descriptors, never by a link, and other file systems are not entered.
"""

import os
import re
import stat
import time
from contextlib import suppress

from scripthut.backends.sent.files import Refusal, enter, pack, unpack

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from typing import Any

    Row = dict[str, Any]

DEEP = 200  # directories within each other that are measured
STRANGERS = 200  # names of others' things that are told of one directory
COMMIT = re.compile(r"[0-9a-f]{12}(-[0-9a-f]{6})?(-run-[a-z0-9]{8})?\Z")
RUN = re.compile(r"[a-z0-9]{8}\Z")
LOG = re.compile(r"scripthut_([a-z0-9]{8})_.+\.(out|err)\Z", re.DOTALL)
LEFT = re.compile(r"(.+\.(new|old|gone|part)|[0-9a-f]{64}\.tar\.gz|\.clock-[0-9]+)\Z", re.DOTALL)
HIDDEN, OUTPUTS, OWN = ".scripthut", "outputs", ".disk"


def everything(home: str, cache: str, roots: "list[str]") -> "list[Row]":
    """All things in their places, not measured yet; first what is most likely to be large."""
    commits = []  # type: list[Row]
    left = []  # type: list[Row]
    seen = set()  # type: set[str]
    for given in roots:
        root = given
        if given == "~" or given.startswith("~/"):
            root = os.path.join(home, given[2:])
        if os.path.realpath(root) not in seen and os.path.isdir(root):
            seen.add(os.path.realpath(root))
            of_root(root, commits, left)
    logs = Logs(os.path.join(cache, "logs"))
    if os.path.isdir(logs.root):
        here = os.open(logs.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            logs.folder(here, "")
        finally:
            os.close(here)
    names = [name for name in sorted(listed(cache)) if name not in ("logs", OWN)]
    others = [thing("other", cache, name) for name in names]
    return commits + logs.runs + left + logs.left + logs.others + others


def thing(kind: str, root: str, name: str, run_id: "str | None" = None) -> "Row":
    """A row of something that is to be measured."""
    return {"kind": kind, "root": root, "name": name, "run": run_id}


def listed(place: "str | int") -> "list[str]":
    """The names in a directory; none where it cannot be read."""
    try:
        return os.listdir(place)
    except OSError:
        return []


def of_root(root: str, commits: "list[Row]", left: "list[Row]") -> None:
    """Directories of commits, and what is left in the place beside them; strangers unmeasured."""
    hidden = os.path.join(root, HIDDEN)
    strangers = 0
    for name in sorted(listed(root)):
        is_ours = COMMIT.match(name) is not None and is_commit(root, name)
        if name == HIDDEN or (not is_ours and strangers >= STRANGERS):
            continue
        strangers += not is_ours
        commits.append(thing("commit" if is_ours else "stranger", root, name))
    if os.path.isdir(hidden) and not os.path.islink(hidden):
        left.extend(thing("leftover", root, n) for n in sorted(listed(hidden)) if LEFT.match(n))


def is_commit(root: str, name: str) -> bool:
    """Whether a directory with such a name is one: marked, or a clone of an older version."""
    place = os.path.join(root, name)
    if os.path.islink(place) or not os.path.isdir(place):
        return False
    mark = os.path.join(root, HIDDEN, name + ".state")
    return os.path.lexists(mark) or os.path.lexists(os.path.join(place, ".git"))


class Logs:
    """What is in the directory of all logs: each run's files, folder by folder, and strangers."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.runs = []  # type: list[Row]
        self.left = []  # type: list[Row]
        self.others = []  # type: list[Row]

    def folder(self, here: int, path: str, depth: int = 0) -> None:
        """Take a folder of logs, and those below it."""
        found = set()  # type: set[str]
        for name in sorted(listed(here)):
            below = os.path.join(path, name) if path else name
            match = LOG.match(name)
            if match:
                found.add(match.group(1))
                continue
            try:
                inner = enter(here, name)
            except (OSError, Refusal):
                self.others.append(thing("other", self.root, below))
                continue
            try:
                if name in (OUTPUTS, HIDDEN):
                    found |= self.runs_in(inner, path, name)
                elif depth < DEEP:
                    self.folder(inner, below, depth + 1)
            finally:
                os.close(inner)
        self.runs.extend(thing("run", self.root, path, run_id) for run_id in sorted(found))

    def runs_in(self, inner: int, path: str, place: str) -> "set[str]":
        """The runs that have a directory for outputs, or for notes; the rest is a stranger's.

        Beside the notes there may be what a deletion that was cut off has left.
        """
        found = set()  # type: set[str]
        for name in sorted(listed(inner)):
            if RUN.match(name) and is_run(inner, name, place == OUTPUTS):
                found.add(name)
            elif place == HIDDEN and LEFT.match(name):
                self.left.append(thing("leftover", self.root, os.path.join(path, name)))
            else:
                self.others.append(thing("other", self.root, os.path.join(path, place, name)))
        return found


def is_run(inner: int, name: str, has_outputs: bool) -> bool:
    """Whether it is a directory, and not the folder of the logs of a run with such a name."""
    try:
        here = enter(inner, name)
    except (OSError, Refusal):
        return False
    try:
        names = listed(here)
        return not has_outputs or (HIDDEN not in names and not any(map(LOG.match, names)))
    finally:
        os.close(here)


class Sum:
    """What was counted of something."""

    def __init__(self, now: float, until: float) -> None:
        self.now, self.until = now, until
        self.size = self.files = 0
        self.newest = 0.0
        self.is_whole = True
        self.linked = set()  # type: set[tuple[int, int]]

    def take(self, found: os.stat_result) -> None:
        """Count one entry; what has several names once."""
        if found.st_mtime <= self.now + 60:  # a time to come says nothing
            self.newest = max(self.newest, found.st_mtime)
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            if (found.st_dev, found.st_ino) in self.linked:
                return
            self.linked.add((found.st_dev, found.st_ino))
        self.files += not stat.S_ISDIR(found.st_mode)
        self.size += found.st_blocks * 512

    def walk(self, here: int, depth: int = 0) -> None:
        """Count what is in a directory, on its own file system."""
        device = os.fstat(here).st_dev
        for name in os.listdir(here):
            if time.monotonic() > self.until:
                self.is_whole = False
                return
            try:
                found = os.stat(name, dir_fd=here, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode) and found.st_dev != device:
                    continue
                self.take(found)
                if stat.S_ISDIR(found.st_mode):
                    self.descend(here, name, depth)
            except (OSError, Refusal):
                self.is_whole = False

    def descend(self, here: int, name: str, depth: int) -> None:
        """Count what is in a directory within another."""
        if depth >= DEEP:
            self.is_whole = False
            return
        inner = enter(here, name)
        try:
            self.walk(inner, depth + 1)
        finally:
            os.close(inner)


def measured(row: "Row", now: float, until: float) -> "Row":
    """A thing with its size, the time since its newest change, and which directory it is."""
    told = {"kind": row["kind"], "root": row["root"], "run": row["run"]}
    told["name"] = pack(os.fsencode(row["name"]))
    count = Sum(now, until)
    try:
        if row["kind"] == "stranger":
            told.update({"kind": "other", "note": "It is not of scripthut's making."})
        elif row["kind"] == "run":
            told.update(of_run(row, count))
        else:
            told.update(of_entry(row, count))
    except (OSError, Refusal) as error:
        count.is_whole = False
        told["note"] = "It cannot be looked into: %s." % (getattr(error, "strerror", 0) or error)
    told.update({"files": count.files, "whole": count.is_whole})
    if row["kind"] != "stranger":
        told["size"] = count.size
    if count.newest:
        told["age"] = max(0.0, now - count.newest)
    return told


def of_entry(row: "Row", count: Sum) -> "Row":
    """Count a directory or a file; of one that holds a commit what its mark says, too."""
    told = {}  # type: Row
    above = beside(row["kind"], row["root"], row["name"])
    try:
        name = entry_of(row["kind"], row["name"])
        found = os.stat(name, dir_fd=above, follow_symlinks=False)
        count.take(found)
        told["mark"] = mark_of(found)
        if stat.S_ISDIR(found.st_mode):
            count.descend(above, name, 0)
        elif not stat.S_ISREG(found.st_mode):
            told["note"] = "It is a symbolic link: not followed."
    finally:
        os.close(above)
    if row["kind"] == "commit":
        state = os.path.join(row["root"], HIDDEN, row["name"] + ".state")
        with suppress(OSError), open(state, "rb") as mark:
            count.newest = max(count.newest, os.fstat(mark.fileno()).st_mtime)
            told["busy"] = mark.read(1) != b"{"  # it is being made
    return told


def of_run(row: "Row", count: Sum) -> "Row":
    """Count a run's logs, outputs and notes."""
    told = {"mark": "", "busy": False}  # type: Row
    here = beside("run", row["root"], row["name"])
    try:
        for name in logs_of(here, row["run"]):
            count.take(os.stat(name, dir_fd=here, follow_symlinks=False))
        for place in (OUTPUTS, HIDDEN):
            with suppress(FileNotFoundError, Refusal):
                inner = enter(here, place)
                try:
                    found = os.stat(row["run"], dir_fd=inner, follow_symlinks=False)
                    count.take(found)
                    count.descend(inner, row["run"], 0)
                    if place == OUTPUTS:
                        told["mark"] = mark_of(found)
                    else:
                        told["busy"] = has_open_claims(inner, row["run"])
                finally:
                    os.close(inner)
    finally:
        os.close(here)
    return told


def beside(kind: str, root: str, name: str) -> int:
    """Open the directory in which a thing stands, below its trusted root; Refusal for a link.

    Of a run it is the folder of its logs, of a leftover the hidden place of its folder.
    """
    below = name.split("/") if kind in ("run", "leftover") else []
    if kind == "leftover":
        below[-1] = HIDDEN
    if ".." in below:
        raise Refusal("its name leads out of its place")
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for part in below:
        above = here
        try:
            here = enter(above, part) if part else os.dup(above)
        finally:
            os.close(above)
    return here


def entry_of(kind: str, name: str) -> str:
    """The name of a directory or file in what `beside` opens."""
    return name.split("/")[-1] if kind == "leftover" else name


def logs_of(here: int, run_id: str) -> "list[str]":
    """The names of a run's logs in their folder."""
    begin = "scripthut_%s_" % run_id
    return [name for name in os.listdir(here) if name.startswith(begin) and LOG.match(name)]


def has_open_claims(inner: int, run_id: str) -> bool:
    """Whether a job of a run has claimed its task, and left no note that it ended."""
    here = enter(inner, run_id)
    try:
        names = set(os.listdir(here))
        claims = [name for name in names if name.endswith(".claim")]
        return any(is_open(here, names, name) for name in claims)
    finally:
        os.close(here)


def is_open(here: int, names: "set[str]", claim: str) -> bool:
    """Whether a claim is one of a job that may still run."""
    if claim[: -len("claim")] + "exit" in names:
        return False
    try:
        return os.readlink(claim, dir_fd=here) != "job:none"
    except OSError:
        return False


def mark_of(found: os.stat_result) -> str:
    """Which directory or file it is, whatever its name."""
    return "%d:%d" % (found.st_dev, found.st_ino)


def name_of(text: str) -> str:
    """A name that travelled, as this machine's calls take it."""
    return os.fsdecode(unpack(text))
