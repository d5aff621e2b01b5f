"""What lies on backends' disks, what is to go there, and whose files are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "disk_scans",
        sa.Column("id", sa.String(8), nullable=False),
        sa.Column("backend", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ask_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("home", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disk_scans")),
    )
    op.create_index(op.f("ix_disk_scans_backend"), "disk_scans", ["backend"])
    op.create_table(
        "disk_things",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scan_id", sa.String(8), nullable=False),
        *_place(),
        sa.Column("mark", sa.String(48), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_busy", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disk_things")),
        sqlite_autoincrement=True,  # no id is used again
    )
    op.create_index(op.f("ix_disk_things_scan_id"), "disk_things", ["scan_id"])
    op.create_table(
        "disk_removals",
        sa.Column("id", sa.String(8), nullable=False),
        sa.Column("backend", sa.Text(), nullable=False),
        *_place(),
        sa.Column("mark", sa.String(48), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_moved", sa.Boolean(), nullable=False),
        sa.Column("freed", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_gone", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disk_removals")),
    )
    op.create_index(op.f("ix_disk_removals_backend"), "disk_removals", ["backend", "ended_at"])
    op.add_column("runs", sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True))


def _place() -> list[sa.Column[object]]:
    return [
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("run", sa.String(8), nullable=True),
    ]
