"""How long containers' named ports are kept, and for whom."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
reads_from = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
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
    _index("container_claim_kept", ["kept_until"])
    _index("container_claim_owner", ["owner_uid", "cluster"])


def downgrade() -> None:
    op.drop_table("container_claim")


def _index(name: str, columns: list[str]) -> None:
    given = sa.text(f"{columns[0]} IS NOT NULL")
    op.create_index(name, "container_claim", columns, sqlite_where=given, postgresql_where=given)
