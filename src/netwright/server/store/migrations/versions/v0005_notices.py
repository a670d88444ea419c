"""Notices: what Nova is told of ports, until it has acknowledged it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("port_id", sa.String(), nullable=False),
        sa.Column("server_uuid", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tried_at", sa.Float(), nullable=True),
        sa.Column("next_try_at", sa.Float(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("port_id", "server_uuid", "topic"),
        sqlite_with_rowid=False,
    )
    for name, columns in (("due", ["next_try_at", "number"]), ("ended", ["ended_at"])):
        is_there = sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(
            f"notice_{name}",
            "notice",
            columns,
            sqlite_where=is_there,
            postgresql_where=is_there,
        )


def downgrade() -> None:
    op.drop_table("notice")
