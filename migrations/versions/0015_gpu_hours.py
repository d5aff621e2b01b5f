"""GPU time of runs, beside their CPU time."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "runs", sa.Column("gpu_seconds", sa.Double(), nullable=False, server_default=sa.text("0"))
    )
