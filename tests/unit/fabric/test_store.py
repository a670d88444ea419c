"""The controller's store: what it was told outlives its death, with the cursor, or not at all."""

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.doubles import fabrics

from netwright.client.mirror import Key
from netwright.db.lock import LockHeld
from netwright.fabric import store as stores
from netwright.fabric.config import EMPTY, Interface
from netwright.fabric.store import Settled, Step, Store, read_history
from netwright.model.errors import NotFound, Unavailable
from netwright.model.wire import Kind

NETWORK = fabrics.network(1)
ATTACHMENT = fabrics.attachment(NETWORK, "host1", 10)
NETWORK_KEY = Key(Kind.NETWORK, "net-1")
SUBJECT = "net-1@host1"
TOLD = Step(subject=SUBJECT, at=1.0, event="told")


async def test_what_was_told_is_there_again_with_its_cursor(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert store.load() == stores.Saved(cursor=None, objects={})
    told = {NETWORK_KEY: NETWORK, Key(Kind.ATTACHMENT, SUBJECT): ATTACHMENT}
    await store.save("c1", told, [TOLD])
    await store.save("c2", {NETWORK_KEY: replace(NETWORK, name="red")})
    store.close()
    store = Store.open(tmp_path)
    saved = store.load()
    assert saved.cursor == "c2"
    assert saved.objects[Kind.NETWORK]["net-1"].name == "red"
    assert saved.objects[Kind.ATTACHMENT] == {SUBJECT: ATTACHMENT}
    assert await store.history(SUBJECT) == [TOLD]
    await store.save("c3", {NETWORK_KEY: None})
    assert Kind.NETWORK not in store.load().objects
    store.close()


async def test_a_save_that_fails_has_saved_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    await store.save("c1", {NETWORK_KEY: NETWORK})
    with sqlite3.connect(tmp_path / "fabric.db") as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON step BEGIN SELECT raise(ABORT, 'x'); END"
        )
    with pytest.raises(sqlite3.IntegrityError):
        await store.save("c2", {NETWORK_KEY: None}, [TOLD])
    assert store.load().cursor == "c1"
    assert store.load().objects[Kind.NETWORK] == {"net-1": NETWORK}
    store.close()


async def test_another_releases_values_are_planned_from_and_asked_for_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    await store.save("c1", {NETWORK_KEY: NETWORK})
    store.close()
    monkeypatch.setattr(stores, "_form", lambda: "another")
    store = Store.open(tmp_path)
    saved = store.load()
    assert (saved.cursor, saved.objects[Kind.NETWORK]) == (None, {"net-1": NETWORK})
    store.close()


async def test_a_value_that_cannot_be_read_is_asked_for_anew(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    await store.save("c1", {NETWORK_KEY: NETWORK})
    store.close()
    with sqlite3.connect(tmp_path / "fabric.db") as other:
        other.execute("UPDATE told SET body = '{}'")
        other.execute("INSERT INTO told VALUES ('nonsense', 'x', '{}')")
    store = Store.open(tmp_path)
    assert store.load() == stores.Saved(cursor=None, objects={})
    store.close()


async def test_what_switches_were_brought_to(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    goal = replace(EMPTY, interfaces={"h1": Interface(name="h1", tagged={10: 1001})})
    await store.settle("leaf1", Settled(boot_id="b", config=EMPTY, goal=goal))
    await store.settle("leaf2", Settled(boot_id="b", config=goal))
    await store.settle("leaf2", Settled(boot_id="c", config=goal))
    store.close()
    store = Store.open(tmp_path)
    assert store.load_settled() == {
        "leaf1": Settled(boot_id="b", config=EMPTY, goal=goal),
        "leaf2": Settled(boot_id="c", config=goal),
    }
    store.close()


async def test_the_history_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "STEPS_MAX", 10)
    store = Store.open(tmp_path)
    for number in range(25):
        await store.note([replace(TOLD, at=float(number))])
    assert [step.at for step in await store.history(SUBJECT)] == [float(n) for n in range(15, 25)]
    assert read_history(tmp_path, SUBJECT) == await store.history(SUBJECT)  # while it is open
    store.close()


async def test_a_store_is_one_controllers(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with pytest.raises(LockHeld):
        Store.open(tmp_path)
    store.close()
    Store.open(tmp_path).close()
    with pytest.raises(NotFound):
        read_history(tmp_path / "elsewhere", SUBJECT)


async def test_a_full_disk_is_said_to_be_so(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    much = {
        Key(Kind.NETWORK, f"n{number}"): replace(NETWORK, description="x" * 4000)
        for number in range(50)
    }
    with pytest.raises(Unavailable, match="full"):
        await store.save("c1", much)
    assert store.load().cursor is None
    store.close()
