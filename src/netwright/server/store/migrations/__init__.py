"""The schema's history, for alembic: `versions/` has a module a step; `store.migrating` runs them.

A revision's name is its number in four digits, so that names sort as the steps follow each other.
A step expands (adds what the next version of the server needs, while the last one still runs) or
contracts (removes what nobody reads any more), never both: a test compares the catalogs. It never
imports `store.schema`, which is the schema as it is now.

`reads_from` says from which version on servers may use what the step leaves: one that expands names
an older one, with which the servers that run go on, and come back when they die; without it that is
the step's own. What expands an existing table does so with a default, or with NULL allowed, and
with no key or unique index that would refuse what an older server writes.
"""
