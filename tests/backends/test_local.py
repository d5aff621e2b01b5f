"""What only this machine's own backend must do."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath

import psutil
import pytest

from scripthut.backends import processes
from scripthut.backends.local import LocalBackend
from scripthut.core.jobs import Job, Phase, Rejected
from scripthut.core.survey import Wish
from tests.backends.conftest import LIMITS, Place


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Place(LocalBackend("here", LIMITS, grace=0.3), lambda limits: LocalBackend("h", limits))


def pid_of(job: Job) -> int:
    assert job.job_id is not None
    return int(job.job_id.split("-")[0])


def test_a_job_killed_without_a_note_has_failed_and_leaves_nothing_running(here: Place) -> None:
    (job,) = here.submit(here.job(0, "setsid sleep 311 & sleep 312"))
    here.until_running([job])
    here.until([job], lambda _: len(psutil.Process(pid_of(job)).children(recursive=True)) >= 2)
    left = psutil.Process(pid_of(job)).children(recursive=True)
    os.kill(pid_of(job), signal.SIGKILL)
    seen = here.until_ended([job])
    sighting = seen.sightings[job.token]
    assert sighting.phase is Phase.FAILED
    assert sighting.reason is not None
    assert sighting.reason.startswith("Was killed without leaving an exit note")
    assert sighting.ended_at is not None
    assert job.token not in seen.notes
    _, alive = psutil.wait_procs(left, timeout=10)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    "change",
    [
        lambda pid, start, boot: f"{pid}-{int(start) + 1}-{boot}",  # its number was used again
        lambda pid, start, boot: f"{pid}-{start}-0123456789ab",  # the machine was restarted
        lambda pid, start, boot: f"999999999-{start}-{boot}",
        lambda pid, start, boot: "not an id",
        lambda pid, start, boot: "",
    ],
)
def test_another_process_is_never_taken_for_a_job(here: Place, change: object) -> None:
    (job,) = here.submit(here.job(0, "sleep 300"))
    here.until_running([job])
    assert job.job_id is not None
    assert processes.find(job.job_id) is not None
    wrong = change(*job.job_id.split("-"))  # type: ignore[operator]
    assert processes.find(wrong) is None
    here.backend.cancel([job])
    here.until_ended([job])


def test_nobody_else_is_on_this_machine_and_it_keeps_no_accounts(here: Place) -> None:
    _, told = here.backend.survey([], Wish(crowd=True, ended=True))
    assert told.crowd is not None
    assert told.ended is not None
    assert "nobody else has a queue here" in str(told.crowd.note)
    assert (told.ended.is_told, told.ended.jobs) == (False, ())
    _, told = here.backend.survey([], Wish(queue=True))
    assert (told.crowd, told.ended) == (None, None)


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen(["true"])
    deadline = time.monotonic() + 10
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
    name = f"{child.pid}-{processes._start(child.pid)}-{processes.boot()}"
    assert processes.find(name) is None
    child.wait()


def test_a_job_outlives_the_server_that_started_it(here: Place, tmp_path: Path) -> None:
    code = (
        "from tests.backends.conftest import *\n"
        "p = Place(LocalBackend('h', LIMITS), None, run_id='outlives')\n"
        "print(p.submit(p.job(0, 'sleep 1; exit 9'))[0].job_id, flush=True)\n"
        "import os; os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    here.run_id = "outlives"
    job = replace(here.job(0, "sleep 1; exit 9"), job_id=done.stdout.strip())
    assert here.look([job]).sightings[job.token].phase is Phase.RUNNING
    seen = here.until_ended([job])
    assert seen.notes[job.token].code == 9


def test_a_server_that_dies_between_start_and_name_has_started_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        ["/bin/sh", "-c", processes._LAUNCH, "scripthut", "touch", str(tmp_path / "ran")],
        stdin=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) != 0
    assert not (tmp_path / "ran").exists()


def test_the_order_to_end_is_remembered_by_the_next_server(here: Place) -> None:
    (job,) = here.submit(here.job(0, "trap '' TERM; while :; do sleep 0.1; done"))
    here.until_running([job])
    here.backend.cancel([job])
    here.backend = LocalBackend("later", LIMITS, grace=0.3)
    seen = here.until_ended([job])
    assert seen.sightings[job.token].phase is Phase.CANCELLED


def test_a_cluster_jobs_id_of_the_servers_own_is_not_inherited(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    (job,) = here.submit(here.job(0, "true"))
    seen = here.until_ended([job])
    assert seen.claims[job.token] == job.job_id


def test_a_signal_that_ended_a_command_is_told_at_once(here: Place) -> None:
    (job,) = here.submit(here.job(0, "kill -SEGV $$"))
    seen = here.until_ended([job])
    assert seen.notes[job.token].code == 139
    assert here.look([job]).sightings[job.token].phase is Phase.FAILED


def test_a_log_that_nobody_can_take_is_refused_and_never_waited_for(
    here: Place, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    job = here.job(0, "true")
    job = replace(job, paths=replace(job.paths, out=PurePosixPath(pipe)))
    answer = here.backend.submit([job])[job.token]
    assert isinstance(answer, Rejected)
    assert "pipe" in answer.why
