"""An engine's cycle over a simulated cluster, with the time as a value."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select

from scripthut.core.states import State
from scripthut.core.workflow.document import parse
from scripthut.engine.cycle import Cycle, Report
from scripthut.engine.lead import Lead
from scripthut.store.db import Database
from scripthut.store.making.create import NewRun, create_run
from scripthut.store.models import BackendRow, Run, Task
from tests.engine.cluster import START, FakeCluster


@dataclass
class World:
    """The engine, its cluster and its clock."""

    database: Database
    cluster: FakeCluster
    cycle: Cycle
    lead: Lead
    now: datetime = START
    runs: int = field(default=0)

    def run(self, tasks: dict[str, list[str]], name: str = "study") -> str:
        """Create a run of tasks given with their dependencies; its id."""
        self.runs += 1
        run_id = f"run{self.runs:05d}"
        document = parse([{"id": k, "command": "true", "deps": d} for k, d in tasks.items()])
        with self.database.writing() as session:
            create_run(session, run_id, NewRun(name, "hpc", document), self.now)
        return run_id

    def start(self, document: object, **words: object) -> str:
        """Create a run of a document as people write it; its id."""
        self.runs += 1
        run_id = f"run{self.runs:05d}"
        new = NewRun("study", "hpc", parse(document), **words)  # type: ignore[arg-type]
        with self.database.writing() as session:
            create_run(session, run_id, new, self.now)
        return run_id

    def turn(self, seconds: float = 2, times: int = 1) -> Report:
        """Let cycles run, `seconds` apart."""
        for _ in range(times):
            self.now += timedelta(seconds=seconds)
            self.cluster.now = self.now
            assert self.lead.renew()
            report = self.cycle.run(self.now)
        return report

    def states(self, run_id: str | None = None) -> dict[str, str]:
        """Task id -> state."""
        with self.database.reading() as session:
            rows = session.scalars(select(Task).order_by(Task.id))
            return {t.key: t.state.value for t in rows if run_id in (None, t.run_id)}

    def task(self, key: str) -> Task:
        """A task's row."""
        with self.database.reading() as session:
            return session.scalars(select(Task).where(Task.key == key)).one()

    def task_of(self, run_id: str, key: str) -> Task:
        """A task of one of several runs."""
        with self.database.reading() as session:
            statement = select(Task).where(Task.run_id == run_id, Task.key == key)
            return session.scalars(statement).one()

    def change(self, key: str, **columns: object) -> None:
        """Write columns of a task directly, as no program would."""
        with self.database.writing() as session:
            task = session.scalars(select(Task).where(Task.key == key)).one()
            for name, value in columns.items():
                setattr(task, name, value)

    def backend(self) -> BackendRow:
        """What is known of the backend."""
        with self.database.reading() as session:
            return session.get_one(BackendRow, "hpc")

    def the_run(self, run_id: str) -> Run:
        """A run's row."""
        with self.database.reading() as session:
            return session.get_one(Run, run_id)

    def is_over(self) -> bool:
        """Whether every task has ended."""
        ends = {State.COMPLETED, State.FAILED, State.CANCELLED, State.DEP_FAILED}
        return set(self.states().values()) <= ends
