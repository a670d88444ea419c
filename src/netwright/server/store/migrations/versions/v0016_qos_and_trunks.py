"""Policies of quality of service, what has them, and trunks."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
reads_from = "0015"
branch_labels = None
depends_on = None

_KEPT: Sequence[tuple[str, Any, bool]] = (
    ("revision_number", sa.Integer, False),
    ("created_at", sa.Float, False),
    ("updated_at", sa.Float, False),
    ("body", sa.Text, False),
)
_POLICY: Sequence[tuple[str, Any, bool]] = (
    ("id", sa.String, False),
    ("project_id", sa.String, False),
    ("name", sa.String, False),
    ("description", sa.String, False),
    ("shared", sa.Boolean, False),
    ("is_default", sa.Boolean, False),
    ("default_of", sa.String, True),
    *_KEPT,
)
_USER: Sequence[tuple[str, Any, bool]] = (
    ("resource_id", sa.String, False),
    ("policy_id", sa.String, False),
)
_TRUNK: Sequence[tuple[str, Any, bool]] = (
    ("id", sa.String, False),
    ("project_id", sa.String, False),
    ("port_id", sa.String, False),
    ("name", sa.String, False),
    ("description", sa.String, False),
    ("admin_state_up", sa.Boolean, False),
    ("status", sa.String, False),
    *_KEPT,
)


def upgrade() -> None:
    _make("qos_policy", _POLICY)
    op.create_index("qos_policy_project", "qos_policy", ["project_id"])
    op.create_index("qos_policy_name", "qos_policy", ["name"])
    op.create_index("qos_policy_shared", "qos_policy", ["shared"])
    is_default = sa.text("default_of IS NOT NULL")
    op.create_index(
        "qos_policy_default",
        "qos_policy",
        ["default_of"],
        unique=True,
        sqlite_where=is_default,
        postgresql_where=is_default,
    )
    _make("qos_user", _USER)
    op.create_index("qos_user_policy", "qos_user", ["policy_id"])
    _make("trunk", _TRUNK)
    op.create_index("trunk_port", "trunk", ["port_id"], unique=True)
    op.create_index("trunk_project", "trunk", ["project_id"])
    op.create_index("trunk_name", "trunk", ["name"])


def downgrade() -> None:
    for table in ("trunk", "qos_user", "qos_policy"):
        op.drop_table(table)


def _make(name: str, columns: Sequence[tuple[str, Any, bool]]) -> None:
    op.create_table(
        name,
        *(sa.Column(column, type_(), nullable=nullable) for column, type_, nullable in columns),
        sa.PrimaryKeyConstraint(columns[0][0]),
        sqlite_with_rowid=False,
    )
