"""Which schema a database has, and whether this server can use it. Loads no migration.

A newer schema says in `meta.reads_from` from which version on servers may use it: so a server goes
on, and comes back when it dies, while the next version has been prepared for.
"""

from netwright.db.transaction import Transaction
from netwright.model.errors import Category, NetwrightError
from netwright.server.store.schema import SCHEMA_VERSION

UNNUMBERED = "0000"
"""Made before there were migrations; `meta.schema_version` says more."""

READS_FROM_KEY = "reads_from"

SQLITE_HAS = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1"
POSTGRES_HAS = (
    "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1"
)


class SchemaMismatch(NetwrightError):
    """The database was made by another version of Netwright."""

    category = Category.CONFLICT


async def version_of(tx: Transaction, has: str) -> str | None:
    """The database's schema version; None when it has no tables of ours.

    `has` is the database's own way to ask for a table: SQLITE_HAS or POSTGRES_HAS.
    """
    if await _has(tx, has, "alembic_version"):
        rows = await tx.rows("SELECT version_num FROM alembic_version")
        if rows:
            return str(rows[0][0])
    return UNNUMBERED if await _has(tx, has, "meta") else None


async def reads_from(tx: Transaction) -> str | None:
    """The oldest version that may use the database's schema; None: the schema's own."""
    rows = await tx.rows("SELECT value FROM meta WHERE key = $1", READS_FROM_KEY)
    return str(rows[0][0]) if rows else None


def require_known(version: str, place: str, readable_from: str | None = None) -> None:
    """Raises SchemaMismatch unless this server's code may use that version.

    `readable_from` is what a newer schema says of itself (`reads_from`).
    """
    # Revisions are numbers of four digits: they sort as they follow each other.
    if version == SCHEMA_VERSION or (readable_from or version) <= SCHEMA_VERSION < version:
        return
    if version < SCHEMA_VERSION:
        how = "an older schema"
        what_next = "back it up and bring it up to date: netwright db upgrade"
    else:
        how = "a newer schema"
        what_next = f"start a version of netwright that knows {readable_from or version}, or newer"
    raise SchemaMismatch(
        f"the database {place} has {how}, version {version}; this netwright knows {SCHEMA_VERSION}",
        next=what_next,
    )


async def _has(tx: Transaction, has: str, table: str) -> bool:
    (count,) = await tx.row(has, table)
    return bool(count)
