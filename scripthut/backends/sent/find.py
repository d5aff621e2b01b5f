"""On the login node: the files below a directory that a pattern means, with what they hold."""

import os
import re

from scripthut.backends.sent.files import pack

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from collections.abc import Callable
    from typing import Any

MOST = 500  # files
VISITED = 200000  # directory entries
LARGEST = 16 * 1024 * 1024  # bytes of a file
TOGETHER = 40 * 1024 * 1024


def find(wish: "dict[str, Any] | None", say: "Callable[[dict[str, Any]], None]") -> None:
    """Say each file with its contents, in the order of their names, and then what was left out."""
    if wish is None:
        return
    root = os.path.expanduser(wish["root"])
    if not os.path.isdir(root):
        say({"problem": "%s is not a directory there" % root})
        return
    paths, problem = listed(root, re.compile(wish["pattern"]))
    if len(paths) > MOST:
        problem = "%d files beyond the first %d are left out" % (len(paths) - MOST, MOST)
    left = TOGETHER
    for path in paths[:MOST] + [p for p in wish["besides"] if p not in paths]:
        try:
            with open(os.path.join(root, path), "rb") as file:
                data = file.read(LARGEST + 1)
        except OSError as error:
            if path not in wish["besides"]:
                say({"found": path, "problem": error.strerror})
            continue
        if len(data) > min(LARGEST, left):
            say({"found": path, "problem": "is too large"})
            continue
        left -= len(data)
        say({"found": path, "data": pack(data)})
    if problem:
        say({"problem": problem})


def listed(root: str, pattern: "re.Pattern[str]") -> "tuple[list[str], str | None]":
    """The relative paths that the pattern means, sorted; links to directories are not followed."""
    found = []  # type: list[str]
    visited = 0
    for folder, folders, files in os.walk(root):
        visited += len(folders) + len(files)
        if visited > VISITED:
            return sorted(found), "%s holds too many files to look at them all" % root
        folders[:] = [name for name in folders if name != ".git"]
        for name in files:
            path = os.path.relpath(os.path.join(folder, name), root)
            if pattern.match(path) and printable(path):
                found.append(path)
    return sorted(found), None


def printable(path: str) -> bool:
    """Whether a name can be shown and sent."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return path.isprintable()
