"""Histories: the real engine over a cluster that lies, and what must hold at their end.

A history is one run's life. A few share a server and a cluster, as runs do.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from random import Random

from sqlalchemy import delete, insert, select, update

from scripthut.backends.cluster import ClusterBackend
from scripthut.core import tokens
from scripthut.core.errors import Conflict
from scripthut.core.jobs import OutputLimits
from scripthut.core.states import OPEN, TERMINAL, Event, State
from scripthut.core.workflow.document import parse
from scripthut.engine.cycle import Cycle
from scripthut.engine.lead import Lead
from scripthut.store.db import Database, Session
from scripthut.store.files.kept import Kept
from scripthut.store.lease import ENGINE
from scripthut.store.making.create import NewRun, create_run
from scripthut.store.making.retries import retry_failed
from scripthut.store.models import EventRow, Lease, Run, Task
from scripthut.store.orders import ask_cancel_run, ask_cancel_task
from tests.engine.cluster import START
from tests.simulation.cluster import HOUR, MINUTE, Lie, SimCluster
from tests.simulation.machine import Language, Machine


@dataclass(frozen=True)
class Shape:
    """A run's tasks, each with the places of those it needs; `array`: they go together."""

    needs: tuple[tuple[int, ...], ...]
    array: bool = False


SHAPES = (
    Shape(((),)),
    Shape(((), (0,))),
    Shape(((), (), (0, 1))),
    Shape(((), (0,), (0,), (1, 2))),
    Shape(((), ()), array=True),
    Shape(((), (), (), (), ()), array=True),
    Shape(((), (0,), (0,), (0,), (1, 2, 3)), array=True),
)
PERSON = ("nothing", "cancels a task", "cancels the run", "tries again", "does all")
DOCUMENTS = {
    shape: parse(
        [
            {
                "id": f"t{n}",
                "command": "true",
                "deps": [f"t{d}" for d in needed],
                "array": shape.array,
            }
            for n, needed in enumerate(shape.needs)
        ]
    )
    for shape in SHAPES
}
ARRAY_LIMITS = (0, 3, 1001, 1001)
MOST = 3  # attempts
HEALING = [min(20 * 1.3**n, 20 * MINUTE) for n in range(32)]  # pauses: more than six hours
NEVER = "never ran"
WAITING = (State.PENDING, State.LOST)
CANCELS = frozenset(PERSON) - {"nothing", "tries again"}
_names = count()


class Killed(BaseException):
    """The server was killed at this moment."""


@dataclass(frozen=True)
class Plan:
    """What a history begins with; equal plans, equal histories."""

    seed: int
    lies: frozenset[Lie] = frozenset()
    shapes: tuple[int, ...] = (0,)
    person: str = "nothing"
    cap: int = 50


class Histories:
    """The lives of some runs, from their creation until the cluster has long been well."""

    def __init__(self, plan: Plan, database: Database, kept: Kept) -> None:
        self.plan = plan
        self.chance = Random(plan.seed)
        self.database = database
        self.kept = kept
        self.cluster = SimCluster(self.chance, plan.lies)
        self.cluster.array_limit = ARRAY_LIMITS[plan.seed % len(ARRAY_LIMITS)]
        self.cluster.cancels = plan.person in CANCELS or Lie.OTHERS in plan.lies
        self.wrong: list[str] = []
        self.shapes = {f"r{n:07d}": SHAPES[shape] for n, shape in enumerate(plan.shapes)}
        self._is_asleep = False
        self._set_by = timedelta(0)  # how far the server's clock is from the truth
        with database.writing() as session:
            for table in (EventRow, Task, Run):
                session.execute(delete(table))
            for run_id, shape in self.shapes.items():
                create_run(session, run_id, NewRun("study", "hpc", DOCUMENTS[shape]), START)
        self.engine = self._engine()

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.cluster.now) + self._set_by

    def _engine(self) -> Cycle:
        """A new server, which leads."""
        with self.database.writing() as session:
            if session.get(Lease, ENGINE) is None:
                session.execute(insert(Lease).values(name=ENGINE, epoch=0, until=0.0))
            session.execute(update(Lease).values(until=0.0))
        lead = Lead(self.database, f"h{next(_names)}")
        assert lead.renew()
        with self.database.writing() as session:  # for as long as this machine may take
            session.execute(update(Lease).values(until=Lease.until + 1e9))
        machine = Machine(self.cluster, self._moment, self._taken)
        clock = lambda: self.cluster.now  # noqa: E731
        backend = ClusterBackend("hpc", Language(), machine, now=clock)
        hands = lead.hands(backend, self.kept, OutputLimits())
        hands = replace(hands, writing=self._deadly(hands.writing))
        return Cycle(hands, "slurm", self.plan.cap, clock=clock)

    def _deadly(
        self, writing: Callable[[], AbstractContextManager[Session]]
    ) -> Callable[[], AbstractContextManager[Session]]:
        @contextmanager
        def deadly() -> Iterator[Session]:
            with writing() as session:
                yield session
                self._may_die()
            self._may_die()

        return deadly

    def _may_die(self) -> None:
        if self.cluster.lies_by(Lie.CRASH, 0.02):
            raise Killed

    def _moment(self) -> None:
        """A moment in the middle of a command: the server may be killed, or sleep."""
        self._may_die()
        if not self._is_asleep and self.cluster.lies_by(Lie.SLEEP, 0.05):
            self._is_asleep = True
            other = self._engine()
            for _ in range(self.chance.randint(1, 8)):
                self._turn(other, self.chance.uniform(1, 20))
            self._is_asleep = False

    def _taken(self, token: str) -> None:
        """The scheduler takes a submission: what its task needs must have completed."""
        run_id, n = token.split(".")[:2]
        for dep in self.shapes[run_id].needs[int(n, 36)]:
            attempts = [tokens.token(run_id, dep, attempt) for attempt in range(1, MOST + 1)]
            if "ok" not in {self.cluster.ended.get(attempt) for attempt in attempts}:
                self.wrong.append(f"{token} was submitted before task {dep} completed")

    def _turn(self, engine: Cycle, seconds: float) -> bool:
        self.cluster.pass_time(seconds)
        try:
            engine.run(self.now)
        except Killed:
            return False
        return True

    def turn(self, seconds: float) -> bool:
        """Let time pass, and the engine take a turn; False: it was killed."""
        return self._turn(self.engine, seconds)

    def _person(self) -> None:
        """Somebody does something to the run."""
        does = self.plan.person
        if does == "nothing" or self.chance.random() > 0.3:
            return
        run_id = self.chance.choice(list(self.shapes))
        if does == "does all":
            does = self.chance.choice(PERSON[1:4])
        with self.database.writing() as session:
            run = session.get_one(Run, run_id)
            of_run = select(Task).where(Task.run_id == run_id).order_by(Task.id)
            tasks = session.scalars(of_run).all()
            if does == "cancels a task":
                ask_cancel_task(session, self.chance.choice(tasks), self.now)
            elif does == "cancels the run":
                ask_cancel_run(session, run, self.now)
            elif max(task.attempt for task in tasks) < MOST:
                try:
                    retry_failed(session, run, self.now)
                except Conflict:
                    return

    def live(self) -> list[str]:
        """Live it through; what was wrong, in words."""
        for _ in range(self.chance.randint(5, 25)):
            if self.cluster.lies_by(Lie.OUTAGE, 0.05):
                self.cluster.down_until = self.cluster.now + self.cluster.pause(MINUTE, 4 * HOUR)
            if self.cluster.lies_by(Lie.CLOCK, 0.1):
                self._set_by += timedelta(minutes=self.chance.choice([-60, -5, 5, 60, 180]))
            pause = self.chance.choice([2, 2, 5, 15, 30, 60, 120])
            if not self._turn(self.engine, pause):
                self.engine = self._engine()
            self._person()
        self._heal()
        self._judge()
        return self.wrong

    def _heal(self) -> None:
        """The cluster is well from now on: what is not over ends."""
        self.cluster.is_well = True
        self.cluster.down_until = 0.0
        self.engine = self._engine()
        for pause in HEALING:
            if self._is_over():
                break
            self._turn(self.engine, pause)
        self.cluster.settle()
        for pause in (30, 3 * MINUTE):  # no verdict is taken back, whatever comes late
            self._turn(self.engine, pause)

    def tasks(self) -> list[Task]:
        """All tasks, as the database has them."""
        with self.database.reading() as session:
            return list(session.scalars(select(Task).order_by(Task.id)))

    def _is_over(self) -> bool:
        with self.database.reading() as session:
            is_open = select(Task.id).where(Task.state.in_(OPEN)).limit(1)
            return session.scalar(is_open) is None

    def _judge(self) -> None:
        """Compare what the database says with the truth."""
        for token, jobs in self.cluster.ran.items():
            if len(jobs) > 1:
                self.wrong.append(f"{token} was run by {len(jobs)} jobs")
        tasks = self.tasks()
        states = {(task.run_id, task.key): task.state for task in tasks}
        for task in tasks:
            token = tokens.token(task.run_id, task.n, task.attempt)
            said, truth = task.state, self.cluster.ended.get(token, NEVER)
            is_held = any(states[task.run_id, dep] in WAITING for dep in task.deps)
            if said is State.PENDING and is_held and truth == NEVER:
                continue
            if truth not in self._truths(said):
                self.wrong.append(f"{token} is said to be {said}, in truth: {truth}")
            if task.requeues and not self.plan.lies & {Lie.REQUEUE, Lie.PREEMPT, Lie.STALE}:
                self.wrong.append(f"{token} is said to have gone back into the queue")
        self._judge_events()

    def _truths(self, said: State) -> Collection[str]:
        """What may be true of a task of which this is said.

        A job that was killed may leave nothing that tells by whom.
        """
        return {
            State.COMPLETED: {"ok"},
            State.FAILED: {"bad", "killed"} | ({"cancelled"} if self.cluster.cancels else set()),
            State.CANCELLED: {"cancelled", "killed", NEVER},
            State.DEP_FAILED: {NEVER},
            State.LOST: {"killed", "cancelled", NEVER} if Lie.NONE in self.plan.lies else set(),
        }.get(said, set())

    def _judge_events(self) -> None:
        """No verdict follows a verdict without a retry in between."""
        with self.database.reading() as session:
            rows = session.scalars(select(EventRow).order_by(EventRow.id)).all()
        verdicts: Counter[int] = Counter()
        for row in rows:
            if row.task_id is None:
                continue
            if row.what == Event.RETRIED.value:
                verdicts[row.task_id] = 0
            elif row.new in {state.value for state in TERMINAL}:
                verdicts[row.task_id] += 1
                if verdicts[row.task_id] > 1:
                    self.wrong.append(f"task {row.task_id} was judged twice: {row.old}->{row.new}")


@contextmanager
def quiet() -> Iterator[None]:
    """Say nothing of what goes wrong on purpose, a hundred times a second."""
    log = logging.getLogger("scripthut")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
