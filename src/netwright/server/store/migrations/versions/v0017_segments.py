"""Segments of networks, on which segment a subnet is, and when ports get their addresses."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateColumn

revision = "0017"
down_revision = "0016"
reads_from = "0016"
branch_labels = None
depends_on = None

_OWN_IDS = UUID("6c1d3b0a-8f0e-5c55-9c0b-0f7a51f0a254")
"""Of networks' own segments: `model.segments` names them so."""

_PAGE = 1_000
_SEGMENT: Sequence[tuple[str, Any, bool]] = (
    ("id", sa.String, False),
    ("network_id", sa.String, False),
    ("name", sa.String, True),
    ("description", sa.String, False),
    ("network_type", sa.String, False),
    ("physical_network", sa.String, True),
    ("segmentation_id", sa.Integer, True),
    ("segment_key", sa.String, False),
    ("revision_number", sa.Integer, False),
    ("created_at", sa.Float, False),
    ("updated_at", sa.Float, False),
    ("body", sa.Text, False),
)
_COPIED = ("network_type", "physical_network", "segmentation_id", "created_at", "updated_at")


def upgrade() -> None:
    op.create_table(
        "segment",
        *(sa.Column(column, type_(), nullable=nullable) for column, type_, nullable in _SEGMENT),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("segment_once", "segment", ["segment_key"], unique=True)
    op.create_index("segment_network", "segment", ["network_id"])
    op.create_index("segment_name", "segment", ["name"])
    op.create_index("segment_kind", "segment", ["network_type", "segmentation_id"])
    _add("subnet", sa.Column("segment_id", sa.String(), nullable=True))
    is_on_one = sa.text("segment_id IS NOT NULL")
    op.create_index(
        "subnet_segment",
        "subnet",
        ["segment_id"],
        sqlite_where=is_on_one,
        postgresql_where=is_on_one,
    )
    at_once = sa.Column("ip_allocation", sa.String(), nullable=False, server_default="immediate")
    _add("port", at_once)
    _write_own()


def downgrade() -> None:
    op.drop_column("port", "ip_allocation")
    op.drop_index("subnet_segment", table_name="subnet")
    op.drop_column("subnet", "segment_id")
    op.drop_table("segment")


def _add(table: str, column: sa.Column[Any]) -> None:
    if op.get_context().dialect.name == "sqlite":
        _make_anew(table, column)
    else:
        op.add_column(table, column)


def _make_anew(table: str, column: sa.Column[Any]) -> None:
    """SQLite would write an added column after the table's key, where a new file has it before."""
    database = op.get_bind()
    said = sa.text("SELECT type, sql FROM sqlite_master WHERE tbl_name = :name AND sql IS NOT NULL")
    kept = [tuple(row) for row in database.execute(said, {"name": table})]
    (made,) = [sql for kind, sql in kept if kind == "table"]
    indexes = [sql for kind, sql in kept if kind == "index"]
    names = [str(index["name"]) for index in sa.inspect(database).get_indexes(table)]
    before = f"{table}_before"
    op.rename_table(table, before)
    for name in names:
        op.drop_index(name, before)
    wanted = CreateColumn(column).compile(dialect=database.dialect)
    key = "PRIMARY KEY (id)"
    database.exec_driver_sql(made.replace(key, f"{wanted}, {key}"))
    default = "'immediate'" if column.server_default is not None else "NULL"
    database.exec_driver_sql(f"INSERT INTO {table} SELECT *, {default} FROM {before}")  # noqa: S608 - our names
    op.drop_table(before)
    for sql in indexes:
        database.exec_driver_sql(sql)


def _write_own() -> None:
    """Each network's own segment, which its row has said until now."""
    database = op.get_bind()
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name, _, _ in _SEGMENT]
    segments = sa.table("segment", *columns)
    kept = sa.table(
        "network", sa.column("id"), sa.column("segment_key"), *(sa.column(name) for name in _COPIED)
    )
    found = database.execute(sa.select(kept)).mappings().all()
    for at in range(0, len(found), _PAGE):
        database.execute(segments.insert(), [_own(row) for row in found[at : at + _PAGE]])


def _own(network: sa.RowMapping) -> dict[str, Any]:
    segment: dict[str, Any] = {
        "id": str(uuid5(_OWN_IDS, network["id"])),
        "network_id": network["id"],
        **{name: network[name] for name in _COPIED},
        "name": None,
        "description": "",
        "revision_number": 1,
    }
    return {**segment, "segment_key": network["segment_key"], "body": json.dumps(segment)}
