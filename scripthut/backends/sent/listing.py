"""Listing, on the login node, what tasks wrote: bounded in entries, bytes and time.

Sent to the node, like its siblings: the standard library of Python 3.4 and later, alone.
"""
# For older Pythons, and with file descriptors instead of paths:
# ruff: noqa: UP028, UP031, UP035, UP036, RUF005

import errno
import hashlib
import json
import os
import stat
import sys
import time
import zlib

from scripthut.backends.sent.fetch import read_below, why_not
from scripthut.backends.sent.files import (
    Refusal,
    descend,
    enter,
    kind,
    open_file,
    pack,
    take,
    words_of,
)

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from typing import Any, Callable, Iterator

COUNTED = 20000  # entries looked at in one task's directory
SECONDS = 2.0  # spent on one task's directory
ALL_SECONDS = 20.0  # spent on all listings of a request
DEEPEST = 32  # directories are entered no deeper
CONTENT = 1024 * 1024  # the largest summary that comes with a listing
CONTENTS = 8 * 1024 * 1024  # all of them
SAID = 24 * 1024 * 1024  # bytes of all listings, before they are compressed
LONG = 4096  # bytes; longer ones travel compressed
WORDS = 512  # the end of a progress file
SUMMARY = b"task-summary.md"


class Listing:
    """What stands in one task's output directory, as far as it was looked at."""

    def __init__(self, limits: "dict[str, int]") -> None:
        self.limits = limits
        self.until = time.monotonic() + SECONDS
        self.counted = 0
        self.found = []  # type: list[list[Any]]  # [path, size, mtime_ns, note]
        self.problem = None  # type: str | None

    def walk(self, here: int, before: bytes, depth: int) -> None:
        """The files of a directory, then its directories: what is deep hides nothing."""
        inner = []
        for name in names(here):
            if self.is_over():
                return
            try:
                seen = os.stat(name, dir_fd=here, follow_symlinks=False)
            except OSError:
                continue  # gone meanwhile
            path = before + os.fsencode(name)
            if path == SUMMARY:
                continue  # it has been looked at first
            if stat.S_ISDIR(seen.st_mode):
                inner.append((path, name))
            else:
                self.add(path, seen, depth)
        for path, name in sorted(inner):
            self.enter(here, path, name, depth)

    def look_for(self, here: int, name: bytes) -> None:
        """One name, wherever it would stand among the others."""
        try:
            seen = os.stat(name, dir_fd=here, follow_symlinks=False)
        except OSError:
            return
        self.add(name, seen, 1)
        if stat.S_ISDIR(seen.st_mode):
            self.found[-1][3] = "is a directory, not a file"

    def enter(self, here: int, path: bytes, name: str, depth: int) -> None:
        """A directory in this one."""
        if depth >= DEEPEST:
            self.found.append([path, 0, 0, "is a directory deeper than %d levels" % DEEPEST])
            return
        try:
            below = enter(here, name)
        except (OSError, Refusal) as error:
            if getattr(error, "errno", None) != errno.ENOENT:
                self.found.append([path, 0, 0, "cannot be looked into: " + words_of(error)])
            return
        try:
            self.walk(below, path + b"/", depth + 1)
        except OSError as error:
            self.found.append([path, 0, 0, "cannot be looked into: " + words_of(error)])
        finally:
            os.close(below)

    def is_over(self) -> bool:
        """Whether enough has been looked at; says so."""
        self.counted += 1
        if self.counted > COUNTED or time.monotonic() > self.until:
            self.problem = "holds so many files that only a part was looked at"
            return True
        return False

    def add(self, path: bytes, seen: os.stat_result, depth: int) -> None:
        """One entry that is not a directory."""
        deepest, largest = self.limits["depth"], self.limits["file_bytes"]
        note = kind(seen)
        if note is None and depth > deepest:
            note = "is %d levels deep; the limit is %d" % (depth, deepest)
        if note is None and seen.st_size > largest:
            note = "is larger than the limit of %s a file" % size(largest)
        self.found.append([path, seen.st_size, seen.st_mtime_ns, note])

    def named(self) -> "tuple[list[list[Any]], int]":
        """The entries that are named, the summary always among them, and how many are not."""
        self.found.sort(key=lambda entry: (entry[3] is not None, entry[0] != SUMMARY, entry[0]))
        beyond = "is beyond the limit of %d files a task" % self.limits["files"]
        for at, entry in enumerate(self.found):
            if at >= self.limits["files"] and entry[3] is None:
                entry[3] = beyond
        listed = self.limits["listed"]
        kept = sorted(self.found[:listed], key=lambda entry: (entry[0] != SUMMARY, entry[0]))
        return kept, len(self.found) - len(kept)


def names(here: int) -> "Iterator[str]":
    """The names in a directory, without reading all of a huge one where Python can."""
    if sys.version_info >= (3, 7):
        with os.scandir(here) as entries:
            for entry in entries:
                yield entry.name
    else:
        for name in os.listdir(here):
            yield name


def size(count: int) -> str:
    """Bytes for people."""
    if count < 1024 * 1024:
        return "%.1f KiB" % (count / 1024.0)
    return "%.1f MiB" % (count / 1024.0 / 1024.0)


def listings(request: "dict[str, Any]", say: "Callable[[dict[str, Any]], None]") -> None:
    """What has changed in the output directories of many tasks; whose turn did not come is said."""
    until = time.monotonic() + ALL_SECONDS
    budget, left = CONTENTS, SAID
    later = []  # type: list[str]
    for group in request.get("outputs", []):
        for token, name, fragment, mark, progress, said in group["jobs"]:
            if time.monotonic() > until or left <= 0:
                later.append(token)  # their turn comes in the next cycle
                continue
            task = Task(group, token, name, fragment)
            task.look(request["limits"], progress)
            if task.said[0] != said:
                say({"progress": token, "mark": task.said[0], "data": pack(task.said[1])})
            if task.mark() != mark:
                left -= say_listing(task.record(), say)
                budget = task.contents(budget, say)
    if later:
        say({"later": later})


def say_listing(record: "dict[str, Any]", say: "Callable[[dict[str, Any]], None]") -> int:
    """Say a listing, compressed where it is long; how long it is without."""
    text = json.dumps([record]).encode("utf-8")
    say({"packed": pack(zlib.compress(text, 1))} if len(text) > LONG else record)
    return len(text)


class Task:
    """One task's two places: its output directory, and its fragment of the run's summary."""

    def __init__(self, group: "dict[str, Any]", token: str, name: str, fragment: str) -> None:
        self.token = token
        self.base = group["base"]  # type: str
        self.output = group["path"] + [name]  # type: list[str]
        self.fragments = group["fragments"]  # type: list[str]
        self.fragment = fragment
        self.files = []  # type: list[list[Any]]  # [area, path, size, mtime_ns, note]
        self.more = 0
        self.problem = None  # type: str | None
        self.gone = False
        self.said = (None, b"")  # type: tuple[str | None, bytes]  # of its progress

    def look(self, limits: "dict[str, int]", progress: str) -> None:
        """See what is there."""
        listing = Listing(limits)
        try:
            here = descend(self.base, self.output)
            try:
                listing.look_for(here, SUMMARY)  # whatever else there is, and however much
                listing.walk(here, b"", 1)
            finally:
                os.close(here)
        except (OSError, Refusal) as error:
            listing.problem = why_not(error)
            self.gone = listing.problem is None
        self.problem = listing.problem and "The output directory " + listing.problem
        named, self.more = listing.named()
        self.files = [["output"] + entry for entry in named]
        own = Listing(limits)
        try:
            here = descend(self.base, self.fragments)
            try:
                own.look_for(here, os.fsencode(self.fragment))
                self.said = last_words(here, progress)
            finally:
                os.close(here)
        except (OSError, Refusal) as error:
            why = why_not(error)
            self.problem = self.problem or (why and "The directory of summaries " + why)
        self.files[:0] = [["fragment"] + entry for entry in own.found]

    def mark(self) -> str:
        """A fingerprint of all that was seen."""
        seen = repr((self.files, self.more, self.problem, self.gone))
        return hashlib.sha256(seen.encode("utf-8", "replace")).hexdigest()

    def record(self) -> "dict[str, Any]":
        """The listing as it is sent."""
        files = [[f[0], pack(f[1]), f[2], f[3], f[4]] for f in self.files]
        record = {"listing": self.token, "mark": self.mark(), "files": files, "more": self.more}
        record["problem"] = self.problem
        record["gone"] = self.gone
        return record

    def contents(self, budget: int, say: "Callable[[dict[str, Any]], None]") -> int:
        """Send the summaries too, if they are small; what is left of the budget."""
        for area, path, length, mtime, note in self.files:
            wanted = area == "fragment" or path == SUMMARY
            if not wanted or note is not None or length > min(CONTENT, budget):
                continue
            place = self.fragments if area == "fragment" else self.output
            try:
                data, found = read_below(self.base, place, path, CONTENT)
            except (OSError, Refusal):
                continue  # it changed meanwhile: the next listing has it
            if (found.st_size, found.st_mtime_ns) == (length, mtime):
                say({"content": self.token, "area": area, "path": pack(path), "data": pack(data)})
                budget -= length
        return budget


def last_words(here: int, name: str) -> "tuple[str | None, bytes]":
    """The end of a progress file, and a mark of it; none while there is nothing in it."""
    try:
        opened = open_file(here, name)
    except (OSError, Refusal):
        return None, b""
    try:
        found = os.fstat(opened)
        os.lseek(opened, max(0, found.st_size - WORDS), os.SEEK_SET)
        data = take(opened, WORDS)
    except OSError:
        return None, b""
    finally:
        os.close(opened)
    # By what it holds: a task may write twice within one tick of the disk's clock.
    return (hashlib.sha256(data).hexdigest()[:12], data) if data else (None, b"")
