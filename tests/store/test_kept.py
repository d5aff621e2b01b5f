"""Kept bytes are whole or not there; logs keep their ends."""

import os
import resource
import signal
import stat
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from scripthut.core.errors import HutError
from scripthut.store.files.kept import LOG_BYTES, Kept, NoRoom

TOKEN = "abcdefgh.0.1"


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "kept")


def files(kept: Kept) -> list[Path]:
    return [path for path in kept.directory.rglob("*") if path.is_file()]


def test_what_was_put_is_read_back_by_its_hash(kept: Kept) -> None:
    sha = kept.put(b"a plot")

    assert sha == sha256(b"a plot").hexdigest()
    assert kept.has(sha)
    assert kept.read(sha) == b"a plot"
    assert kept.read(sha, 2, 3) == b"plo"


def test_the_same_bytes_are_kept_once(kept: Kept) -> None:
    assert kept.put(b"x") == kept.put(b"x")
    assert len(files(kept)) == 1


def test_nothing_is_written_before_the_first_file(kept: Kept) -> None:
    assert not kept.has("0" * 64)
    assert not kept.directory.exists()


def test_nobody_else_may_read_what_is_kept(kept: Kept) -> None:
    old = os.umask(0)
    try:
        path = kept.path(kept.put(b"x"))
        kept.append_log(TOKEN, "output", 0, b"x")
    finally:
        os.umask(old)

    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in files(kept))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(kept.directory.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "name", ["", "..", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"]
)
def test_only_a_hash_is_a_name(kept: Kept, name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        kept.path(name)


@pytest.mark.parametrize(("token", "stream"), [("../x", "output"), ("a/b", "error"), ("a", "../x")])
def test_only_a_token_and_a_stream_name_a_log(kept: Kept, token: str, stream: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        kept.append_log(token, stream, 0, b"x")


def test_a_log_grows_piece_by_piece(kept: Kept) -> None:
    kept.append_log(TOKEN, "output", 0, b"one\n")

    assert kept.append_log(TOKEN, "output", 4, b"two\n") == (0, 8)
    assert kept.read_log(TOKEN, "output").data == b"one\ntwo\n"
    assert kept.read_log(TOKEN, "output", 4).data == b"two\n"
    assert kept.read_log(TOKEN, "output", -3).data == b"wo\n"


def test_a_piece_may_repeat_what_is_kept(kept: Kept) -> None:
    kept.append_log(TOKEN, "output", 0, b"one\ntwo\n")

    assert kept.append_log(TOKEN, "output", 4, b"two\nthree\n") == (0, 14)
    assert kept.read_log(TOKEN, "output").data == b"one\ntwo\nthree\n"


def test_a_log_that_was_begun_anew_replaces_the_old_one(kept: Kept) -> None:
    kept.append_log(TOKEN, "output", 100, b"old old old")

    assert kept.append_log(TOKEN, "output", 0, b"new") == (0, 3)
    assert kept.read_log(TOKEN, "output").data == b"new"


def test_a_gap_is_not_papered_over(kept: Kept) -> None:
    kept.append_log(TOKEN, "output", 0, b"early")

    assert kept.append_log(TOKEN, "output", 1000, b"late") == (1000, 1004)
    chunk = kept.read_log(TOKEN, "output", 0)
    assert (chunk.start, chunk.data, chunk.size) == (1000, b"late", 1004)


def test_a_long_log_keeps_its_end(kept: Kept) -> None:
    data = b"".join(b"%07d\n" % n for n in range(400_000))
    at = 0
    while at < len(data):
        start, end = kept.append_log(TOKEN, "error", at, data[at : at + 200_000])
        assert end - start <= LOG_BYTES
        at += 200_000

    chunk = kept.read_log(TOKEN, "error")
    assert chunk.size == len(data)
    assert chunk.start + len(chunk.data) == len(data)
    assert len(chunk.data) >= LOG_BYTES // 2
    assert data.endswith(chunk.data)


def test_one_piece_larger_than_a_log_may_be_keeps_its_end(kept: Kept) -> None:
    data = os.urandom(3 * LOG_BYTES)

    start, end = kept.append_log(TOKEN, "output", 0, data)

    assert end == len(data)
    assert kept.read_log(TOKEN, "output", start, LOG_BYTES).data == data[start:]


def test_a_log_that_nobody_kept_is_empty(kept: Kept) -> None:
    chunk = kept.read_log(TOKEN, "output")

    assert (chunk.start, chunk.data, chunk.size) == (0, b"", 0)


def test_an_empty_log_is_kept_as_one(kept: Kept) -> None:
    assert kept.append_log(TOKEN, "output", 0, b"") == (0, 0)
    assert len(files(kept)) == 1


def test_a_disk_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("in the way")

    with pytest.raises(HutError, match=r"cannot be written.*Check its owner"):
        Kept(tmp_path / "kept").put(b"x")


def test_a_write_that_fails_leaves_no_half_file(kept: Kept) -> None:
    sha = kept.put(b"first")
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(NoRoom) as told:
            kept.put(b"more than ten bytes")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)

    assert "not collected" in str(told.value)
    assert len(files(kept)) == 1, "no half file is left"
    assert kept.read(sha) == b"first"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True).returncode != 0:
        pytest.skip("only root can make a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_said_in_a_sentence(small_disk: Path) -> None:
    kept = Kept(small_disk / "kept")
    sha = kept.put(b"first")

    with pytest.raises(NoRoom, match=r"is full.*Delete what is not needed"):
        kept.put(os.urandom(100_000))
    with pytest.raises(NoRoom, match="is full"):
        kept.append_log(TOKEN, "output", 0, os.urandom(100_000))

    assert files(kept) == [kept.path(sha)]
