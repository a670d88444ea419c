"""Operations: what was accepted to be done, and what became of it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "operation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float()),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    for name, column, condition in (
        ("operation_pending", "created_at", sa.text("finished_at IS NULL")),
        ("operation_finished", "finished_at", sa.text("finished_at IS NOT NULL")),
    ):
        op.create_index(
            name, "operation", [column], sqlite_where=condition, postgresql_where=condition
        )
    op.create_table(
        "operation_work",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("operation_work")
    op.drop_table("operation")
