"""Pictures by their content, with their thumbnails; those that are kept wait for theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pictures",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("thumb", sa.String(length=64), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_pictures")),
    )
    op.create_index(
        "ix_pictures_waiting",
        "pictures",
        ["sha256"],
        sqlite_where=sa.text("thumb IS NULL AND note IS NULL"),
        postgresql_where=sa.text("thumb IS NULL AND note IS NULL"),
    )
    op.execute(
        "INSERT INTO pictures (sha256) SELECT DISTINCT sha256 FROM outputs "
        "WHERE kind = 'image' AND sha256 IS NOT NULL AND lower(path) NOT LIKE '%.svg'"
    )
