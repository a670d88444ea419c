"""A database file has one server process, and a version that the server knows."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from netwright.model.errors import Unavailable
from netwright.server.store.opening import DatabaseInUse, open_sqlite
from netwright.server.store.versions import SchemaMismatch

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


_NEWER = "UPDATE alembic_version SET version_num = '9999'"


@pytest.mark.parametrize(
    ("statement", "words", "what_next"),
    [
        (
            "UPDATE alembic_version SET version_num = '0000'",
            "an older schema, version 0000",
            "db upgr",
        ),
        (
            f"{_NEWER}; DELETE FROM meta WHERE key = 'reads_from'",
            "a newer schema, version 9999",
            "knows 9999, or newer",
        ),
        (
            f"{_NEWER}; UPDATE meta SET value = '9998' WHERE key = 'reads_from'",
            "a newer schema, version 9999",
            "knows 9998, or newer",
        ),
        ("DROP TABLE alembic_version", "an older schema, version 0000", "netwright db upgrade"),
    ],
)
def test_a_database_of_another_version_is_refused_and_not_kept_locked(
    path: Path, statement: str, words: str, what_next: str
) -> None:
    open_sqlite(path, "first")[0].close_now()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(statement)
    for _ in range(2):
        with pytest.raises(SchemaMismatch, match=words) as caught:
            open_sqlite(path, "first")
        assert what_next in caught.value.next


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match=r"file/netwright.db cannot be used: File exists"):
        open_sqlite(tmp_path / "file" / "netwright.db", "epoch")


def test_a_new_file_is_its_owners_alone(path: Path) -> None:
    database, _ = open_sqlite(path, "epoch")
    assert {each.stat().st_mode & 0o077 for each in path.parent.iterdir()} == {0}
    assert f"{path.name}-wal" in {each.name for each in path.parent.iterdir()}
    database.close_now()
