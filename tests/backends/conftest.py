"""One contract: this machine, a real Slurm cluster over SSH, and two kinds of a small PBS."""

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scripthut.backends.base import Backend
from scripthut.backends.cluster import ClusterBackend
from scripthut.backends.local import LocalBackend
from scripthut.backends.local_room import Room
from scripthut.core import paths
from scripthut.core.jobs import (
    Accepted,
    ExitNote,
    Job,
    Listing,
    Observation,
    OutputLimits,
    Phase,
    Resources,
    Sighting,
    Token,
    Watch,
)
from scripthut.schedulers.pbs import PBS
from scripthut.schedulers.slurm import Slurm
from scripthut.transports.local import Local
from scripthut.transports.ssh import SSH
from scripthut.transports.ssh_config import Target
from tests.cluster.fixtures import Cluster
from tests.cluster.pbs.small import StandIn, start_pbs
from tests.serving import pause

LIMITS = OutputLimits(file_bytes=100_000, files=6, depth=3, listed=40)
ENDED = (Phase.DONE, Phase.FAILED, Phase.CANCELLED)


@dataclass
class Place:
    """A backend and what its tests do with it."""

    backend: Backend
    make: Callable[[OutputLimits], Backend]  # another one of it
    is_open_to_root: bool = False  # its jobs and we are root, to whom nothing is closed
    run_id: str = field(default_factory=lambda: "r" + secrets.token_hex(4)[:7])

    def reopen(self, limits: OutputLimits = LIMITS) -> None:
        """Go on as after the server's restart."""
        self.backend = self.make(limits)

    def job(self, n: int, command: str, name: str = "a task", **more: object) -> Job:
        token = f"{self.run_id}.{n}.1"
        logs = paths.log_dir(self.backend.home(), "study")
        job = Job(
            token=token,
            run_id=self.run_id,
            run_name="study",
            key=f"t.{n}",
            name=name,
            attempt=1,
            command=command,
            working_dir="~",
            env={"N": str(n)},
            resources=Resources(time_limit=600, memory=100 * 1024**2),
            paths=paths.for_task(logs, self.run_id, f"t.{n}", 1, token),
            submitted_at=datetime.now(UTC),
        )
        return replace(job, **more)  # type: ignore[arg-type]

    def submit(self, *jobs: Job) -> list[Job]:
        answers = self.backend.submit(jobs)
        return [replace(job, job_id=_id(answers[job.token])) for job in jobs]

    def look(self, jobs: Sequence[Job]) -> Observation:
        return self.backend.observe([Watch(job) for job in jobs])

    def until(
        self, jobs: Sequence[Job], claim: Callable[[Observation], bool], seconds: float = 60
    ) -> Observation:
        """Look again and again until a claim holds."""
        began = time.monotonic()
        while True:
            seen = self.look(jobs)
            if claim(seen):
                return seen
            waited = time.monotonic() - began
            assert waited < seconds, f"in vain for {seconds} s: {seen}"
            time.sleep(2 * pause(waited))  # a look is several processes

    def until_ended(self, jobs: Sequence[Job], seconds: float = 60) -> Observation:
        return self.until(jobs, lambda seen: all(is_over(seen, job.token) for job in jobs), seconds)

    def until_running(self, jobs: Sequence[Job]) -> Observation:
        """Until the jobs' commands run: the claims are there."""
        return self.until(
            jobs,
            lambda seen: all(
                job.token in seen.claims
                and seen.sightings.get(job.token, _NOWHERE).phase is Phase.RUNNING
                for job in jobs
            ),
        )

    def written(self, job: Job) -> Mapping[bytes, str | None]:
        """What a job that has ended has written: path -> why not collected."""
        listing = self.listing(job)
        return {file.path: file.note for file in listing.files}

    def listing(self, job: Job) -> Listing:
        return self.look([job]).listings[job.token]


_NOWHERE = Sighting("0", Phase.WAITING, "NOWHERE")


def _id(answer: object) -> str:
    assert isinstance(answer, Accepted), answer
    return answer.job_id


def is_over(seen: Observation, token: Token) -> bool:
    """An end that nobody can doubt: a note, and no longer in the queue; or the scheduler's word."""
    sighting, note = seen.sightings.get(token), seen.notes.get(token)
    if sighting is None:
        return note is not None
    return sighting.phase in ENDED


def note_of(seen: Observation, job: Job) -> ExitNote:
    return seen.notes[job.token]


def ssh_to(cluster: Cluster) -> SSH:
    """A connection of its own to the cluster's login node."""
    return SSH(
        Target(
            cluster.host,
            cluster.port,
            cluster.user,
            Path(cluster.key),
            known_hosts=Path(cluster.known_hosts),
        )
    )


PLACES = ["local", "pbs", "torque", pytest.param("slurm", marks=pytest.mark.slurm)]


@pytest.fixture(params=PLACES)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A place where jobs run, here and on a cluster."""
    opened: list[Backend] = []
    pbs: StandIn | None = None
    if request.param != "slurm":
        monkeypatch.setenv("HOME", str(tmp_path))
    if request.param in ("pbs", "torque"):
        kind = "pro" if request.param == "pbs" else "torque"
        pbs = start_pbs(kind, tmp_path / "pbs", monkeypatch)

    def make(limits: OutputLimits) -> Backend:
        backend: Backend
        if request.param == "local":
            backend = LocalBackend("here", limits, grace=0.5, room=Room(64, 2**40))
        elif pbs is not None:
            backend = ClusterBackend("small", PBS(), Local(), limits)
        else:
            transport = ssh_to(request.getfixturevalue("slurm"))
            backend = ClusterBackend("there", Slurm(), transport, limits)
        opened.append(backend)
        return backend

    yield Place(make(LIMITS), make, request.param != "slurm" and os.geteuid() == 0)
    for backend in opened:
        backend.close()
    if pbs is not None:
        pbs.end()
