"""When the end of a task was seen, by our own clock; indexes for what is asked all the time."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("ended_seen_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE tasks SET ended_seen_at = finished_at WHERE finished_at IS NOT NULL")
    op.drop_index("ix_tasks_uncollected", "tasks")
    _index("ix_tasks_uncollected", "tasks", "ended_seen_at", UNCOLLECTED)
    _index("ix_runs_open", "runs", "backend", "ended_at IS NULL")
    _index("ix_outputs_sha256", "outputs", "sha256", "sha256 IS NOT NULL")


UNCOLLECTED = "collected_at IS NULL AND job_id IS NOT NULL"


def _index(name: str, table: str, column: str, where: str) -> None:
    only = sa.text(where)
    op.create_index(name, table, [column], sqlite_where=only, postgresql_where=only)
