"""What this machine's backend holds tasks to: processors, memory, time, their turn."""

import os
import resource
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from scripthut.backends import local_end, processes
from scripthut.backends.local import LocalBackend
from scripthut.backends.local_room import Room
from scripthut.clock import utcnow
from scripthut.core.jobs import Accepted, Job, Phase, Watch
from scripthut.core.survey import Wish
from tests.backends.conftest import LIMITS, Place
from tests.stories.server import until

MIB, GIB = 2**20, 2**30


def backend() -> LocalBackend:
    return LocalBackend("here", LIMITS, grace=0.3, room=Room(2, 4 * GIB))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Place(backend(), lambda _: backend())


def asking(place: Place, n: int, command: str, **more: object) -> Job:
    job = place.job(n, command)
    return replace(job, resources=replace(job.resources, **more))  # type: ignore[arg-type]


def is_older(job: Job, seconds: float) -> bool:
    process = processes.find(str(job.job_id))
    assert process is not None
    return (utcnow() - processes.started_at(process)).total_seconds() > seconds


def phases(place: Place, jobs: list[Job]) -> list[str]:
    seen = place.look(jobs)
    return [seen.sightings[job.token].phase.value for job in jobs]


def test_tasks_wait_in_the_queue_until_processors_are_free(here: Place) -> None:
    jobs = here.submit(
        asking(here, 0, "sleep 300", cpus=2),
        asking(here, 1, "sleep 300"),
        asking(here, 2, "sleep 300"),
    )
    here.until_running(jobs[:1])
    assert phases(here, jobs) == ["running", "waiting", "waiting"]
    reason = here.look(jobs).sightings[jobs[1].token].reason
    assert reason == "Waits for processors: asks for 1, and 0 are free"
    here.backend.cancel([jobs[0]])
    here.until(jobs, lambda seen: jobs[1].token in seen.claims and jobs[2].token in seen.claims)
    here.backend.cancel(jobs[1:])
    here.until_ended(jobs)


def test_a_task_that_starts_is_seen_in_every_look(here: Place) -> None:
    jobs = here.submit(asking(here, 0, "sleep 1", cpus=2), asking(here, 1, "sleep 1"))
    seen = []
    here.until(jobs, lambda one: seen.append(one) or jobs[1].token in one.claims)
    here.until(jobs, lambda one: seen.append(one) or jobs[1].token in one.notes)
    told = [one.sightings.get(jobs[1].token) for one in seen]
    assert None not in told
    assert {one.phase for one in told if one} >= {Phase.WAITING, Phase.RUNNING}


def test_none_overtakes_a_task_that_needs_more(here: Place) -> None:
    jobs = here.submit(
        asking(here, 0, "sleep 300"),
        asking(here, 1, "sleep 300", cpus=2),
        asking(here, 2, "sleep 300"),
    )
    here.until(jobs, lambda seen: jobs[0].token in seen.claims)
    assert phases(here, jobs) == ["running", "waiting", "waiting"]
    assert "its turn" in str(here.look(jobs).sightings[jobs[2].token].reason)
    here.backend.cancel(jobs)
    seen = here.until_ended(jobs)
    assert {s.phase for s in seen.sightings.values()} == {Phase.CANCELLED}
    assert jobs[2].token not in seen.claims  # it never began


def test_a_task_that_asks_for_more_than_the_machine_has_gets_all_of_it(here: Place) -> None:
    jobs = here.submit(asking(here, 0, "sleep 300", cpus=64, memory=2**50), here.job(1, "true"))
    here.until(jobs, lambda seen: jobs[0].token in seen.claims)
    assert phases(here, jobs) == ["running", "waiting"]
    here.backend.cancel(jobs[:1])
    here.until_ended(jobs)


def test_memory_is_given_out_once(here: Place) -> None:
    jobs = here.submit(
        asking(here, 0, "sleep 300", memory=3 * GIB), asking(here, 1, "true", memory=2 * GIB)
    )
    here.until(jobs, lambda seen: jobs[0].token in seen.claims)
    reason = here.look(jobs).sightings[jobs[1].token].reason
    assert reason == "Waits for memory: asks for 2.0 GiB, and 1.0 GiB is free"
    here.backend.cancel(jobs[:1])
    here.until_ended(jobs)


def test_what_waits_is_known_after_a_restart_and_starts_once(here: Place) -> None:
    jobs = here.submit(
        asking(here, 0, "sleep 300", cpus=2),
        here.job(1, 'echo ran >> "$SCRIPTHUT_OUTPUT_DIR/ran"'),
    )
    here.until(jobs, lambda seen: jobs[0].token in seen.claims)
    here.reopen()
    assert phases(here, jobs) == ["running", "waiting"]
    here.backend.cancel(jobs[:1])
    here.until_ended(jobs)
    files = here.backend.observe([Watch(jobs[1])]).listings[jobs[1].token].files
    assert [(file.path, file.size) for file in files] == [(b"ran", 4)]


def test_a_time_limit_ends_a_task_that_ignores_being_told(here: Place) -> None:
    command = "trap '' TERM; (trap '' TERM; setsid sleep 301) & sleep 300; sleep 300"
    (job,) = here.submit(asking(here, 0, command, time_limit=2))
    seen = here.until_ended([job], 20)
    sighting = seen.sightings[job.token]
    assert (sighting.phase, sighting.word) == (Phase.FAILED, "TIMEOUT")
    assert sighting.reason == "Reached its time limit of 0:00:02"
    assert not list(processes.marked(f"SCRIPTHUT_OUTPUT_DIR={job.paths.outputs}", "none"))


def test_a_handler_that_ends_well_after_the_limit_has_not_completed(here: Place) -> None:
    command = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
    (job,) = here.submit(asking(here, 0, command, time_limit=1))
    assert here.until_ended([job], 20).sightings[job.token].word == "TIMEOUT"


def test_a_task_that_takes_more_memory_than_it_asked_for_is_ended(here: Place) -> None:
    hungry = "python3 -c 'import time; x = bytearray(200 << 20); time.sleep(300)' & wait"
    (job,) = here.submit(asking(here, 0, hungry, memory=100 * MIB))
    sighting = here.until_ended([job], 30).sightings[job.token]
    assert (sighting.phase, sighting.word) == (Phase.FAILED, "OUT_OF_MEMORY")
    assert "more than the 100.0 MiB it asked for" in str(sighting.reason)
    assert not list(processes.marked(f"SCRIPTHUT_OUTPUT_DIR={job.paths.outputs}", "none"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_puts_limits_off_and_never_takes_them_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "small"
    home.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=20m,nr_inodes=200", "tmpfs", str(home)]
    subprocess.run(small, check=True)
    monkeypatch.setenv("HOME", str(home))
    place = Place(backend(), lambda _: backend())
    try:
        late, unwanted = place.submit(
            asking(place, 0, "sleep 300", time_limit=10), asking(place, 1, "sleep 300")
        )
        place.until_running([late, unwanted])
        with suppress(OSError):
            for n in range(1000):
                (home / f"filling{n}").touch()
        place.backend.cancel([unwanted])
        until(lambda: is_older(late, 12), 30, "the limit to pass")
        assert phases(place, [late, unwanted]) == ["running", "running"]
        for file in home.glob("filling*"):
            file.unlink()
        place.backend.cancel([unwanted])
        seen = place.until_ended([late, unwanted], 20).sightings
        assert [seen[job.token].word for job in (late, unwanted)] == ["TIMEOUT", "CANCELLED"]
    finally:
        place.backend.close()
        subprocess.run(["umount", "-l", home], check=True)


def test_limits_hold_on_after_the_servers_restart(here: Place) -> None:
    (job,) = here.submit(asking(here, 0, "sleep 300", time_limit=3))
    here.until_running([job])
    here.backend.close()
    here.reopen()
    assert here.until_ended([job], 20).sightings[job.token].word == "TIMEOUT"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor cannot be shared")
def test_a_task_runs_on_no_more_processors_than_it_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    whole = LocalBackend("here", LIMITS, grace=0.3)
    place = Place(whole, lambda _: whole)
    jobs = place.submit(*(asking(place, n, "sleep 300", cpus=1) for n in (0, 1)))
    place.until_running(jobs)
    given = [psutil.Process(int(str(job.job_id).split("-")[0])).cpu_affinity() for job in jobs]
    assert [len(one) for one in given] == [1, 1]
    assert given[0] != given[1]
    place.backend.cancel(jobs)
    place.until_ended(jobs)


def test_what_is_free_is_told(here: Place) -> None:
    jobs = here.submit(asking(here, 0, "sleep 300", memory=GIB), asking(here, 1, "true", cpus=2))
    here.until(jobs, lambda seen: jobs[0].token in seen.claims)
    watches = [Watch(job) for job in jobs]
    _, told = here.backend.survey(watches, Wish(queue=True, facts=True))
    assert told.facts is not None
    assert told.queue is not None
    assert told.facts.line == "1 of 2 CPUs idle · 1 job waits"
    assert [(job.phase, job.key) for job in told.queue.jobs] == [
        (Phase.RUNNING, jobs[0].job_id),
        (Phase.WAITING, f"local-{jobs[1].token}"),
    ]
    here.backend.cancel(jobs)
    here.until_ended(jobs)


def test_a_task_that_starts_at_once_is_told_with_its_own_process(here: Place) -> None:
    job = here.job(0, "true")
    answer = here.backend.submit([job])[job.token]
    assert isinstance(answer, Accepted)
    assert answer.job_id[0].isdigit()
    here.until_ended([job])


def test_what_a_task_held_at_most_is_known_of_long_ones_and_short_ones(here: Place) -> None:
    # Of a task that held less than this process, and was gone at once, nobody can tell how much.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    holds = "import time; x = bytearray({} << 20); time.sleep({})"
    jobs = here.submit(
        asking(here, 0, f'python3 -c "{holds.format(own + 80, 0)}"', memory=4 * GIB),
        asking(
            here,
            1,
            f'python3 -c "{holds.format(60, 5)}" & python3 -c "{holds.format(70, 5)}"; wait',
            memory=GIB,
        ),
        asking(here, 2, "true"),
    )
    seen = here.until_ended(jobs).sightings
    short, long, least = (seen[job.token].used.memory or 0 for job in jobs)
    assert (own + 80) * MIB <= short < (own + 130) * MIB
    assert least < 30 * MIB
    assert 130 * MIB <= long < 230 * MIB
    again = Place(backend(), lambda _: backend()).look(jobs).sightings
    assert again[jobs[1].token].used == seen[jobs[1].token].used


def test_what_a_task_holds_while_it_begins_does_not_pass_for_what_it_has_used(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_end, "YOUNG", 3600.0)
    jobs = here.submit(asking(here, 0, "sleep 2"))
    assert here.until_ended(jobs).sightings[jobs[0].token].used.memory is None
