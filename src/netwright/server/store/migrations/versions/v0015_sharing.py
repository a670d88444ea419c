"""What is shared with whom, address groups, and default rules of security groups."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
reads_from = "0013"
branch_labels = None
depends_on = None

_IDS = UUID("0b1a7c52-5f0e-5d0c-8a5e-2f6c3e9d4b10")
"""Of the policies that `shared` and `router:external` stood for: `model.sharing` names them so."""

_Columns = Sequence[tuple[str, Any, bool]]
_POLICY: _Columns = (
    ("id", sa.String, False),
    ("project_id", sa.String, False),
    ("object_type", sa.String, False),
    ("object_id", sa.String, False),
    ("action", sa.String, False),
    ("target_tenant", sa.String, False),
    ("body", sa.Text, False),
)
_ADDRESS_GROUP: _Columns = (
    ("id", sa.String, False),
    ("project_id", sa.String, False),
    ("name", sa.String, False),
    ("description", sa.String, False),
    ("revision_number", sa.Integer, False),
    ("created_at", sa.Float, False),
    ("updated_at", sa.Float, False),
    ("body", sa.Text, False),
)
_DEFAULT_RULE: _Columns = (
    ("id", sa.String, False),
    ("direction", sa.String, False),
    ("ethertype", sa.String, False),
    ("protocol", sa.String, True),
    ("port_range_min", sa.Integer, True),
    ("port_range_max", sa.Integer, True),
    ("shown_prefix", sa.String, True),
    ("remote_group_id", sa.String, True),
    ("used_in_default_sg", sa.Boolean, False),
    ("used_in_non_default_sg", sa.Boolean, False),
    ("description", sa.String, False),
    ("body", sa.Text, False),
)
_OBJECTS = (
    ("network", "network", "shared", "access_as_shared"),
    ("network", "network", "external", "access_as_external"),
    ("address_scope", "address_scope", "shared", "access_as_shared"),
    ("subnetpool", "subnetpool", "shared", "access_as_shared"),
)
"""Table, object type, flag, action."""


def upgrade() -> None:
    _create("rbac_policy", _POLICY)
    op.create_index("rbac_policy_project", "rbac_policy", ["project_id"])
    columns = ["action", "target_tenant", "object_type", "object_id"]
    op.create_index("rbac_policy_action", "rbac_policy", columns)
    _create("address_group", _ADDRESS_GROUP)
    op.create_index("address_group_name", "address_group", ["name"])
    op.create_index("address_group_project", "address_group", ["project_id"])
    _create("default_security_group_rule", _DEFAULT_RULE)
    _write_policies()
    _write_default_rules()


def downgrade() -> None:
    for table in ("default_security_group_rule", "address_group", "rbac_policy"):
        op.drop_table(table)


def _create(name: str, columns: _Columns) -> None:
    made = [sa.Column(column, type_(), nullable=null) for column, type_, null in columns]
    key = sa.PrimaryKeyConstraint("id")
    op.create_table(name, *made, key, sqlite_with_rowid=False)


def _write_policies() -> None:
    """A policy for everybody of each resource that is shared or external so."""
    database = op.get_bind()
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name, _, _ in _POLICY]
    policies = sa.table("rbac_policy", *columns)
    for table, object_type, flag, action in _OBJECTS:
        kept = sa.table(
            table, sa.column("id"), sa.column("project_id"), sa.column(flag, sa.Boolean)
        )
        shared = sa.select(kept.c.id, kept.c.project_id).where(kept.c[flag])
        for id_, project_id in database.execute(shared).all():
            policy = {
                "id": str(uuid5(_IDS, f"{id_}/{action}/0")),
                "project_id": project_id,
                "object_type": object_type,
                "object_id": id_,
                "action": action,
                "target_tenant": "*",
            }
            database.execute(policies.insert().values(**policy, body=json.dumps(policy)))


_RULE_IDS = UUID("3a4c0c0e-52f7-5a0e-8a9f-6d1d4f3e7b25")
"""Of the rules that there are at first: `server.security.default_rules` names them so."""


def _write_default_rules() -> None:
    """What groups began with until now."""
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name, _, _ in _DEFAULT_RULE]
    rules = sa.table("default_security_group_rule", *columns)
    for direction in ("ingress", "egress"):
        for ethertype in ("IPv4", "IPv6"):
            rule: dict[str, Any] = {
                "id": str(uuid5(_RULE_IDS, f"{direction}/{ethertype}")),
                "direction": direction,
                "ethertype": ethertype,
                "remote_group_id": "PARENT" if direction == "ingress" else None,
                "used_in_default_sg": True,
                "used_in_non_default_sg": direction == "egress",
                "description": f"Legacy default SG rule for {direction} traffic",
            }
            op.get_bind().execute(rules.insert().values(**rule, body=json.dumps(rule)))
