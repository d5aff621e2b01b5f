"""When a directory that could not be looked into is looked into again."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "tasks", sa.Column("collect_failures", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("tasks", sa.Column("collect_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("tasks") as batch:
        batch.alter_column("collect_failures", server_default=None)
