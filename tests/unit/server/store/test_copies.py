"""Backup while a server runs, restore while none does; cursors from before are no places after."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.doubles.filled import ADMIN, REGISTRATION, create, filled, serving
from tests.doubles.postgres import Postgres
from tests.doubles.sql import execute

from netwright.model.errors import EXIT_CODE, HostNotFound, NetwrightError, Unavailable
from netwright.model.resources import Port
from netwright.model.wire import Heartbeat, Kind, LineType, WatchLine
from netwright.server.commands import HeartbeatHost, RegisterHost
from netwright.server.core import Core
from netwright.server.queries import Query
from netwright.server.store import postgres_copies
from netwright.server.store.checking import check
from netwright.server.store.copies import BackupNotFound, FileInTheWay, back_up, restore
from netwright.server.store.copying import CopyFailed, NotABackup, NotEmpty, ProgramMissing
from netwright.server.store.existing import DatabaseNotFound
from netwright.server.store.opening import DatabaseInUse


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def other_url(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """An empty database of the same kind."""
    if database_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path}/other.db"
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.new_database()


async def ports(url: str) -> list[str]:
    return [name for (name,) in await execute(url, "SELECT id FROM port ORDER BY id")]


async def told(core: Core, after: str | None) -> list[WatchLine]:
    """What a watcher is told until the end of the snapshot, or the first heartbeat."""
    decode = msgspec.json.Decoder(WatchLine).decode
    lines: list[WatchLine] = []
    stream = core.watch(after=after, kinds=frozenset({Kind.PORT}), host=None)
    assert isinstance(stream, AsyncIterator)
    async with asyncio.timeout(20), aclosing(stream):  # type: ignore[type-var]
        async for chunk in stream:
            lines += [decode(line) for line in chunk.splitlines()]
            if lines[-1].type in {LineType.SNAPSHOT_END, LineType.HEARTBEAT}:
                break
    return lines


async def test_back_to_what_was_and_watchers_begin_anew(database_url: str, file: Path) -> None:
    async with filled(database_url) as core:
        await core.take_lease("fabric", "before", 3600)
        assert await asyncio.to_thread(back_up, database_url, file) > 0
        await create(core, "later")
        cursor = (await told(core, None))[-1].cursor
        with pytest.raises(DatabaseInUse, match="in use"):
            await restore(database_url, file, "x", force=True)
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(NotEmpty, match="is not empty") as refused:
        await restore(database_url, file, "x", force=False)
    assert "--force" in refused.value.next
    assert await ports(database_url) == ["a", "bb", "later"]

    before = await check(database_url)
    assert await restore(database_url, file, "restored", force=True) == before.version
    found = await check(database_url)
    assert (found.epoch, found.wrong_count, found.rows["port"]) == ("restored", 0, 2)
    core = await Core.open(database_url)
    assert await core.take_lease("fabric", "after", 10) > 0  # who held it has gone on since
    await core.start()
    try:
        lines = await told(core, cursor)
        assert {line.id for line in lines if line.type is LineType.PUT} == {"a", "bb"}
        assert lines[-1].type is LineType.SNAPSHOT_END
        await create(core, "next")  # the log goes on
        assert {port.id for port in await core.reader.many(Port, Query())} >= {"next"}
    finally:
        await core.close()


async def test_agents_register_again_whichever_life_they_are_in(
    database_url: str, file: Path
) -> None:
    async with filled(database_url) as core:
        before = await core.reader.host("h1")
        await asyncio.to_thread(back_up, database_url, file)
    await restore(database_url, file, "restored", force=True)
    async with serving(database_url) as core:
        for epoch in ("life1", "life2"):
            beat = HeartbeatHost(caller=ADMIN, host="h1", heartbeat=Heartbeat(epoch=epoch))
            with pytest.raises(HostNotFound, match="has not registered since a backup"):
                await core.commit(beat)
        after = await core.reader.host("h1")
        assert before is not None
        assert after is not None
        assert replace(after, heard_at=before.heard_at) == replace(before, epoch="")
        await core.commit(RegisterHost(caller=ADMIN, host="h1", registration=REGISTRATION))
        beat = HeartbeatHost(caller=ADMIN, host="h1", heartbeat=Heartbeat(epoch="life1"))
        assert (await core.commit(beat)).epoch == "life1"


async def test_to_an_empty_place_and_the_first_one_stays(
    database_url: str, other_url: str, file: Path
) -> None:
    async with filled(database_url):
        await asyncio.to_thread(back_up, database_url, file)
        await restore(other_url, file, "copy", force=False)
    assert await ports(other_url) == ["a", "bb"]
    one, other = await check(database_url), await check(other_url)
    assert one.epoch != other.epoch == "copy"
    noted = {"heard": 0}  # the first server notes it as it stops
    assert (one.version, one.rows | noted) == (other.version, other.rows | noted)


async def test_what_is_no_backup_changes_nothing(database_url: str, file: Path) -> None:
    async with filled(database_url):
        pass
    epoch = (await check(database_url)).epoch
    with pytest.raises(BackupNotFound, match="there is no backup"):
        await restore(database_url, file, "x", force=True)
    file.write_bytes(b"something else\n" * 100)
    with pytest.raises(NotABackup, match="is no backup that can be restored here"):
        await restore(database_url, file, "x", force=True)
    file.unlink()
    await asyncio.to_thread(back_up, database_url, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises((NotABackup, CopyFailed)):
        await restore(database_url, file, "x", force=True)
    found = await check(database_url)
    assert (found.epoch, found.rows["port"], found.wrong_count) == (epoch, 2, 0)


async def test_a_backup_replaces_no_file_and_leaves_none_when_it_fails(
    database_url: str, file: Path, tmp_path: Path
) -> None:
    async with filled(database_url):
        pass
    file.write_text("mine")
    with pytest.raises(FileInTheWay, match="is there already"):
        back_up(database_url, file)
    assert file.read_text() == "mine"
    with pytest.raises(Unavailable, match="cannot be written: No such file"):
        back_up(database_url, tmp_path / "nowhere" / "backup")
    missing = f"{database_url.partition('?')[0]}x"
    at = database_url.removeprefix(database_url.partition("?")[0])
    with pytest.raises((DatabaseNotFound, CopyFailed)):
        back_up(missing + at, tmp_path / "new")
    assert not list(tmp_path.glob("new*"))


def test_what_to_install_is_said(
    postgres_server: Postgres, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ProgramMissing, match="pg_dump is not installed") as caught:
        back_up(postgres_server.url("any"), file)
    assert "install postgresql-client" in caught.value.next
    assert EXIT_CODE[caught.value.category] == 2
    assert not file.exists()


def test_a_password_is_no_argument_of_a_program() -> None:
    said = postgres_copies._environment("postgresql://u:s%40crt@db/netwright")
    assert said["PGPASSWORD"] == "s@crt"


async def test_a_broken_database_file_can_be_replaced(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "netwright.db"
    url = f"sqlite:///{path}"
    async with filled(url):
        back_up(url, file)
    path.write_bytes(b"\0" * 8192)
    with pytest.raises(NotEmpty):
        await restore(url, file, "x", force=False)
    await restore(url, file, "x", force=True)
    assert await ports(url) == ["a", "bb"]
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "backup",
        "netwright.db",
        "netwright.db-lock",
    ]


def test_each_error_is_of_ours() -> None:
    for kind in (CopyFailed, NotABackup, NotEmpty, ProgramMissing, FileInTheWay, BackupNotFound):
        assert issubclass(kind, NetwrightError)
