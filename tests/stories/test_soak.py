"""Five hundred tasks on a real Slurm while everything fails: one verdict each, and the true one."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select

from scripthut.core.states import TERMINAL, State
from scripthut.store.db import Database
from scripthut.store.models import EventRow, Task
from tests.cluster.fixtures import Cluster, need_slurm, start_cluster
from tests.databases import address
from tests.stories.conftest import serving
from tests.stories.server import Server, until
from tests.stories.storm import Storm

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
SEED = 20260301
TALLY = 'echo "$SCRIPTHUT_RUN_ID.$SCRIPTHUT_TASK_ID $SLURM_JOB_ID" >>{tally}; '
RUN = 50  # tasks

# What the tasks of a run do, and how many do it; `long` is what people cancel.
KINDS = {
    "good": (24, "sleep {some}"),
    "bad": (6, "sleep {some}; exit {code}"),
    "killed": (4, "sleep {some}; kill -9 $PPID $$"),  # with its frame: no exit note
    "segv": (2, "kill -SEGV $$"),
    "long": (6, "sleep 5"),
}
# What becomes of a task, by the accounting's word.
WORDS = {
    "COMPLETED": State.COMPLETED,
    "FAILED": State.FAILED,
    "OUT_OF_MEMORY": State.FAILED,
    "CANCELLED": State.CANCELLED,
}


@dataclass(frozen=True)
class Accounted:
    """What the cluster's accounting says of a job."""

    job_id: str
    word: str
    code: int


def document(chance: Random, tally: Path) -> list[dict[str, object]]:
    """A run's tasks: some of each kind, and some that need others."""
    tasks: list[dict[str, object]] = []
    for kind, (count, command) in KINDS.items():
        for n in range(count):
            words = {"some": f"{chance.uniform(0, 2):.1f}", "code": chance.choice([1, 3, 255])}
            tasks.append({"id": f"{kind}.{n}", "command": command.format(**words)})
    tasks += [
        {"id": f"next.{n}", "command": "true", "deps": [f"good.{n}", f"good.{n + 1}"]}
        for n in range(6)
    ]
    tasks += [{"id": f"never.{n}", "command": "true", "deps": [f"bad.{n}"]} for n in range(2)]
    assert len(tasks) == RUN
    said = TALLY.format(tally=tally)
    return [{**task, "command": f"{said}{task['command']}", "memory": "30M"} for task in tasks]


@pytest.fixture
def hpc() -> Iterator[Cluster]:
    """A cluster of its own, that soon forgets what has ended."""
    need_slurm()
    with start_cluster(HUT_CPUS="8", HUT_MIN_JOB_AGE="20") as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("tasks", "seconds"), [(500, 240), pytest.param(3000, 1800, marks=pytest.mark.soak)]
)
def test_every_task_has_one_verdict_which_is_the_accountings(
    hpc: Cluster, tmp_path: Path, tasks: int, seconds: float
) -> None:
    chance = Random(SEED + tasks)
    tally = hpc.base / "tally"
    tally.touch()
    tally.chmod(0o666)
    with serving(hpc, tmp_path, settings={"workers": 2}) as server:
        storm = Storm(server, hpc, chance)
        began, runs = time.monotonic(), tasks // RUN
        for n in range(runs):
            storm.runs.append(server.run(document(chance, tally), name=f"soak{n}"))
            storm.may_requeue = n < runs * 0.6
            storm.blow(began + seconds * (n + 1) / runs)
        hpc.mend()
        storm.tend()
        for run in storm.runs:
            server.await_end(run, 240)
        print(f"faults: {dict(storm.count)}")
        check(server, hpc, storm.runs, tally)


def check(server: Server, hpc: Cluster, runs: list[str], tally: Path) -> None:
    """Compare what the database says with the accounting, and with what was run."""
    rows = tasks_of(server)
    assert {row.run_id for row in rows} == set(runs)
    submitted = {str(row.token) for row in rows if row.job_id is not None}
    until(lambda: is_whole(accounted(hpc, runs), submitted), 90, "the accounting")
    said = accounted(hpc, runs)
    wrong = [words for row in rows for words in wrongs(row, said.get(str(row.token), []))]
    assert not wrong, wrong
    assert {token for token, jobs in said.items() if len(jobs) > 1} == set(), "submitted twice"
    ran: dict[str, set[str]] = {}
    for line in tally.read_text().splitlines():
        name, job = line.split()
        ran.setdefault(name, set()).add(job)
    assert {name: jobs for name, jobs in ran.items() if len(jobs) > 1} == {}, "ran twice"
    unjudged = {task: count for task, count in verdicts(server).items() if count != 1}
    assert unjudged == {}, "not exactly one verdict"


def wrongs(row: Task, jobs: list[Accounted]) -> Iterator[str]:
    """What the database says of a task and the accounting does not."""
    about = f"{row.run_id} {row.key} is {row.state}, exit code {row.exit_code}; accounting: {jobs}"
    if not jobs:
        if row.state not in (State.DEP_FAILED, State.CANCELLED):
            yield f"no job: {about}"
        return
    (job,) = jobs[:1]
    if WORDS.get(job.word) is not row.state:
        yield f"another end: {about}"
    elif job.code and job.code != (row.exit_code or 0) % 128:  # Slurm keeps seven bits of a code
        yield f"another exit code: {about}"
    if row.state is State.DEP_FAILED:
        yield f"it was submitted: {about}"


def tasks_of(server: Server) -> list[Task]:
    """All tasks, as the database has them."""
    database = Database(address(server.data))
    with database.reading() as session:
        found = list(session.scalars(select(Task)))
    database.dispose()
    return found


def verdicts(server: Server) -> Mapping[int, int]:
    """Task -> how often it came to an end."""
    ends = {state.value for state in TERMINAL}
    database = Database(address(server.data))
    with database.reading() as session:
        count = Counter(dict.fromkeys(session.scalars(select(Task.id)), 0))
        ended = select(EventRow.task_id).where(EventRow.new.in_(ends))
        count.update(task for task in session.scalars(ended) if task is not None)
    database.dispose()
    return count


def accounted(hpc: Cluster, runs: list[str]) -> dict[str, list[Accounted]]:
    """Token -> the jobs that the accounting has of it, each as it ended last."""
    found: dict[str, list[Accounted]] = {}
    fields = "--format=JobIDRaw,State,ExitCode,JobName"
    for line in hpc.sacct("-X", fields).splitlines():
        job_id, word, code, name = line.split("|", 3)
        token = re.search(r"(\w{8})\.\w+\.\w$", name)
        if token and token[1] in runs:
            job = Accounted(job_id, word.split()[0], int(code.split(":")[0]))
            found.setdefault(token[0], []).append(job)
    return found


def is_whole(said: Mapping[str, list[Accounted]], tokens: set[str]) -> bool:
    """Whether it has heard of the end of all these jobs."""
    return all(t in said and all(job.word in WORDS for job in said[t]) for t in tokens)
