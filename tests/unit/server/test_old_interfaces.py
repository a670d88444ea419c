"""Routers' interfaces of before they were ACTIVE turn so once a newer server has started."""

import asyncio

import pytest
from tests.doubles.store import ADMIN, create, ipv4_subnet
from tests.unit.server.overlay_scene import fabric_network

from netwright.db.transaction import Transaction
from netwright.model.routing import ROUTER_INTERFACE
from netwright.model.states import PortState
from netwright.server import upkeep
from netwright.server.commands import CreateSubnets
from netwright.server.core import Core
from netwright.server.routing_commands import AddInterface, CreateRouters, RouterDraft
from netwright.server.store.opening import open_store

SOON_S = 30.0


async def test_an_old_interface_turns_active(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a port that only says that it is one."""
    monkeypatch.setattr(upkeep, "UPKEEP_PERIOD_S", 0.05)
    core = await Core.open(database_url)
    await core.start()
    await core.commit(fabric_network("red", 5000))
    await core.commit(CreateSubnets(caller=ADMIN, drafts=(ipv4_subnet("red", "10.0.0.0/24"),)))
    await core.commit(CreateRouters(caller=ADMIN, drafts=(RouterDraft(id="r", project_id="p"),)))
    await core.commit(create("x", "red"))
    await core.commit(AddInterface(caller=ADMIN, router_id="r", port_id="x"))
    await core.commit(create("z", "red", device_id="r", device_owner=ROUTER_INTERFACE))

    await core.close()
    await make_old(database_url)

    core = await Core.open(database_url)
    await core.start()
    wanted = {"x": PortState.ACTIVE, "z": PortState.ALLOCATED}
    async with asyncio.timeout(SOON_S):
        found = await states(core)
        while found != wanted:
            await asyncio.sleep(0.05)
            found = await states(core)
    await core.close()


async def states(core: Core) -> dict[str, PortState]:
    found = {id_: await core.reader.port(id_) for id_ in "xz"}
    return {id_: port.state for id_, port in found.items() if port is not None}


async def make_old(database_url: str) -> None:
    """All ports are as an older server would have left them."""
    database = (await open_store(database_url, "e")).database

    async def work(tx: Transaction) -> int:
        told = ('"state":"ACTIVE"', '"state":"ALLOCATED"')
        await tx.run("UPDATE port SET state = 'ALLOCATED', body = replace(body, $1, $2)", *told)
        (count,) = await tx.row("SELECT count(*) FROM port WHERE body LIKE $1", f"%{told[1]}%")
        return int(count)

    assert await database.write(work) == 2
    await database.close()
