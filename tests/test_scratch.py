"""What a killed run has left below /tmp: the next one removes that, and nothing else."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests import scratch
from tests.serving import ROOT, until

HOLDS = """
from tests.scratch import quick, scratch
import time
with scratch(ROOT) as place:
    (place / "file").touch()
    print(place, flush=True)
    time.sleep(100)
"""
STARTS = """
from tests.cluster.fixtures import start_cluster
import time
with start_cluster(HUT_SLURM="0") as cluster:
    print(cluster.base, flush=True)
    time.sleep(100)
"""


@contextmanager
def run(program: str) -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    """A run of tests in a directory below /tmp."""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        yield Path(process.stdout.readline().decode().strip()), process
        process.kill()


def has_ended(process: psutil.Process) -> bool:
    """Whether it is gone, or only waits for somebody to hear of it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("root", ["None", "quick()"])
def test_what_a_killed_run_has_left_is_removed_and_what_another_one_uses_is_not(root: str) -> None:
    holds = HOLDS.replace("ROOT", root)
    with run(holds) as (dead, killed), run(holds) as (alive, _):
        killed.kill()
        killed.wait()
        assert (dead / "file").exists()
        scratch.sweep()
        assert not dead.exists()
        assert (alive / "file").exists()
    scratch.sweep()
    assert not alive.exists()


@pytest.mark.sshd
@pytest.mark.usefixtures("login_node")  # which knows whether there can be one
def test_a_cluster_whose_guard_was_killed_too_is_ended() -> None:
    with run(STARTS) as (base, process):
        sshd = psutil.Process(int((base / "run" / "sshd.pid").read_text()))
        (guard,) = psutil.Process(process.pid).children()
        guard.kill()
        process.kill()
        process.wait()
        assert sshd.is_running()

        def is_swept() -> bool:
            scratch.sweep()  # what the guard has started holds the directory for a moment more
            return has_ended(sshd) and not base.exists()

        until(is_swept)


def test_what_somebody_else_made_of_that_name_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "ROOT", tmp_path)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / "hut.link").symlink_to(theirs)
    (tmp_path / "hut.file").touch()
    (tmp_path / "hut.left").mkdir()
    (tmp_path / "hut-old").mkdir()
    scratch.sweep()
    assert {path.name for path in tmp_path.iterdir() if path.name[0] != "."} == {
        *("theirs", "hut.link", "hut.file", "hut-old"),
    }
