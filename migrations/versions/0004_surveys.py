"""What is known of a cluster besides our tasks, and orders to cancel other jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "surveys",
        sa.Column("backend", sa.Text(), nullable=False),
        sa.Column("facts_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("queue_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("facts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("queue_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("queue", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("backend", name=op.f("pk_surveys")),
    )
    op.create_table(
        "job_orders",
        sa.Column("backend", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("backend", "job_id", name=op.f("pk_job_orders")),
    )
