"""Documents with parameters as they were written, and the rules that sources bring along."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("document", sa.JSON(), nullable=True))
    op.add_column("sources", sa.Column("overlay", sa.Text(), nullable=True))
