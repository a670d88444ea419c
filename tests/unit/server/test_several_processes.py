"""Two servers' cores on one SQLite file, where neither hears of the other: the key decides.

SQLite has one server process (`test_opening`); its file serves here as the shared database.
"""

import asyncio
from pathlib import Path

import pytest

from netwright.db.sqlite import SqliteDatabase
from netwright.model.errors import IpAddressGenerationFailure, NetwrightError
from netwright.model.resources import NetworkType, Port, Segment
from netwright.server.commands import (
    Caller,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeletePorts,
    NetworkDraft,
    PortDraft,
    SubnetDraft,
)
from netwright.server.core import Core
from netwright.server.store.opening import open_store

ADMIN = Caller(project_id="p", is_admin=True)


async def create(core: Core, port_id: str) -> Port | NetwrightError:
    draft = PortDraft(id=port_id, project_id="p", network_id="net")
    try:
        (port,) = await core.commit(CreatePorts(caller=ADMIN, drafts=(draft,)))
    except NetwrightError as error:
        return error
    assert isinstance(port, Port)
    return port


async def two_cores(path: Path, cidr: str) -> tuple[Core, Core]:
    opened = await open_store(f"sqlite:///{path}", "epoch")
    first, second = Core(opened), Core(opened._replace(database=SqliteDatabase(path)))
    for core in (first, second):
        await core.start()
    segment = Segment(
        network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100
    )
    network = NetworkDraft(id="net", project_id="p", segment=segment)
    subnet = SubnetDraft(id="sub", project_id="p", network_id="net", cidr=cidr, ip_version=4)
    await first.commit(CreateNetworks(caller=ADMIN, drafts=(network,)))
    await first.commit(CreateSubnets(caller=ADMIN, drafts=(subnet,)))
    return first, second


@pytest.mark.parametrize(("cidr", "capacity"), [("10.0.0.0/28", 13), ("10.0.0.0/24", 253)])
async def test_two_processes_give_out_each_address_once_and_all_of_them(
    tmp_path: Path, cidr: str, capacity: int
) -> None:
    cores = await two_cores(tmp_path / "netwright.db", cidr)
    try:
        outcomes = await asyncio.gather(
            *(create(cores[each % 2], f"p{each}") for each in range(capacity + 10))
        )
        made = [each for each in outcomes if isinstance(each, Port)]
        assert len({port.fixed_ips[0].ip_address for port in made}) == len(made) == capacity
        refused = [each for each in outcomes if not isinstance(each, Port)]
        assert all(isinstance(each, IpAddressGenerationFailure) for each in refused), refused
        for core in reversed(cores):  # what one has freed, either gives out again
            freed, made = made[0], made[1:]
            await cores[0].commit(DeletePorts(caller=ADMIN, ids=(freed.id,)))
            again = await create(core, f"again-{freed.id}")
            assert isinstance(again, Port), again
            assert again.fixed_ips == freed.fixed_ips
    finally:
        for core in cores:
            await core.close()
