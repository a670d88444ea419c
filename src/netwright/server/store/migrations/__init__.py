"""The schema's history, for alembic: `versions/` has a module a step; `store.migrating` runs them.

A revision's name is its number in four digits, so that names sort as the steps follow each other.
A step expands (adds what the next version of the server needs, while the last one still runs) or
contracts (removes what nobody reads any more), never both. It never imports `store.schema`, which
is the schema as it is now.
"""
