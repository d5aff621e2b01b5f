"""Directories and the files in them, asked of a login node: requests out, answers in."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import PurePosixPath

from scripthut.backends.node import Record, bytes_of
from scripthut.core import globs
from scripthut.core.errors import BadAnswer, Refused
from scripthut.core.folders import Folder, Placed, Stage
from scripthut.core.jobs import Unreadable

READ_SECONDS = 90
PLACE_SECONDS = 120
FIND_SECONDS = 90


@dataclass(frozen=True)
class Found:
    """Files that were looked for: what they hold, and what is wrong with some of them."""

    files: dict[str, bytes] = field(default_factory=dict)  # relative path -> contents
    problems: dict[str, str] = field(default_factory=dict)
    notice: str | None = None  # a sentence: not everything was looked at


def placing(folder: Folder, offset: int, data: bytes) -> Record:
    """The request that brings a directory a step further."""
    wish = {
        "root": folder.root,
        "name": folder.name,
        "archive": folder.archive,
        "size": folder.size,
        "postclone": folder.postclone,
        "keep": folder.keep,
        "offset": offset,
        "data": base64.b64encode(data).decode(),
    }
    return {"place": wish}


def placed(told: Sequence[Record]) -> Placed:
    """What the node said of a directory."""
    for record in told:
        if "placed" in record:
            why, offset = record.get("why"), int(record.get("offset", 0))
            return Placed(Stage(record["placed"]), str(record["path"]), offset, why)
    raise BadAnswer("the login node said nothing of the directory")


def dropping(folders: Sequence[Folder], idle: timedelta) -> Record:
    """The request that lets directories go, unless somebody asked for them since `idle`."""
    seconds = idle.total_seconds()
    wishes = [{"root": one.root, "name": one.name, "idle": seconds} for one in folders]
    return {"drops": wishes}


def holding(folders: Sequence[Folder], notes: Sequence[PurePosixPath]) -> Record:
    """The request that says of directories that they are in use."""
    marks = [{"root": one.root, "name": one.name} for one in folders]
    return {"holds": [*marks, *({"notes": str(path)} for path in notes)]}


def dropped(folders: Sequence[Folder], told: Sequence[Record]) -> list[str | None]:
    """Of each directory why it stays, in the end of a sentence; None: it is gone."""
    found = {int(record["dropped"]): record["why"] for record in told if "dropped" in record}
    if len(found) != len(folders):
        raise BadAnswer("the login node did not speak of every directory")
    return [None if found[n] is None else str(found[n]) for n in range(len(folders))]


def reading(paths: Mapping[str, str], most: int) -> Record:
    """The request for whole files, none larger than `most` bytes."""
    return {"documents": [[key, path, most] for key, path in paths.items()]}


def texts(told: Sequence[Record]) -> dict[str, bytes | Unreadable]:
    """What the files hold, as far as the node came."""
    found: dict[str, bytes | Unreadable] = {}
    for record in told:
        if "document" in record:
            found[record["document"]] = bytes_of(record["data"])
        elif "unreadable" in record:
            why, is_missing = str(record["why"]), bool(record["missing"])
            found[record["unreadable"]] = Unreadable(why, is_missing)
    return found


def finding(root: str, glob: str, besides: Sequence[str]) -> Record:
    """The request for the files below a directory that a glob means, and for some others."""
    wish = {"root": root, "pattern": f"(?:{globs.pattern(glob).pattern})\\Z"}
    return {"find": {**wish, "besides": list(besides)}}


def found(told: Sequence[Record]) -> Found:
    """The files that came. Refused when there is no such directory."""
    answer, notice = Found(), None
    for record in told:
        if "found" in record and "data" in record:
            answer.files[record["found"]] = bytes_of(record["data"])
        elif "found" in record:
            answer.problems[record["found"]] = str(record["problem"])
        elif "problem" in record:
            notice = str(record["problem"])
    if notice and not answer.files and not answer.problems:
        raise Refused(f"{notice}.")
    return Found(answer.files, answer.problems, notice)
