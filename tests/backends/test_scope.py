"""Control groups by systemd: which words a job gets, and that it is the same job all the same.

Here `systemd-run` is a stand-in that does what it does to a process: it becomes the command. The
real one is at work in tests/stories/test_systemd.py.
"""

import getpass
import os
from dataclasses import replace
from pathlib import Path

import pytest

from scripthut.backends.local import LocalBackend
from scripthut.backends.local_room import Room
from scripthut.backends.scope import BELIEVED, Scopes
from scripthut.core.jobs import Phase
from tests.backends.conftest import LIMITS, Place

GIB = 2**30
STAND_IN = """#!/bin/bash
printf '%s\\n' "$*" >>"$HOME/asked"
[ ! -e "$HOME/refuse" ] || { echo "Failed to connect to bus" >&2; exit 1; }
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


@pytest.fixture
def booted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scopes:
    """As on a machine that systemd started, for a user who lingers."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "systemd-run").write_text(STAND_IN)
    (tmp_path / "bin" / "systemd-run").chmod(0o755)
    (tmp_path / "linger").mkdir()
    (tmp_path / "linger" / getpass.getuser()).touch()
    return Scopes(tmp_path, tmp_path / "linger")


@pytest.fixture
def here(booted: Scopes) -> Place:
    def make(limits: object) -> LocalBackend:
        backend = LocalBackend("here", LIMITS, grace=0.3, room=Room(2, 4 * GIB))
        backend.scopes = booted
        return backend

    return Place(make(LIMITS), make)


def test_a_job_runs_in_a_scope_with_what_it_asked_for_and_is_found_and_ended(
    here: Place, tmp_path: Path
) -> None:
    job = here.job(0, "sleep 300")
    job = replace(job, resources=replace(job.resources, cpus=2, memory=GIB))
    (job,) = here.submit(job)
    here.until_running([job])
    asked = (tmp_path / "asked").read_text().splitlines()[-1]
    unit = job.token.replace(".", "-")
    assert asked.startswith(
        f"--scope --quiet --collect --unit=scripthut-{unit}.scope --property=CPUQuota=200% "
        f"--property=MemoryMax={GIB} --property=MemorySwapMax=0 -- "
    )
    here.reopen()
    assert here.look([job]).sightings[job.token].phase is Phase.RUNNING
    here.backend.cancel([job])
    seen = here.until_ended([job])
    assert seen.sightings[job.token].phase is Phase.CANCELLED


def test_a_command_that_the_kernel_killed_at_its_limit_ran_out_of_memory(here: Place) -> None:
    job = here.job(0, "kill -9 $$")
    (job,) = here.submit(job)
    seen = here.until_ended([job])
    assert seen.sightings[job.token].word == "FAILED"
    Path(job.paths.state / f"{job.token}.held").write_text(str(job.resources.memory))
    sighting = here.look([job]).sightings[job.token]
    assert sighting.word == "OUT_OF_MEMORY"
    assert "used more than the 100 MiB it asked for" in str(sighting.reason).replace(".0", "")


@pytest.mark.parametrize(
    ("missing", "says"),
    [("booted", "systemd did not start"), ("refuse", "refuses (Failed to connect to bus)")],
)
def test_where_there_are_none_jobs_run_without_and_it_is_said_why(
    here: Place, booted: Scopes, tmp_path: Path, missing: str, says: str
) -> None:
    if missing == "booted":
        booted.booted = tmp_path / "nowhere"
    else:
        (tmp_path / "refuse").touch()
    assert booted.before("abc", GIB, 1) == []
    assert says in str(booted.why_not)
    (job,) = here.submit(here.job(0, "exit 3"))
    assert here.until_ended([job]).notes[job.token].code == 3


def test_a_job_whose_scope_does_not_begin_starts_without_one(
    here: Place, booted: Scopes, tmp_path: Path
) -> None:
    assert booted.why_not is None
    (tmp_path / "refuse").touch()  # from now on, which is not known yet
    (job,) = here.submit(here.job(0, "exit 3"))
    seen = here.until_ended([job])
    assert seen.notes[job.token].code == 3
    assert "did not begin" in str(booted.why_not)


def test_a_user_whose_systemd_no_session_names_is_found(
    booted: Scopes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert booted.before("abc.0.1", GIB, 1)[:4] == [
        *("env", "XDG_RUNTIME_DIR=/run/user/1000", "systemd-run", "--user")
    ]


def test_a_user_whose_scopes_end_with_the_session_gets_none(
    booted: Scopes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (booted.linger / getpass.getuser()).unlink()
    assert "enable-linger" in str(booted.why_not)


def test_what_was_tried_is_believed_for_a_minute(booted: Scopes, tmp_path: Path) -> None:
    now = [0.0]
    booted.now = lambda: now[0]
    assert booted.why_not is None
    (tmp_path / "refuse").touch()
    now[0] += BELIEVED - 1
    assert booted.why_not is None
    now[0] += 2
    assert "refuses" in str(booted.why_not)
