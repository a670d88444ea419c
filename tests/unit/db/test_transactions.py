"""What a transaction does with many rows, on both databases."""

import pytest
from tests.doubles.postgres import Postgres

from netwright.db.postgres import PostgresDatabase
from netwright.db.postgres_transaction import COPIED_ROWS_MIN
from netwright.db.transaction import Database, KeyTaken, Transaction
from netwright.server.store import schema
from netwright.server.store.opening import open_store

FEW_AND_MANY = (1, COPIED_ROWS_MIN - 1, COPIED_ROWS_MIN, 300)


def rows(count: int) -> list[tuple[str, bytes, str, str | None, float | None]]:
    return [
        ("s", number.to_bytes(16), "p", None if number % 2 else f"port'\\\n{number}", None)
        for number in range(count)
    ]


async def stored(tx: Transaction) -> list[tuple[object, ...]]:
    sql = "SELECT subnet_id, address, project_id, port_id, rests_until FROM allocation"
    return [tuple(row) for row in await tx.rows(f"{sql} ORDER BY address")]


async def opened(database_url: str) -> Database:
    return (await open_store(database_url, "epoch")).database


@pytest.mark.parametrize("count", FEW_AND_MANY)
async def test_rows_are_stored_as_they_are_however_many(database_url: str, count: int) -> None:
    database = await opened(database_url)
    await database.write(lambda tx: tx.insert(schema.allocation, rows(count)))
    assert await database.read(stored) == rows(count)
    await database.close()


@pytest.mark.parametrize("count", FEW_AND_MANY)
async def test_a_key_that_is_taken_undoes_all(database_url: str, count: int) -> None:
    database = await opened(database_url)
    await database.write(lambda tx: tx.insert(schema.allocation, rows(count)[-1:]))
    with pytest.raises(KeyTaken):
        await database.write(lambda tx: tx.insert(schema.allocation, rows(count)))
    assert await database.read(stored) == rows(count)[-1:]
    await database.write(lambda tx: tx.insert(schema.host, [("h", "{}")]))  # it is none the worse
    await database.close()


async def test_the_last_bytes_of_keys_in_ranges(database_url: str) -> None:
    database = await opened(database_url)
    await database.write(lambda tx: tx.insert(schema.allocation, rows(300)))
    ranges = [(256, 258), (98, 100), (1_000, 2_000), (0, 0)]
    keys = [(low.to_bytes(16), high.to_bytes(16)) for low, high in ranges]
    found = await database.read(lambda tx: tx.last_bytes(schema.allocation, ("s",), keys))
    assert [sorted(each) for each in found] == [[0, 1, 2], [98, 99, 100], [], [0]]
    of_others = await database.read(lambda tx: tx.last_bytes(schema.allocation, ("t",), keys))
    assert list(of_others) == [b""] * 4
    assert list(await database.read(lambda tx: tx.last_bytes(schema.host, (), []))) == []
    await database.close()


async def test_what_a_batch_finds_by_keys_is_planned_so_though_tables_were_empty(
    postgres_server: Postgres,
) -> None:
    url = postgres_server.new_database()
    database = await opened(url)
    assert isinstance(database, PostgresDatabase)
    keys = [("s", number.to_bytes(16)) for number in range(3)]

    async def plan(tx: Transaction) -> str:
        for _ in range(8):  # more than a statement is planned anew for
            await tx.find(schema.allocation, ("address",), keys)
        sql = (
            "EXPLAIN SELECT allocation.address FROM allocation JOIN "
            "unnest(ARRAY['s'], ARRAY['\\x00'::bytea]) AS given (subnet_id, address) "
            "ON allocation.subnet_id = given.subnet_id AND allocation.address = given.address"
        )
        return "\n".join(line for (line,) in await tx.rows(sql))

    said = await database.write(plan)
    assert "Index" in said
    assert "Seq Scan on allocation" not in said
    await database.close()


@pytest.mark.parametrize(
    "names", [["a"], [""], ["", ""], ["a", ""], ["", "b"], ["a\x1fb", "c"], ["\x1f"], ["ü'", "%s"]]
)
async def test_rows_are_found_by_texts_of_any_kind(database_url: str, names: list[str]) -> None:
    database = await opened(database_url)
    made = [(name, resource, 7) for name in {*names, "other"} for resource in ("port", "network")]
    await database.write(lambda tx: tx.insert(schema.quota_usage, made))
    keys = [(name, "port") for name in names]
    columns = ("project_id", "resource", "used")
    found = await database.read(lambda tx: tx.find(schema.quota_usage, columns, keys))
    assert {tuple(row) for row in found} == {(name, "port", 7) for name in names}
    await database.close()


@pytest.mark.parametrize("odd", ["", "a\x1fb", "ü'"])
async def test_rows_of_keys_alone_are_stored_as_they_are(database_url: str, odd: str) -> None:
    database = await opened(database_url)
    made = [(f"group{number}", f"port{number % 7}") for number in range(300)] + [("group", odd)]
    await database.write(lambda tx: tx.insert(schema.membership, made))
    sql = "SELECT group_id, port_id FROM membership"
    assert {tuple(row) for row in await database.read(lambda tx: tx.rows(sql))} == set(made)
    with pytest.raises(KeyTaken):
        await database.write(lambda tx: tx.insert(schema.membership, made[::-1]))
    gone = [made[0], made[-1], ("group2", "nobody")]
    await database.write(lambda tx: tx.delete(schema.membership, gone))
    assert {tuple(row) for row in await database.read(lambda tx: tx.rows(sql))} == set(made[1:-1])
    await database.write(lambda tx: tx.delete(schema.membership, [("port1",)], by=("port_id",)))
    left = await database.read(lambda tx: tx.rows(sql))
    assert {tuple(row) for row in left} == {row for row in made[1:-1] if row[1] != "port1"}
    await database.close()
