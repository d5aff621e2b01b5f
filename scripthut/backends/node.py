"""The two ends of a conversation with a login node: requests out, records in.

The node runs one constant script (`sent`), whatever is asked: the script and
the request travel on standard input, so the command itself never holds anything of a user's.
"""

import base64
import binascii
import json
import os
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from scripthut.backends.sent.program import PROGRAM
from scripthut.backends.sent.script import NO_JOB, SIGN
from scripthut.core.errors import BadAnswer, Unreachable
from scripthut.core.jobs import (
    Answer,
    Area,
    Chunk,
    ExitNote,
    Got,
    Job,
    Listing,
    OutputLimits,
    Piece,
    RemoteFile,
    Said,
    Token,
    Used,
    Watch,
)
from scripthut.transports.base import MIB

Record: TypeAlias = Mapping[str, Any]

# Constant: it reads a first line of Python, which takes the modules and then runs the last one.
_LOADER = "import sys;exec(eval(sys.stdin.buffer.readline()))"
# Where no `python3` is in the path, the one of the system itself often is (RHEL 8).
_FIND = (
    'for p in python3 /usr/libexec/platform-python /usr/bin/python3; do command -v "$p" >/dev/null'
    ' 2>&1 && exec "$p" -I -S -c "$1"; done; exit 127'
)
_MOST_MEMORY, _DIGITS = 2**50, 16
MOST_SAID = 256 * MIB  # bytes of one command's output
FETCH_BYTES = 32 * MIB  # of listed files in one command; base64 makes them 43 MiB on the wire


def command(python: str | None = None) -> list[str]:
    """The words that start the script there; nothing of a request is in them."""
    if python is not None:
        return [python, "-I", "-S", "-c", _LOADER]
    return ["sh", "-c", _FIND, "scripthut", _LOADER]


def wire(request: Record) -> bytes:
    """What goes to its standard input."""
    return PROGRAM + json.dumps(request).encode()


def records(answer: Answer) -> list[Record]:
    """The records of an answer. BadAnswer when it is not whole."""
    if answer.code == 127:
        raise Unreachable(
            "python3 was not found on the login node: install it there, or put it in the PATH of "
            "the login shell"
        )
    found: list[Record] = []
    for line in answer.out.splitlines():
        if line.startswith(SIGN):
            try:
                found.append(json.loads(line[len(SIGN) :]))
            except json.JSONDecodeError:
                break
    if not found or found[-1].get("end") != len(found) - 1:
        words = answer.err.strip().splitlines()[-1:] or ["its answer was cut off"]
        raise BadAnswer(f"the login node did not answer to the end: {words[0]}")
    return found[:-1]


def states(jobs: Collection[Job]) -> list[Record]:
    """Where to look for the notes and claims of jobs, a record for each directory."""

    def place(job: Job) -> tuple[str, str]:
        return str(job.paths.logs), str(job.paths.state)

    return [
        {"base": base, "path": _below(base, state), "tokens": [job.token for job in some]}
        for (base, state), some in groupby(sorted(jobs, key=place), place)
    ]


def outputs(watches: Collection[Watch]) -> list[Record]:
    """Whose output directories to list, a record for each run."""

    def place(watch: Watch) -> tuple[str, str, str]:
        paths = watch.job.paths
        return str(paths.logs), str(paths.outputs.parent), str(paths.fragment.parent)

    def task(watch: Watch) -> list[str | None]:
        paths = watch.job.paths
        names = [paths.outputs.name, paths.fragment.name]
        return [watch.job.token, *names, watch.mark, paths.progress.name, watch.progress_mark]

    # In the order of the watches: what the answer has no room for is of those that come last.
    listed: dict[tuple[str, str, str], list[Watch]] = {}
    for one in watches:
        if one.list_outputs:
            listed.setdefault(place(one), []).append(one)
    return [
        {
            "base": base,
            "path": _below(base, run),
            "fragments": _below(base, fragments),
            "jobs": [task(watch) for watch in some],
        }
        for (base, run, fragments), some in listed.items()
    ]


def logs(watches: Collection[Watch]) -> list[list[object]]:
    """Which pieces of which logs are wanted."""
    places = [(w, {"output": w.job.paths.out, "error": w.job.paths.err}) for w in watches]
    return [
        [watch.job.token, stream, str(paths[stream]), offset]
        for watch, paths in places
        for stream, offset in watch.tails.items()
    ]


def limits(of: OutputLimits) -> dict[str, int]:
    """Limits as the script takes them."""
    return {"file_bytes": of.file_bytes, "files": of.files, "depth": of.depth, "listed": of.listed}


def _below(base: str, place: str) -> list[str]:
    return list(PurePosixPath(place).relative_to(base).parts)


@dataclass
class Seen:
    """What the records of one answer say."""

    ran: dict[str, Answer] = field(default_factory=dict)
    notes: dict[Token, ExitNote] = field(default_factory=dict)
    claims: dict[Token, str] = field(default_factory=dict)
    withdrawn: set[Token] = field(default_factory=set)
    unread: dict[Token, str] = field(default_factory=dict)  # token -> why nobody can say
    listings: dict[Token, Listing] = field(default_factory=dict)
    contents: dict[tuple[Token, Area, bytes], bytes] = field(default_factory=dict)
    logs: dict[tuple[Token, str], Chunk] = field(default_factory=dict)
    progress: dict[Token, Said] = field(default_factory=dict)
    later: set[Token] = field(default_factory=set)  # what did not fit is asked for again
    pieces: dict[int, Got] = field(default_factory=dict)


def understand(told: Sequence[Record]) -> Seen:
    """Put records in their places. BadAnswer when one makes no sense."""
    seen = Seen()
    try:
        for record in told:
            _place(record, seen)
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise BadAnswer(f"the login node said something that makes no sense: {error!r}") from error
    return seen


def _place(record: Record, seen: Seen) -> None:
    match record:
        case {"packed": text}:
            for one in json.loads(unpacked(text).decode()):
                _place(one, seen)
        case {"ran": key}:
            seen.ran[key] = answer_of(record)
        case {"note": token, "text": text}:
            if (note := read_note(token, text)) is not None:
                seen.notes[token] = note
        case {"claim": token, "text": str(text)} if text.startswith("job:"):
            _place_claim(token, text, seen)
        case {"unread": tokens, "why": why}:
            seen.unread.update(dict.fromkeys(tokens, why))
        case {"listing": token}:
            seen.listings[token] = _listing(record)
        case {"later": tokens}:
            seen.later.update(map(str, tokens))
        case _:
            _place_bytes(record, seen)


def _place_bytes(record: Record, seen: Seen) -> None:
    match record:
        case {"content": token, "area": area, "path": path, "data": data}:
            seen.contents[token, Area(area), bytes_of(path)] = bytes_of(data)
        case {"progress": token, "mark": mark, "data": data}:
            seen.progress[token] = Said(mark, bytes_of(data))
        case {"piece": at}:
            seen.pieces[int(at)] = _got(record)
        case {"log": token, "stream": stream}:
            chunk = Chunk(int(record["start"]), bytes_of(record["data"]), int(record["size"]))
            seen.logs[token, stream] = chunk


def _place_claim(token: Token, text: str, seen: Seen) -> None:
    if text == NO_JOB:
        seen.withdrawn.add(token)
    else:
        seen.claims[token] = text.removeprefix("job:")


def answer_of(record: Record) -> Answer:
    """What a command on the node said."""
    out = unpacked(record["z"]) if "z" in record else bytes_of(record["out"])
    err = bytes_of(record["err"])
    return Answer(int(record["code"]), *(data.decode("utf-8", "replace") for data in (out, err)))


def unpacked(text: str) -> bytes:
    """Bytes that travelled compressed; ValueError when there are more than a node may say."""
    inflate = zlib.decompressobj()
    data = inflate.decompress(bytes_of(text), MOST_SAID)
    if not inflate.eof:
        raise ValueError(f"more than {MOST_SAID} bytes, or cut off")
    return data


def bytes_of(text: str) -> bytes:
    """Bytes as they travel."""
    return base64.b64decode(text, validate=True)


def _got(record: Record) -> Got:
    if "why" in record:
        return Got(why=str(record["why"]))
    data, is_still = bytes_of(record["data"]), bool(record["still"])
    return Got(data, int(record["size"]), int(record["mtime"]), is_still)


def _listing(record: Record) -> Listing:
    files = tuple(
        RemoteFile(record["listing"], Area(area), bytes_of(path), int(size), int(mtime), note)
        for area, path, size, mtime, note in record["files"]
    )
    more, is_gone = int(record["more"]), bool(record["gone"])
    return Listing(record["mark"], files, more, record["problem"], is_gone)


def read_note(token: Token, text: str) -> ExitNote | None:
    """An exit note; None when it is not whole, or not of this token.

    >>> text = "token=a.0.1\\njob=7\\ncode=3\\nstart=1\\nend=2\\nnode=n1\\nwhole\\n"
    >>> note = read_note("a.0.1", text)
    >>> note.job_id, note.code, note.node, read_note("a.0.1", text[:-2]), read_note("a.0.2", text)
    ('7', 3, 'n1', None, None)
    """
    *lines, last = text.removesuffix("\n").split("\n")  # what else ends a line may be in a value
    said: dict[str, str] = {}
    for name, sign, value in (line.partition("=") for line in lines):
        if sign:
            said.setdefault(name, value)
    if last != "whole" or said.get("token") != token:
        return None
    try:
        return ExitNote(
            token=token,
            job_id=said["job"],
            code=int(said["code"]),
            started_at=datetime.fromtimestamp(int(said["start"]), UTC),
            ended_at=datetime.fromtimestamp(int(said["end"]), UTC),
            node=said["node"],
            why=said.get("why") or None,
            is_late=said.get("late") == "1",
            was_full=said.get("killed", "").strip("0") != "",
            used=_used(said),
        )
    except (KeyError, ValueError, OverflowError, OSError):
        return None


def _used(said: Mapping[str, str]) -> Used:
    """What a note says of it; notes of older versions, and of other systems, do not."""
    memory, cpu = said.get("memory", ""), said.get("cpu_ms", "")
    # In the cgroup of old kernels "no value" is a page below 2^63.
    held = int(memory) if memory.isdecimal() and int(memory) < _MOST_MEMORY else None
    return Used(held, int(cpu) / 1000 if cpu.isdecimal() and len(cpu) < _DIGITS else None)


def wanted(
    files: Collection[tuple[Job, RemoteFile]], most: int
) -> Iterator[list[tuple[Job, RemoteFile]]]:
    """Files in parts that one command each can bring; those with a note are left out."""
    part: list[tuple[Job, RemoteFile]] = []
    held = 0
    for job, file in files:
        if file.note is not None or file.size > most:
            continue
        if part and held + file.size > FETCH_BYTES:
            yield part
            part, held = [], 0
        part.append((job, file))
        held += file.size
    if part:
        yield part


def fetching(part: Sequence[tuple[Job, RemoteFile]], most: int) -> Record:
    """The request that brings some files, none larger than `most` bytes by now."""
    return {"files": [_file(job, file, most) for job, file in part]}


def pieces(asked: Sequence[Piece]) -> list[Record]:
    """Which pieces of which files are wanted."""
    return [
        {**_where(one.job, one.area, one.path), "start": one.start, "length": one.length}
        for one in asked
    ]


def _file(job: Job, file: RemoteFile, most: int) -> Record:
    return {**_where(job, file.area, file.path), "most": most}


def _where(job: Job, area: Area, path: bytes) -> dict[str, object]:
    if area is Area.LOG:
        log = job.paths.out if path == b"output" else job.paths.err
        name = base64.b64encode(os.fsencode(log.name)).decode()
        return {"base": str(log.parent), "place": [], "path": name}
    place = job.paths.outputs if area is Area.OUTPUT else job.paths.fragment.parent
    base = str(job.paths.logs)
    return {
        "base": base,
        "place": _below(base, str(place)),
        "path": base64.b64encode(path).decode(),
    }


def fetched(
    part: Sequence[tuple[Job, RemoteFile]], told: Sequence[Record]
) -> Iterator[tuple[RemoteFile, bytes]]:
    """The files that came, each with the size and time that belong to its bytes."""
    for record in told:
        if "file" in record:
            file = part[int(record["file"])][1]
            data = bytes_of(record["data"])
            if len(data) != record["size"]:
                raise BadAnswer("the login node sent less of a file than it said")
            yield (
                RemoteFile(file.token, file.area, file.path, len(data), int(record["mtime"])),
                data,
            )
