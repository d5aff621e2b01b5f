"""Orders to cancel are found without going through all tasks that wait."""

from alembic import op
from sqlalchemy import text

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_tasks_cancel_asked",
        "tasks",
        ["state"],
        sqlite_where=text("cancel_asked_at IS NOT NULL"),
        postgresql_where=text("cancel_asked_at IS NOT NULL"),
    )
