"""What runs on the login node: a constant script that answers a whole request at once.

It is sent over standard input with its siblings, and uses the standard
library of Python 3.4 and later, alone.
"""
# For older Pythons, and with file descriptors instead of paths:
# ruff: noqa: UP031, UP035, PTH103, PTH108, PTH208

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from contextlib import suppress

from scripthut.backends.sent.clear import clear
from scripthut.backends.sent.cut import cut
from scripthut.backends.sent.disk import scan
from scripthut.backends.sent.drop import drops, hold
from scripthut.backends.sent.fetch import fetch, logs, pieces
from scripthut.backends.sent.files import (
    Refusal,
    descend,
    pack,
    read_whole,
    unpack,
    words_of,
)
from scripthut.backends.sent.find import find
from scripthut.backends.sent.listing import listings
from scripthut.backends.sent.place import place
from scripthut.backends.sent.read import read

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from typing import Any, Callable

SUBMIT_SECONDS = 240.0  # spent on all submissions of a request
LONG = 4096  # bytes; longer answers of commands travel compressed
FEW = 4  # records that are not worth packing
NOTE = 4096  # bytes; no note is longer
NO_JOB = "job:none"  # the claim of a token that was withdrawn
SIGN = "@scripthut "  # begins each record, so that other noise on the line does no harm


def main() -> None:
    """Answer the request on standard input with records on standard output."""
    told = [0]

    def say(record: "dict[str, Any]") -> None:
        told[0] += 1
        sys.stdout.write(SIGN + json.dumps(record) + "\n")
        sys.stdout.flush()

    answer(json.loads(sys.stdin.buffer.read().decode("utf-8")), say)
    say({"end": told[0]})


def answer(request: "dict[str, Any]", say: "Callable[[dict[str, Any]], None]") -> None:
    """Do what the request asks, one record at a time."""
    for group in request.get("withdrawals", []):
        withdraw(group)
    submit(request.get("submits", []), say)
    if not run_all(request.get("commands", []), say):
        return  # the queue did not answer: nothing else may count
    for group in request.get("states", []):
        notes(group, say)
    listings(request, say)
    logs(request.get("logs", []), say)
    pieces(request.get("pieces", []), say)
    fetch(request.get("files", []), say)
    read(request.get("documents", []), say)
    find(request.get("find"), say)
    place(request.get("place"), say)
    hold(request.get("holds", []))
    drops(request, say)
    clear(request.get("clears", []), say)
    scan(request.get("scan"), say)


def execute(argv: "list[str]", stdin: bytes, timeout: float) -> "tuple[int, bytes, bytes]":
    """Run a command; code -1 when it had to be killed, 127 when there is no such program."""
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.EACCES)
        return 127 if missing else -1, b"", ("%s: %s" % (argv[0], error.strerror)).encode()
    try:
        out, err = process.communicate(stdin, timeout)
        return process.returncode, out, err
    except subprocess.TimeoutExpired:
        kill(process)
        return -1, b"", ("%s: timed out after %d s" % (argv[0], timeout)).encode()


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a command and what it started, without waiting for those that cannot end."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=2)
    except (OSError, subprocess.TimeoutExpired):
        pass


def run_all(commands: "list[dict[str, Any]]", say: "Callable[[dict[str, Any]], None]") -> bool:
    """Run commands side by side; False when one that was needed failed."""
    results = {}  # type: dict[int, tuple[int, bytes, bytes]]

    def one(at: int) -> None:
        command = commands[at]
        results[at] = execute(command["argv"], b"", command["timeout"])

    threads = [threading.Thread(target=one, args=(at,)) for at in range(len(commands))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at, command in enumerate(commands):
        code, out, err = results[at]
        if code == 0 and command.get("cut"):
            out = cut(out, command["cut"])
        # A queue of fifty thousand jobs is long, and much the same from line to line.
        told = {"ran": command["key"], "code": code, "err": pack(err[:8192])}
        effort = 6 if command.get("cut") else 1
        packed = {"z": pack(zlib.compress(out, effort))} if len(out) > LONG else {"out": pack(out)}
        told.update(packed)
        say(told)
    return all(results[at][0] == 0 for at, c in enumerate(commands) if c.get("needed"))


def submit(jobs: "list[dict[str, Any]]", say: "Callable[[dict[str, Any]], None]") -> None:
    """Hand jobs to the scheduler one after another, in order."""
    until = time.monotonic() + SUBMIT_SECONDS
    for job in jobs:
        token = job["token"]
        left = until - time.monotonic()
        if left <= 0:
            say({"skipped": token})
            continue
        try:
            for directory in job["directories"]:
                os.makedirs(directory, exist_ok=True)
            os.makedirs(job["state"], 0o700, exist_ok=True)
        except OSError as error:
            words = "cannot make the directory %s: %s" % (error.filename, error.strerror)
            say({"submitted": token, "code": 1, "out": "", "err": pack(words.encode())})
            continue
        script = unpack(job["script"])
        code, out, err = hand_over(job, script, min(left, job["timeout"]))
        say({"submitted": token, "code": code, "out": pack(out[:8192]), "err": pack(err[:8192])})


def hand_over(job: "dict[str, Any]", script: bytes, timeout: float) -> "tuple[int, bytes, bytes]":
    """Run one submission; the script is in a file for as long, where the scheduler wants one."""
    file = job.get("file")
    if file is None:
        return execute(job["argv"], script, timeout)
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o700)
        with os.fdopen(opened, "wb") as written:
            written.write(script)
    except OSError as error:
        return 1, b"", ("cannot write the script %s: %s" % (file, error.strerror)).encode()
    try:
        return execute(job["argv"], b"", timeout)
    finally:
        with suppress(OSError):
            os.unlink(file)


def withdraw(group: "dict[str, Any]") -> None:
    """Claim tokens for no job, so that none that comes later runs; a job's own claim stays."""
    with suppress(OSError, Refusal):  # then nothing is claimed, and the next look shows it
        os.makedirs("/".join([group["base"]] + group["path"]), 0o700, exist_ok=True)
        here = descend(group["base"], group["path"])
        try:
            for token in group["tokens"]:
                with suppress(OSError):
                    os.symlink(NO_JOB, token + ".claim", dir_fd=here)
        finally:
            os.close(here)


def notes(group: "dict[str, Any]", say: "Callable[[dict[str, Any]], None]") -> None:
    """Exit notes and claims of many tokens in one state directory."""
    try:
        here = descend(group["base"], group["path"])
    except (OSError, Refusal) as error:
        if getattr(error, "errno", None) != errno.ENOENT:  # missing: nothing has begun yet
            say({"unread": group["tokens"], "why": words_of(error)})
        return
    found = []  # type: list[dict[str, Any]]
    try:
        there = set(os.listdir(here))
        for token in group["tokens"]:
            one_note(here, there, token, found.append)
        say_packed(found, say)
    except OSError as error:
        say({"unread": group["tokens"], "why": words_of(error)})
    finally:
        os.close(here)


def say_packed(records: "list[dict[str, Any]]", say: "Callable[[dict[str, Any]], None]") -> None:
    """Many small records, much the same, as one: two thousand claims travel in a tenth."""
    if len(records) > FEW:
        say({"packed": pack(zlib.compress(json.dumps(records).encode("utf-8"), 6))})
    else:
        for record in records:
            say(record)


def one_note(
    here: int, there: "set[str]", token: str, say: "Callable[[dict[str, Any]], None]"
) -> None:
    """The claim and the note of one token, where they stand."""
    if token + ".claim" in there:
        try:
            say({"claim": token, "text": os.readlink(token + ".claim", dir_fd=here)})
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL):
                raise
    if token + ".exit" in there:
        try:
            data, _ = read_whole(here, token + ".exit", NOTE)
            say({"note": token, "text": data.decode("utf-8", "replace")})
        except Refusal:
            pass  # a requeued job replaces its note; one that is no file is no note
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
