"""The script for the login node, run as it is sent, and against hostile files."""

import ast
import base64
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import getsource
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from scripthut.backends import (
    node,
)
from scripthut.backends.asking import Node, Ring
from scripthut.backends.node import read_note
from scripthut.backends.sent import fetch as node_fetch
from scripthut.backends.sent import files as node_files
from scripthut.backends.sent import listing as node_listing
from scripthut.backends.sent import script as node_script
from scripthut.backends.sent.program import MODULES, PROGRAM
from scripthut.backends.turns import Turns
from scripthut.core import paths
from scripthut.core.errors import BadAnswer, Unreachable
from scripthut.core.jobs import Answer, Job, Resources, Watch
from scripthut.transports.local import Local

LIMITS = {"file_bytes": 1000, "files": 5, "depth": 3, "listed": 50}
OTHERS = ("python3.4", "python3.6", "python3.7", "python3.8", "python3.9", "python3.13")


def pythons() -> list[str]:
    """This Python, and the others on the machine that work."""
    found = [path for name in OTHERS if (path := shutil.which(name))]
    runs = [p for p in found if subprocess.run([p, "-c", ""], capture_output=True).returncode == 0]
    return [sys.executable, *runs]


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Local]:
    monkeypatch.setenv("HOME", str(tmp_path))
    transport = Local()
    yield transport
    transport.close()


def listing_of(base: Path, **limits: int) -> dict[str, Any]:
    """A request to list one task's places below a base."""
    jobs = [["tok.0.1", "t", "t.md", None, "t.progress", None]]
    group = {"base": str(base), "path": ["out"], "fragments": ["out", "_run"], "jobs": jobs}
    return {"outputs": [group], "limits": {**LIMITS, **limits}}


def looked(base: Path, **limits: int) -> Mapping[str, Any]:
    """The listing of one task, in this process."""
    told: list[Mapping[str, Any]] = []
    node_script.answer(listing_of(base, **limits), told.append)
    (found,) = listings(told)
    return found


def listings(told: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The listings among records, the long ones unpacked."""
    packed = [json.loads(node.unpacked(one["packed"])) for one in told if "packed" in one]
    return [one for one in [*told, *itertools.chain(*packed)] if "listing" in one]


def notes_of(record: Mapping[str, Any]) -> dict[bytes, str | None]:
    return {base64.b64decode(path): note for _, path, _, _, note in record["files"]}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A task's output directory."""
    place = tmp_path / "logs" / "out" / "t"
    place.mkdir(parents=True)
    return place


@pytest.mark.parametrize("module", MODULES)
def test_the_script_is_python_of_2014(module: object) -> None:
    source = getsource(module)  # type: ignore[arg-type]
    tree = ast.parse(source, feature_version=(3, 4))
    assert not [each for each in ast.walk(tree) if isinstance(each, ast.JoinedStr | ast.AnnAssign)]
    unpacked = [part for each in ast.walk(tree) for part in _parts(each)]
    assert not [part for part in unpacked if part is None or isinstance(part, ast.Starred)]


def _parts(node: ast.AST) -> Sequence[ast.expr | None]:
    """What stands in a list, tuple, set or mapping, where older Pythons unpack nothing."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return node.elts
    return node.keys if isinstance(node, ast.Dict) else ()


@pytest.mark.parametrize("python", pythons())
def test_an_old_python_gives_the_same_answer(
    python: str, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (out / "task-summary.md").write_text("# é")
    Path(os.fsdecode(bytes(out) + b"/caf\xe9")).write_text("x")
    (out / "link").symlink_to("/etc/passwd")
    (out / "a").mkdir()
    (out / "a" / "b").write_text("y")
    request = listing_of(out.parent.parent)
    request["commands"] = [{"key": "q", "argv": ["printf", "a\\036\\351"], "timeout": 5}]
    here: list[Mapping[str, Any]] = []
    node_script.answer(request, here.append)
    done = subprocess.run(
        [python, "-I", "-S", "-c", node._LOADER],  # as the transport runs it
        input=PROGRAM + json.dumps(request).encode(),
        capture_output=True,
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
    )
    there = node.records(Answer(done.returncode, done.stdout.decode(), done.stderr.decode()))
    assert there == json.loads(json.dumps(here))
    assert notes_of(there[1])[b"caf\xe9"] is None


def test_a_whole_request_is_one_command(transport: Local, out: Path) -> None:
    (told,) = Node(transport, Ring()).ask(listing_of(out.parent.parent), 30)
    assert told["listing"] == "tok.0.1"
    assert transport.commands == 1


def test_a_login_node_without_python_is_said_to_be_one(
    transport: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unreachable, match="python3 was not found"):
        node.records(Answer(127, "", "sh: 1: python3: not found"))


@pytest.mark.parametrize("cut", range(0, 90, 7))
def test_a_cut_answer_is_no_answer(cut: int) -> None:
    whole = '@scripthut {"claim": "a.0.1", "text": "job:7"}\n@scripthut {"end": 1}\n'
    assert node.records(Answer(0, "motd\n" + whole + "bye\n", "")) == [
        {"claim": "a.0.1", "text": "job:7"}
    ]
    with pytest.raises(BadAnswer):
        node.records(Answer(0, whole[: min(cut, len(whole) - 2)], ""))


def test_records_that_make_no_sense_are_no_answer() -> None:
    for record in ({"log": "a", "stream": "output"}, {"listing": "a", "files": [1]}, {"ran": "q"}):
        with pytest.raises(BadAnswer):
            node.understand([record])


def test_a_command_that_hangs_is_ended_and_the_others_answer() -> None:
    told: list[Mapping[str, Any]] = []
    commands = [
        {"key": "hangs", "argv": ["sh", "-c", "sleep 60 & sleep 60"], "timeout": 0.3},
        {"key": "answers", "argv": ["printf", "yes"], "timeout": 10},
        {"key": "missing", "argv": ["no-such-program"], "timeout": 10},
    ]
    began = time.monotonic()
    node_script.answer({"commands": commands}, told.append)
    assert time.monotonic() - began < 10
    ran = node.understand(told).ran
    assert ran["hangs"].code == -1
    assert "timed out after" in ran["hangs"].err
    assert ran["answers"] == Answer(0, "yes", "")
    assert ran["missing"].code == 127


def test_when_the_queue_does_not_answer_no_note_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.0.1.claim").symlink_to("job:7")
    states = [{"base": str(tmp_path), "path": [], "tokens": ["a.0.1"]}]
    for argv, claims in ((["false"], {}), (["true"], {"a.0.1": "7"})):
        told: list[Mapping[str, Any]] = []
        queue = {"key": "queue", "argv": argv, "timeout": 5, "needed": True}
        node_script.answer({"commands": [queue], "states": states}, told.append)
        assert node.understand(told).claims == claims


@pytest.mark.parametrize("kind", ["link", "file", "pipe"])
def test_state_that_cannot_be_read_is_not_taken_for_absent(tmp_path: Path, kind: str) -> None:
    state = tmp_path / "state"
    {
        "link": lambda: state.symlink_to("/etc"),
        "file": lambda: state.write_text("x"),
        "pipe": lambda: os.mkfifo(state),
    }[kind]()
    told: list[Mapping[str, Any]] = []
    states = [{"base": str(tmp_path), "path": ["state"], "tokens": ["a.0.1"]}]
    node_script.answer({"states": states}, told.append)
    assert node.understand(told).unread.keys() == {"a.0.1"}


def test_notes_and_claims_that_are_something_else_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.0.1.exit").symlink_to("/etc/passwd")
    (tmp_path / "a.0.1.claim").write_text("job:7")
    (tmp_path / "b.0.1.claim").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "b.0.1.exit")
    (tmp_path / "c.0.1.exit").write_text("x" * 5000)
    told: list[Mapping[str, Any]] = []
    tokens = ["a.0.1", "b.0.1", "c.0.1", "d.0.1"]
    node_script.answer(
        {"states": [{"base": str(tmp_path), "path": [], "tokens": tokens}]}, told.append
    )
    seen = node.understand(told)
    assert not seen.notes
    assert not seen.claims
    assert not seen.unread


def test_ten_thousand_files_are_listed_in_bounded_time_with_the_summary_first(out: Path) -> None:
    for n in range(10_000):
        (out / f"f{n:05}.png").touch()
    (out / "task-summary.md").write_text("# last by name")
    began = time.monotonic()
    record = looked(out.parent.parent)
    assert time.monotonic() - began < 10
    names = list(notes_of(record))
    assert names[0] == b"task-summary.md"
    assert len(names) == LIMITS["listed"]
    assert record["more"] >= 1


def test_what_is_beyond_what_is_looked_at_is_said_and_the_summary_is_there(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(300):
        (out / f"f{n:03}").touch()
    (out / "task-summary.md").write_text("# here")
    monkeypatch.setattr(node_listing, "COUNTED", 100)
    record = looked(out.parent.parent)
    assert "only a part was looked at" in record["problem"]
    assert b"task-summary.md" in notes_of(record)


def test_a_very_deep_tree_ends(out: Path) -> None:
    here = os.open(out, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (note,) = notes_of(looked(out.parent.parent)).values()
    assert note == f"is a directory deeper than {node_listing.DEEPEST} levels"
    subprocess.run(["rm", "-rf", str(out)], check=True)


def test_files_over_the_size_limit_do_not_use_up_the_number_of_files(out: Path) -> None:
    for n in range(30):
        with (out / f"big{n:02}").open("wb") as file:
            file.truncate(2000)
    (out / "small").write_text("x")
    notes = notes_of(looked(out.parent.parent))
    assert notes[b"small"] is None
    assert len(notes) == 31


def test_a_listing_has_the_same_mark_until_something_changes(out: Path) -> None:
    (out / "a").write_text("1")
    first = looked(out.parent.parent)["mark"]
    assert looked(out.parent.parent)["mark"] == first
    os.utime(out / "a", ns=(1, 1))
    second = looked(out.parent.parent)["mark"]
    assert second != first
    (out.parent / "_run").mkdir()
    (out.parent / "_run" / "t.md").write_text("# new")
    assert looked(out.parent.parent)["mark"] != second


def read(base: Path, path: bytes) -> bytes | None:
    """What a fetch of one file brings; None when it is left out."""
    told: list[Mapping[str, Any]] = []
    packed = base64.b64encode(path).decode()
    file = {"base": str(base), "place": ["out", "t"], "path": packed, "most": 10_000_000}
    node_script.answer({"files": [file]}, told.append)
    return base64.b64decode(told[0]["data"]) if "file" in told[0] else None


def test_a_hard_link_to_another_users_file_is_refused(out: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make one")
    other = out.parent / "secret"
    other.write_text("secret")
    os.chown(other, 12345, 12345)
    os.link(other, out / "mine")
    assert notes_of(looked(out.parent.parent)) == {
        b"mine": "is a hard link to a file of another user: not read"
    }
    assert read(out.parent.parent, b"mine") is None


def test_a_socket_and_a_device_are_named_and_never_opened(out: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(out / "s"))
    server.close()
    assert read(out.parent.parent, b"s") is None
    assert notes_of(looked(out.parent.parent))[b"s"] == "is a socket: never opened"


def test_an_attacker_who_swaps_files_while_they_are_read_leaks_nothing(
    out: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "f").write_text("SECRET")
    (out / "d").mkdir()
    (out / "d" / "f").write_text("inside")
    (out / "l").symlink_to(secret)
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            (out / "d").rename(out / "x")
            (out / "l").rename(out / "d")
            (out / "d").rename(out / "l")
            (out / "x").rename(out / "d")

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        seen = {read(out.parent.parent, b"d/f") for _ in range(4000)}
    finally:
        over.set()
        attacker.join()
    assert b"inside" in seen
    assert b"SECRET" not in seen


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda file: file.write_bytes(b"b" * 1000), None),  # as large as before
        (lambda file: file.write_bytes(b"b"), None),
        (lambda file: file.open("ab").write(b"b" * 9), b"a" * 1000),
        (lambda file: file.unlink(), b"a" * 1000),
    ],
    ids=["rewritten", "cut", "grown", "removed"],
)
def test_a_file_that_changes_while_it_is_read_is_whole_or_left_out(
    out: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object], got: bytes | None
) -> None:
    file = out / "f"
    file.write_bytes(b"a" * 1000)
    take = node_files.take

    def read_and_change(opened: int, count: int) -> bytes:
        data = take(opened, count)
        change(file)
        return data

    monkeypatch.setattr(node_files, "take", read_and_change)
    assert read(out.parent.parent, b"f") == got


def test_a_file_is_not_read_in_the_tick_in_which_it_was_written(out: Path) -> None:
    file = out / "f"
    with file.open("wb", buffering=0) as handle:
        for n in range(40):
            handle.write(b"%d" % (n % 10))
            before = time.time()
            data = read(out.parent.parent, b"f")
            assert data is None or time.time() - before >= node_files.TICK / 2


def test_many_claims_and_notes_travel_as_one_record(tmp_path: Path) -> None:
    tokens = [f"tok.{n}.1" for n in range(500)]
    for token in tokens:
        (tmp_path / f"{token}.claim").symlink_to(f"job:{token[4:-2]}")
    text = "token=tok.7.1\njob=7\ncode=3\nstart=1\nend=2\nnode=n1\nwhole\n"
    (tmp_path / "tok.7.1.exit").write_text(text)
    told: list[Mapping[str, Any]] = []
    group = {"base": str(tmp_path), "path": [], "tokens": tokens}

    node_script.answer({"states": [group]}, told.append)

    assert len(told) == 1
    assert len(json.dumps(told)) < 12 * len(tokens)
    seen = node.understand(told)
    assert seen.claims == {token: token[4:-2] for token in tokens}
    assert seen.notes["tok.7.1"].code == 3


def test_a_packed_record_that_makes_no_sense_is_no_answer() -> None:
    for text in ("", "bm90IHBhY2tlZA==", 7):
        with pytest.raises(BadAnswer):
            node.understand([{"packed": text}])


@pytest.mark.parametrize("sign", ["\u2028", "\x85", "\x0c", "\n"])
def test_what_a_note_says_in_words_is_never_taken_for_its_code(sign: str) -> None:
    note = (
        f"token=a.0.1\njob=7\ncode=1\nstart=1\nend=2\nnode=n\nwhy=cannot enter /x{sign}code=0"
        f"{sign}y\nwhole\n"
    )
    found = read_note("a.0.1", note)
    assert found is not None
    assert found.code == 1


def job_of(run_id: str, n: int) -> Job:
    token = f"{run_id}.{n}.1"
    where = paths.for_task(PurePosixPath("/logs"), run_id, f"t{n}", 1, token)
    return Job(token, run_id, "study", f"t{n}", "t", 1, "true", "~", {}, Resources(), where, "7")


def logs_told(tmp_path: Path, count: int, length: int) -> list[Mapping[str, Any]]:
    """What is said of as many logs."""
    asked = []
    for n in range(count):
        (tmp_path / f"{n}.out").write_bytes(b"x" * length)
        asked.append([f"tok.{n}.1", "output", str(tmp_path / f"{n}.out"), -1])
    (tmp_path / "empty").touch()
    told: list[Mapping[str, Any]] = []
    node_script.answer(
        {"logs": [*asked, ["tok.z.1", "output", str(tmp_path / "empty"), -1]]}, told.append
    )
    return told


def test_of_logs_that_are_too_much_for_one_answer_each_is_whole_or_said_to_be_left_out(
    tmp_path: Path,
) -> None:
    *told, last = logs_told(tmp_path, 100, 60_000)
    assert {len(base64.b64decode(one["data"])) for one in told} == {60_000, 0}
    assert told[-1]["log"] == "tok.z.1"  # there is room for one without anything in it
    assert len(told) - 1 == node_fetch.CHUNKS // 60_000
    seen = node.understand([*told, last])
    assert seen.later == {f"tok.{n}.1" for n in range(100)} - {one["log"] for one in told}
    assert all(chunk.start + len(chunk.data) == chunk.size for chunk in seen.logs.values())


def test_listings_that_are_too_much_for_one_answer_come_in_the_next_ones(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(100):
        (out / f"checkpoint_{n:05d}.npy").touch()
    request = listing_of(out.parent.parent)
    (group,) = request["outputs"]
    (job,) = group["jobs"]
    group["jobs"] = [[f"tok.{n}.1", *job[1:]] for n in range(10)]
    monkeypatch.setattr(node_listing, "SAID", 3 * len(json.dumps(looked(out.parent.parent))))
    told: list[Mapping[str, Any]] = []

    node_script.answer(request, told.append)

    came = [listing["listing"] for listing in listings(told)]
    assert came == ["tok.0.1", "tok.1.1", "tok.2.1"]
    assert node.understand(told).later == {f"tok.{n}.1" for n in range(3, 10)}
    assert len(json.dumps(told)) < node_listing.SAID / 3  # and they travel compressed
    assert set(node.understand(told).listings) == set(came)


def test_runs_are_listed_in_the_order_in_which_their_turn_is() -> None:
    watches = [
        Watch(job_of(run, n))
        for run, n in (("bbbbbbbb", 0), ("aaaaaaaa", 0), ("bbbbbbbb", 1), ("aaaaaaaa", 1))
    ]
    asked = [[job[0] for job in group["jobs"]] for group in node.outputs(watches)]
    assert asked == [["bbbbbbbb.0.1", "bbbbbbbb.1.1"], ["aaaaaaaa.0.1", "aaaaaaaa.1.1"]]


def test_each_of_many_is_first_before_long() -> None:
    for count in (1, 2, 17, 34, 300):
        turns = Turns()
        looks = [turns.next(range(count)) for _ in range(3 * count)]
        assert {look[0] for look in looks} == set(range(count))
        assert all(sorted(look) == list(range(count)) for look in looks)
    assert Turns().next([]) == []
