"""What a run is made of: its source, parameters, environment rules; what retries need."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("title", "source", "workflow", "git_repo", "git_branch", "git_sha", "folder"):
        op.add_column("runs", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("workspace", sa.String(length=16), nullable=True))
    for name in ("env", "params", "notices"):
        op.add_column("runs", sa.Column(name, sa.JSON(), nullable=True))
    op.add_column("runs", sa.Column("request_key", sa.String(length=200), nullable=True))
    op.add_column("runs", sa.Column("origin", sa.String(length=8), nullable=True))
    op.create_index("uq_runs_request_key", "runs", ["request_key"], unique=True)
    op.create_index(op.f("ix_runs_origin"), "runs", ["origin"], unique=False)
    op.add_column("tasks", sa.Column("open_deps", sa.JSON(), nullable=True))
    op.add_column("tasks", sa.Column("env", sa.JSON(), nullable=True))
    op.add_column("tasks", sa.Column("base", sa.Text(), nullable=True))
    op.add_column("tasks", sa.Column("maker", sa.Integer(), nullable=True))
    op.add_column("tasks", sa.Column("depth", sa.Integer(), nullable=True))
    op.add_column("tasks", sa.Column("cause", sa.String(length=16), nullable=True))
    op.add_column("tasks", sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tasks", sa.Column("asked", sa.JSON(), nullable=True))
