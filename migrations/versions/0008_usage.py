"""CPU time by hour and source, and of each run; that of tasks that ended before is counted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

HOUR = timedelta(hours=1)


def upgrade() -> None:
    usage = op.create_table(
        "usage",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("cpu_seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "source", name=op.f("pk_usage")),
    )
    op.add_column(
        "runs", sa.Column("cpu_seconds", sa.Double(), nullable=False, server_default=sa.text("0"))
    )
    hours: dict[tuple[datetime, str], float] = {}
    runs: dict[str, float] = {}
    for run_id, source, name, started, finished, cpus in _ended():
        source = source or name.partition("/")[0] or name
        hour = started.replace(minute=0, second=0, microsecond=0)
        while hour < finished:
            spent = (min(finished, hour + HOUR) - max(started, hour)).total_seconds() * cpus
            hours[hour, source] = hours.get((hour, source), 0.0) + spent
            runs[run_id] = runs.get(run_id, 0.0) + spent
            hour += HOUR
    rows = [{"hour": h, "source": s, "cpu_seconds": n} for (h, s), n in hours.items()]
    if rows:
        op.bulk_insert(usage, rows)
    run = sa.table("runs", sa.column("id"), sa.column("cpu_seconds"))
    for run_id, spent in runs.items():
        op.execute(run.update().where(run.c.id == run_id).values(cpu_seconds=spent))


def _ended() -> Iterator[tuple[str, str | None, str, datetime, datetime, int]]:
    """Run, source, name, start, end and CPUs of every task that ran and has ended."""
    tasks = sa.table(
        "tasks",
        sa.column("run_id"),
        sa.column("spec", sa.JSON()),
        sa.column("started_at", sa.DateTime(timezone=True)),
        sa.column("finished_at", sa.DateTime(timezone=True)),
    )
    runs = sa.table("runs", sa.column("id"), sa.column("source"), sa.column("name"))
    statement = (
        sa.select(
            runs.c.id, runs.c.source, runs.c.name,
            tasks.c.started_at, tasks.c.finished_at, tasks.c.spec,
        )
        .join_from(tasks, runs, tasks.c.run_id == runs.c.id)
        .where(tasks.c.started_at.is_not(None), tasks.c.finished_at.is_not(None))
    )  # fmt: skip
    for run_id, source, name, started, finished, spec in op.get_bind().execute(statement):
        cpus = spec.get("cpus") or 1
        yield run_id, source, name, _utc(started), _utc(finished), cpus


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
