"""Security groups, their rules, and which ports are in them.

Ports that are there already stay in no group, and are not filtered.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "security_group",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("stateful", sa.Boolean(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("security_group_project", "security_group", ["project_id"])
    default: sa.Column[bool] = sa.Column("is_default", sa.Boolean())
    op.create_index(
        "security_group_default",
        "security_group",
        ["project_id"],
        unique=True,
        sqlite_where=default,
        postgresql_where=default,
    )
    op.create_table(
        "security_group_rule",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("security_group_id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("ethertype", sa.String(), nullable=False),
        sa.Column("protocol", sa.String()),
        sa.Column("port_range_min", sa.Integer()),
        sa.Column("port_range_max", sa.Integer()),
        sa.Column("shown_prefix", sa.String()),
        sa.Column("normalized_cidr", sa.String()),
        sa.Column("remote_group_id", sa.String()),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("security_group_rule_group", "security_group_rule", ["security_group_id"])
    op.create_index("security_group_rule_project", "security_group_rule", ["project_id"])
    remote = sa.Column("remote_group_id", sa.String()).isnot(None)
    op.create_index(
        "security_group_rule_remote",
        "security_group_rule",
        ["remote_group_id"],
        sqlite_where=remote,
        postgresql_where=remote,
    )
    op.create_table(
        "membership",
        sa.Column("group_id", sa.String(), nullable=False),
        sa.Column("port_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "port_id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    # The log keeps its numbers: what it told of groups becomes the end of ports that never were.
    op.execute(
        "UPDATE event SET kind = 'port', hosts = '', body = NULL "
        "WHERE kind IN ('security_group', 'group_member')"
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute("UPDATE port SET body = json_remove(body, '$.security_groups')")
    else:
        op.execute("UPDATE port SET body = (CAST(body AS jsonb) - 'security_groups')::text")
    op.drop_table("membership")
    op.drop_table("security_group_rule")
    op.drop_table("security_group")
