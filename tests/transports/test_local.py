"""The local machine beyond the contract."""

import subprocess
import time

import psutil
import pytest

from scripthut.core.errors import Unreachable
from scripthut.transports.local import Local
from tests.serving import until


def running(mark: str) -> list[int]:
    return [p.pid for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]


def test_a_timeout_ends_the_whole_group() -> None:
    with pytest.raises(Unreachable):
        Local().run(["sh", "-c", "sleep 4711.5 & sleep 4711.5"], timeout=0.3)
    until(lambda: not running("4711.5"))  # who was killed may take a moment to die


def test_a_process_in_a_session_of_its_own_lives_on() -> None:
    answer = Local().run(["sh", "-c", "setsid sleep 4712.5 >/dev/null 2>&1 & echo $!"])
    try:
        end = time.monotonic() + 10
        while len(running("4712.5")) != 1:
            assert time.monotonic() < end, "it does not run"
            time.sleep(0.01)
    finally:
        subprocess.run(["kill", answer.out.strip()], check=True)


def test_no_pipe_is_left_open() -> None:
    local = Local()
    local.run(["true"])
    before = psutil.Process().num_fds()
    for _ in range(20):
        local.run(["cat"], stdin=b"x" * 100_000)
    assert psutil.Process().num_fds() <= before
