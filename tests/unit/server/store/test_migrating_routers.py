"""The step that brings pools and routers keeps the subnets that are there."""

from tests.doubles.filled import filled
from tests.doubles.sql import execute

from netwright.model.resources import Subnet
from netwright.server.core import Core
from netwright.server.queries import Query
from netwright.server.store.checking import check
from netwright.server.store.migrating import migrate


async def test_subnets_stay_and_are_of_no_pool(database_url: str) -> None:
    async with filled(database_url) as core:
        before = await core.reader.many(Subnet, Query())
    await migrate(database_url, "x", "0002")
    columns = "id, project_id, network_id, cidr, ip_version, gateway_ip, enable_dhcp, body"
    rows = await execute(database_url, f"SELECT {columns} FROM subnet")
    await migrate(database_url, "x")
    assert await execute(database_url, f"SELECT {columns} FROM subnet") == rows
    assert await execute(database_url, "SELECT subnetpool_id FROM subnet") == [(None,)]
    assert (await check(database_url)).wrong == []
    core = await Core.open(database_url)
    assert await core.reader.many(Subnet, Query()) == before
    assert await core.reader.many(Subnet, Query(filters=(("subnetpool_id", ("",)),))) == before
    await core.close()
