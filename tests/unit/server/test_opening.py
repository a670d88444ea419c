"""A database file has one server process, and a version that the server knows."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from netwright.model.errors import Unavailable
from netwright.server.store.opening import DatabaseInUse, SchemaMismatch, open_sqlite

_HOLD = """
import sys
from pathlib import Path
from netwright.server.store.opening import open_sqlite
open_sqlite(Path(sys.argv[1]), "epoch")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "netwright.db"


def test_a_second_server_on_the_file_is_refused_and_told_who_has_it(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(DatabaseInUse, match=rf"another netwright server, process {holder.pid}"):
            open_sqlite(path, "other")
        holder.kill()
    database, epoch = open_sqlite(path, "other")  # the lock ended with its holder
    assert epoch == "epoch"
    database.close_now()


def test_a_closed_database_can_be_opened_again(path: Path) -> None:
    for _ in range(2):
        database, epoch = open_sqlite(path, "first")
        assert epoch == "first"
        database.close_now()


def test_a_database_of_another_version_is_refused_and_not_kept_locked(path: Path) -> None:
    open_sqlite(path, "first")[0].close_now()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
    connection.close()
    for _ in range(2):
        with pytest.raises(SchemaMismatch, match="schema version 0"):
            open_sqlite(path, "first")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match=r"file/netwright.db cannot be used: File exists"):
        open_sqlite(tmp_path / "file" / "netwright.db", "epoch")
