"""Copies of a PostgreSQL database, by its own pg_dump, pg_restore and psql.

A restore is one transaction: what is there goes, what the backup holds comes, the epoch changes.
`pg_restore` writes it as SQL, `psql` runs it; COMMIT is sent only when all before it has been
written. Meanwhile the servers' turn is held, so that one that starts now waits, and gives up.
"""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import unquote, urlsplit

import asyncpg

from netwright.db.postgres import (
    APPLICATION,
    CONNECT_S,
    unavailable_when_gone,
    without_password,
)
from netwright.db.postgres_transaction import TURN_KEY
from netwright.server.store.copying import CopyFailed, ProgramMissing, not_a_backup, not_empty
from netwright.server.store.opening import DatabaseInUse
from netwright.server.store.versions import UNNUMBERED

LOCK_S = 20.0  # longer than a step of db upgrade
_CHUNK_BYTES = 1 << 20
_OURS = "netwright db"
_SERVERS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = $1"
)
_TABLES = (
    "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
    "WHERE schemaname = current_schema()"
)


def back_up(url: str, file: Path) -> None:
    """Write the database to `file`, in pg_dump's custom format."""
    command = [
        _program("pg_dump"),
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        f"--lock-wait-timeout={LOCK_S:.0f}s",
    ]
    with file.open("wb") as output:
        done = subprocess.run(
            [*command, f"--dbname={without_password(url)}"],
            stdout=output,
            stderr=subprocess.PIPE,
            check=False,
            env=_environment(url),
        )
    if done.returncode:
        raise _failed("pg_dump", url, done.stderr)


async def restore(url: str, file: Path, new_epoch: str, *, force: bool) -> str:
    """As `copies.restore`."""
    programs = _Programs(_program("pg_restore"), _program("psql"))
    with unavailable_when_gone(url):
        async with _turn(url) as connection:
            await _require_no_server(connection, url)
            tables = [name for (name,) in await connection.fetch(_TABLES)]
            if tables and not force:
                raise not_empty(without_password(url))
            schema = await connection.fetchval("SELECT quote_ident(current_schema())")
            await asyncio.to_thread(_require_backup, programs, file)
            before = f"BEGIN;\nSET LOCAL lock_timeout = '{LOCK_S:.0f}s';\n" + "".join(
                f"DROP TABLE {name} CASCADE;\n" for name in tables
            )
            after = _NAME_ANEW.format(schema=schema, epoch=new_epoch)
            await asyncio.to_thread(_run, programs, url, file, before, after)
            if await connection.fetchval(f"SELECT to_regclass('{schema}.alembic_version')") is None:
                return UNNUMBERED
            return str(await connection.fetchval("SELECT version_num FROM alembic_version"))


_NAME_ANEW = """
DO $$ BEGIN
UPDATE {schema}.meta SET value = '{epoch}' WHERE key = 'epoch';
IF NOT FOUND THEN RAISE EXCEPTION 'it has no epoch'; END IF;
IF to_regclass('{schema}.lease') IS NOT NULL THEN DELETE FROM {schema}.lease; END IF;
END $$;
COMMIT;
"""


class _Programs(NamedTuple):
    pg_restore: str
    psql: str


@asynccontextmanager
async def _turn(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A session that has the servers' turn until it ends."""
    settings = {"application_name": _OURS, "lock_timeout": f"{LOCK_S:.0f}s"}
    connection = await asyncpg.connect(url, timeout=CONNECT_S, server_settings=settings)
    try:
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", TURN_KEY)
        except asyncpg.LockNotAvailableError as error:
            raise _in_use(url, "one") from error
        yield connection
    finally:
        await connection.close()


async def _require_no_server(connection: asyncpg.Connection, url: str) -> None:
    sessions = await connection.fetchval(_SERVERS, APPLICATION)
    if sessions:
        raise _in_use(url, f"{sessions} connections of one or more")


def _in_use(url: str, what: str) -> DatabaseInUse:
    return DatabaseInUse(
        f"the database {without_password(url)} is in use: {what} netwright servers are on it",
        next="stop all netwright servers that use it, then restore",
    )


def _require_backup(programs: _Programs, file: Path) -> None:
    """Raises NotABackup, before anything is dropped: no dump, or our table is not in it."""
    listed = subprocess.run(
        [programs.pg_restore, "--list", str(file)], capture_output=True, check=False
    )
    if listed.returncode:
        raise not_a_backup(file, _words(listed.stderr))
    if b" TABLE " not in listed.stdout or b" meta " not in listed.stdout:
        raise not_a_backup(file, "no table meta is in it")


def _run(programs: _Programs, url: str, file: Path, before: str, after: str) -> None:
    """Let psql run `before`, the backup as SQL, and `after`; all of it or nothing."""
    target = f"--dbname={without_password(url)}"
    quiet = ("--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1")
    as_sql = ("--no-owner", "--no-privileges", "--file=-", str(file))
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as read_said:
        psql = subprocess.Popen(
            [programs.psql, *quiet, target],
            stdin=subprocess.PIPE,
            stderr=said,
            env=_environment(url),
        )
        reader = subprocess.Popen(
            [programs.pg_restore, *as_sql], stdout=subprocess.PIPE, stderr=read_said
        )
        assert psql.stdin is not None
        assert reader.stdout is not None
        with psql, reader:
            try:
                psql.stdin.write(before.encode())
                while chunk := reader.stdout.read(_CHUNK_BYTES):
                    psql.stdin.write(chunk)
                if reader.wait() == 0:  # else psql ends without a COMMIT
                    psql.stdin.write(after.encode())
                psql.stdin.close()
            except BrokenPipeError:
                reader.kill()  # psql has refused something, and ended: it says what
                with suppress(BrokenPipeError):
                    psql.stdin.close()
        if psql.returncode:
            raise _failed("psql", url, _all(said))
        if reader.returncode:
            raise _failed("pg_restore", url, _all(read_said))


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ProgramMissing(
            f"{name} is not installed here, and PostgreSQL is copied by it",
            next="install postgresql-client, of the database's version or newer",
        )
    return found


def _environment(url: str) -> dict[str, str]:
    """A password goes by the environment: arguments are everybody's to read."""
    password = urlsplit(url).password
    said = {} if password is None else {"PGPASSWORD": unquote(password)}
    return os.environ | {"PGAPPNAME": _OURS, "PGCONNECT_TIMEOUT": f"{CONNECT_S:.0f}"} | said


def _failed(program: str, url: str, stderr: bytes) -> CopyFailed:
    return CopyFailed(
        f"{program} failed on {without_password(url)}: {_words(stderr)}",
        next="nothing was changed; see to what it says, and try again",
    )


def _words(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return " ".join(line.strip() for line in lines[:4]) or "it said nothing"
