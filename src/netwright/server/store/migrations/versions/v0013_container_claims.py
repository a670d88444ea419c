"""How long containers' named ports are kept, and for whom.

The rows follow from the ports' bodies. There are ports with claims already where this step was
taken back and is taken again.
"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
reads_from = "0012"
branch_labels = None
depends_on = None

_AT_ONCE = 1_000


def upgrade() -> None:
    table = op.create_table(
        "container_claim",
        sa.Column("port_id", sa.String(), nullable=False),
        sa.Column("kept_until", sa.Float(), nullable=True),
        sa.Column("owner_uid", sa.String(), nullable=True),
        sa.Column("cluster", sa.String(), nullable=True),
        sa.Column("namespace", sa.String(), nullable=True),
        sa.Column("owner_kind", sa.String(), nullable=True),
        sa.Column("owner_name", sa.String(), nullable=True),
        sa.Column("owner_api_version", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("port_id"),
        sqlite_with_rowid=False,
    )
    rows = list(_rows())
    for start in range(0, len(rows), _AT_ONCE):
        op.bulk_insert(table, rows[start : start + _AT_ONCE])
    _index("container_claim_kept", ["kept_until"])
    _index("container_claim_owner", ["owner_uid", "cluster"])


def downgrade() -> None:
    op.drop_table("container_claim")


def _index(name: str, columns: list[str]) -> None:
    given = sa.text(f"{columns[0]} IS NOT NULL")
    op.create_index(name, "container_claim", columns, sqlite_where=given, postgresql_where=given)


def _rows() -> Iterator[dict[str, Any]]:
    found = op.get_bind().execute(
        sa.text(
            "SELECT id, body FROM port WHERE device_owner = 'netwright:container' "
            "AND state <> 'RELEASING' AND body LIKE '%\"claim\":{%'"
        )
    )
    for port_id, body in found:
        claim = json.loads(body).get("claim") or {}
        pod = claim.get("pod") or {}
        row = dict.fromkeys(("owner_uid", "cluster", "namespace", "owner_kind", "owner_name"))
        row |= {"port_id": port_id, "kept_until": claim.get("kept_until")}
        row["owner_api_version"] = None
        if claim.get("keep") == "while-owner-exists" and pod and not claim.get("owner_gone"):
            itself = {"api_version": "v1", "kind": "Pod", "name": pod["name"], "uid": pod["uid"]}
            owner = pod.get("owner") or itself
            row |= {"cluster": pod["cluster"], "namespace": pod["namespace"]}
            row |= {f"owner_{key}": value for key, value in owner.items()}
        if row["kept_until"] is not None or row["owner_uid"] is not None:
            yield row
