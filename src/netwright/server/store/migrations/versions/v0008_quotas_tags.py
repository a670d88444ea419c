"""Quotas with what projects have of them; tags."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quota",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "quota_usage",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "resource"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tag",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("resource_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "tag", "resource_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("subnet_project", "subnet", ["project_id"], unique=False)


def downgrade() -> None:
    op.drop_index("subnet_project", table_name="subnet")
    op.drop_table("tag")
    op.drop_table("quota_usage")
    op.drop_table("quota")
