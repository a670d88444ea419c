"""What the server keeps of a fabric: VLANs of domains, held VNIs, bare metal, what is reported."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attachment_due",
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "host"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_attachment_due_due_at", "attachment_due", ["due_at"])
    op.create_table(
        "domain_vlan",
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("vlan", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "network_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("domain_vlan_place", "domain_vlan", ["place"], unique=True)
    op.create_table(
        "held_vni",
        sa.Column("segment_key", sa.String(), nullable=False),
        sa.Column("vni", sa.Integer(), nullable=False),
        sa.Column("router_id", sa.String(), nullable=True),
        sa.Column("gone_seq", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("segment_key"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_held_vni_vni", "held_vni", ["vni"])
    _sparse("held_vni_gone", "held_vni", "gone_seq", "gone_seq IS NOT NULL")
    op.create_table(
        "access_port",
        sa.Column("switch", sa.String(), nullable=False),
        sa.Column("interface", sa.String(), nullable=False),
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("port_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("switch", "interface"),
        sqlite_with_rowid=False,
    )
    op.create_index("access_port_attachment", "access_port", ["network_id", "host"])
    for table in ("switch_state", "leaf_link"):
        op.create_table(
            table,
            sa.Column("id", sa.String(), nullable=False),
            sa.Column("body", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("id"),
            sqlite_with_rowid=False,
        )
    _sparse("binding_refused", "binding", "port_id", "state = 'refused'")
    _fill_interfaces_macs()


def downgrade() -> None:
    op.drop_index("binding_refused", "binding")
    for table in (
        "leaf_link", "switch_state", "access_port", "held_vni", "domain_vlan", "attachment_due",
    ):  # fmt: skip
        op.drop_table(table)


def _sparse(name: str, table: str, column: str, where: str) -> None:
    op.create_index(
        name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )


def _fill_interfaces_macs() -> None:
    """A router's interface tells its MAC from now on, which is its port's."""
    connection = op.get_bind()
    for router_id, body in connection.execute(sa.text("SELECT id, body FROM router")).all():
        router = json.loads(body)
        for each in router["interfaces"]:
            port = connection.execute(
                sa.text("SELECT mac_address FROM port WHERE id = :id"), {"id": each["port_id"]}
            ).first()
            each["mac_address"] = port[0] if port else ""
        connection.execute(
            sa.text("UPDATE router SET body = :body WHERE id = :id"),
            {"body": json.dumps(router, separators=(",", ":")), "id": router_id},
        )
