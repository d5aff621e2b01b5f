"""Runs that are pinned, and what was removed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("pinned_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("removed_why", sa.Text(), nullable=True))
    op.add_column("outputs", sa.Column("was_sha256", sa.String(length=64), nullable=True))
