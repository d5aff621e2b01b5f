"""What tasks have used of memory and of processors."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("memory_used", sa.BigInteger(), nullable=True))
    op.add_column("tasks", sa.Column("cpu_used", sa.Double(), nullable=True))
