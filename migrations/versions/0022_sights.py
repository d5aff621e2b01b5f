"""Everybody's jobs, and those that ended lately, while somebody looks at them."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("crowd_until", "ended_until", "crowd_at", "ended_at"):
        column = sa.Column(name, sa.DateTime(timezone=True), nullable=True)
        op.add_column("surveys", column)
    for name in ("crowd", "ended"):
        op.add_column("surveys", sa.Column(name, sa.JSON(), nullable=True))
