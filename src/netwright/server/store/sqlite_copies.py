"""Copies of a SQLite file, by SQLite's online backup.

A backup reads one snapshot and holds nobody up. A restore takes the server's lock; the file that
it has made beside the database takes the database's place in one rename.
"""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from netwright.model.errors import Unavailable
from netwright.server.store.copying import CopyFailed, not_a_backup, not_empty
from netwright.server.store.existing import require_file
from netwright.server.store.opening import lock_of
from netwright.server.store.versions import UNNUMBERED

_BESIDE = ("-wal", "-shm")


def back_up(path: Path, file: Path) -> None:
    """Copy the database to `file`, which is there and empty."""
    require_file(path)
    try:
        with closing(_read_only(path)) as source:
            _copy(source, file)
    except sqlite3.Error as error:
        raise CopyFailed(
            f"the database {path} was not copied to {file.parent}: {error}",
            next="see that there is room for it, and that the database can be read",
        ) from error


def restore(path: Path, file: Path, new_epoch: str, *, force: bool) -> str:
    lock = lock_of(path)
    unfinished = path.with_name(f"{path.name}.unfinished-{os.getpid()}")
    try:
        if not force and _has_tables(path):
            raise not_empty(str(path))
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        version = _prepare(file, unfinished, new_epoch)
        if path.exists():
            _keep_owner(path, unfinished)
        sync(unfinished)
        _replace(path, unfinished)
    except OSError as error:
        raise Unavailable(
            f"the database {path} cannot be replaced: {error.strerror}",
            next="see to its directory's permissions and room; it is as it was",
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
        lock.release()
    return version


def sync(path: Path) -> None:
    """Return when a file, or a directory's names, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prepare(file: Path, unfinished: Path, new_epoch: str) -> str:
    """Copy the backup and name it anew; its version."""
    try:
        with closing(_read_only(file)) as source:
            _copy(source, unfinished)
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as copy:
            named = copy.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (new_epoch,))
            if named.rowcount != 1:
                raise not_a_backup(file, "it has no epoch")
            tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_schema")}
            if "lease" in tables:  # their holders have gone on since; see `leases`
                copy.execute("DELETE FROM lease")
            if "host" in tables:
                copy.execute("UPDATE host SET body = json_set(body, '$.epoch', '')")
            if "alembic_version" not in tables:
                return UNNUMBERED
            (version,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(version)
    except sqlite3.DatabaseError as error:
        raise not_a_backup(file, str(error)) from error


def _copy(source: sqlite3.Connection, file: Path) -> None:
    """All pages in one step: one snapshot, which writers need not wait for (WAL)."""
    with closing(sqlite3.connect(file, isolation_level=None)) as copy:
        source.backup(copy)
        # One file, without what WAL keeps beside it: the server sets that again when it opens it.
        copy.execute("PRAGMA journal_mode = DELETE")


def _replace(path: Path, unfinished: Path) -> None:
    # The log of the old file must not be replayed into the new one. It is written back first, so
    # that a crash between the two leaves the old one whole; a broken file has nothing to lose.
    if path.exists():
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as old:
            old.execute("PRAGMA journal_mode = DELETE")
    for suffix in _BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    unfinished.replace(path)
    sync(path.parent)


def _keep_owner(path: Path, unfinished: Path) -> None:
    """The server's user shall be able to open it, whoever restores it."""
    had = path.stat()
    os.chown(unfinished, had.st_uid, had.st_gid)
    unfinished.chmod(had.st_mode & 0o777)


def _has_tables(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    try:
        with closing(_read_only(path)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError:
        return True  # broken, or something else's: not ours to replace unasked
    return bool(count)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
